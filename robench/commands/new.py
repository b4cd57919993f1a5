"""``robench new``: the first file of a plugin, and its test."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from robench.commands.saying import say_line
from robench.commands.shell import emit, global_flags, session_of


@click.command("new", short_help="Write the first file of a plugin, and its test.")
@click.argument("kind", metavar="defense|attack|task")
@click.argument("name", metavar="NAME")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to write into. Default: this folder.",
)
@global_flags
@click.pass_context
def command(ctx: click.Context, kind: str, name: str, out: Path) -> None:
    """Write the plugin file of NAME and a test that passes; no file is overwritten.

    \b
    robench new defense my-method
    robench new task my-reviews

    Data in a csv or jsonl file need no plugin: see --task FILE of 'robench evaluate'.
    """
    from robench.inspection.scaffold import write_plugin

    paths = write_plugin(kind, name, out)
    if session_of(ctx).json:
        emit({"files": paths})
        return
    for path in paths:
        say_line(f"wrote {path}")
    plugin, test, *package = paths
    say_line(f"Its test passes: python -m pytest {shlex.quote(str(test))}")
    if package:
        say_line(f"Install it:      pip install -e {shlex.quote(str(plugin.parent))}")
    say_line(f"Then:            robench show {kind} {shlex.quote(name)}")
