"""Tests of the bars that scripts and notebooks show."""

from __future__ import annotations

import pytest

from robench._base.progress_bars import ProgressBars


def test_messages_stay_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as report:
        report.started("attack", "rift with pwws", 10)
        report.message("Warning: a finding")
        report.advanced(5, 10, "accuracy under attack 80.0 %")
        report.finished("done")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Warning: a finding\n" in shown.err
    assert "attack: rift with pwws" in shown.err


def test_a_phase_without_an_end_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    report = ProgressBars()
    with report:
        report.started("data", "imdb", None)
        report.started("surface", "imdb", 3)
        report.advanced(3, 3, "")
    assert report._bar is None


def test_progress_outside_a_phase_is_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as report:
        report.advanced(1, 2, "")
        report.finished("nothing began")
    assert capsys.readouterr().err == ""
