"""The reporter of progress on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from robench.commands import progress
from robench.commands.progress import TerminalReporter


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal with 100 columns."""
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        width=100,
        legacy_windows=False,
        highlight=False,
        markup=False,
        _environ={},
    )
    monkeypatch.setattr(progress, "stderr", lambda: console)
    return console


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_one_bar_at_a_time_and_a_line_for_each_finished_phase(
    screen: Console,
) -> None:
    with TerminalReporter() as reporter:
        reporter.started("training", "rift on imdb, seed 0", None)
        reporter.advanced(3, 20, "loss [0.5]")
        reporter._progress.refresh()
        assert text(screen).count("training rift on imdb, seed 0") == 1
        assert "3/20" in text(screen)
        # Brackets are printed and not read as markup.
        assert "loss [0.5]" in text(screen)
        reporter.finished("dev 0.8")
        assert reporter._progress.tasks == []
        reporter.started("attack", "pwws", 10)
        assert len(reporter._progress.tasks) == 1
    assert "  done in 0.0 s; dev 0.8\n" in text(screen)


def test_calls_out_of_order_do_not_break_a_run(screen: Console) -> None:
    with TerminalReporter() as reporter:
        reporter.advanced(1, 2, "")
        reporter.finished("nothing")
