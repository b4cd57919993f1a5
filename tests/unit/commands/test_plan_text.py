"""What a dry run prints: ranges in words, sources by letter, the sum and earlier estimates."""

from __future__ import annotations

from typing import Any

import pytest

from robench.commands.plan_text import (
    _letter,
    count_range,
    past_sentence,
    print_plan,
    short_time,
    time_range,
    total_sentence,
)
from robench.commands.shell import Session
from robench.evaluation.cost_plan import PastFactors, Plan, PlannedPart, PlannedRange, merged


def amount(low: float, high: float, source: str = "measured here on 1 cell") -> PlannedRange:
    return PlannedRange(low=low, likely=(low + high) / 2, high=high, source=source)


def part(title: str = "rift with pwws on toy, seed 0", **values: Any) -> PlannedPart:
    usual = {"kind": "attack", "key": title, "queries": None, "rows": None, "seconds": None}
    return PlannedPart(**{**usual, "title": title, **values})


def plan(*parts: PlannedPart, **values: Any) -> Plan:
    usual = {"cells": (), "device": "Xeon (2 cores)", "gpu": False, "past": None}
    return Plan(**{**usual, "parts": parts, **values})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.4, "9.4 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (5940, "99 min"),
        (6000, "1 h 40 min"),
        (172_700, "47 h 58 min"),
        (172_800, "2.0 d"),
        (1e7, "115.7 d"),
    ],
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert short_time(seconds) == text


def test_ranges_are_rounded_and_equal_ends_are_said_once() -> None:
    assert time_range(amount(60, 7200)) == "60 s to 2 h 0 min"
    assert time_range(amount(60, 60.2)) == "60 s"
    assert time_range(None) == "not known"
    assert count_range(amount(651_234, 823_999)) == "650,000 to 820,000"
    assert count_range(amount(7, 7.01)) == "7"
    assert count_range(None) == ""


def test_letters_go_on_after_z() -> None:
    assert [_letter(number) for number in (0, 1, 25, 26, 27, 701, 702)] == [
        "a",
        "b",
        "z",
        "aa",
        "ab",
        "zz",
        "aaa",
    ]


def test_the_sum_says_the_device_and_the_gpu_hours() -> None:
    parts = (
        part(seconds=amount(1800, 5400)),
        part("training", kind="training", seconds=amount(1800, 1800)),
    )
    assert total_sentence(plan(*parts)) == (
        "In all 60 min to 2 h 0 min, most likely 90 min, on this device (Xeon (2 cores)); "
        "no GPU is used."
    )
    assert total_sentence(plan(*parts, device="NVIDIA H100", gpu=True)) == (
        "In all 60 min to 2 h 0 min, most likely 90 min, on this device (NVIDIA H100); "
        "1 to 2 GPU hours."
    )
    # All GPUs attack, and one trains.
    assert total_sentence(plan(*parts, device="NVIDIA H100", gpu=True, gpus=3)) == (
        "In all 60 min to 2 h 0 min, most likely 90 min, on this device (NVIDIA H100); "
        "2 to 5 GPU hours."
    )


def test_parts_without_an_estimate_are_not_hidden_in_the_sum() -> None:
    known = part(seconds=amount(60, 60))
    assert "1 part has no estimate and no place in the sum" in total_sentence(
        plan(known, part("x"))
    )
    assert "2 parts have no estimate" in total_sentence(plan(known, part("x"), part("y")))
    nothing = total_sentence(plan(part()))
    assert nothing.startswith("How long it takes on this device (Xeon (2 cores)) is not known")
    assert "'--measure' measures it" in nothing
    assert " 0 " not in nothing


def test_earlier_estimates_are_compared_or_said_to_be_missing() -> None:
    past = PastFactors(parts=14, median_factor=1.23, worst_factor=2.31, inside=13)
    assert past_sentence(plan(past=past)) == (
        "14 earlier estimates on this device: off by a factor of 1.2 in the median and 2.3 at "
        "worst; 13 of 14 lay in the range."
    )
    one = past.model_copy(update={"parts": 1, "inside": 0})
    assert past_sentence(plan(past=one)).startswith("1 earlier estimate on this device")
    assert past_sentence(plan()).startswith("No estimate can be compared yet")


def test_the_page_names_each_source_once(capsys: pytest.CaptureFixture[str]) -> None:
    queries = amount(100, 200, "2 published records of this task")
    print_plan(
        Session(),
        plan(
            part("training of rift"),
            part("first", queries=queries, rows=queries, seconds=amount(1, 2)),
            part("second", queries=queries, rows=queries, seconds=amount(3, 4)),
        ),
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("training", "first", "second"))] == [
        ["training", "of", "rift", "not", "known", "-"],
        ["first", "100", "to", "200", "100", "to", "200", "1.0", "s", "to", "2.0", "s", "a", "b"],
        ["second", "100", "to", "200", "100", "to", "200", "3.0", "s", "to", "4.0", "s", "a", "b"],
    ]
    assert "a: 2 published records of this task" in lines
    assert "b: measured here on 1 cell" in lines
    assert sum("published" in line for line in lines) == 1


def test_names_cannot_bring_control_codes_to_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "rift\x1b[2J\nIn all 1 s"
    print_plan(Session(), plan(part(evil), device="evil\x1b[31m\ncard"))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert not any(line.startswith(("In all 1 s", "card")) for line in out.splitlines())


def test_a_plan_without_parts_says_that_nothing_is_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_plan(Session(), plan())
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing is left to do."


def test_plans_are_merged_and_shared_parts_count_once() -> None:
    shared, own = part("surface", seconds=amount(10, 20)), part("b", seconds=amount(1, 2))
    both = merged([plan(shared), plan(shared, own)])
    assert [each.title for each in both.parts] == ["surface", "b"]
    assert (both.total.low, both.total.high, both.total.unknown) == (11, 22, 0)
