"""``robench submit``: pack results for a board, and put packed results onto one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from robench._base.errors import UsageError
from robench._base.escaping import NAME, TEXT, one_line
from robench.commands.option_types import EXISTING_FILE
from robench.commands.saying import say, say_lines
from robench.commands.shell import emit, global_flags, session_of

if TYPE_CHECKING:
    from robench.submission.joining import Joined
    from robench.submission.packing import Packed
    from robench.submission.starting import Start

_path = click.Path(path_type=Path)
NAMED = 4
"""Most records that a printed command names one by one."""


@click.group(
    "submit",
    short_help="Pack results for a board, or add packed ones to it.",
    invoke_without_command=True,
)
@global_flags
@click.pass_context
def command(ctx: click.Context) -> None:
    """Pack the results of a run for a board, and add packed results to a board.

    \b
    robench submit start leaderboards/mini-reviews.toml
    robench submit pack runs
    robench verify runs.zip
    robench submit add runs.zip --board leaderboards/mini-reviews.toml
    """
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@command.command("start", short_help="Say what a new row of a board needs.")
@click.argument("board", type=EXISTING_FILE)
@global_flags
@click.pass_context
def start(ctx: click.Context, /, board: Path) -> None:
    """Say whether this robench can make a row of a board, with which commands, and what is open.

    BOARD is the board's .toml file. A board takes only records of the code that made its records,
    because other code may give other numbers. The exit code is 1 if this robench has other code.

    \b
    robench submit start leaderboards/mini-reviews.toml
    """
    from robench.submission.starting import start_row

    found = start_row(board)
    if session_of(ctx).json:
        emit(asdict(found))
    else:
        say_lines(_start(found))
    if found.differs:
        ctx.exit(1)


def _start(found: Start) -> list[str]:
    """Return what a new row needs, as lines."""
    return [
        one_line(found.title, TEXT),
        *_code(found),
        "A new row:",
        *(f"  {each}" for each in found.commands),
        "  robench submit pack runs",
        *(one_line(each, TEXT) for each in found.notes),
        *_open(found),
    ]


def _code(found: Start) -> list[str]:
    """Return whether this robench has the code of the board's records, and where that code is."""
    if not found.compared:
        said = "The board has no record that counts, so no code can be compared."
        return [said, *([f"It names commit {found.commit}."] if found.commit else [])]
    if not found.differs:
        return ["This robench has the code that made the board's records."]
    lines = ["This robench cannot make a row of this board. It differs in:"]
    lines += [f"  {one_line(each, NAME)}" for each in found.differs]
    if found.commit is None:
        return [*lines, "The board does not say which commit made its records."]
    place = f"../robench-{found.commit[:7]}"
    return [
        *lines,
        "In a clone of robench, put the code that made them beside this one:",
        f"  git worktree add {place} {found.commit} && make -C {place} install",
        f"Then evaluate with {place}/.venv/bin/robench in the place of robench below. Pack and "
        "verify with this robench.",
    ]


def _open(found: Start) -> list[str]:
    """Return the cells without a record, with their commands."""
    number = sum(len(each.seeds) * len(each.attacks) for each in found.open_cells)
    lines = [f"Cells without a record: {number}"] if number else []
    for each in found.open_cells:
        seeds, attacks = ", ".join(map(str, each.seeds)), ", ".join(each.attacks)
        what = f"{each.defense} under {attacks}: seed {seeds}"
        lines.append(f"  {one_line(what, TEXT)}")
        lines += [f"    {command}" for command in each.commands]
    return lines


@command.command("pack", short_help="Pack a run's results into one archive.")
@click.argument("run", type=_path)
@click.option("--out", type=_path, metavar="FILE", help="The archive, a .zip. Default: RUN.zip.")
@click.option(
    "--record",
    "names",
    multiple=True,
    metavar="TEXT",
    help="Only record files with this text in their name. Repeatable.",
)
@click.option(
    "--checklist",
    type=EXISTING_FILE,
    metavar="FILE",
    help="The checklist with your answers. Without it, the questions stay open.",
)
@click.option(
    "--victims/--no-victims",
    default=True,
    show_default=True,
    help="Pack the victims and the surfaces. Without them, the records stay claimed.",
)
@global_flags
@click.pass_context
def pack(
    ctx: click.Context,
    /,
    run: Path,
    out: Path | None,
    names: tuple[str, ...],
    checklist: Path | None,
    victims: bool,
) -> None:
    """Pack records, trials, texts, victims, certificates and a checklist into one archive.

    RUN is the folder that 'robench evaluate --out' wrote. The same run gives the same bytes. A run
    that no board takes is refused: one with --limit, with an example that ended in an error, with
    missing trials, or in which code of a model's folder ran.

    A checklist after Carlini et al. (2019) lies in the archive and beside it. What the records
    answer is filled in. Answer the other questions in the file, and pack again with --checklist.

    \b
    robench submit pack runs
    robench submit pack runs --checklist runs-CHECKLIST.md --out rift.zip
    """
    if not run.is_dir():
        problem = "is a file" if run.exists() else "does not exist"
        raise UsageError(f"'{run}' {problem}. Name the folder that 'robench evaluate --out' wrote.")
    from robench.submission.packing import pack as pack_run

    found = pack_run(run, out, names=names, victims=victims, answers=checklist)
    if session_of(ctx).json:
        emit(vars(found))
        return
    say_lines(_packed(found))


def _records(number: int) -> str:
    return "1 record" if number == 1 else f"{number} records"


