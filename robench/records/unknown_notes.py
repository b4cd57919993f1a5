"""Sentences about the words that victims read as their unknown token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from robench.records.percent import percent
from robench.records.record import Record
from robench.records.unknown_part import UnknownPart

Place = tuple[str, str]
"""Label of the row, label of the attack."""


def unknown_lines(records: Iterable[Record]) -> list[str]:
    """Return what is known of unknown words under a table, one line each.

    Records in which nothing was counted (those before schema 5) say nothing.
    """
    counted = [record for record in records if record.unknown is not None]
    if not counted:
        return []
    return [*_space_lines(counted), *_like_own_lines(counted), *_success_lines(counted)]


def _space_lines(records: Sequence[Record]) -> list[str]:
    """Return one line for each group of cells with the same shares."""
    places = {_place(record) for record in records}
    groups: dict[str, set[Place]] = {}
    for record in records:
        assert record.unknown is not None
        removed = record.protocol.unknown == "forbidden"
        sentence = space_sentence(record.unknown, removed=removed)
        groups.setdefault(sentence, set()).add(_place(record))
    lines = []
    for sentence, members in groups.items():
        where = _named(members, places)
        lines.append(f"Unknown words{where}: {sentence}")
    return sorted(lines)


def space_sentence(part: UnknownPart, *, removed: bool) -> str:
    """Return the shares of unknown words, substitutes and positions as sentences.

    Args:
        part: the counts.
        removed: whether the unknown substitutes are removed (``Protocol.unknown``).
    """
    if removed and part.substitutes is not None:
        return _removal_sentence(part)
    shares = {name: part.share(name) for name in ("words", "substitutes", "positions")}
    parts = [
        f"{percent(share)} % of the {name}"
        for name, share in shares.items()
        if share is not None and name != "positions"
    ]
    if not parts:
        return f"not counted, because {'; '.join(sorted(set(part.missing.values())))}."
    sentence = f"the victim reads {' and '.join(parts)} as its unknown token"
    if shares["positions"] is not None:
        sentence += (
            f", and a swap can turn {percent(shares['positions'])} % of the replaceable words into "
            "it"
        )
    return f"{sentence}."


def _removal_sentence(part: UnknownPart) -> str:
    """Return what is removed and what remains, where substitutes are counted."""
    assert part.substitutes is not None
    assert part.substitutes_unknown is not None
    share, known = part.share("substitutes"), part.share("words")
    sentences = []
    if known is not None:
        sentences.append(f"the victim reads {percent(known)} % of the words as its unknown token.")
    if share is None:
        sentences.append("There are no substitutes.")
    elif not part.substitutes_unknown:
        sentences.append(f"It knows all {part.substitutes:,} substitutes, so none is removed.")
    else:
        sentences.append(
            f"{percent(share)} % of the substitutes are removed, because it reads them as that "
            f"token: {part.substitutes - part.substitutes_unknown:,} of {part.substitutes:,} "
            "remain."
        )
    return " ".join(sentences)


def _like_own_lines(records: Sequence[Record]) -> list[str]:
    """Return one line about held-out substitutes that look like the own set, by attack."""
    totals: dict[str, tuple[int, int]] = {}
    for record in records:
        part = record.unknown
        if part is None or part.like_own is None or part.like_own_known is None:
            continue
        if part.substitutes is None or part.substitutes_unknown is None:
            continue
        # The record counts what there is before unknown substitutes are removed.
        searched, alike = part.substitutes, part.like_own
        if record.protocol.unknown == "forbidden":
            searched, alike = searched - part.substitutes_unknown, part.like_own_known
        before = totals.get(record.attack.label, (0, 0))
        totals[record.attack.label] = before[0] + searched, before[1] + alike
    texts = [
        f"{percent(alike / searched)} % under {label}"
        for label, (searched, alike) in sorted(totals.items())
        if alike
    ]
    if not texts:
        return []
    return [
        "Held-out substitutes that look to the victim like the own set, because a word is unknown: "
        f"{', '.join(texts)}."
    ]


def _success_lines(records: Sequence[Record]) -> list[str]:
    """Return one line about the fooled examples, attack by attack over all rows and seeds."""
    totals: dict[str, tuple[int, int]] = {}
    for record in records:
        part = record.unknown
        if part is None or part.successes is None or part.successes_unknown is None:
            continue
        whole, unknown = totals.get(record.attack.label, (0, 0))
        totals[record.attack.label] = whole + part.successes, unknown + part.successes_unknown
    counted = {label: total for label, total in sorted(totals.items()) if total[0]}
    some = [
        f"{unknown:,} of {whole:,} under {label} ({percent(unknown / whole)} %)"
        for label, (whole, unknown) in counted.items()
        if unknown
    ]
    none = [label for label, (_, unknown) in counted.items() if not unknown]
    if not counted:
        return []
    if not some:
        told = "none"
    elif none:
        told = f"{', '.join(some)}; none under {', '.join(none)}"
    else:
        told = ", ".join(some)
    return [f"Fooled examples whose swaps use an unknown word: {told}."]


def _place(record: Record) -> Place:
    return record.row, record.attack.label


def _named(members: set[Place], places: set[Place]) -> str:
    """Return which of the ``places`` a group holds, or an empty text for all of them."""
    if members == places:
        return ""
    rows, attacks = ({place[index] for place in members} for index in (0, 1))
    if members == {place for place in places if place[1] in attacks}:
        return f" under {', '.join(sorted(attacks))}"
    if members == {place for place in places if place[0] in rows}:
        return f" of {', '.join(sorted(rows))}"
    return f" of {', '.join(f'{row} under {attack}' for row, attack in sorted(members))}"
