"""From examples to jobs: which words the searches and verdicts of one victim see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from robench.search.victim_protocol import Job
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.models.victim import Victim
    from robench.tasks.example import Example
    from robench.text.surface import Surface


def make_jobs(
    examples: Iterable[Example],
    surface: Surface,
    victim: Victim,
    *,
    constrained: bool,
    threshold: float,
) -> Iterator[Job]:
    """One job an example, made when it is asked for.

    The attackable field's words are the surface's; those that ``victim`` does not see (beyond its window, which another field may narrow) cannot be
    replaced.

    Args:
        constrained, threshold: see ``Surface.space``.

    Raises:
        KeyError: an example that is not in the surface.
    """
    for example in examples:
        words = {
            name: surface.words(example.id) if name == victim.attackable else split_words(text)
            for name, text in example.fields.items()
        }
        visible = victim.encoder_fields.encode(words).visible
        yield Job(example, words, surface.space(example.id, visible, constrained, threshold))
