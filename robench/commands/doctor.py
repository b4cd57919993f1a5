"""``robench doctor``: what is installed, what is found, what it would run on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from robench.commands.shell import global_flags, show


@click.command("doctor", short_help="What is installed, which assets are found, which device.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
def command(as_json: bool, online: bool, data: Path | None, out: Path) -> None:
    """Look around and report; changes nothing. Missing data or a broken plugin is a finding, not a failure."""
    from robench.inspection.doctor import examine

    findings = examine(data=data, out=out, online=online)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "green", "missing": "yellow", "problem": "red"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            table.add_row(Text(section, style="bold"), "", "")
        table.add_row(
            f"  {finding.what}",
            Text(finding.state, style=styles[finding.state]),
            Text(finding.detail, overflow="fold"),
        )
    show(table)
