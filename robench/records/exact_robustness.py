"""Show how far the accuracy under an attack lies above the exact robustness.

An attack that fails proves nothing, so the accuracy under it is only an upper bound of the
robustness. Where another attack searched whole spaces, the robustness is known example by
example. An example is robust if that is proved, and not robust if any attack fooled the victim.
It is unknown if the example merely held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench.records.record import Record
from robench.records.statistics import accuracy_under_attack


@dataclass(frozen=True)
class Overestimate:
    """The accuracy under one attack, and bounds of the exact robustness.

    All rates are in [0, 1] of all n examples.

    Attributes:
        defense: label of the row.
        attack: label of the attack.
        seed: seed of the victim.
        under: accuracy under the attack.
        proved: share of examples that are proved robust. The exact robustness is not lower.
        unfooled: share of examples that no attack fools. The exact robustness is not higher.
    """

    defense: str
    attack: str
    seed: int
    under: float
    proved: float
    unfooled: float

    @property
    def bounds(self) -> tuple[float, float]:
        """How far ``under`` lies above the exact robustness: at least and at most."""
        return self.under - self.unfooled, self.under - self.proved


def overestimates(records: Iterable[Record]) -> list[Overestimate]:
    """Return an overestimate for each record whose exact robustness another record shows.

    The other record must have the same surface, be a reference (``is_reference``) and prove more
    examples. Records with errors are ignored. The result is sorted by defense, seed and attack.
    """
    groups: dict[tuple[str, int, str, str], list[Record]] = {}
    for record in records:
        if not record.counts.error:
            # Records with and without unknown words search other spaces of one surface.
            surface, protocol = record.surface.key, record.protocol.name
            place = record.row, record.search.seed, surface, protocol
            groups.setdefault(place, []).append(record)
    found: list[Overestimate] = []
    for group in groups.values():
        for record in group:
            overestimate = _overestimate(record, group)
            if overestimate is not None:
                found.append(overestimate)
    return sorted(found, key=lambda each: (each.defense, each.seed, each.attack))


def is_reference(record: Record) -> bool:
    """Return whether the attack proved at least as many examples as merely held."""
    return 0 < record.counts.held_proved >= record.counts.held


def _overestimate(record: Record, group: Sequence[Record]) -> Overestimate | None:
    """Return the overestimate of ``record``, or None if no other record is a reference for it.

    Args:
        record: the record.
        group: all records of the same victim on the same surface.
    """
    # The language model's constraint only takes texts away, so the constrained space is part of
    # the free one. A proof on the free space holds on the constrained one. A text that fools the
    # victim in the constrained space is also in the free one.
    constrained = record.surface.constrained
    provers = [other for other in group if constrained or not other.surface.constrained]
    foolers = [other for other in group if other.surface.constrained or not constrained]
    if not any(
        is_reference(other) and other.counts.held_proved > record.counts.held_proved
        for other in provers
    ):
        return None
    fooled = _positions("F", foolers)
    proved = _positions("P", provers) - fooled
    n = record.counts.n
    return Overestimate(
        record.row,
        record.attack.label,
        record.search.seed,
        under=accuracy_under_attack(record.counts),
        proved=len(proved) / n,
        unfooled=(n - record.counts.wrong - len(fooled)) / n,
    )


def _positions(letter: str, records: Iterable[Record]) -> set[int]:
    """Return the examples that have this outcome in at least one of the records."""
    return {
        index
        for record in records
        for index, outcome in enumerate(record.outcomes)
        if outcome == letter
    }
