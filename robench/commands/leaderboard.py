"""``robench leaderboard``: make boards from their records, or check that they agree."""

from __future__ import annotations

from pathlib import Path

import click

from robench._base.errors import RobenchError, UsageError
from robench.commands.shell import global_flags

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
def command(boards: tuple[Path, ...], check: bool) -> None:
    """Write each board's Markdown from its records, or check that the existing file agrees."""
    found = list(boards) or sorted(BOARDS.glob("*.toml"))
    if not found:
        raise UsageError(
            f"There is no board: {BOARDS}/ has no .toml file here. Name one with --board FILE."
        )
    if check:
        check_boards(found)
        return
    from robench.records.leaderboard import write_board

    for board in found:
        click.echo(f"wrote {write_board(board)}")


def check_boards(boards: list[Path]) -> None:
    """Print how each table differs from its records.

    Raises:
        RobenchError: a table differs from its records.
    """
    from robench.records.leaderboard import check, markdown_path

    stale = []
    for board in boards:
        differences = check(board)
        if differences:
            stale.append(str(markdown_path(board)))
            click.echo("\n".join(differences))
        else:
            click.echo(f"{markdown_path(board)} agrees with its records")
    if stale:
        raise RobenchError(
            f"{', '.join(stale)}: not what the records give. "
            "Run 'robench leaderboard' and commit the result."
        )
