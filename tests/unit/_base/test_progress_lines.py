"""Tests of the lines that a log gets."""

from __future__ import annotations

import sys
import time

import pytest

from robench._base.progress_lines import ProgressLines, duration, finished_line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7805, "2 h 10 min"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_last_line_of_a_phase_has_its_duration_and_its_note() -> None:
    assert finished_line("dev 0.81", 65) == "done in 1 min 5 s; dev 0.81"
    assert finished_line("", 2) == "done in 2.0 s"


def test_a_log_has_lines_at_both_ends_of_a_phase_and_every_twenty_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([100.0, 101.0, 121.0, 122.0, 142.0, 160.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    reporter = ProgressLines()
    reporter.started("attack", "genetic against rift", 1000)
    for done in (100, 200, 300, 400):
        reporter.advanced(done, 1000 if done < 400 else None, "held 80" if done == 200 else "")
    reporter.finished("held 700 of 1000")
    assert capsys.readouterr().err.splitlines() == [
        "attacking genetic against rift",
        "  200/1000 after 21 s: held 80",
        "  400 after 42 s",
        "  done in 1 min 0 s; held 700 of 1000",
    ]


def test_a_log_line_is_never_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressLines().message("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1


def test_the_lines_can_go_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    ProgressLines(lines.append).started("data", "imdb", None)
    assert lines == ["reading imdb"]
    assert capsys.readouterr().err == ""


def test_a_line_holds_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressLines().message("red \x1b[31m\nsecond line")
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert shown.count("\n") == 1


def test_a_program_without_a_stderr_runs_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    ProgressLines().message("nobody reads this")
    assert capsys.readouterr().out == ""


def test_progress_outside_a_phase_is_a_line_of_its_own_or_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = ProgressLines()
    reporter.finished("nothing began")
    assert capsys.readouterr().err == ""
    reporter.message("a warning")
    assert capsys.readouterr().err == "a warning\n"
