"""``robench leaderboard``: make the tables from the records, or check that they agree."""

from __future__ import annotations

from pathlib import Path

import click

from robench.commands.shell import global_flags

BOARDS = Path("leaderboards")


@click.command("leaderboard", short_help="Make a board from its records, or check it.")
@click.option(
    "--board",
    "boards",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A board's .toml file; every one in leaderboards/ unless given. Repeatable.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail when a table differs from its records.")
@global_flags
def command(boards: tuple[Path, ...], check: bool) -> None:
    """Generate each board's Markdown from its records, or check that the committed one is what they give."""
    from robench.errors import UsageError

    found = list(boards) or sorted(BOARDS.glob("*.toml"))
    if not found:
        raise UsageError(f"There is no board: {BOARDS} holds no .toml file here. Name one with --board FILE.")
