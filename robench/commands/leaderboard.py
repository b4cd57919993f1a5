"""``robench leaderboard``: make boards from their records, or check that they agree.

It also makes the pages of the numbers that papers report (``reported.toml``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from robench._base.errors import RobenchError, UsageError
from robench.commands.saying import say_line, say_lines, tell
from robench.commands.shell import emit, global_flags, session_of

if TYPE_CHECKING:
    from robench.records.record_files import KnownRecords
    from robench.verification.board_trials import TrialCheck

BOARDS = Path("leaderboards")


@click.command("leaderboard", short_help="Make a board from its records, or check it.")
@click.option(
    "--board",
    "boards",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A board's .toml file, or reported.toml. Default: every one in leaderboards/. Repeatable.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; fail when a table differs from its records."
)
@click.option(
    "--runs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="With --check: fail as well where the trials in a run's folder disagree. Repeatable.",
)
@global_flags
@click.pass_context
def command(
    ctx: click.Context, boards: tuple[Path, ...], check: bool, runs: tuple[Path, ...]
) -> None:
    """Write each board's Markdown from its records, or check that the existing file agrees.

    The numbers that papers report (reported.toml) get a page of their own, and the page that shows
    the boards beside them is made again.
    """
    if runs and not check:
        raise UsageError("--runs names trials to check records against. Add --check.")
    found = list(boards) or sorted(BOARDS.glob("*.toml"))
    if not found:
        raise UsageError(
            f"There is no board: {BOARDS}/ has no .toml file here. Name one with --board FILE."
        )
    as_json = session_of(ctx).json
    from robench.records.generated import write_pages
    from robench.records.record_files import KnownRecords

    known = KnownRecords()
    if check:
        check_boards(found, as_json, known, runs)
        _remark(found, known)
        return
    written = [(board, page) for board in found for page in write_pages(board, known)]
    if as_json:
        emit([{"board": board, "table": page} for board, page in written])
        return
    for _, page in written:
        say_line(f"wrote {page}")
    _remark(found, known)


def _remark(boards: Sequence[Path], known: KnownRecords) -> None:
    """Say on stderr what looks like a mistake in a board."""
    from robench.records.board_remarks import remarks
    from robench.records.reported import REPORTED

    for board in boards:
        for sentence in remarks(board, known) if board.name != REPORTED else ():
            tell(sentence)


def check_boards(
    boards: list[Path], as_json: bool, known: KnownRecords, runs: Sequence[Path] = ()
) -> None:
    """Print how each table differs from its records, and how the records differ from their trials.

    Raises:
        RobenchError: a table differs from its records, or a record from its trials.
    """
    from robench.records.generated import check_pages
    from robench.records.reported import REPORTED

    differences = {board: check_pages(board, known) for board in boards}
    trials = _check_trials([board for board in boards if board.name != REPORTED], runs, known)
    pages = [(board, page) for board in boards for page in differences[board]]
    stale = [str(page) for board, page in pages if differences[board][page]]
    if as_json:
        emit(
            [
                {
                    "board": board,
                    "table": page,
                    "agrees": not differences[board][page],
                    "differences": differences[board][page],
                    **({"trials": trials[board]} if board in trials else {}),
                }
                for board, page in pages
            ]
        )
    for board, page in () if as_json else pages:
        say_lines(differences[board][page] or [f"{page} agrees with its records"])
        if board in trials:
            say_lines([*trials[board].problems, trials[board].sentence])
    wrong = sum(len(each.problems) for each in trials.values())
    if wrong:
        raise RobenchError(
            f"{wrong} records of {', '.join(map(str, boards))} disagree with their trials. Run "
            "'robench verify' to see what holds, and evaluate the others again."
        )
    if stale:
        raise RobenchError(
            f"{', '.join(stale)}: not what the records give. "
            "Run 'robench leaderboard' and commit the result."
        )


def _check_trials(
    boards: Sequence[Path], runs: Sequence[Path], known: KnownRecords
) -> dict[Path, TrialCheck]:
    """Return what the trials say of the records of each board; empty without runs."""
    if not runs:
        return {}
    from robench.verification.board_trials import compare_with_trials

    return {board: compare_with_trials(board, runs, known) for board in boards}
