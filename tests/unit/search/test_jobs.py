from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from robench import Example
from robench.search.jobs import make_jobs
from robench.text.space import SearchSpace

if TYPE_CHECKING:
    from robench.search.victim_protocol import SearchVictim
    from robench.text.surface import Surface

PAIR = Example("t/1", {"premise": "A dog runs", "hypothesis": "a dog"}, 0)


class Stored:
    """A surface of one example.

    Its words differ from those of the text, so that a test can tell which ones are used.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def words(self, example_id: str) -> tuple[str, ...]:
        return {"t/1": ("a", "hound")}[example_id]

    def space(self, *asked: object) -> SearchSpace:
        self.asked.append(asked)
        return SearchSpace(("a", "hound"), (("a",), ("hound", "cat")), 2)


class Window:
    """Has room for four words, which premise and hypothesis share."""

    def visible(self, words: dict[str, Any], texts: dict[str, str]) -> int:
        assert texts == {"premise": "A dog runs", "hypothesis": "a dog"}
        return 4 - len(words["premise"])


def jobs(surface: Stored, *examples: Example) -> Any:
    victim = cast("SearchVictim", SimpleNamespace(attackable="hypothesis", encoder_fields=Window()))
    return make_jobs(examples, cast("Surface", surface), victim, constrained=True, threshold=5.0)


def test_a_job_has_the_words_of_the_surface_and_the_window_of_the_victim() -> None:
    surface = Stored()
    (job,) = jobs(surface, PAIR)
    assert {name: list(words) for name, words in job.words.items()} == {
        "premise": ["A", "dog", "runs"],
        "hypothesis": ["a", "hound"],
    }
    assert surface.asked == [("t/1", 1, True, 5.0, frozenset())]
    assert job.example is PAIR
    assert job.space.options[1] == ("hound", "cat")


def test_jobs_are_made_when_they_are_requested() -> None:
    surface = Stored()
    made = jobs(surface, PAIR, Example("t/2", {"premise": "x", "hypothesis": "y"}, 0))
    assert surface.asked == []
    next(made)
    assert len(surface.asked) == 1
    with pytest.raises(KeyError):
        next(made)
