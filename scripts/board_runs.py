"""Do the runs of the boards, in the order of their worth, within a time that you state.

    python -m scripts.board_runs --list
    python -m scripts.board_runs --minutes 10 --only snli-minilm --out runs/boards

The plan is in ``scripts/board_plan.toml``. Each row of a board is one command ``robench evaluate``,
which is printed. The same call goes on where an earlier one ended. See ``docs/board-runs.md``.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from robench._base.code_hash import source_sha256
from robench._base.environment import available_cores, choose_device
from robench._base.errors import RobenchError
from robench._base.key_code import ALL_CODE
from robench.models.fetched_encoders import FETCHED
from scripts.board_jobs import Ended, Runner
from scripts.board_plan import (
    PLAN,
    Job,
    Kind,
    Plan,
    board_commands,
    jobs_of,
    left_for_a_gpu,
    read_plan,
)

SIDE_BY_SIDE = 6
"""Most jobs at a time, unless ``--side-by-side`` says another number."""
WITHOUT = (".safetensors", ".parquet", ".lock")
"""Ends of the names of files that ``--pack`` leaves out: weights and surfaces can be made again."""


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="End after this time.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/boards"),
    show_default=True,
    help="Folder of all results.",
)
@click.option("--only", multiple=True, metavar="BOARD", help="Only this board. Repeatable.")
@click.option("--side-by-side", type=click.IntRange(min=1), help="Jobs at a time.")
@click.option("--list", "only_list", is_flag=True, help="Print the plan and its commands.")
@click.option("--dry-run", is_flag=True, help="Let robench check every command and estimate it.")
@click.option(
    "--pack",
    type=click.Path(dir_okay=False, path_type=Path),
    help="At the end, pack records, trials and logs into this .tar.xz, without weights.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=PLAN,
    help="Another plan.",
)
@click.option(
    "--robench", "program", default="", help="The command of robench. Default: this Python's."
)
def main(
    minutes: float | None,
    device: str,
    out: Path,
    only: tuple[str, ...],
    side_by_side: int | None,
    only_list: bool,
    dry_run: bool,
    pack: Path | None,
    plan_file: Path,
    program: str,
) -> None:
    """Do the runs of the boards in the order of their worth; the same call goes on later."""
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        plan = read_plan(plan_file)
        device = device if device == "cpu" else choose_device(device)
        kind: Kind = "gpu" if device.startswith("cuda") else "cpu"
        words = shlex.split(program) or [sys.executable, "-m", "robench"]
        jobs = jobs_of(plan, kind, only)
        if only_list:
            print_plan(plan, kind, only)
            return
        check_encoders(jobs)
        if dry_run:
            sys.exit(0 if estimate(plan, kind, only, words, device, out) else 1)
        cores = available_cores()
        slots = side_by_side or max(1, min(SIDE_BY_SIDE, cores if kind == "cpu" else cores // 2))
        runner = Runner(out, words, device, slots, cores, click.echo, code_stamp())
        sys.exit(do(runner, plan, kind, only, minutes, pack))
    except RobenchError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    finally:
        signal.signal(signal.SIGTERM, before)


def _ended(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def check_encoders(jobs: Sequence[Job]) -> None:
    """Raise UsageError where the files of an encoder are missing."""
    for job in jobs:
        for option, value in pairwise(job.arguments):
            if option == "--encoder" and value in FETCHED:
                FETCHED[value].check()


def code_stamp() -> str:
    """Return a hash of the code that decides results; files of attacks and defenses count whole."""
    digest = hashlib.sha256(source_sha256(*ALL_CODE).encode())
    for package in ("robench.attacks", "robench.defenses"):
        for folder in import_module(package).__path__:
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# -- what a call does ------------------------------------------------------------------------------


def do(
    runner: Runner,
    plan: Plan,
    kind: Kind,
    only: Sequence[str],
    minutes: float | None,
    pack: Path | None,
) -> int:
    """Run what is left, print what was done and what is left, and return the exit code."""
    jobs = jobs_of(plan, kind, only)
    before = runner.done_before(jobs)
    waiting = [job for job in jobs if job not in before]
    limit = "no time limit" if minutes is None else f"{minutes:g} minutes"
    click.echo(
        f"{len(jobs)} jobs on {runner.device}, {len(before)} of them done before; "
        f"{runner.slots} at a time, {limit}. Logs: {runner.out / 'logs'}"
    )
    ended: list[Ended] = []
    code = 0
    try:
        ended = runner.run(waiting, None if minutes is None else 60 * minutes)
    except KeyboardInterrupt as error:
        number = error.args[0] if error.args else signal.SIGINT
        code = 128 + int(number)
        before = runner.done_before(jobs)
    print_summary(jobs, before, ended)
    if kind == "cpu":
        for line in left_for_a_gpu(plan, only):
            click.echo(f"A GPU is needed for {line}")
    if pack is not None:
        click.echo(f"Packed: {pack} ({pack_results(runner.out, pack)} files)")
    return code or (1 if any(each.state == "failed" for each in ended) else 0)


def print_summary(jobs: Sequence[Job], before: Sequence[Job], ended: Sequence[Ended]) -> None:
    """Print what was done, with its seconds, and what is left."""
    finished = [*before, *(each.job for each in ended if each.state == "done")]
    left = [job for job in jobs if job not in finished]
    click.echo("")
    for state, heading in (
        ("done", "Done"),
        ("stopped", "Stopped by the time, their finished trials are kept"),
        ("failed", "Failed"),
    ):
        found = [each for each in ended if each.state == state]
        if found:
            click.echo(f"{heading}:")
        for each in found:
            click.echo(f"  {each.job.title}: {each.seconds:.0f} s {each.reason}".rstrip())
    click.echo(f"Left: {len(left)} of {len(jobs)} jobs." if left else "Nothing is left.")
    for job in left:
        click.echo(f"  {job.title}")
    if left:
        click.echo("The same call goes on from there.")


def print_plan(plan: Plan, kind: Kind, only: Sequence[str]) -> None:
    """Print each board of the plan with the command that makes it, and the order of the jobs."""
    for name, board in plan.boards.items():
        if not only or name in only:
            click.echo(f"{name}: {board.about}")
            commands = board_commands(plan, name, kind)
            for words in commands:
                click.echo(f"  robench {shlex.join(words)}")
            if not commands:
                click.echo("  (needs a GPU)")
    click.echo(f"\nOrder on a {kind.upper()}:")
    for job in jobs_of(plan, kind, only):
        click.echo(f"  {job.title}")


def estimate(
    plan: Plan, kind: Kind, only: Sequence[str], program: Sequence[str], device: str, out: Path
) -> bool:
    """Let robench plan each board without running it; return whether it accepts every command."""
    fine = True
    for name in plan.boards:
        for words in board_commands(plan, name, kind) if not only or name in only else ():
            folder = next(job.folder for job in jobs_of(plan, kind, [name]))
            where = ["--device", device, "--out", str(out / folder)]
            call = [*program, *words, *where, "--dry-run", "--json"]
            done = subprocess.run(call, capture_output=True, text=True)
            if done.returncode:
                fine = False
                click.echo(f"{name}: {done.stderr.strip() or done.stdout.strip()}")
                continue
            click.echo(f"{name}: {_estimated(json.loads(done.stdout))}")
    return fine


def _estimated(found: dict[str, Any]) -> str:
    """Return how much a plan of ``--dry-run --json`` does and takes, in words."""
    cells, total = found["cells"], found["total"]
    trials = sum(cell["total"] - cell["done"] for cell in cells)
    text = f"{len(cells)} cells, {trials:,} trials to do"
    if total["unknown"]:
        text += f", {total['unknown']} of {len(found['parts'])} parts without an estimate"
    return f"{text}; the others take about {total['likely'] / 60:.0f} minutes one after the other"


def pack_results(out: Path, target: Path) -> int:
    """Pack the results without weights and surfaces, and return the number of files."""
    count = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:xz", preset=1) as archive:
        for path in sorted(out.rglob("*")):
            inside = path.relative_to(out)
            own = path.resolve() == target.resolve() or any(
                part.endswith((".training", ".tmp")) for part in inside.parts
            )
            if path.is_file() and not own and not path.name.endswith(WITHOUT):
                archive.add(path, inside)
                count += 1
    return count


if __name__ == "__main__":
    main()
