"""The nearest name."""

from __future__ import annotations

import pytest

from robench._base.hints import did_you_mean

TASKS = ["imdb", "mini-reviews", "mini-reviews-two", "snli"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("imbd", "imdb"),
        ("IMDB", "imdb"),
        ("mini", "mini-reviews"),  # not 'snli', which is spelt more like it
        ("mini-reviews-t", "mini-reviews-two"),
        ("snil", "snli"),
        ("mi", None),
        ("", None),
        ("something else", None),
    ],
)
def test_a_beginning_counts_before_the_spelling(name: str, nearest: str | None) -> None:
    assert did_you_mean(name, TASKS) == ("" if nearest is None else f" Did you mean '{nearest}'?")


def test_how_close_and_how_it_is_written() -> None:
    assert did_you_mean("task", ["attack", "defense"], closeness=0.7) == ""
    assert (
        did_you_mean("defence", iter(["attack", "defense"]), "{}s", 0.7)
        == " Did you mean 'defenses'?"
    )
