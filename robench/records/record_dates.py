"""The dates of records: which record is newer, and clocks that were wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from robench.records.certificate import Certificate
from robench.records.record import Record

CLOCKS = timedelta(days=1)
"""How far the clocks of two machines may differ. A later date lies in the future."""


def in_future(subject: Record | Certificate, now: datetime | None = None) -> bool:
    """Return whether the date of a result lies in the future, so that a clock was wrong."""
    return subject.created > (now or datetime.now(UTC)) + CLOCKS


def newest_first(
    records: Mapping[str, Record], now: datetime | None = None
) -> list[tuple[str, Record]]:
    """Return the records by file name, from the newest to the oldest.

    Those with a date in the future come last: nobody knows how old they are.
    """
    now = now or datetime.now(UTC)
    return sorted(
        records.items(),
        key=lambda item: (not in_future(item[1], now), item[1].created, item[0]),
        reverse=True,
    )


def future_remark(records: Mapping[str, Record], now: datetime | None = None) -> str | None:
    """Return a sentence about records with a date in the future; None without them."""
    found = [name for name, record in records.items() if in_future(record, now)]
    if not found:
        return None
    date = f"{records[found[0]].created:%Y-%m-%d}"
    return (
        f"{len(found)} of {len(records)} records have a date in the future, the first is "
        f"{found[0]} ({date}). They count as older than the others. If the clock of this machine "
        "is right, delete them and run their cells again; the trials are kept."
    )


class RunClock:
    """The dates of the records that a run makes.

    They are never before those of the records that are there, or a clock that went back by some
    hours would make new results count as old ones. A date in the future is not followed.

    Args:
        records: file name -> record, as the run found them.
        now: the present time, for tests.

    Attributes:
        remark: what to tell the user, or None.
    """

    def __init__(self, records: Mapping[str, Record], now: datetime | None = None) -> None:
        now = now or datetime.now(UTC)
        self.remark = future_remark(records, now)
        self._ahead = timedelta(0)
        dates = {name: each.created for name, each in records.items() if not in_future(each, now)}
        newest = max(dates, key=dates.__getitem__, default=None)
        if newest is not None and dates[newest] > now:
            self._ahead = dates[newest] - now + timedelta(seconds=1)
            remark = (
                f"The clock of this machine is behind the date of {newest} by "
                f"{(dates[newest] - now).total_seconds():.0f} s. The records of this run are dated "
                "after it, so that they count as newer."
            )
            self.remark = f"{remark} {self.remark or ''}".rstrip()

    def now(self) -> datetime:
        """Return the date of a record that is made now, in whole seconds of UTC."""
        return (datetime.now(UTC) + self._ahead).replace(microsecond=0)
