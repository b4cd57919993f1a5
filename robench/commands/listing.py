"""``robench list``: every name that can be chosen, without importing any of them."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from robench.commands.shell import global_flags, show
from robench.inspection.catalogue import KINDS, Row, find_kind, rows


@click.command("list", short_help="What there is: attacks, defenses, tasks, encoders, protocols.")
@click.argument("kind", required=False, metavar="[attacks|defenses|tasks|encoders|protocols]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--check",
    is_flag=True,
    help="Import every plugin of other packages anew to see whether it works.",
)
@global_flags
def command(kind: str | None, as_json: bool, check: bool) -> None:
    """List what can be chosen. A plugin that cannot be used stands there with its reason."""
    kinds = [find_kind(kind)] if kind else list(KINDS)
    found = {each: rows(each, check=check) for each in kinds}
    if as_json:
        click.echo(json.dumps([asdict(row) for each in kinds for row in found[each]], indent=2))
        return
    for number, each in enumerate(kinds):
        if number:
            click.echo()
        print_rows(each, found[each])
    if len(kinds) == 1:
        click.echo(f"\nMore on one of them: robench show {kinds[0]} NAME")
    else:
        click.echo("\nMore on one of them: robench show KIND NAME")


def print_rows(kind: str, listed: list[Row]) -> None:
    """One kind as an aligned table under its heading."""
    from rich.table import Table
    from rich.text import Text

    show(Text(f"{kind}s", style="bold"))
    if not listed:
        show("  none")
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, min_width=max(16, *(len(row.name) for row in listed)) + 2)
    table.add_column(overflow="fold")
    for row in listed:
        origin = "" if row.origin == "built-in" else f"  ({row.origin})"
        about = (
            Text(f"UNAVAILABLE: {row.problem}", style="red") if row.problem else Text(row.summary)
        )
        about.append(origin, style="dim")
        table.add_row(Text(f"  {row.name}"), about)
    show(table)
