"""The examples of a run with ``--limit``: a prefix with the labels in turn."""

from __future__ import annotations

from collections.abc import Sequence

from robench._base.errors import UsageError
from robench.tasks.example import Example


def balanced_prefix(examples: Sequence[Example], size: int) -> list[Example]:
    """Return the first ``size`` examples, with the labels in turn.

    Within a label the examples are taken in the order of their ids. The result is sorted by id.
    A smaller prefix is always part of a larger one, so a run with a higher limit reuses the
    trials of one with a lower limit.

    Raises:
        UsageError: ``size`` is not positive.
    """
    if size < 1:
        raise UsageError(f"--limit must be at least 1, got {size}.")
    turns: list[tuple[int, int, Example]] = []
    seen: dict[int, int] = {}
    for example in sorted(examples, key=lambda example: example.id):
        turn = seen.get(example.label, 0)
        turns.append((turn, example.label, example))
        seen[example.label] = turn + 1
    first = sorted(turns, key=lambda turn: turn[:2])[:size]
    return sorted((example for _, _, example in first), key=lambda example: example.id)
