"""The reporters of progress: lines in a log, bars on a terminal."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from robench.commands import progress
from robench.commands.progress import LogReporter, TerminalReporter, duration, finished_line


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
    reporter = LogReporter()
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
    LogReporter().message("word " * 100)
    assert capsys.readouterr().err.count("\n") == 1


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
