"""Clocks that go back, jump ahead, or were wrong when a record was made."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from records import make_record

from robench.records.comparable import newest_that_agree
from robench.records.leaderboard import render_run
from robench.records.record import Record
from robench.records.record_dates import CLOCKS, RunClock, future_remark, newest_first
from robench.records.record_files import find_records, write_record

NOW = datetime.now(UTC).replace(microsecond=0)
DAY, YEAR = timedelta(days=1), timedelta(days=365)
Tried = Callable[..., None]


class Machine:
    """A machine that runs one cell again and again, under a clock that is sometimes wrong."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def run(self, outcomes: str, clock: datetime) -> str:
        """Make a record as a run does whose machine shows the time ``clock``."""
        dates = RunClock(self.records, clock)
        # The clock of the record goes on from the true time; what counts is how far it is ahead.
        made = clock + (dates.now() - datetime.now(UTC).replace(microsecond=0))
        name = f"run-{len(self.records)}.json"
        self.records[name] = make_record(outcomes, created=made)
        return name


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(hours=3), CLOCKS - DAY / 24])
def test_a_clock_that_goes_back_between_two_runs_makes_no_stale_record_win(
    back: timedelta, tried: Tried
) -> None:
    machine = Machine()
    machine.run("HF", NOW)
    newest = machine.run("FF", NOW - back)
    found = newest_first(machine.records, NOW - back)
    tried("clock: it goes back by hours", wrong=int(found[0][0] != newest))
    assert found[0][0] == newest
    assert len(found) == 2


def test_a_clock_that_goes_back_a_year_hides_no_record_and_is_told(tried: Tried) -> None:
    """Seen from then, the old record is of the future: the new one counts, and the user is told."""
    machine, then = Machine(), NOW - YEAR
    old = machine.run("HF", NOW)
    told = RunClock(machine.records, then).remark
    new = machine.run("FF", then)
    found = newest_first(machine.records, then)
    wrong = int(found[0][0] != new)
    tried("clock: it goes back by a year", wrong=wrong, lost=int(len(found) != 2))
    assert [name for name, _ in found] == [new, old]
    assert told is not None
    assert f"the first is {old}" in told


def test_a_record_of_the_future_never_wins_and_is_never_lost(tmp_path: Path, tried: Tried) -> None:
    """Files on the disk, as a board reads them, under the true clock."""
    stale = make_record("FF", created=NOW + YEAR)
    fresh = make_record("HF", created=NOW)
    for name, record in (("a.json", stale), ("b.json", fresh)):
        write_record(tmp_path / name, record)
    found = find_records(tmp_path)
    chosen = newest_that_agree(found.records)
    text = render_run(found)
    wrong = int(list(chosen.records) != ["b.json"])
    lost = int(set(found.records) != {"a.json", "b.json"} or "a.json" not in text)
    tried("clock: a record of the future", wrong=wrong, lost=lost)
    assert (lost, wrong) == (0, 0)
    assert "Dates in the future" in text
    (tmp_path / "b.json").unlink()
    # Alone, the record of the future is still shown.
    assert list(newest_that_agree(find_records(tmp_path).records).records) == ["a.json"]


def test_random_clocks(tried: Tried, tries: Callable[[int, int], int]) -> None:
    """Runs under clocks that are wrong by less than a day: the last run always counts."""
    draw, count = random.Random(0), tries(40, 1)
    lost = wrong = 0
    for _ in range(count):
        machine, now, last = Machine(), NOW, ""
        for number in range(5):
            now += timedelta(seconds=draw.uniform(-4, 5) * 3600)
            last = machine.run("HF" if number % 2 else "FF", now)
        found = newest_first(machine.records, now)
        wrong += found[0][0] != last
        lost += len(found) != 5
    tried("clock: random clocks in a row of runs", count, lost=lost, wrong=wrong)
    assert (lost, wrong) == (0, 0)


def test_one_record_of_the_future_does_not_push_the_clock(tried: Tried) -> None:
    """Otherwise each run would be dated years ahead, and its records would count as stale."""
    machine = Machine()
    machine.records["far.json"] = make_record("HF", created=NOW + 100 * YEAR)
    name = machine.run("FF", NOW)
    ahead = machine.records[name].created - NOW
    tried("clock: a record of the future", wrong=int(ahead > DAY))
    assert ahead <= timedelta(seconds=2)
    assert future_remark({name: machine.records[name]}, NOW) is None
