"""Ask the saved weights about the dev examples, and compare the dev accuracy of the training.

Card, log and record say how right the chosen epoch was on the dev examples. Whoever forges all
three is found by asking. The other epochs are gone, so nobody can ask them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from robench._base.bounded_reading import Unreadable
from robench.models.training_log import read_training_log
from robench.models.victim_folder import LOG

if TYPE_CHECKING:
    from robench.models.victim import Victim
    from robench.tasks.example import Example
    from robench.verification.victims import FoundVictim

WEAK: Final = {"fp32": 2e-3, "bf16": 5e-2}
"""Precision of the training -> margin of two probabilities below which rounding may decide."""
ROUNDING: Final = 0.01
"""Share of the dev examples that another machine may answer otherwise."""


@dataclass(frozen=True)
class LogCheck:
    """What the dev examples say of a training.

    Attributes:
        wrong: what is not true.
        undecided: what another machine may explain.
    """

    wrong: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


def check_log(found: FoundVictim, victim: Victim, dev: Sequence[Example]) -> LogCheck:
    """Compare the clean dev accuracy of a victim's card and log with that of its weights.

    Args:
        found: the victim's folder.
        victim: the victim.
        dev: all dev examples of its task.
    """
    from robench.training.limits import pick

    claimed, number = found.card.get("dev_accuracy"), found.card.get("dev_examples")
    # Cards of older versions do not say it.
    if claimed is None or not number or not dev:
        return LogCheck()
    told = _others(found)
    other = [name for name, value in told.items() if value is not None and value != claimed]
    if other:
        return LogCheck(
            (f"the dev accuracy on the victim's card is {claimed}, and {other[0]} says otherwise",)
        )
    examples = pick(dev, number, len(victim.labels))
    if len(examples) != number:
        return LogCheck((f"its card names {number} dev examples, and there are {len(examples)}",))
    right, weak = _answers(victim, examples, str(found.card["ingredients"].get("precision")))
    off = abs(right - claimed * number)
    said = (
        f"the dev accuracy of the training is {claimed}, and the saved weights are right on "
        f"{right} of {number} dev examples ({right / number:g})"
    )
    if off <= weak + 0.5:
        return LogCheck()
    return LogCheck((said,)) if off > weak + ROUNDING * number else LogCheck((), (said,))


def _others(found: FoundVictim) -> dict[str, Any]:
    """Return what the other places say of the clean dev accuracy; None where they do not say it."""
    selection = found.card.get("selection") or {}
    kept = selection.get("kept")
    try:
        epochs = read_training_log(found.folder / LOG)["epochs"]
    except Unreadable:
        epochs = []
    values: dict[str, Any] = {}
    for name, each, field in (
        ("the choice of the epoch on it", selection.get("epochs", []), "clean"),
        ("the log of the training", epochs, "dev_accuracy"),
    ):
        there = isinstance(kept, int) and 0 < kept <= len(each)
        values[name] = each[int(kept) - 1].get(field) if kept is not None and there else None
    return values


def _answers(victim: Victim, examples: Sequence[Example], precision: str) -> tuple[int, int]:
    """Return how many examples the weights are right on, and how many answers are a near tie."""
    plain = victim.unsmoothed
    probs = plain.probs_of_texts([each.fields for each in examples])
    labels = np.array([each.label for each in examples])
    first, second = np.sort(probs, axis=1)[:, :-3:-1].T
    weak = first - second < WEAK.get(precision, WEAK["bf16"])
    return int((probs.argmax(1) == labels).sum()), int(weak.sum())
