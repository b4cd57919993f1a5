"""How far each attack stays above the truth, where some attack proved most of what it held.

An attack that fails proves nothing, so accuracy under it is only an upper bound of robustness. Where another one searched whole spaces, the truth is known
example by example: robust where it is proved, not robust where any attack fooled the victim, unknown where it merely held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench.results.record import Record
from robench.results.statistics import accuracy_under_attack


@dataclass(frozen=True)
class Excess:
    """Accuracy under one attack beside the truth about its victim and surface; all in [0, 1] of all n examples.

    Attributes:
        under: accuracy under the attack.
        proved: share of the examples that are proved robust: the truth is no lower.
        unfooled: share that no attack fools: the truth is no higher.
    """

    defense: str
    attack: str
    seed: int
    under: float
    proved: float
    unfooled: float

    @property
    def bounds(self) -> tuple[float, float]:
        """How far ``under`` lies above the truth, at least and at most."""
        return self.under - self.unfooled, self.under - self.proved


def excesses(records: Iterable[Record]) -> list[Excess]:
    """One for each record beside which another one proved more, and most of what it held; sorted by defense, seed and attack.

    Records with errors say nothing.
    """
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        if not record.counts.error:
            groups.setdefault((record.defense.label, record.search.seed), []).append(record)
    found = [
        excess
        for group in groups.values()
        for record in group
        if (excess := _excess(record, group))
    ]
    return sorted(found, key=lambda excess: (excess.defense, excess.seed, excess.attack))


def is_reference(record: Record) -> bool:
    """Whether it proved at least as many examples as it merely held."""
    return 0 < record.counts.held_proved >= record.counts.held


def _excess(record: Record, group: Sequence[Record]) -> Excess | None:
    """None where nobody who proved more is a reference for the surface of ``record``.

    The surface without the language model's constraint holds the one with it: what is proved on the wide one holds on the narrow one, and who is
    fooled on the narrow one is fooled on the wide one.
    """
    bound = record.surface.constrained
    provers = [other for other in group if bound or not other.surface.constrained]
    foolers = [other for other in group if other.surface.constrained or not bound]
    if not any(
        is_reference(other) and other.counts.held_proved > record.counts.held_proved
        for other in provers
    ):
        return None
    n = record.counts.n
    fooled = {index for other in foolers for index in range(n) if other.outcomes[index] == "F"}
    proved = {
        index for other in provers for index in range(n) if other.outcomes[index] == "P"
    } - fooled
    unfooled = (n - record.counts.wrong - len(fooled)) / n
    return Excess(
        record.defense.label,
        record.attack.label,
        record.search.seed,
        accuracy_under_attack(record.counts),
        len(proved) / n,
        unfooled,
    )
