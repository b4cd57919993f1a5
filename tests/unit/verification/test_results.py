"""What follows from checks, and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import make_record

from robench._base.errors import RobenchError, UsageError
from robench.verification.checking import Checking, guarded
from robench.verification.results import Report, not_made, passed
from robench.verification.run import Verification
from robench.verification.settings import VerificationSettings
from robench.verification.text import explained
from robench.verification.victims import Contradiction, NotThere


def report(*outcomes: str) -> Report:
    """Return a report with checks."""
    made = {
        "ok": passed("letters", []),
        "failed": passed("texts", ["it does not fool"]),
        "open": not_made("searches", "the victim is not there"),
    }
    found = Report(Path("a.json"), "record", [])
    found.checks = [made[each] for each in outcomes]
    return found


def fail(error: BaseException) -> None:
    """Raise an error inside a check, which notes it."""
    raise error


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["ok", "ok"], "verified"),
        (["ok", "open"], "claimed"),
        (["open"], "claimed"),
        (["ok", "failed"], "failed"),
        (["open", "failed"], "failed"),
        ([], "claimed"),
    ],
)
def test_the_status(outcomes: list[str], status: str) -> None:
    assert report(*outcomes).status == status


def test_many_problems_are_counted() -> None:
    check = passed("texts", [f"number {number}" for number in range(100)])
    assert len(check.sentences) == 4
    assert check.sentences[-1] == "There are 97 more differences of this kind."


def test_an_unreadable_file_is_called_by_its_name() -> None:
    assert report("ok").title == "a.json"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (NotThere("gone"), "open"),
        (UsageError("not installed"), "open"),
        (Contradiction("another hash"), "failed"),
        (RobenchError("damaged"), "failed"),
        (ValueError("odd"), "failed"),
        (MemoryError(), "failed"),
        (RecursionError("deep"), "failed"),
        (BaseException("a panic"), "failed"),
    ],
)
def test_errors_of_a_check(error: BaseException, outcome: str) -> None:
    checking = Checking(report())
    with checking.check("texts"):
        fail(error)
    (check,) = checking.report.checks
    assert check.outcome == outcome
    assert len(check.sentences) == 1


def test_a_problem_counts_also_where_the_check_ends_early() -> None:
    checking = Checking(report())
    with checking.check("texts") as problems:
        problems.append("it does not fool")
        fail(NotThere("the rest is not there"))
    assert checking.report.status == "failed"


def test_an_interruption_ends_the_command() -> None:
    with pytest.raises(KeyboardInterrupt), Checking(report()).check("texts"):
        raise KeyboardInterrupt


def test_messages_of_other_libraries_are_bounded() -> None:
    with pytest.raises(RobenchError) as caught, guarded("reading"):
        raise ValueError("x" * 10**6)
    assert len(str(caught.value)) < 400


def test_the_sentences_of_a_result() -> None:
    found = Verification("runs", VerificationSettings(sample=0.1, seed=7))
    found.reports = [report("ok"), report("open"), report("failed")]
    found.reports[0].searched = 3
    found.reports[0].subject = make_record("H" * 1000)
    text = "\n".join(explained(found))
    assert "FAILED a.json: texts: it does not fool." in text
    assert "not checked a.json: searches: the victim is not there." in text
    assert "1 verified, 1 claimed, 1 failed." in text
    assert "keeps a record with 29 invented held examples from being verified" in text
    assert "with a probability of at least 95 %" in text
    assert "--seed 7" in text
    assert found.failed


@pytest.mark.parametrize(
    ("held", "number"),
    # Of one held example the sample repeats all, of 20 it repeats 2.
    [([20], "a record with 16 invented"), ([20, 1000], "a record with 29"), ([1], "with 1 ")],
)
def test_the_number_of_invented_examples_follows_from_the_records(
    held: list[int], number: str
) -> None:
    found = Verification("runs", VerificationSettings(sample=0.1, seed=7))
    found.reports = [report("ok") for _ in held]
    for each, size in zip(found.reports, held, strict=True):
        each.searched, each.subject = 1, make_record("H" * size + "F")
    assert number in explained(found)[-1]


def test_records_without_held_examples_have_no_invented_ones() -> None:
    found = Verification("runs", VerificationSettings(sample=0.1, seed=7))
    found.reports = [report("ok")]
    found.reports[0].searched, found.reports[0].subject = 1, make_record("FFW")
    assert explained(found)[-1] == (
        "10 % of the searches were repeated. Repeat the same choice with --seed 7."
    )


def test_a_reason_of_several_records_is_said_once() -> None:
    found = Verification("runs", VerificationSettings())
    found.reports = [report("open"), report("ok"), report("open")]
    lines = [line for line in explained(found) if line.startswith("not checked")]
    assert lines == ["not checked a.json and 1 more: searches: the victim is not there."]


def test_claims_alone_are_no_failure() -> None:
    found = Verification("runs", VerificationSettings())
    found.reports = [report("open")]
    assert not found.failed
    assert found.to_dict()["claimed"] == 1


@pytest.mark.parametrize("sample", [0, -1, 1.1, float("nan")])
def test_a_share_outside_its_range(sample: float) -> None:
    with pytest.raises(UsageError, match="--sample is a share"):
        VerificationSettings(sample=sample)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_limit_outside_its_range(seconds: float) -> None:
    with pytest.raises(UsageError, match="--example-seconds takes a number of seconds"):
        VerificationSettings(example_seconds=seconds)
