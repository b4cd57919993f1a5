"""Say which rows of a table trained on what a column attacks with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from robench.plugins.names import split_on
from robench.records.record import Record
from robench.records.trained_on import TrainedOnPart

TRAINED_MARK = "†"
"""Mark of a number whose attack made training texts of the same row."""


def trained_against(record: Record) -> bool:
    """Return whether the defense of a record trained on texts of its attack and set."""
    trained, surface = record.trained_on, record.surface
    if trained is None:
        return False
    name = split_on(record.attack.name)[0]
    same_set = surface.substitutions_sha256 == trained.substitutions_sha256
    return any(attack.name == name and (attack.outside or same_set) for attack in trained.attacks)


def training_notes(records: Iterable[Record]) -> list[str]:
    """Return the sentences below a table: trained attacks, trained sets, and several surfaces."""
    found = list(records)
    return [*_attack_notes(found), *_set_notes(found), *_space_notes(found)]


def _attack_notes(records: Sequence[Record]) -> list[str]:
    cells = sorted({f"{r.row} under {r.attack.label}" for r in records if trained_against(r)})
    if not cells:
        return []
    return [
        f"{TRAINED_MARK} trained on this attack: {', '.join(cells)}. The training used texts that "
        "this attack made, so the number shows the defense at its best."
    ]


def _set_notes(records: Sequence[Record]) -> list[str]:
    """Return a sentence for each set that some rows trained on."""
    rows: dict[tuple[str, str], set[str]] = {}
    for record in records:
        trained = record.trained_on
        if trained is not None and trained.substitutions_sha256 is not None:
            rows.setdefault(_set_of(trained), set()).add(record.row)
    return [
        " ".join(
            [
                f"{_listed(trained)} trained on the substitution set {name}.",
                *_column_sentences(records, sha256),
            ]
        )
        for (name, sha256), trained in sorted(rows.items())
    ]


def _set_of(trained: TrainedOnPart) -> tuple[str, str]:
    return trained.substitutions or "", trained.substitutions_sha256 or ""


def _column_sentences(records: Sequence[Record], sha256: str) -> list[str]:
    """Say which columns search a set, which have none of its pairs, and which may have some."""
    same: set[str] = set()
    held_out: set[str] = set()
    other: set[str] = set()
    for record in records:
        surface = record.surface
        if surface.substitutions_sha256 is None or not record.attack.searches:
            continue
        kind = other
        if surface.substitutions_sha256 == sha256:
            kind = same
        elif surface.held_out:
            kind = held_out
        kind.add(record.attack.label)
    sentences = [f"Columns that search this set: {_listed(same)}."] if same else []
    if held_out:
        sentences.append(
            f"Without its pairs of words: {_listed(held_out)}. With one token per word, unknown "
            "words can still look like its pairs to a victim; '--unknown forbidden' removes the "
            "unknown substitutes."
        )
    if other:
        sentences.append(f"On another set, which may share pairs with it: {_listed(other)}.")
    return sentences


def _space_notes(records: Sequence[Record]) -> list[str]:
    keys = {r.surface.key for r in records if r.attack.searches and not r.surface.outside}
    if len(keys) < 2:
        return []
    return [
        "The attacks search different substitution sets. The worst case is over all its attacks: "
        "an example counts only if it withstands them in all of these spaces."
    ]


def _listed(names: Iterable[str]) -> str:
    *others, last = sorted(names)
    return f"{', '.join(others)} and {last}" if others else last
