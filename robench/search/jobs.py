"""The job of one example: the words that searches and verdicts use for one victim."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.tasks.example import Example
from robench.text.space import SearchSpace
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.search.victim_protocol import Reader
    from robench.text.surface import Surface


@dataclass(frozen=True)
class Job:
    """One example to be attacked.

    Attributes:
        words: the words of every field, ``{"premise": (…), "hypothesis": (…)}``, as the surface
            stores them.
        space: over the words of the attackable field.
    """

    example: Example
    words: Mapping[str, Sequence[str]]
    space: SearchSpace


def make_jobs(
    examples: Iterable[Example],
    surface: Surface,
    victim: Reader,
    *,
    constrained: bool,
    threshold: float,
    without: Container[str] = frozenset(),
) -> Iterator[Job]:
    """Yield one job per example, each made when it is requested.

    The words of the attackable field come from the surface. Words that ``victim`` does not see
    cannot be replaced. They lie beyond its window, which another field may narrow.

    Args:
        constrained, threshold, without: see ``Surface.space``.

    Raises:
        KeyError: an example is not in the surface.
    """
    for example in examples:
        words = {
            name: surface.words(example.id) if name == victim.attackable else split_words(text)
            for name, text in example.fields.items()
        }
        visible = victim.encoder_fields.visible(words, example.fields)
        space = surface.space(example.id, visible, constrained, threshold, without)
        yield Job(example, words, space)
