"""Dates of records where a clock was wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from robench.records.comparable import newest_that_agree
from robench.records.leaderboard import render_run
from robench.records.record import Record
from robench.records.record_dates import RunClock, future_remark, in_future, newest_first
from robench.records.record_files import RecordsOnDisk

MakeRecord = Callable[..., Record]
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)


def test_a_date_is_in_the_future_when_no_clock_of_today_gives_it(make_record: MakeRecord) -> None:
    assert not in_future(make_record("H", created=NOW + 23 * HOUR), NOW)
    assert in_future(make_record("H", created=NOW + 25 * HOUR), NOW)
    assert in_future(make_record("H", created=NOW + YEAR))


def test_records_of_the_future_count_as_the_oldest(make_record: MakeRecord) -> None:
    records = {
        "far.json": make_record("H", created=NOW + 2 * YEAR),
        "old.json": make_record("H", created=NOW - YEAR),
        "soon.json": make_record("H", created=NOW + HOUR),
        "next.json": make_record("H", created=NOW + YEAR),
    }
    assert [name for name, _ in newest_first(records, NOW)] == [
        "soon.json",
        "old.json",
        "far.json",
        "next.json",
    ]


def test_a_stale_record_with_a_future_date_does_not_replace_the_newer_one(
    make_record: MakeRecord,
) -> None:
    stale = make_record("FF", created=NOW + YEAR)
    found = newest_that_agree({"new.json": make_record("HF", created=NOW), "stale.json": stale})
    assert list(found.records) == ["new.json"]
    assert found.reasons == {"stale.json": "replaced by the newer new.json"}
    # Where nothing else is there, its results are not lost.
    assert list(newest_that_agree({"stale.json": stale}).records) == ["stale.json"]


def test_a_table_says_which_dates_lie_in_the_future(make_record: MakeRecord) -> None:
    fine = {"a.json": make_record("HF", created=NOW)}
    assert future_remark(fine) is None
    assert "Dates in the future" not in render_run(RecordsOnDisk(fine, {}))
    text = render_run(RecordsOnDisk({"b.json": make_record("HF", created=NOW + YEAR)}, {}))
    assert "## Dates in the future" in text
    assert "1 of 1 records have a date in the future, the first is b.json" in text


def test_a_clock_that_went_back_dates_new_records_after_the_old_ones(
    make_record: MakeRecord,
) -> None:
    before = {"a.json": make_record("HF", created=NOW + 2 * HOUR)}
    clock = RunClock(before, NOW)
    assert clock.remark == (
        "The clock of this machine is behind the date of a.json by 7200 s. The records of this "
        "run are dated after it, so that they count as newer."
    )
    assert before["a.json"].created < clock.now() < before["a.json"].created + HOUR
    new = make_record("FF", created=clock.now())
    assert list(newest_that_agree({**before, "b.json": new}).records) == ["b.json"]


def test_a_date_in_the_future_is_told_and_not_followed(make_record: MakeRecord) -> None:
    clock = RunClock({"a.json": make_record("HF", created=NOW + YEAR)}, NOW)
    assert clock.remark is not None
    assert "the first is a.json" in clock.remark
    assert "delete them and run their cells again" in clock.remark
    assert clock.now() - NOW < HOUR


def test_a_right_clock_says_nothing(make_record: MakeRecord) -> None:
    old = make_record("HF", created=NOW - HOUR)
    for clock in (RunClock({}), RunClock({"a.json": old})):
        assert clock.remark is None
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
        assert clock.now().microsecond == 0
