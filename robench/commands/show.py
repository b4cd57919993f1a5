"""``robench show``: one name in full: paper, deviations, options with defaults and units."""

from __future__ import annotations

import json
from typing import Any

import click

from robench.catalogue import find_kind
from robench.commands.shell import global_flags, show


@click.command("show", short_help="One of them in full: paper, deviations, options.")
@click.argument("kind", metavar="KIND")
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@global_flags
def command(kind: str, name: str, as_json: bool) -> None:
    """Show one attack, defense, task, encoder or protocol."""
    from robench.describe import describe

    facts = describe(find_kind(kind), name)
    click.echo(json.dumps(facts, indent=2)) if as_json else print_facts(facts)


def print_facts(facts: dict[str, Any]) -> None:
    """The facts for people, option by option."""
    from rich.padding import Padding
    from rich.text import Text

    show(Text(f"{facts['kind']} {facts['name']}", style="bold"), Text(f"({facts['origin']})", style="dim"))
    for label, value in facts.items():
        if label in {"kind", "name", "origin", "options"} or value in ("", None, [], {}):
            continue
        show("")
        show(Text(label.replace("_", " ").capitalize(), style="bold"))
        lines = [f"- {line}" for line in value] if isinstance(value, list) else _pairs(value) if isinstance(value, dict) else [str(value)]
        for line in lines:
            show(Padding(Text(line), (0, 0, 0, 2)))
    if facts.get("options"):
        _print_options(facts["kind"], facts["options"])


def _pairs(values: dict[str, Any]) -> list[str]:
    return [f"{key}: {', '.join(f'{k}={v}' for k, v in value.items()) if isinstance(value, dict) else value}" for key, value in values.items()]


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
        defaults = [f"{_plain(option['default'])}{unit}"] + [f"{task}: {_plain(value)}" for task, value in option["task_defaults"].items()]
        table.add_row(f"  {option['name']}", "\n".join(defaults), option["takes"], option["description"])
    show(table)


def _plain(value: object) -> str:
    return "none" if value is None else str(value)
