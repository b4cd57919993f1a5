"""The counts for each label of a record, and that they fit its letters."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from records import make_record
from trial_runs import TRIALS, record_of

from robench.records.by_label import LabelCounts, count_by_label
from robench.records.record import Record
from robench.search.attack import Trial, Verdict

NAMES = ("negative", "positive")


def test_the_counts_of_six_trials_by_hand() -> None:
    """A trial of each label is fooled, one holds, one positive is wrong, one negative failed."""
    negative, positive = count_by_label(NAMES, TRIALS)
    assert negative == LabelCounts(label="negative", examples=3, answered=3, right=2, robust=1)
    assert positive == LabelCounts(label="positive", examples=3, answered=2, right=2, robust=1)


def test_an_example_with_an_error_may_be_right_and_never_holds() -> None:
    failed = Trial(id="a", verdict=Verdict.ERROR, label=1, prediction=1, problem="gone")
    assert count_by_label(NAMES, [failed])[1] == LabelCounts(
        label="positive", examples=1, answered=1, right=1, robust=0
    )


def test_a_label_without_examples_is_there() -> None:
    names = (*NAMES, "neutral")
    assert count_by_label(names, TRIALS)[2] == LabelCounts(
        label="neutral", examples=0, answered=0, right=0, robust=0
    )
    assert [each.examples for each in count_by_label(names, [])] == [0, 0, 0]


def test_counts_of_trials_fit_the_record_of_these_trials() -> None:
    record = record_of(list(TRIALS))
    assert record.by_label == count_by_label(NAMES, TRIALS)
    # ``record_of`` copies; here every check of a record runs.
    assert Record.model_validate_json(record.model_dump_json(by_alias=True)) == record


@pytest.mark.parametrize(
    ("examples", "answered", "right", "robust"),
    [(3, 3, 2, 3), (3, 1, 2, 1), (1, 3, 2, 1), (-1, 0, 0, 0)],
)
def test_impossible_counts_of_a_label(
    examples: int, answered: int, right: int, robust: int
) -> None:
    with pytest.raises(ValidationError):
        LabelCounts(label="x", examples=examples, answered=answered, right=right, robust=robust)


@pytest.mark.parametrize(
    ("by_label", "said"),
    [
        ({"a": (3, 3, 3, 2), "b": (2, 1, 0, 0)}, "add up to 5 'examples'"),
        ({"a": (2, 2, 2, 2), "b": (2, 1, 1, 0)}, "add up to 3 'answered'"),
        ({"a": (2, 2, 2, 2), "b": (2, 2, 2, 0)}, "add up to 4 'right'"),
        ({"a": (2, 2, 2, 1), "b": (2, 2, 1, 0)}, "add up to 1 'robust'"),
        ({"a": (2, 2, 2, 2), "b": (2, 2, 1, 1)}, "add up to 3 'robust'"),
    ],
)
def test_counts_that_do_not_fit_the_letters(
    by_label: dict[str, tuple[int, int, int, int]], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        make_record("WFHP", by_label=by_label)


def test_an_error_leaves_open_what_the_victim_answered() -> None:
    for answered, right in ((1, 1), (2, 1), (2, 2)):
        made = make_record("HE", by_label={"a": (2, answered, right, 1), "b": (0, 0, 0, 0)})
        assert made.by_label is not None
    with pytest.raises(ValidationError, match="add up to 0 'answered'"):
        make_record("FE", by_label={"a": (2, 0, 0, 0), "b": (0, 0, 0, 0)})


def test_a_label_stands_once() -> None:
    twice = [{"label": "a", "examples": 1, "answered": 1, "right": 1, "robust": 1}] * 2
    data = {**make_record("HH").model_dump(by_alias=True), "by_label": twice}
    with pytest.raises(ValidationError, match="a label stands twice"):
        Record.model_validate(data)
