"""Failures of parts of a run: reported at once and summed up at the end."""

from __future__ import annotations

import errno

import pytest

from robench._base.errors import Incomplete, RobenchError, UsageError
from robench._base.reporting import Silent
from robench.evaluation.failures import Failures


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def finished(self, note: str) -> None:
        self.said.append(f"[{note}]")


def test_without_failures_nothing_is_reported_or_raised() -> None:
    report = Listening()
    failures = Failures(report)
    with failures.catch("a"):
        pass
    failures.raise_if_any([1])
    assert report.said == []


def test_failures_are_reported_at_once_and_grouped_by_reason_at_the_end() -> None:
    report, done = Listening(), []
    failures = Failures(report)
    for what, error in (
        ("a", UsageError("No.")),
        ("b", None),
        ("c", RobenchError("Never.")),
        ("d", RobenchError("No.")),
    ):
        with failures.catch(what):
            if error is not None:
                raise error
            done.append(what)
    assert report.said[:2] == ["[failed]", "No result for a: No."]
    with pytest.raises(Incomplete) as caught:
        failures.raise_if_any(done)
    assert (
        str(caught.value)
        == "Parts of the run that failed: 3; all else is finished. a, d: No. c: Never."
    )
    assert (caught.value.done, caught.value.exit_code) == (["b"], 1)


def test_a_nested_run_keeps_the_results_of_its_finished_parts() -> None:
    """Failures inside a nested run are reported there and only remembered here."""

    def broken(*done: int) -> list[int]:
        raise Incomplete({"No.": ["a", "b"]}, list(done))

    def failing() -> list[int]:
        raise RobenchError("Never.")

    report = Listening()
    failures = Failures(report)
    assert failures.run_parts("x", lambda: [1, 2]) == [1, 2]
    assert failures.run_parts("y", lambda: broken(3)) == [3]
    assert report.said == []
    assert failures.run_parts("z", failing) == ()
    assert failures.run_parts("y again", lambda: broken()) == []
    assert report.said == ["[failed]", "No result for z: Never."]
    with pytest.raises(Incomplete) as caught:
        failures.raise_if_any([1, 2, 3])
    assert (
        str(caught.value)
        == "Parts of the run that failed: 3; all else is finished. a, b: No. z: Never."
    )
    assert (dict(caught.value.failed), caught.value.done) == (
        {"No.": ["a", "b"], "Never.": ["z"]},
        [1, 2, 3],
    )


def test_errors_that_concern_the_whole_run_are_not_caught() -> None:
    report = Listening()
    failures = Failures(report)
    full = RobenchError("The victim could not be written.")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    for error, only in (
        (full, False),
        (RobenchError("No."), True),
        (KeyboardInterrupt(), False),
        (ValueError("a bug"), False),
    ):
        with pytest.raises(type(error)) as caught, failures.catch("a", only=only):
            raise error
        assert caught.value is error
    failures.raise_if_any([])
    assert report.said == []
