"""The suggestion of the nearest known name."""

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
def test_the_beginning_of_a_name_wins_over_similar_spelling(name: str, nearest: str | None) -> None:
    assert did_you_mean(name, TASKS) == ("" if nearest is None else f" Did you mean '{nearest}'?")


def test_the_required_closeness_and_the_form_can_be_chosen() -> None:
    assert did_you_mean("task", ["attack", "defense"], closeness=0.7) == ""
    assert (
        did_you_mean("defence", iter(["attack", "defense"]), "{}s", 0.7)
        == " Did you mean 'defenses'?"
    )


def test_what_was_typed_is_never_suggested() -> None:
    assert did_you_mean("imdb", ["imdb"]) == ""
    assert did_you_mean("rift", ["rift", "rift-two"]) == " Did you mean 'rift-two'?"
