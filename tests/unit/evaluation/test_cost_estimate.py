"""Estimates: the nearest measurements count, their range is honest, and sources are named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from robench.evaluation.cost_estimate import (
    Estimate,
    PastEstimates,
    PublishedCount,
    Range,
    estimate,
)
from robench.evaluation.cost_log import Done, Work

WHEN = datetime(2026, 11, 27, 12, tzinfo=UTC)
ATTACK: dict[str, Any] = {
    "kind": "attack",
    "device": "A",
    "model": "tiny",
    "what": "pwws",
    "row": "rift",
    "data": "toy",
    "settings": "budget=None",
    "units": 100,
    "words": 20,
    "positions": 5,
    "changes": 10,
}
TRAINING: dict[str, Any] = {
    "kind": "training",
    "device": "A",
    "model": "tiny",
    "what": "rift",
    "data": "toy",
    "units": 1000,
    "words": 20,
}
SURFACE: dict[str, Any] = {
    "kind": "surface",
    "device": "A",
    "model": "masked:x",
    "data": "toy",
    "units": 100,
    "changes": 10,
}
PUBLISHED = {
    "pwws": [PublishedCount("toy", (30.0, 60.0), (15.0, 60.0), 10.0, 7)],
    "genetic": [PublishedCount("other", (1000.0,), (500.0,), 20.0, 1)],
    "no-search": [PublishedCount("other", (0.0, 0.0), (0.0, 0.0), 0.0, 24)],
    "unmeasured": [PublishedCount("other", (9.0,), (9.0,), 0.0, 1)],
}


def work(base: dict[str, Any], **changed: Any) -> Work:
    return Work(**{**base, **changed})


def done(base: dict[str, Any], seconds: float, asked: int | None = None, **changed: Any) -> Done:
    forwarded = None if asked is None else asked // 2
    return Done(
        work=work(base, **changed), seconds=seconds, asked=asked, forwarded=forwarded, when=WHEN
    )


def bounds(found: Range | None) -> Any:
    """Return least and most, to be compared with other numbers."""
    assert found is not None
    assert found.low <= found.likely <= found.high
    return pytest.approx(found.low), pytest.approx(found.high)


def found_of(asked: Work, *log: Done, budget: int | None = None) -> Estimate:
    return estimate(asked, log, PUBLISHED, budget)


def source(found: Range | None) -> str:
    assert found is not None
    return found.source


def test_a_range_is_widened_on_both_sides_and_its_middle_lies_inside() -> None:
    found = Range.around([2.0, 8.0], 1.5, "here")
    assert (found.low, found.likely, found.high) == pytest.approx((2 / 1.5, 4.0, 12.0))
    assert Range.around([0.0, 4.0], 2.0, "").likely == 2.0
    assert found.times(3).high == pytest.approx(36.0)
    assert found.at_most(5).high == 5
    assert found.at_most(1).low == 1
    assert found.at_most(None) is found


# ------------------------------------------------------------------------------------- trainings


def test_trainings_of_the_same_defense_count_by_example_and_epoch() -> None:
    asked = work(TRAINING, units=4000)
    one = found_of(asked, done(TRAINING, 10.0))
    assert bounds(one.seconds) == (40 / 1.5, 60.0)
    assert source(one.seconds) == "measured here on 1 training"
    three = found_of(asked, *[done(TRAINING, each) for each in (10.0, 11.0, 12.0)])
    assert bounds(three.seconds) == (40 / 1.25, 48 * 1.25)
    assert source(three.seconds) == "measured here on 3 trainings"
    assert (one.asked, one.rows) == (None, None)


def test_other_options_then_other_data_then_other_defenses() -> None:
    options = done(TRAINING, 10.0, what="rift(alpha=0.5)")
    data = done(TRAINING, 10.0, data="other", words=40)
    defense = done(TRAINING, 10.0, what="standard")
    asked = work(TRAINING)
    assert "1 training of rift with other options" in source(
        found_of(asked, options, data, defense).seconds
    )
    by_words = found_of(asked, data, defense).seconds
    assert "on other data, by the number of words" in source(by_words)
    assert bounds(by_words) == (2.5, 10.0)
    others = found_of(asked, defense).seconds
    assert "1 training of other defenses" in source(others)
    assert bounds(others) == (2.5, 40.0)


def test_a_much_smaller_run_says_most_and_little_about_the_least() -> None:
    asked = work(TRAINING, units=21_000)
    found = found_of(asked, done(TRAINING, 10.0)).seconds
    assert bounds(found) == (21 * 10 / 1.5 / 10, 21 * 10 * 1.5)
    assert source(found) == "measured here on 1 training, which did much less"
    cell = done(ATTACK, 5.0, asked=1000, row="other", units=4)
    found = found_of(work(ATTACK, units=100), cell).seconds
    assert bounds(found) == (25 * 5 / 1.5 / 10, 25 * 5 * 1.5)


def test_small_runs_are_left_out_where_larger_ones_are_known() -> None:
    small, large = done(TRAINING, 10.0, units=40), done(TRAINING, 10.0)
    assert found_of(work(TRAINING), small, large) == found_of(work(TRAINING), large)
    # A training of other options that is large goes before a small one of the same options.
    other = done(TRAINING, 10.0, what="rift(alpha=0.5)")
    assert "with other options" in source(found_of(work(TRAINING), small, other).seconds)
    cells = done(ATTACK, 100.0, asked=100, units=4), done(ATTACK, 10.0, asked=3000)
    assert bounds(found_of(work(ATTACK, row="new"), *cells).seconds) == (10 / 1.5, 15.0)
    # For a run that is as small, both count.
    assert "2 trainings" in source(found_of(work(TRAINING, units=40), small, large).seconds)


def test_plain_steps_count_where_no_training_was_run() -> None:
    step = done(TRAINING, 2.0, kind="step", what="", units=100)
    found = found_of(work(TRAINING), step).seconds
    assert bounds(found) == (20.0, 240.0)
    assert "1 to 12 times" in source(found)


@pytest.mark.parametrize(
    "other", [{"device": "B"}, {"model": "bert"}, {"precision": "bf16"}, {"units": 0}]
)
def test_another_device_model_or_precision_says_nothing(other: dict[str, Any]) -> None:
    assert found_of(work(TRAINING), done(TRAINING, 10.0, **other)).seconds is None


# -------------------------------------------------------------------------------------- surfaces


def test_surfaces_count_by_example_and_on_other_data_by_substitutes() -> None:
    asked = work(SURFACE, units=200)
    assert bounds(found_of(asked, done(SURFACE, 10.0)).seconds) == (20 / 1.5, 30.0)
    other = found_of(asked, done(SURFACE, 10.0, data="other", changes=5)).seconds
    assert bounds(other) == (20.0, 80.0)
    assert "by the number of substitutes" in source(other)
    assert found_of(asked, done(SURFACE, 10.0, model="none")).seconds is None
    assert found_of(asked, done(SURFACE, 10.0, what="wordnet", changes=0)).seconds is None


# --------------------------------------------------------------------------------------- attacks


def test_an_attack_that_was_run_here_counts_by_example() -> None:
    found = found_of(work(ATTACK, units=1000), done(ATTACK, 5.0, asked=4000))
    assert bounds(found.seconds) == (50 / 1.5, 75.0)
    assert bounds(found.asked) == (40_000 / 1.5, 60_000.0)
    assert bounds(found.rows) == (20_000 / 1.5, 30_000.0)
    assert source(found.seconds) == source(found.asked) == "measured here on 1 cell"


def test_cells_of_the_same_row_go_before_those_of_other_rows() -> None:
    found = found_of(work(ATTACK), done(ATTACK, 5.0, 400, row="standard"), done(ATTACK, 9.0, 400))
    assert bounds(found.seconds) == (6.0, 13.5)


def test_without_a_run_of_the_attack_its_rows_and_the_seconds_of_others_count() -> None:
    greedy = done(ATTACK, 8.0, asked=800, what="greedy")
    found = found_of(work(ATTACK), greedy)
    assert source(found.asked) == "7 published records of this task"
    assert bounds(found.rows) == (100 * 30 / 1.5 * 0.5, 100 * 60 * 1.5)
    assert source(found.seconds) == "rows of 1 cell of other attacks here"
    # 8 seconds for 400 rows, one and a half times as far on both sides.
    assert bounds(found.seconds) == (1000 * 0.02 / 1.5, 9000 * 0.02 * 1.5)


def test_seconds_on_other_data_count_by_words() -> None:
    other = done(ATTACK, 8.0, asked=800, what="greedy", data="other", words=40)
    found = found_of(work(ATTACK), other).seconds
    assert source(found) == "rows of 1 cell on other data here, by the number of words"
    assert bounds(found) == (1000 * 0.01 / 2, 9000 * 0.01 * 2)


@pytest.mark.parametrize(("kind", "most"), [("cpu", 2.5), ("cuda", 8.0), ("mps", 8.0)])
def test_forward_passes_count_last_and_a_search_is_slower(kind: str, most: float) -> None:
    forward = done(ATTACK, 1.0, kind="forward", what="", row="", settings=kind, units=100)
    found = found_of(work(ATTACK), forward).seconds
    assert bounds(found) == (1000 * 0.01, 9000 * 0.01 * most)
    assert f"up to {most:g} times as long" in source(found)


def test_queries_are_known_without_a_time() -> None:
    found = found_of(work(ATTACK, device="B"), done(ATTACK, 5.0, asked=4000))
    assert found.seconds is None
    assert bounds(found.asked) == (4000 / 1.5, 6000.0)


def test_published_counts_of_other_tasks_are_scaled_and_taken_as_they_are() -> None:
    found = found_of(work(ATTACK, what="genetic"))
    # 1000 queries for 20 changes: 500 to 1000 for 10, half of them forwarded.
    assert bounds(found.asked) == (50_000 / 1.5, 150_000.0)
    assert bounds(found.rows) == (25_000 / 1.5, 75_000.0)
    assert "by the number of substitutes" in source(found.asked)


def test_an_attack_that_nobody_ran_is_bounded_by_words_and_substitutes() -> None:
    found = found_of(work(ATTACK, what="my-attack"))
    assert bounds(found.asked) == (1000.0, 5000.0)
    assert source(found.asked) == "no run yet: from the number of words and substitutes"
    assert found_of(work(ATTACK, what="my-attack", changes=0)) == Estimate()


def test_published_counts_of_the_same_task_name_how_many_records_they_are() -> None:
    found = found_of(work(ATTACK, what="pwws"))
    assert bounds(found.asked) == (3000 / 1.5, 9000.0)
    assert source(found.asked) == "7 published records of this task"


def test_an_attack_that_asked_nothing_in_any_record_asks_nothing_of_other_tasks() -> None:
    found = found_of(work(ATTACK, what="no-search"))
    assert bounds(found.asked) == bounds(found.rows) == (0.0, 0.0)
    assert source(found.asked) == "published records, in which it asks nothing"


def test_counts_without_the_number_of_changes_say_nothing_of_other_tasks() -> None:
    found = found_of(work(ATTACK, what="unmeasured"))
    assert source(found.asked) == "no run yet: from the number of words and substitutes"


def test_a_budget_bounds_the_queries() -> None:
    found = found_of(work(ATTACK), budget=25)
    assert bounds(found.asked) == (2000.0, 2500.0)
    other = done(ATTACK, 5.0, asked=4000, settings="budget=9")
    assert source(found_of(work(ATTACK), other).asked) == "7 published records of this task"


# ------------------------------------------------------------------------------------------ past


def test_past_estimates_are_compared_with_what_happened() -> None:
    def past(
        seconds: float, expected: tuple[float, float, float] | None, device: str = "A"
    ) -> Done:
        return Done(
            work=work(TRAINING, device=device), seconds=seconds, expected=expected, when=WHEN
        )

    log = [
        past(10, (5, 10, 20)),
        past(10, (10, 20, 40)),
        past(50, (5, 10, 20)),
        past(10, None),
        past(10, (1, 1, 1), device="B"),
        past(0, (5, 10, 20)),
    ]
    assert PastEstimates.of(log, "A") == PastEstimates(3, 2.0, 5.0, 2)
    assert PastEstimates.of(log, "C") is None
