"""The table of the fault suite: what was tried, and what was lost, wrong or crashed.

A test says what it tried with the fixture ``tried``. A test that does not counts as one try.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_table import Row, table
from real_runs import Results, finish, results

TRIES = int(os.environ.get("ROBENCH_FAULT_TRIES", "0"))
"""Tries of each random fault; 0 stands for a few, as part of ``make test``."""

PROPERTY = "fault"
Tried = Callable[..., None]


@dataclass(frozen=True)
class Finished:
    """A run that nobody disturbed.

    Attributes:
        out: its folder.
        results: what it left.
        seconds: how long it took.
    """

    out: Path
    results: Results
    seconds: float


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The run ``real_runs.QUICK``, for all tests that disturb it (the xdist group disturbed)."""
    out = tmp_path_factory.mktemp("finished")
    code, said, seconds = finish(out)
    assert code == 0, said
    found = results(out)
    assert (len(found.trials), len(found.outcomes)) == (40, 2)
    return Finished(out, found, seconds)


@pytest.fixture
def tries() -> Callable[[int, int], int]:
    """How often a random fault is tried: a few times, or ``share`` of ``ROBENCH_FAULT_TRIES``."""

    def number(few: int, share: int = 1) -> int:
        return max(few, TRIES // share) if TRIES else few

    return number


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Tried:
    """Count tries in a row of the table."""

    def count(row: str, tries: int = 1, *, lost: int = 0, wrong: int = 0, crashed: int = 0) -> None:
        record_property(PROPERTY, [row, tries, lost, wrong, crashed])

    return count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if getattr(report, "when", None) == "call"
        and ("faults/" in report.nodeid or "lying" in report.nodeid)
    ]
    skipped = [
        report for report in terminalreporter.stats.get("skipped", ()) if "faults/" in report.nodeid
    ]
    if reports or skipped:
        terminalreporter.section("faults")
        terminalreporter.write_line(table([*_rows(reports), *skipped_rows(skipped)]))


def skipped_rows(reports: Iterable[Any]) -> list[Row]:
    """Return a row without tries for each test that was skipped, so that nobody misses it."""
    rows = []
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason"
        reason = reason.removeprefix("Skipped: ")
        rows.append(Row(f"{_subject(report)}: skipped, {reason}", 0, 0, 0, 0))
    return rows


def _subject(report: Any) -> str:
    """Return what a test file is about, from its name."""
    name: str = report.nodeid.partition("::")[0].rpartition("/test_")[2]
    return name.removesuffix(".py").replace("_", " ")


def _rows(reports: Iterable[Any]) -> list[Row]:
    rows = []
    for report in reports:
        said = [value for name, value in report.user_properties if name == PROPERTY]
        for row, tries, lost, wrong, crashed in said or [[_subject(report), 1, 0, 0, 0]]:
            rows.append(Row(row, tries, lost, wrong, crashed, int(report.failed)))
    return rows
