"""Count the examples in which an attack may replace no word."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.tasks.example import Example
    from robench.text.surface import Surface


def count_unattackable(
    surface: Surface,
    examples: Iterable[Example],
    *,
    constrained: bool,
    threshold: float,
    without: Container[str] = frozenset(),
) -> int:
    """Return the number of examples without a word that may be replaced.

    Words count that the surface holds, also where a victim's window is shorter.

    Args:
        surface: the surface.
        examples: the examples that are judged.
        constrained: whether the language model constrains the attack.
        threshold, without: see ``Surface.space``.

    Raises:
        KeyError: an example is not in the surface.
    """
    return sum(
        not surface.space(
            example.id, len(surface.words(example.id)), constrained, threshold, without
        ).positions.size
        for example in examples
    )


def unattackable_remark(count: int, constrained: int | None, total: int) -> str | None:
    """Return a sentence about examples without a word that can be replaced, or None.

    Args:
        count: number of such examples without the language model.
        constrained: the number under its constraint, or None if it constrains no attack.
        total: number of examples.
    """
    if not count and not constrained:
        return None
    what = "example has" if total == 1 else "examples have"
    text = f"{count} of {total} {what} no word that can be replaced"
    if constrained is not None and constrained > count:
        text += f" ({constrained} under the language model's constraint)"
    return (
        f"{text}: an attack leaves them as they are. They count as held where the victim is right."
    )
