"""Questions put to a victim before it is praised (after AutoAttack's ``checks.py``): is it deterministic, and does its accuracy mean anything?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robench._base.errors import RobenchError
from robench.training.selection import guessing_accuracy

if TYPE_CHECKING:
    from robench.models.victim import Victim
    from robench.tasks.base import Example

SATURATED = 1 - 1e-6
"""A top probability above this leaves a search by probabilities next to nothing to climb on in fp32."""


@dataclass(frozen=True)
class RedFlag:
    """A red flag: the figures are reported, with this beside them.

    Attributes:
        name: short and stable, for records: ``"chance"``, ``"one-class"``, ``"saturated"``.
        message: one sentence for people.
    """

    name: str
    message: str


def check_victim(victim: Victim, examples: Sequence[Example]) -> list[RedFlag]:
    """Ask ``victim`` about ``examples`` (of dev, some hundreds are plenty), twice.

    Returns:
        What should be known beside its figures; empty when nothing stands out.

    Raises:
        RobenchError: it cannot be judged at all: it is in train mode, answers differently the second time, or its answers are no probabilities.
    """
    active = [type(module).__name__ for module in victim.model.modules() if module.training]
    if active:
        raise RobenchError(
            f"Victim '{victim.name}' is in train mode ({active[0]}): its answers are random. Its defense must leave it in eval mode."
        )
    texts = [example.fields for example in examples]
    probabilities, again = victim.probs_of_texts(texts), victim.probs_of_texts(texts)
    if not np.isfinite(probabilities).all():
        raise RobenchError(
            f"Victim '{victim.name}' answers with numbers that are not finite. Train it again with a lower learning_rate."
        )
    if not np.array_equal(probabilities, again):
        raise RobenchError(
            f"Victim '{victim.name}' gives the same texts different probabilities when asked twice: it cannot be judged."
        )
    if not np.allclose(probabilities.sum(-1), 1, atol=1e-5) or (probabilities < 0).any():
        raise RobenchError(
            f"Victim '{victim.name}' gives probabilities that do not sum to 1: it cannot be judged."
        )
    return _red_flags(victim, probabilities, np.asarray([example.label for example in examples]))


def _red_flags(
    victim: Victim, probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> list[RedFlag]:
    found, count = [], len(labels)
    predictions = probabilities.argmax(-1)
    accuracy = float((predictions == labels).mean())
    chance, lucky = guessing_accuracy(labels)
    if accuracy <= lucky:
        found.append(
            RedFlag(
                "chance",
                f"'{victim.name}' is right on {accuracy:.1%} of {count} dev examples, no better than guessing ({chance:.1%}).",
            )
        )
    if len(np.unique(predictions)) == 1:
        found.append(
            RedFlag(
                "one-class",
                f"'{victim.name}' calls every one of {count} dev examples '{victim.labels[int(predictions[0])]}'.",
            )
        )
    saturated = float((probabilities.max(-1) > SATURATED).mean())
    if saturated > 0.5:
        found.append(
            RedFlag(
                "saturated",
                f"'{victim.name}' is certain beyond fp32 on {saturated:.0%} of dev: attacks by probabilities may fail for that alone.",
            )
        )
    return found
