"""Tests of the bars that scripts and notebooks show."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from robench._base.progress_bars import ProgressBars, bars_or_lines
from robench._base.progress_lines import ProgressLines


@pytest.mark.parametrize(
    ("terminal", "notebook", "kind"),
    [
        (True, False, ProgressBars),
        (False, True, ProgressBars),
        (True, True, ProgressBars),
        (False, False, ProgressLines),
    ],
)
def test_a_log_gets_lines_and_everything_else_bars(
    terminal: bool, notebook: bool, kind: type[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with bars_or_lines() as report:
        assert type(report) is kind


def test_without_a_stderr_there_are_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(sys, "stderr", None)
    with bars_or_lines() as report:
        assert type(report) is ProgressLines
        report.message("nobody reads this")


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
