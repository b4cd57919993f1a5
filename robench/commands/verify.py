"""``robench verify``: do the records of a folder, a board or an archive hold?"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robench._base.errors import RobenchError, UsageError
from robench._base.quiet import quiet_environment
from robench.commands.own_data_choices import own_file_options
from robench.commands.running import make_reporter
from robench.commands.saying import say_lines
from robench.commands.shell import emit, global_flags, session_of, show
from robench.evaluation import defaults

if TYPE_CHECKING:
    from robench.verification.run import Verification

_folder = click.Path(path_type=Path)


@click.command("verify", short_help="Check that records hold, by asking the victims again.")
@click.argument("target", type=_folder, metavar="FOLDER|BOARD|ARCHIVE")
@click.option(
    "--runs",
    multiple=True,
    type=_folder,
    metavar="FOLDER",
    help="A run's folder with the trials and victims of a board. Repeatable.",
)
@click.option(
    "--sample",
    type=float,
    metavar="SHARE",
    default=0.1,
    show_default=True,
    help="Share of the searches that is repeated from scratch, above 0 and at most 1.",
)
@click.option(
    "--seed",
    type=int,
    metavar="N",
    help="Seed of the choice of that share. Default: a new one each time.",
)
@click.option(
    "--record",
    "names",
    multiple=True,
    metavar="TEXT",
    help="Only files with this text in their name. Repeatable.",
)
@click.option(
    "--victim",
    "victims",
    multiple=True,
    type=_folder,
    metavar="FOLDER",
    help="A saved victim that lies outside the runs. Repeatable.",
)
@click.option(
    "--lm",
    metavar="MODEL",
    default=defaults.LM,
    show_default=True,
    help="The language model of the records, as 'robench evaluate' takes it.",
)
@click.option(
    "--data",
    type=_folder,
    envvar="ROBENCH_DATA",
    show_envvar=True,
    metavar="FOLDER",
    help="Folder of the tasks' files, as in evaluate.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="FILE",
    help="A file of your own data on which records are; registered tasks are found without it. "
    "Repeatable.",
)
@own_file_options
@click.option(
    "--substitutions",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A file of substitutes that the records used. Repeatable.",
)
@click.option(
    "--device",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1, mps.",
)
@click.option(
    "--workers",
    type=int,
    metavar="N",
    help="Processes that search at the same time. Default: as many as suit the device.",
)
@click.option(
    "--example-seconds",
    type=float,
    metavar="S",
    default=3600.0,
    show_default=True,
    help="Give a repeated search up after this time of its own; 0 for no limit.",
)
@global_flags
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: Path,
    runs: tuple[Path, ...],
    sample: float,
    seed: int | None,
    names: tuple[str, ...],
    victims: tuple[Path, ...],
    lm: str,
    data: Path | None,
    tasks: tuple[str, ...],
    substitutions: tuple[Path, ...],
    device: str,
    workers: int | None,
    example_seconds: float,
    **columns: Any,
) -> None:
    """Check records by asking their victims again.

    The target is the folder that 'robench evaluate --out' wrote, a board's .toml file with --runs,
    or an archive of a run's folder. For each record the letters, curves and costs are counted
    again from its trials. The victim is asked again about every clean text and every text that
    fooled it. A random share of the searches is repeated from scratch, and proofs are made again.

    A record that holds is verified. One of which something could not be checked stays claimed. The
    exit code is 1 where anything failed. What holds is stored in verified.json beside the records,
    and boards and tables of runs show it.

    \b
    robench verify runs
    robench verify runs --sample 1
    robench verify runs --task reviews.csv --label-column stars
    robench verify leaderboards/mini-reviews.toml --runs runs
    """
    _refuse_no_target(target)
    from robench.tasks.columns import DataColumns
    from robench.verification.settings import VerificationSettings

    settings = VerificationSettings(
        sample=sample,
        # A fixed seed would tell a forger which examples are never looked at.
        seed=secrets.randbelow(2**31) if seed is None else seed,
        device=device,
        workers=workers,
        example_seconds=example_seconds,
        lm=lm,
        data=data,
        victims=victims,
        tasks=tasks,
        columns=DataColumns.from_options(columns),
        substitutions=substitutions,
        names=names,
    )
    session = session_of(ctx)
    session.kept = _kept(target)
    quiet_environment()
    from robench.verification.run import verify

    with make_reporter(session) as report:
        found = verify(target, settings, report, runs=runs)
    if session.json:
        emit(found.to_dict())
    else:
        _print(found)
    _fail(found)


def _kept(target: Path) -> str:
    """Return what is kept after an interruption."""
    from robench.verification.unpacking import is_archive

    if is_archive(target):
        return "Nothing was stored, because an archive is not changed. Run the same command again."
    return (
        "Of each victim that was finished, what holds is stored in verified.json. Run the same "
        "command again, or check only the rest with --record."
    )


def _refuse_no_target(target: Path) -> None:
    """Refuse what cannot be verified, before anything heavy is loaded.

    Raises:
        UsageError: the target does not exist, or is a file of another kind.
    """
    from robench.verification.unpacking import is_archive

    if target.is_dir() or target.suffix == ".toml" or is_archive(target):
        return
    problem = "is a file, not the folder of a run" if target.exists() else "does not exist"
    raise UsageError(
        f"'{target}' {problem}. Name a folder that 'robench evaluate --out' wrote, a board's "
        ".toml file, or an archive of such a folder (.zip, .tar.gz, .tar.xz)."
    )


def _print(found: Verification) -> None:
    """Print the table, what failed, what could not be checked, and what the result means."""
    from robench.verification.text import explained, result_table

    show(result_table(found))
    say_lines(explained(found))


def _fail(found: Verification) -> None:
    """Raise where something does not hold.

    Raises:
        RobenchError: see above.
    """
    parts: Sequence[str] = [
        f"{found.number('failed')} of {len(found.results)} records and certificates do not hold"
        if found.number("failed")
        else "",
        "other files of the submission do not hold" if found.files == "failed" else "",
        "the board's table is not what its records give" if found.stale else "",
    ]
    said = " and ".join(part for part in parts if part)
    if said:
        raise RobenchError(f"In {found.target}, {said}. The lines above say what differs.")
