"""The table of the fault suite: what was tried, and what was lost, wrong or crashed.

A test says what it tried with the fixture ``tried``. A test that does not counts as one try.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from fault_table import Row, table

TRIES = int(os.environ.get("ROBENCH_FAULT_TRIES", "0"))
"""Tries of each random fault; 0 stands for a few, as part of ``make test``."""

PROPERTY = "fault"
Tried = Callable[..., None]


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
    if reports:
        terminalreporter.section("faults")
        terminalreporter.write_line(table(_rows(reports)))


def _rows(reports: Iterable[Any]) -> list[Row]:
    rows = []
    for report in reports:
        said = [value for name, value in report.user_properties if name == PROPERTY]
        name = report.nodeid.partition("::")[0].rpartition("/test_")[2].removesuffix(".py")
        for row, tries, lost, wrong, crashed in said or [[name.replace("_", " "), 1, 0, 0, 0]]:
            rows.append(Row(row, tries, lost, wrong, crashed, int(report.failed)))
    return rows
