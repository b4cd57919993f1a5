"""``robench doctor``: check what a run needs."""

from __future__ import annotations

from pathlib import Path

import click

from robench._base.escaping import NAME, terminal
from robench.commands.shell import emit, global_flags, session_of, show

STYLES = {"ok": "green", "missing": "yellow", "problem": "red"}


@click.command("doctor", short_help="Check the installation, the data, the device and the disk.")
@click.option("--online", is_flag=True, help="Also try to reach the hub.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="ROBENCH_DATA",
    show_envvar=True,
    help="Folder with the data sets.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs, for the disk space.",
)
@global_flags
@click.pass_context
def command(ctx: click.Context, online: bool, data: Path | None, out: Path) -> None:
    """Check what a run needs and report it; nothing is changed.

    Missing data and broken plugins are reported and do not fail the command.
    """
    from robench.inspection.doctor import examine

    diagnoses = examine(data=data, out=out, online=online)
    if session_of(ctx).json:
        emit(diagnoses)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    section = ""
    for diagnosis in diagnoses:
        if diagnosis.section != section:
            section = diagnosis.section
            table.add_row(Text(section, style="bold"), "", "")
        table.add_row(
            f"  {terminal(diagnosis.what, NAME)}",
            Text(diagnosis.state, style=STYLES[diagnosis.state]),
            Text(terminal(diagnosis.detail), overflow="fold"),
        )
    show(table)
