"""``robench new``: the starting file of a plugin and its test."""

from __future__ import annotations

from pathlib import Path

import click

from robench.commands.shell import global_flags


@click.command("new", short_help="The starting file of an attack or a defense, and its test.")
@click.argument("kind", metavar="defense|attack")
@click.argument("name", metavar="NAME")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Folder to write into; here unless given.")
@global_flags
def command(kind: str, name: str, out: Path) -> None:
    """Write NAME's plugin file and a test that passes; nothing is ever overwritten.

    \b
    robench new defense my-method
    """
    from robench.scaffold import write_plugin

    for path in write_plugin(kind, name, out):
        click.echo(f"wrote {path}")
    click.echo(f"Run its test: python -m pytest {out / 'tests'}   What to fill in: docs/adding-a{'n' if kind == 'attack' else ''}-{kind}.md")
