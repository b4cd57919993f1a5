"""Flags: results of several attacks on one victim that do not fit together.

An attack that sees more of a victim should not fool fewer examples in the same space. If it does,
its information misleads it, and the accuracy under it overstates the robustness (Athalye et al.
2018, Carlini et al. 2019). An attack that tries whole spaces should not fool fewer either.

The flags use what attacks declare and what records show, and no names. Two attacks are compared
example by example, by the exact McNemar test. The pairs are picked by their results. So Holm's
method counts all pairs of a table in which one attack sees more than the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from robench.records.comparable import victim_and_seed
from robench.records.exact_robustness import is_reference
from robench.records.record import Record
from robench.records.statistics import PairedTest, compare, holm, places
from robench.search.access import Access

LEVEL: Final = 0.05
"""Largest corrected p-value at which one attack counts as weaker than another."""

SEES: Final[dict[Access, int]] = {"labels": 0, "probabilities": 1, "gradients": 2}
"""What an attack sees of the victim -> its rank; a higher rank sees more."""

FlagKind = Literal[
    "white-box-weaker",
    "labels-stronger",
    "proof-contradicted",
    "search-incomplete",
    "transfer-stronger",
]


@dataclass(frozen=True)
class Flag:
    """Two results of one victim that do not fit together.

    Attributes:
        kind: ``"white-box-weaker"``: an attack with gradients fooled fewer than one without.
            ``"labels-stronger"``: an attack with labels fooled more than one that sees more.
            ``"proof-contradicted"``: an attack fooled examples that another one proved robust,
            which is an error of robench or of a plugin. ``"search-incomplete"``: an attack that
            tries whole spaces fooled fewer than another one. ``"transfer-stronger"``: texts that
            were made for other victims fooled more than the attack itself
            (``robench.records.transfer_flags``).
        row: label of the victim's row.
        seed: seed of the victim.
        suspect: label of the attack whose number is in doubt.
        stronger: label of the attack that fooled more, or ``"transfer"``.
        only_suspect: number of examples that only the first attack fooled.
        only_stronger: number of examples that only the second attack fooled; for a proof or an
            attack that tries whole spaces, of those that it proved or left undecided.
        p_value: corrected p-value of the exact McNemar test. None where a proof or an attack that
            tries whole spaces is in doubt, which needs no test.
        sentence: what it means, for people.
    """

    kind: FlagKind
    row: str
    seed: int
    suspect: str
    stronger: str
    only_suspect: int
    only_stronger: int
    p_value: float | None
    sentence: str


@dataclass(frozen=True)
class _Pair:
    """Two records to be tested; the first should fool at least as many as the second."""

    kind: FlagKind
    suspect: Record
    stronger: Record


def find_flags(records: Iterable[Record]) -> list[Flag]:
    """Return the flags of the records of one table, sorted by row and seed; alarms come first.

    Left out are records with errors, attacks outside the surface, and attacks that search for
    nothing. Records of an older robench do not say what their attack sees, so they can only have
    flags about proofs and whole spaces.
    """
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        if record.attack.searches and not record.counts.error and not record.surface.outside:
            groups.setdefault((record.row, record.search.seed), []).append(record)
    certain: list[Flag] = []
    pairs: list[_Pair] = []
    for _, group in sorted(groups.items()):
        certain += _contradictions(group) + _incomplete(group)
        pairs += _informed_pairs(group)
    tests = _tests(groups.values()) if pairs else {}
    corrected = dict(zip(tests, holm([test.p_value for test in tests.values()]), strict=True))
    doubtful = [
        _doubtful(pair, tests[_names(pair.suspect, pair.stronger)], p_value)
        for pair in pairs
        if (p_value := corrected[_names(pair.suspect, pair.stronger)]) <= LEVEL
    ]
    return sorted([*certain, *doubtful], key=order)


def order(flag: Flag) -> tuple[bool, str, int, str]:
    """Return what flags are sorted by: alarms first, then row, seed and kind."""
    return flag.kind != "proof-contradicted", flag.row, flag.seed, flag.kind


def _inside(part: Record, whole: Record) -> bool:
    """Return whether every text that the first attack may write is allowed to the second.

    The language model only takes texts away.
    """
    same = (
        part.surface.key == whole.surface.key
        and part.protocol == whole.protocol
        and part.ids_digest == whole.ids_digest
        and part.victim.sha256 == whole.victim.sha256
    )
    return same and (part.surface.constrained or not whole.surface.constrained)


def _contradictions(group: Sequence[Record]) -> list[Flag]:
    """Return an alarm for each pair in which one attack fooled what the other one proved."""
    found: list[Flag] = []
    for prover in group:
        for fooler in group:
            both = places("P", prover.outcomes) & places("F", fooler.outcomes)
            if both and _inside(fooler, prover):
                sentence = (
                    f"ALARM. {victim_and_seed(prover)}: {prover.attack.label} proved "
                    f"{_examples(both.bit_count())} robust that {fooler.attack.label} fooled in "
                    "the same space. This cannot be: robench or a plugin has an error. Please "
                    "report it."
                )
                found.append(
                    _flag("proof-contradicted", prover, fooler, 0, both.bit_count(), None, sentence)
                )
    return found


def _incomplete(group: Sequence[Record]) -> list[Flag]:
    """Return a hint for each attack that tries whole spaces and fooled fewer than another one."""
    found: list[Flag] = []
    for whole in group:
        better = [
            other
            for other in group
            if _inside(other, whole) and other.counts.fooled > whole.counts.fooled
        ]
        if not better or not is_reference(whole):
            continue
        other = max(better, key=_fooled_and_label)
        missed = (places("H", whole.outcomes) & places("F", other.outcomes)).bit_count()
        if not missed:
            continue
        sentence = (
            f"{victim_and_seed(whole)}: {whole.attack.label} tries whole spaces, and yet "
            f"{other.attack.label} fooled {_examples(missed)} that it left undecided. It had "
            "reached its bound there. A larger bound decides them."
        )
        own = (places("F", whole.outcomes) & ~places("F", other.outcomes)).bit_count()
        found.append(_flag("search-incomplete", whole, other, own, missed, None, sentence))
    return found


def _informed_pairs(group: Sequence[Record]) -> list[_Pair]:
    """Return the pairs in which an attack that sees less may have fooled more.

    The strongest attack of each kind stands for its kind. An attack that tries whole spaces needs
    no scores to be strong, so it is left out where its kind has another one.
    """
    pairs: list[_Pair] = []
    gradients = _strongest(group, lambda rank: rank == SEES["gradients"])
    if gradients is not None:
        inside = [record for record in group if _inside(record, gradients)]
        pairs += _pair("white-box-weaker", gradients, inside, lambda rank: rank < SEES["gradients"])
    informed = _strongest(group, lambda rank: rank > SEES["labels"])
    if informed is not None:
        inside = [record for record in group if _inside(record, informed)]
        pairs += _pair("labels-stronger", informed, inside, lambda rank: rank == SEES["labels"])
    return pairs


def _pair(
    kind: FlagKind, suspect: Record, group: Sequence[Record], ranks: Callable[[int], bool]
) -> list[_Pair]:
    other = _strongest(group, ranks)
    if other is None or other.counts.fooled <= suspect.counts.fooled:
        return []
    return [_Pair(kind, suspect, other)]


def _tests(groups: Iterable[Sequence[Record]]) -> dict[tuple[str, str], PairedTest]:
    """Return the tests of all pairs in which the first attack sees more than the second.

    Each of them could have been picked. A test counts robust examples, so its first number is what
    only the second attack fooled.
    """
    return {
        _names(more, less): compare(more.outcomes, less.outcomes)
        for group in groups
        for more in group
        for less in group
        if _sees(more) > _sees(less) >= 0 and _inside(less, more)
    }


def _sees(record: Record) -> int:
    """Return the rank of what an attack sees; -1 for records of an older robench."""
    return -1 if record.attack.access is None else SEES[record.attack.access]


def _names(first: Record, second: Record) -> tuple[str, str]:
    return first.file_name, second.file_name


def _strongest(group: Sequence[Record], ranks: Callable[[int], bool]) -> Record | None:
    """Return the attack that fooled most among those of some ranks; None without one."""
    known = [r for r in group if r.attack.access is not None and ranks(SEES[r.attack.access])]
    searching = [record for record in known if not is_reference(record)]
    return max(searching or known, key=_fooled_and_label, default=None)


def _fooled_and_label(record: Record) -> tuple[int, str]:
    return record.counts.fooled, record.attack.label


def _doubtful(pair: _Pair, test: PairedTest, p_value: float) -> Flag:
    suspect, other = pair.suspect, pair.stronger
    only_other, only_suspect = test.only_first, test.only_second
    p_text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    counts = (
        f"({only_other} only by {other.attack.label}, {only_suspect} only by "
        f"{suspect.attack.label}, exact McNemar with Holm {p_text})"
    )
    if pair.kind == "white-box-weaker":
        sentence = (
            f"{victim_and_seed(suspect)}: "
            f"{suspect.attack.label} sees gradients and fooled fewer examples "
            f"than {other.attack.label}, which sees {other.attack.access} {counts}. The gradients "
            f"may mislead it, so the accuracy under {suspect.attack.label} may be too high."
        )
    else:
        sentence = (
            f"{victim_and_seed(suspect)}: "
            f"{other.attack.label} sees labels only and fooled more examples "
            f"than {suspect.attack.label}, which sees {suspect.attack.access} {counts}. The "
            "victim's scores may hide its weak places, so the accuracy under attacks that follow "
            "them may be too high."
        )
    return _flag(pair.kind, suspect, other, only_suspect, only_other, p_value, sentence)


def _flag(
    kind: FlagKind,
    suspect: Record,
    other: Record,
    only_suspect: int,
    only_other: int,
    p_value: float | None,
    sentence: str,
) -> Flag:
    return Flag(
        kind,
        suspect.row,
        suspect.search.seed,
        suspect.attack.label,
        other.attack.label,
        only_suspect,
        only_other,
        p_value,
        sentence,
    )


def _examples(count: int) -> str:
    return "1 example" if count == 1 else f"{count} examples"
