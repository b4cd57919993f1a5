"""``robench show``: one name in full: paper, deviations, options with defaults and units."""

from __future__ import annotations

import json
from typing import Any

import click

from robench.commands.shell import global_flags, show
from robench.inspection.catalogue import find_kind

SHORT = 24  # characters; a list of such words stands on one line


@click.command("show", short_help="One of them in full: paper, deviations, options.")
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@global_flags
def command(kind: str, name: str, as_json: bool) -> None:
    """Show one attack, defense, task, encoder or protocol."""
    from robench.inspection.describe import describe

    facts = describe(find_kind(kind), name)
    click.echo(json.dumps(facts, indent=2)) if as_json else print_facts(facts)


def print_facts(facts: dict[str, Any]) -> None:
    """The facts for people: what is short on one line, the rest under a heading."""
    from rich.text import Text

    show(
        Text(f"{facts['kind']} {facts['name']}", style="bold"),
        Text(f"({facts['origin']})", style="dim"),
    )
    for label, value in facts.items():
        if label in {"kind", "name", "origin", "options"} or value in ("", None, [], {}):
            continue
        heading = label.replace("_", " ").capitalize()
        if label == "summary":
            _print_paragraphs(value)
        elif isinstance(value, str):
            _hanging(f"{heading}: ", value)
        elif isinstance(value, dict):
            _hanging(f"{heading}: ", ", ".join(f"{key}={part}" for key, part in value.items()))
        elif all(len(line) <= SHORT for line in value):
            _hanging(f"{heading}: ", ", ".join(value))
        else:
            show(Text(f"{heading}:"))
            for line in value:
                _hanging("  - ", line)
    if facts.get("options"):
        _print_options(facts["kind"], facts["options"])


def _print_paragraphs(text: str) -> None:
    """A docstring, its paragraphs filled to the width of the terminal."""
    from rich.padding import Padding

    show("")
    for paragraph in text.replace("``", "'").split("\n\n"):
        show(Padding(" ".join(paragraph.split()), (0, 0, 1, 2)))


def _hanging(label: str, text: str) -> None:
    """``text`` after ``label``, its further lines indented under its beginning."""
    from rich.table import Table

    table = Table.grid()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(label, text)
    show(table)


def _print_options(kind: str, options: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    show("")
    show(Text("Options", style="bold"), Text(f"(--option {kind}.NAME=VALUE)", style="dim"))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in ("  name", "default", "takes", "what it is"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "  name")
    for option in options:
        unit = f" {option['unit']}" if option["unit"] else ""
        defaults = [f"{_plain(option['default'])}{unit}"] + [
            f"{task}: {_plain(value)}" for task, value in option["task_defaults"].items()
        ]
        table.add_row(
            f"  {option['name']}", "\n".join(defaults), option["takes"], option["description"]
        )
    show(table)


def _plain(value: object) -> str:
    return "none" if value is None else str(value)
