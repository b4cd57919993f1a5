"""Measure tables of many records, the check of a board, and the reading of many trials.

The records and trials are invented. The seconds are CPU time. Run it as
``python benchmarks/tables.py``; it takes three minutes.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import click

from robench._base.seals import file_sha256
from robench.records.leaderboard import check, render_run, write_board
from robench.records.record import LETTERS, Record, digest_of_ids
from robench.records.record_files import KnownRecords, find_records, write_record
from robench.records.run_folder import RunFolder
from robench.records.trials_part import TrialsPart, digest_of_trials
from robench.records.verified import write_verified
from robench.search.attack import Change, Trial
from robench.search.trial_lines import Header, trial_line
from robench.search.trials import TrialFile
from robench.verification.board_trials import compare_with_trials

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from records import make_record, verified_entry

ATTACKS = 10
SIZES = (100, 300, 1000)
START = datetime(2026, 1, 1, tzinfo=UTC)
CHANGE = Change(position=3, original="good", substitute="fine")


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


def invented_trials(record: Record) -> list[Trial]:
    """Return trials that give the letters of ``record``."""
    verdicts = {letter: verdict for verdict, letter in LETTERS.items()}
    return [
        Trial(
            id=f"toy/{number:016x}",
            verdict=verdicts[letter],
            label=0,
            prediction=1 if letter == "W" else 0,
            probs=(0.9, 0.1),
            adversarial_prediction=1 if letter == "F" else None,
            adversarial_probs=(0.1, 0.9) if letter == "F" else None,
            changes=(CHANGE,) if letter == "F" else (),
            asked=60,
            asked_at_success=40 if letter == "F" else None,
            forwarded=50,
        )
        for number, letter in enumerate(record.outcomes)
    ]


def write_trials(path: Path, record: Record, trials: Sequence[Trial]) -> None:
    """Write a trials file in one go: the lines are those of ``TrialFile.append``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (trial_line(trial, record.cell) for trial in trials)
    path.write_bytes(b"".join([Header(record.cell, record.cell_name).line(), *lines]))


def measure_check(folder: Path, number: int) -> dict[str, float]:
    """Return the seconds of ``robench leaderboard --check --runs`` without its start.

    The records are verified ones: a record that is not is compared in full.
    """
    run, records, held = RunFolder(folder / "run"), folder / "records", {}
    for invented_record in invented(number):
        trials = invented_trials(invented_record)
        part = TrialsPart(sha256=digest_of_trials(trials, invented_record.cell))
        ids = digest_of_ids(trial.id for trial in trials)
        record = invented_record.model_copy(update={"trials": part, "ids_digest": ids})
        path = records / record.file_name
        write_record(path, record)
        write_trials(run.trials_file(record.cell_name), record, trials)
        held[file_sha256(path)] = verified_entry(record)
    write_verified(records, held)
    names = ", ".join(f'"attack-{each:02}"' for each in range(ATTACKS))
    board = folder / "board.toml"
    board.write_text(
        'title = "Invented"\ntask = "toy"\nencoder = "tiny"\nprotocol = "rift2021"\n'
        f'attacks = [{names}]\nrecords = "records"\n'
    )
    write_board(board)
    started = process_time()
    known = KnownRecords()
    differences = check(board, known)
    found = compare_with_trials(board, [run.root], known)
    seconds = process_time() - started
    if differences or found.problems or found.agreeing != number:
        raise SystemExit(f"The check found {differences[:3]} {found.problems[:3]}.")
    return {"records": number, "trials": number * 1000, "check_seconds": round(seconds, 2)}


def many_trials(path: Path, number: int) -> None:
    """Write one file of many invented trials."""
    draw = random.Random(0)
    record = make_record("".join(draw.choice("WFHP") for _ in range(number)))
    write_trials(path, record, invented_trials(record))


def measure_trials(folder: Path, number: int) -> dict[str, float]:
    """Return the seconds in which one file of many trials is looked through, and is read.

    Another process writes the file, so that the memory of this one is that of the reading.
    """
    path = folder / "many.jsonl"
    subprocess.run([sys.executable, __file__, "write", str(number), str(path)], check=True)
    file = TrialFile(path, cell=make_record("W").cell)
    before, started = peak_megabytes(), process_time()
    sketches = len(file.sketches())
    looked, peak = process_time() - started, peak_megabytes()
    started = process_time()
    read = len(file.read())
    if not sketches == read == number:
        raise SystemExit(f"Of {number} trials, {sketches} and {read} were found.")
    return {
        "trials": sketches,
        "sketches_seconds": round(looked, 2),
        "sketches_megabytes": peak - before,
        "read_seconds": round(process_time() - started, 2),
        "read_megabytes": peak_megabytes() - before,
    }


def peak_megabytes() -> int:
    """Return the peak memory of this process."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def in_own_process(what: str, number: int) -> dict[str, float]:
    """Run one of the measurements in a process of its own, so that its memory is its own.

    What is measured is prepared by that process too, so the memory is an upper bound.
    """
    done = subprocess.run(
        [sys.executable, __file__, what, str(number)], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print one line for each measurement, and one line of JSON."""
    if len(sys.argv) == 4:
        many_trials(Path(sys.argv[3]), int(sys.argv[2]))
        return
    if len(sys.argv) == 3:
        with tempfile.TemporaryDirectory() as folder:
            measured = {"check": measure_check, "trials": measure_trials}[sys.argv[1]]
            found = measured(Path(folder), int(sys.argv[2]))
        click.echo(json.dumps({**found, "peak_megabytes": peak_megabytes()}))
        return
    measure(ATTACKS)  # loads the libraries
    tables = [measure(number) for number in SIZES]
    for each in tables:
        click.echo(
            "{records} records: {first_seconds} s, after a new cell {next_seconds} s".format(**each)
        )
    smallest, largest = tables[0], tables[-1]
    growth = largest["next_seconds"] / smallest["next_seconds"]
    ratio = {"records": largest["records"] / smallest["records"], "seconds": round(growth, 1)}
    report = {"tables": tables, "growth": ratio, "peak_megabytes": peak_megabytes()}
    report["check"] = checked = in_own_process("check", 1000)
    click.echo(
        "check of {records} records and {trials} trials: {check_seconds} s".format(**checked)
    )
    report["trials"] = trials = in_own_process("trials", 1_000_000)
    click.echo(
        "one file of {trials} trials: looked through in {sketches_seconds} s with "
        "{sketches_megabytes} MB, read in {read_seconds} s with {read_megabytes} MB".format(
            **trials
        )
    )
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
