"""Which epoch becomes the victim: the rules of ``TrainingOptions.select``.

A rule sees the dev scores of all epochs so far. Everything here follows from these scores alone,
so a resumed run chooses as an unbroken one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from robench._base.intervals import wilson

if TYPE_CHECKING:
    from robench.plugins.options import Selection, TrainingOptions
    from robench.training.selection import DevScores


@dataclass(frozen=True)
class EpochChoice:
    """The epoch that a rule keeps, and why.

    Attributes:
        rule: name of the rule.
        epoch: the kept epoch, from 1.
        margin: clean dev accuracy that the rule may give up, in [0, 1]; None where the rule has no
            margin.
        candidates: the epochs that the rule chose among, from 1.
    """

    rule: Selection
    epoch: int
    margin: float | None
    candidates: tuple[int, ...]


class EpochRule:
    """One rule with its margin.

    Args:
        options: the training's options.
        dev_examples: number of dev examples, which decides the default margin.
    """

    def __init__(self, options: TrainingOptions, dev_examples: int) -> None:
        self.name: Selection = options.select
        self._margin = options.select_margin
        self._dev_examples = dev_examples

    def choose(self, scores: Sequence[DevScores]) -> EpochChoice:
        """Return the choice among all epochs so far.

        Args:
            scores: the dev scores of the epochs in their order, at least one.
        """
        epochs = tuple(range(1, len(scores) + 1))
        margin = self._resolved_margin(scores)
        if margin is not None:
            least = best_clean(scores) - margin
            # 1e-12 is far below one example, and far above what a difference of floats may lose.
            epochs = tuple(epoch for epoch in epochs if scores[epoch - 1].clean >= least - 1e-12)
        order = _ORDERS[self.name]
        # The earliest of equal epochs, because ``max`` keeps the first.
        kept = max(epochs, key=lambda epoch: order(epoch, scores[epoch - 1]))
        return EpochChoice(self.name, kept, margin, epochs)

    def still_possible(self, scores: Sequence[DevScores]) -> set[int]:
        """Return the epochs, from 1, that this rule may still keep, whatever comes later.

        An epoch has lost for good once the best clean accuracy has passed it by more than the
        margin. It has lost as well where another epoch is preferred to it and is no less accurate,
        for that one is a candidate as long as it is.
        """
        choice = self.choose(scores)
        if choice.margin is None:
            return {choice.epoch}
        order = _ORDERS[self.name]
        possible: set[int] = set()
        preferred = sorted(
            choice.candidates,
            key=lambda epoch: (order(epoch, scores[epoch - 1]), -epoch),
            reverse=True,
        )
        highest = -1.0
        for epoch in preferred:
            if scores[epoch - 1].clean > highest:
                possible.add(epoch)
                highest = scores[epoch - 1].clean
        return possible

    def epochs_without_gain(self, scores: Sequence[DevScores]) -> int:
        """Return for how many epochs neither the choice nor the best clean accuracy has changed.

        The best clean accuracy counts for ``select=robust`` only, which chooses relative to it.
        ``select=last`` chooses another epoch each time, so its number is always 0.
        """
        for passed in range(len(scores)):
            now, before = scores[: len(scores) - passed], scores[: len(scores) - passed - 1]
            if not before or self.choose(now).epoch != self.choose(before).epoch:
                return passed
            if self.name == "robust" and best_clean(now) > best_clean(before):
                return passed
        return 0

    def _resolved_margin(self, scores: Sequence[DevScores]) -> float | None:
        if self.name != "robust":
            return None
        if self._margin is not None:
            return self._margin
        best = best_clean(scores)
        return best - wilson(best, self._dev_examples)[0]


def best_clean(scores: Sequence[DevScores]) -> float:
    """Return the highest clean dev accuracy of any epoch."""
    return max(score.clean for score in scores)


def _robust(_: int, scores: DevScores) -> tuple[Any, ...]:
    return scores.rank


def _clean(_: int, scores: DevScores) -> tuple[Any, ...]:
    return (scores.clean, scores.under_attack)


def _last(epoch: int, _: DevScores) -> tuple[Any, ...]:
    return (epoch,)


_ORDERS: Final[dict[Selection, Callable[[int, DevScores], tuple[Any, ...]]]] = {
    "robust": _robust,
    "clean": _clean,
    "last": _last,
    "paper": _robust,
}
"""Rule -> what it prefers, as a value to compare. Margins are applied before."""


def explain(choice: EpochChoice, scores: Sequence[DevScores]) -> str:
    """Return one sentence for the screen: which epoch was kept, and why."""
    kept = scores[choice.epoch - 1]
    numbers = f"dev accuracy {kept.clean:.3f}"
    if kept.hull is not None:
        numbers += f", under the convex-hull attack {kept.hull:.3f}"
    return (
        f"kept epoch {choice.epoch} of {len(scores)} ({numbers}), {_why(choice, scores)} "
        f"(select={choice.rule})"
    )


def _why(choice: EpochChoice, scores: Sequence[DevScores]) -> str:
    if choice.rule == "last":
        return "the last one"
    if choice.rule == "clean" or scores[0].hull is None:
        return "the one with the highest dev accuracy"
    if choice.rule == "paper":
        return "the one with the highest dev accuracy under the convex-hull attack"
    assert choice.margin is not None
    near = f"within {100 * choice.margin:.1f} points of the best dev accuracy"
    if len(choice.candidates) == 1:
        return f"the only one {near}"
    return f"the most robust of the {len(choice.candidates)} {near}, {best_clean(scores):.3f}"
