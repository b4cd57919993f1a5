"""The protocol step ``temperature=dev``: fit each victim's temperature before it is attacked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from robench._base.errors import UsageError
from robench.tasks.balanced import balanced_prefix
from robench.tasks.frozen import digest

if TYPE_CHECKING:
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved import ResolvedTask
    from robench.search.victim_protocol import SearchVictim
    from robench.tasks.example import Example

MOST_EXAMPLES = 1000
"""Number of dev examples that a temperature is fitted on, at most."""


def check_temperature(request: EvaluationRequest, tasks: Iterable[ResolvedTask]) -> None:
    """Refuse a temperature where there is nothing to fit it on.

    Raises:
        UsageError: a task has no dev examples.
    """
    if request.temperature == "none":
        return
    for task in tasks:
        if not task.splits.dev:
            raise UsageError(
                f"--temperature dev fits the temperature on dev examples, and task '{task.name}' "
                "has none. Name them with --dev-file, or leave --temperature out."
            )


def calibration_examples(request: EvaluationRequest, task: ResolvedTask) -> Sequence[Example]:
    """Return the dev examples of the fit, balanced over the labels; none without a temperature."""
    if request.temperature == "none":
        return ()
    dev = task.splits.dev
    return balanced_prefix(dev, min(MOST_EXAMPLES, len(dev)))


def calibration_digest(request: EvaluationRequest, task: ResolvedTask) -> str | None:
    """Return the digest of the examples of the fit, or None without a temperature.

    Together with the victim and the code it decides the temperature, so it stands for it in keys.
    """
    examples = calibration_examples(request, task)
    return digest(examples) if examples else None


def temperature_of(victim: SearchVictim, examples: Sequence[Example]) -> float:
    """Return the temperature of a victim that fits ``examples`` best."""
    from robench.models.calibration import fit_temperature
    from robench.search.batching import logits_of_rows

    read = [victim.read(example.fields) for example in examples]
    lengths = [np.array([len(row.ids)], dtype=np.int32) for row in read]
    logits = logits_of_rows(
        victim,
        ((row, row.ids[None], length) for row, length in zip(read, lengths, strict=True)),
    )
    return fit_temperature(logits, np.array([example.label for example in examples]))
