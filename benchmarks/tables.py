"""Measure the tables of folders with many records: CPU seconds, bytes, and how they grow.

The records are invented. Run it as ``python benchmarks/tables.py``; it takes half a minute.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import click

from robench.records.leaderboard import render_run
from robench.records.record import Record
from robench.records.record_files import KnownRecords, find_records, write_record

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from records import make_record

ATTACKS = 10
SIZES = (100, 300, 1000)
START = datetime(2026, 1, 1, tzinfo=UTC)


def invented(number: int, examples: int = 1000) -> Iterator[Record]:
    """Yield ``number`` records of rows with ``ATTACKS`` attacks each; seed 0 draws the letters."""
    draw = random.Random(0)
    for row in range(number // ATTACKS):
        wrong = [draw.random() < 0.1 for _ in range(examples)]
        for attack in range(ATTACKS):
            outcomes = "".join("W" if each else draw.choice("FHHP") for each in wrong)
            yield make_record(
                outcomes,
                defense=f"defense-{row:03}",
                attack=f"attack-{attack:02}",
                created=START + timedelta(minutes=row * ATTACKS + attack),
            )


def measure(number: int) -> dict[str, float]:
    """Return the seconds of the first table of a folder and of the next, after one new record."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        records = list(invented(number))
        for record in records:
            write_record(place / record.file_name, record)
        known = KnownRecords()
        started = process_time()
        render_run(find_records(place, known))
        first = process_time() - started
        write_record(place / records[0].file_name, records[0])
        started = process_time()
        text = render_run(find_records(place, known))
        return {
            "records": number,
            "first_seconds": round(first, 3),
            "next_seconds": round(process_time() - started, 3),
            "kilobytes": round(len(text) / 1000),
        }


def main() -> None:
    """Print one line for each size, and one line of JSON."""
    measure(ATTACKS)  # loads the libraries
    found = [measure(number) for number in SIZES]
    for each in found:
        click.echo(
            "{records} records: {first_seconds} s, after a new cell {next_seconds} s".format(**each)
        )
    smallest, largest = found[0], found[-1]
    growth = largest["next_seconds"] / smallest["next_seconds"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ratio = {"records": largest["records"] / smallest["records"], "seconds": round(growth, 1)}
    click.echo(json.dumps({"tables": found, "growth": ratio, "peak_megabytes": round(peak)}))


if __name__ == "__main__":
    main()