def _packed(found: Packed) -> list[str]:
    """Return what was packed and what comes next."""
    lines = [
        f"wrote {found.path}: {_records(len(found.records))}, {found.files} files, "
        f"{found.size:,} bytes",
        f"SHA-256 {found.sha256}",
    ]
    if found.certificates:
        lines.append(f"certificates: {', '.join(found.certificates)}")
    if found.left_out:
        number, (name, reason) = len(found.left_out), next(iter(found.left_out.items()))
        what = "1 certificate is" if number == 1 else f"{number} certificates are"
        lines.append(
            f"{what} left out, because no board could take them. The first is {name}: {reason}."
        )
    if found.limited:
        number = len(found.limited)
        what = (
            "1 record of a limited run is"
            if number == 1
            else f"{number} records of limited runs are"
        )
        lines.append(f"{what} left out, because the whole run is there.")
    if found.without_digest:
        number = len(found.without_digest)
        what = "1 record comes" if number == 1 else f"{number} records come"
        lines.append(
            f"{what} from an earlier version, which did not write its trials' digest. 'robench "
            "verify' counts the letters again from the packed trials."
        )
    if found.without_victim:
        number, first = len(found.without_victim), found.without_victim[0]
        lines.append(
            f"1 record comes without its victim and stays claimed: {first}."
            if number == 1
            else f"{number} records come without their victim and stay claimed, the first is "
            f"{first}."
        )
    if found.passed_over:
        number, first = len(found.passed_over), one_line(found.passed_over[0], NAME)
        what = "1 file is" if number == 1 else f"{number} files are"
        lines.append(
            f"{what} left out, because no victim has such a file or it is a link. The first is "
            f"{first}."
        )
    if found.open_items:
        number = len(found.open_items)
        what = "1 open question" if number == 1 else f"{number} open questions"
        lines.append(f"The checklist has {what}: {', '.join(found.open_items)}.")
        if found.checklist is not None:
            place = shlex.quote(str(found.checklist))
            lines.append(f"Answer in {place}, and pack again with --checklist {place}.")
    return [
        *lines,
        "Check it before you send it:",
        f"  robench verify {shlex.quote(str(found.path))}{_files_of(found.tasks)}",
        *_about_files(found.tasks),
    ]


def _files_of(tasks: Iterable[str]) -> str:
    """Return the options of ``robench verify`` that name the user's own files."""
    from robench.tasks.registry import TASKS
    from robench.tasks.resolving import is_of_hub

    own = (each for each in tasks if each not in TASKS.names() and not is_of_hub(each))
    return "".join(f" --task {shlex.quote(each)}" for each in own)


def _about_files(tasks: Iterable[str]) -> list[str]:
    """Return what the options of the user's own files need beside the names; empty without files.

    Records hold the name of a file, but neither its folder nor the options about its columns.
    """
    from robench.tasks.resolving import is_of_hub

    lines = [
        f"{one_line(each, NAME)} came from the hub, which 'robench verify' does not read. Records "
        "about it stay claimed."
        for each in tasks
        if is_of_hub(each)
    ]
    if _files_of(tasks):
        lines.append(
            "Records do not know where a file of your own lies. If it is not in the current "
            "folder, write its path after --task, and add the options about its columns (such as "
            "--label-column) that the run had."
        )
    return lines


@command.command("add", short_help="Copy the records of an archive onto a board.")
@click.argument("archive", type=_path)
@click.option(
    "--board",
    type=EXISTING_FILE,
    required=True,
    metavar="FILE",
    help="The board's .toml file.",
)
@global_flags
@click.pass_context
def add(ctx: click.Context, /, archive: Path, board: Path) -> None:
    """Copy the records and certificates of a packed submission into the folder of a board.

    All of them are copied or none. One that the board does not take is refused with the reason.
    Whether they hold is not asked here: that is what 'robench verify' does. The victims and the
    trials stay in the archive.

    \b
    robench submit add runs.zip --board leaderboards/mini-reviews.toml
    robench leaderboard --board leaderboards/mini-reviews.toml
    """
    from tempfile import TemporaryDirectory

    from robench.verification.unpacking import is_archive, unpack

    if not is_archive(archive):
        problem = "is no archive" if archive.exists() else "does not exist"
        raise UsageError(f"'{archive}' {problem}. Name one that 'robench submit pack' wrote.")
    from robench.submission.joining import add_to_board

    with TemporaryDirectory(prefix="robench-submit-") as place:
        passed_over: list[str] = []
        root = unpack(archive, Path(place), passed_over)
        found = add_to_board(root, str(archive), board, passed_over)
    if session_of(ctx).json:
        emit(vars(found))
        return
    say_lines(_added(found, archive, board))


def _added(found: Joined, archive: Path, board: Path) -> list[str]:
    lines = [f"added {found.folder / name}" for name in found.added]
    if found.known:
        number = len(found.known)
        lines.append(f"{number} {'file was' if number == 1 else 'files were'} there already.")
    shown, runs = shlex.quote(str(board)), shlex.quote(str(archive))
    records = [name for name in (*found.added, *found.known) if "/" not in name]
    # Without names, all records of the board are looked at, and those without trials are left.
    named = "".join(f" --record {shlex.quote(name)}" for name in records[:NAMED])
    named = named if len(records) <= NAMED else ""
    return [
        *lines,
        "Make the table, verify the records where they are now, and show their marks:",
        f"  robench leaderboard --board {shown}",
        f"  robench verify {shown} --runs {runs}{named}{_files_of(found.tasks)}",
        f"  robench leaderboard --board {shown}",
        *_about_files(found.tasks),
    ]
