"""On which examples a temperature is fitted, and what is refused."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job

from robench import Example, UsageError
from robench.evaluation.request import build_request
from robench.evaluation.temperature import (
    MOST_EXAMPLES,
    calibration_digest,
    calibration_examples,
    check_temperature,
    temperature_of,
)


class Splits:
    def __init__(self, dev: list[Example]) -> None:
        self.dev = dev


class Task:
    """The parts of a resolved task that a temperature needs."""

    def __init__(self, dev: list[Example], name: str = "reviews.csv") -> None:
        self.name, self.splits = name, Splits(dev)


def task(dev: list[Example]) -> Any:
    return cast("Any", Task(dev))


def examples(count: int) -> list[Example]:
    return [Example(f"t/{number}", {"text": f"w{number}"}, number % 2) for number in range(count)]


DEV = build_request(defenses=("x",), temperature="dev")
NONE = build_request(defenses=("x",))


def test_without_the_choice_nothing_is_fitted() -> None:
    assert calibration_examples(NONE, task(examples(4))) == ()
    assert calibration_digest(NONE, task(examples(4))) is None
    check_temperature(NONE, [task([])])


def test_a_task_without_dev_examples_is_refused() -> None:
    sentence = (
        "--temperature dev fits the temperature on dev examples, and task 'reviews.csv' has none."
    )
    with pytest.raises(UsageError, match=sentence):
        check_temperature(DEV, [task(examples(2)), task([])])
    check_temperature(DEV, [task(examples(2))])


def test_a_large_dev_split_is_cut_and_stays_balanced() -> None:
    chosen = calibration_examples(DEV, task(examples(3 * MOST_EXAMPLES)))
    assert len(chosen) == MOST_EXAMPLES
    assert sum(each.label for each in chosen) == MOST_EXAMPLES / 2


def test_other_dev_examples_have_another_digest() -> None:
    digests = {calibration_digest(DEV, task(examples(count))) for count in (4, 6)}
    assert len(digests) == 2
    assert calibration_digest(DEV, task(examples(4))) in digests


def test_the_temperature_is_that_of_the_victims_logits() -> None:
    """Of four texts with log-odds 3 one is wrong; see the test of ``fit_temperature``."""
    victim = FakeVictim({"a": [0, 0]}, bias=(3, 0), words=["a"])
    texts = [make_job("a", {}, label, number).example for number, label in enumerate((0, 0, 0, 1))]
    assert temperature_of(victim, texts) == pytest.approx(3 / np.log(2), rel=1e-3)
