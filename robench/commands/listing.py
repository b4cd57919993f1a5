"""``robench list``: every name that can be chosen; no plugin is imported."""

from __future__ import annotations

from dataclasses import replace

import click

from robench._base.escaping import NAME, terminal
from robench.commands.saying import say
from robench.commands.shell import emit, global_flags, session_of, show
from robench.inspection.catalogue import KINDS, CatalogueRow, find_kind, list_kind


@click.command("list", short_help="All attacks, defenses, tasks, encoders and protocols.")
@click.argument("kind", required=False, metavar="[attacks|defenses|tasks|encoders|protocols]")
@click.option(
    "--check",
    is_flag=True,
    help="Import every plugin of other packages again to see whether it works.",
)
@global_flags
@click.pass_context
def command(ctx: click.Context, kind: str | None, check: bool) -> None:
    """List the names that can be chosen. A plugin that cannot be used is listed with the reason."""
    kinds = [find_kind(kind)] if kind else list(KINDS)
    rows = {each: list_kind(each, check=check) for each in kinds}
    if session_of(ctx).json:
        emit([row for each in kinds for row in rows[each]])
        return
    for number, each in enumerate(kinds):
        if number:
            say()
        print_rows(each, rows[each])
    what = f"{kinds[0]} NAME" if len(kinds) == 1 else "NAME"
    say(f"\nMore about one of them: robench show {what}")


def _shown(row: CatalogueRow) -> CatalogueRow:
    """Return a row whose texts, which packages may have written, are for a terminal."""
    return replace(
        row,
        name=terminal(row.name, NAME),
        origin=terminal(row.origin, NAME),
        summary=terminal(row.summary),
        problem=None if row.problem is None else terminal(row.problem),
        sees=terminal(row.sees, NAME),
    )


def print_rows(kind: str, rows: list[CatalogueRow]) -> None:
    """Print the rows of one kind as an aligned table under a heading.

    Of an attack it says what it sees of a victim.
    """
    from rich.table import Table
    from rich.text import Text

    rows = [_shown(row) for row in rows]
    show(Text(f"{kind}s", style="bold"))
    if not rows:
        show("  none")
        return
    # Only attacks have a column that is not clear by itself.
    attacks = kind == "attack"
    table = Table(
        box=None, show_header=attacks, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim"
    )
    widest = max(16, *(len(row.name) for row in rows)) + 2
    table.add_column("  name", no_wrap=True, min_width=widest)
    if attacks:
        table.add_column("sees", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for row in rows:
        origin = "" if row.origin == "built-in" else f"  ({row.origin})"
        if row.problem:
            about = Text(f"UNAVAILABLE: {row.problem}", style="red")
        else:
            about = Text(row.summary)
        about.append(origin, style="dim")
        seen = [Text(row.sees)] if attacks else []
        table.add_row(Text(f"  {row.name}"), *seen, about)
    show(table)
