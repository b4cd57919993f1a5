"""Limits of a training: how many examples it takes and how long its texts may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench.tasks.example import Example
from robench.tasks.frozen import pick_balanced

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier


def pick(examples: Sequence[Example], limit: int | None, classes: int) -> Sequence[Example]:
    """At most ``limit`` of ``examples``, balanced over labels, those with the smallest ids: the rule that froze the 1000."""
    return (
        examples
        if limit is None or limit >= len(examples)
        else pick_balanced(examples, limit, classes)
    )


def check_window(model: TextClassifier, max_tokens: int, encoder: str, task: str) -> None:
    """Raise UsageError where the task's texts are longer than the encoder reads."""
    positions = getattr(model.encoder.config, "max_position_embeddings", None)
    if positions is not None and 0 < positions < max_tokens:
        raise UsageError(
            f"Encoder '{encoder}' reads {positions} tokens, task '{task}' has {max_tokens}. Choose another encoder."
        )
