"""Compare cells with and without substitutes that the victim does not know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from robench.records.record import Record
from robench.records.statistics import Score, accuracy_under_attack
from robench.records.statistics_seeds import resample


@dataclass(frozen=True)
class UnknownPair:
    """One row under one attack, with unknown substitutes allowed and forbidden.

    Attributes:
        row: label of the row.
        attack: label of the attack.
        seeds: seeds that have both records.
        allowed: accuracy under attack with unknown substitutes.
        forbidden: accuracy under attack without them.
        fooled: fooled examples with unknown substitutes, over all seeds.
        only_with_unknown: those of them that held without unknown substitutes.
    """

    row: str
    attack: str
    seeds: tuple[int, ...]
    allowed: Score
    forbidden: Score
    fooled: int
    only_with_unknown: int

    @property
    def share(self) -> float | None:
        """Share of the fooling that needs unknown words, in [0, 1]; None without fooling."""
        return self.only_with_unknown / self.fooled if self.fooled else None


def unknown_pairs(records: Iterable[Record]) -> list[UnknownPair]:
    """Return a pair for each row and attack that has both kinds of records.

    Records go together if they differ in nothing but ``Protocol.unknown``: they are about the same
    victim, examples, surface, budget and attack. Records with errors are ignored. The result is
    sorted by row and attack.
    """
    found: dict[tuple[object, ...], dict[str, Record]] = {}
    for record in records:
        if not record.counts.error:
            found.setdefault(_place(record), {})[record.protocol.unknown] = record
    groups: dict[tuple[str, str], list[tuple[Record, Record]]] = {}
    for both in found.values():
        if len(both) == 2:
            allowed, forbidden = both["allowed"], both["forbidden"]
            place = allowed.row, allowed.attack.label
            groups.setdefault(place, []).append((allowed, forbidden))
    return [_pair(*place, members) for place, members in sorted(groups.items())]


def _place(record: Record) -> tuple[object, ...]:
    """Return what two records of a pair share."""
    protocol, attack = record.protocol, record.attack
    return (
        record.row,
        attack.label,
        attack.code_sha256,
        record.search,
        record.victim.sha256,
        record.victim.configuration,
        record.task.digest,
        record.ids_digest,
        record.surface.key,
        record.surface.constrained,
        protocol.choosing("allowed", protocol.temperature),
    )


def _pair(row: str, attack: str, members: list[tuple[Record, Record]]) -> UnknownPair:
    members = sorted(members, key=lambda both: both[0].search.seed)
    letters = [
        pair
        for allowed, forbidden in members
        for pair in zip(allowed.outcomes, forbidden.outcomes, strict=True)
    ]
    return UnknownPair(
        row,
        attack,
        tuple(allowed.search.seed for allowed, _ in members),
        _score([allowed for allowed, _ in members]),
        _score([forbidden for _, forbidden in members]),
        sum(one == "F" for one, _ in letters),
        sum(one == "F" and other in "HP" for one, other in letters),
    )


def _score(records: list[Record]) -> Score:
    rates = tuple(accuracy_under_attack(record.counts) for record in records)
    sizes = {record.counts.n for record in records}
    if len(records) == 1 or len(sizes) > 1:
        return Score(rates, records[0].counts.n)
    (drawn,) = resample([[record.outcomes for record in records]])
    return Score(rates, drawn.examples, drawn.interval)
