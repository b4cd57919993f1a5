"""``robench leaderboard``: make boards from their records, or check that they agree."""

from __future__ import annotations

from pathlib import Path

import click

from robench._base.errors import RobenchError, UsageError
from robench.commands.saying import say, say_line
from robench.commands.shell import emit, global_flags, session_of

BOARDS = Path("leaderboards")


@click.command("leaderboard", short_help="Make a board from its records, or check it.")
@click.option(
    "--board",
    "boards",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A board's .toml file. Default: every one in leaderboards/. Repeatable.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; fail when a table differs from its records."
)
@global_flags
@click.pass_context
def command(ctx: click.Context, boards: tuple[Path, ...], check: bool) -> None:
    """Write each board's Markdown from its records, or check that the existing file agrees."""
    found = list(boards) or sorted(BOARDS.glob("*.toml"))
    if not found:
        raise UsageError(
            f"There is no board: {BOARDS}/ has no .toml file here. Name one with --board FILE."
        )
    as_json = session_of(ctx).json
    if check:
        check_boards(found, as_json)
        return
    from robench.records.leaderboard import write_board

    if as_json:
        emit([{"board": board, "table": write_board(board)} for board in found])
        return
    for board in found:
        say_line(f"wrote {write_board(board)}")


def check_boards(boards: list[Path], as_json: bool) -> None:
    """Print how each table differs from its records.

    Raises:
        RobenchError: a table differs from its records.
    """
    from robench.records.leaderboard import check, markdown_path

    differences = {board: list(check(board)) for board in boards}
    stale = [str(markdown_path(board)) for board in boards if differences[board]]
    if as_json:
        emit(
            [
                {
                    "board": board,
                    "table": markdown_path(board),
                    "agrees": not differences[board],
                    "differences": differences[board],
                }
                for board in boards
            ]
        )
    for board in () if as_json else boards:
        lines = differences[board] or [f"{markdown_path(board)} agrees with its records"]
        say("\n".join(lines))
    if stale:
        raise RobenchError(
            f"{', '.join(stale)}: not what the records give. "
            "Run 'robench leaderboard' and commit the result."
        )
