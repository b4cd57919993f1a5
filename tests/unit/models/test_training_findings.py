"""Findings of a training: the first epoch was kept, or dev still rose at the last one."""

from __future__ import annotations

from typing import Any

import pytest

from robench.models.training_findings import training_findings


def card(clean: list[float], attacked: list[float | None] | None = None, **more: Any) -> Any:
    attacked = attacked if attacked is not None else [None] * len(clean)
    epochs = [{"clean": a, "attacked": b} for a, b in zip(clean, attacked, strict=True)]
    selection = {"rule": "robust", "margin": 0.03, "kept": 2, "epochs": epochs, **more}
    return {"name": "rift", "dev_examples": 1000, "selection": selection}


def names(*args: Any, **more: Any) -> list[str]:
    return [flag.name for flag in training_findings(card(*args, **more))]


def test_a_training_that_levelled_off_has_no_finding() -> None:
    assert names([0.348, 0.378, 0.455, 0.517, 0.530, 0.552, 0.540, 0.532]) == []


def test_a_dev_accuracy_that_still_rises_is_a_finding() -> None:
    (flag,) = training_findings(card([0.348, 0.455, 0.517]))
    assert flag.name == "still-rising"
    assert flag.message == (
        "'rift' was still improving when its training ended: its dev accuracy rose from 45.5% to "
        "51.7% in the last of 3 epochs. More epochs may give a better victim."
    )


def test_both_accuracies_that_rise_make_one_finding() -> None:
    (flag,) = training_findings(card([0.5, 0.6, 0.7], [0.1, 0.2, 0.3]))
    assert (
        "its dev accuracy rose from 60.0% to 70.0%, and its dev accuracy under the convex-hull "
        "attack rose from 20.0% to 30.0% in the last of 3 epochs"
    ) in flag.message


def test_a_robustness_that_still_rises_is_a_finding_of_its_own() -> None:
    assert names([0.7, 0.7, 0.69], [0.1, 0.2, 0.3]) == ["still-rising"]


@pytest.mark.parametrize(("last", "found"), [(0.614, False), (0.617, True)])
def test_a_rise_within_one_standard_error_is_no_finding(last: float, found: bool) -> None:
    """With 1000 dev examples the standard error at 61 % is 1.5 points."""
    assert names([0.5, 0.6, last]) == ["still-rising"] * found


def test_the_first_epoch_of_several_is_a_finding() -> None:
    (flag,) = training_findings(card([0.6, 0.5, 0.5], kept=1))
    assert flag.name == "first-epoch"
    assert flag.message == (
        "'rift' is the first of its 3 epochs, and the rule select=robust took none of the others: "
        "its dev accuracy is 60.0%, later at most 50.0%. Lower the learning rate, or look at that "
        "rule."
    )


def test_a_first_epoch_says_what_the_later_ones_had() -> None:
    """They may be more robust, and refused for their clean accuracy."""
    (flag,) = training_findings(card([0.76, 0.71, 0.7], [0.4, 0.49, 0.48], kept=1))
    assert (
        "its dev accuracy is 76.0%, later at most 71.0%; its dev accuracy under the convex-hull "
        "attack is 40.0%, later at most 49.0%"
    ) in flag.message


@pytest.mark.parametrize("known", [{}, {"selected_epoch": 1}, {"selection": None}])
def test_nothing_is_said_of_a_victim_whose_training_is_unknown(known: dict[str, Any]) -> None:
    assert training_findings(known) == []


def test_nothing_is_said_of_a_training_of_one_epoch() -> None:
    assert names([0.9], kept=1) == []
