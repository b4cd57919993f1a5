"""Parts of a run that fail: told at once, summed up at the end, and none of the others harmed."""

from __future__ import annotations

import errno

import pytest

from robench._base.errors import Incomplete, RobenchError, UsageError
from robench._base.reporting import Silent
from robench.evaluation.failures import Attempts


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def finished(self, note: str) -> None:
        self.said.append(f"[{note}]")


def test_nothing_failed_nothing_said() -> None:
    report = Listening()
    attempts = Attempts(report)
    with attempts.part("a"):
        pass
    attempts.finish([1])
    assert report.said == []


def test_failures_are_told_at_once_and_equal_ones_summed_up() -> None:
    report, done = Listening(), []
    attempts = Attempts(report)
    for what, error in (
        ("a", UsageError("No.")),
        ("b", None),
        ("c", RobenchError("Never.")),
        ("d", RobenchError("No.")),
    ):
        with attempts.part(what):
            if error is not None:
                raise error
            done.append(what)
    assert report.said[:2] == ["[given up]", "There will be nothing from a: No."]
    with pytest.raises(Incomplete) as caught:
        attempts.finish(done)
    assert (
        str(caught.value)
        == "Parts of the run that failed: 3; all else is finished. a, d: No. c: Never."
    )
    assert (caught.value.done, caught.value.exit_code) == (["b"], 1)


def test_a_run_of_runs_brings_what_its_parts_brought() -> None:
    """What failed inside one of them was told there; what it brought beside that counts."""

    def broken(*done: int) -> list[int]:
        raise Incomplete({"No.": ["a", "b"]}, list(done))

    def failing() -> list[int]:
        raise RobenchError("Never.")

    report = Listening()
    attempts = Attempts(report)
    assert attempts.several("x", lambda: [1, 2]) == [1, 2]
    assert attempts.several("y", lambda: broken(3)) == [3]
    assert report.said == []
    assert attempts.several("z", failing) == ()
    assert attempts.several("y again", lambda: broken()) == []
    assert report.said == ["[given up]", "There will be nothing from z: Never."]
    with pytest.raises(Incomplete) as caught:
        attempts.finish([1, 2, 3])
    assert (
        str(caught.value)
        == "Parts of the run that failed: 3; all else is finished. a, b: No. z: Never."
    )
    assert (dict(caught.value.failed), caught.value.done) == (
        {"No.": ["a", "b"], "Never.": ["z"]},
        [1, 2, 3],
    )


def test_what_is_no_part_of_its_own_comes_through() -> None:
    report = Listening()
    attempts = Attempts(report)
    full = RobenchError("The victim could not be written.")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    for error, alone in (
        (full, False),
        (RobenchError("No."), True),
        (KeyboardInterrupt(), False),
        (ValueError("a bug"), False),
    ):
        with pytest.raises(type(error)) as caught, attempts.part("a", alone=alone):
            raise error
        assert caught.value is error
    attempts.finish([])
    assert report.said == []
