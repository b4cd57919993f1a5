"""A finding about a victim's gradients: an attack that follows them needs some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from robench.models.gradient_query import GradientQuery
from robench.models.health_checks import RedFlag

if TYPE_CHECKING:
    from robench.models.judged import JudgedVictim
    from robench.tasks.example import Example

TEXTS = 16
"""Number of texts whose gradient is computed."""


def gradient_findings(
    victim: JudgedVictim, examples: Sequence[Example], split: str = "dev"
) -> list[RedFlag]:
    """Return a finding if the victim's gradient is zero or not finite on most texts.

    The gradient is that of the margin at the word embeddings. It does not vanish because a victim
    is sure. Where it is zero, an attack with gradients searches blindly.

    Args:
        victim: the victim. Nothing is found for one whose gradients robench does not have.
        examples: examples to check; the first ``TEXTS`` are used.
        split: name of their split, for the message.
    """
    gradient = getattr(victim, "gradient", None)
    if gradient is None:
        return []
    zero = infinite = 0
    chosen = examples[:TEXTS]
    for example in chosen:
        text = victim.read(example.fields)
        found = gradient(GradientQuery(text.ids, text.token_types, example.label))
        infinite += not np.isfinite(found).all()
        zero += not found.any()
    if 2 * (zero + infinite) <= len(chosen):
        return []
    what = [
        text
        for count, text in ((zero, f"zero on {zero}"), (infinite, f"not finite on {infinite}"))
        if count
    ]
    message = (
        f"the gradient of '{victim.name}' is {' and '.join(what)} of {len(chosen)} {split} texts. "
        "Attacks that follow gradients fail for this reason alone."
    )
    return [RedFlag("zero-gradient", message)]
