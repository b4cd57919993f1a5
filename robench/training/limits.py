"""Limits of a training run: how many examples it uses and how long texts may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench.tasks.example import Example
from robench.tasks.frozen import pick_balanced

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier


def pick(examples: Sequence[Example], limit: int | None, classes: int) -> Sequence[Example]:
    """Return at most ``limit`` of ``examples``, balanced over labels.

    Those with the smallest ids are chosen, by the rule that also froze the 1000 test examples.

    Args:
        examples: the examples to choose from.
        limit: the most examples to return; None returns all.
        classes: number of labels.
    """
    if limit is None or limit >= len(examples):
        return examples
    return pick_balanced(examples, limit, classes)


def check_window(model: TextClassifier, max_tokens: int, encoder: str, task: str) -> None:
    """Raise UsageError where a text of the task may be longer than the encoder can read."""
    positions = getattr(model.encoder.config, "max_position_embeddings", None)
    if positions is not None and 0 < positions < max_tokens:
        raise UsageError(
            f"Encoder '{encoder}' reads {positions} tokens, task '{task}' has {max_tokens}. "
            "Choose another encoder, or for a file of your own a --max-tokens of at most "
            f"{positions}."
        )
