"""``robench show``: everything about one name, such as paper, deviations and options."""

from __future__ import annotations

from typing import Any

import click

from robench._base.escaping import TEXT, shown_data, terminal
from robench.commands.own_data_choices import own_file_options
from robench.commands.shell import emit, global_flags, session_of, show
from robench.inspection.catalogue import find_kind, find_kind_of

SHORT_CHARACTERS = 24
"""A list of words that are no longer than this is on one line."""


@click.command("show", short_help="Everything about one name: paper, deviations, options.")
@click.argument("first", metavar="[KIND]", required=False)
@click.argument("second", metavar="NAME", required=False)
@own_file_options
@global_flags
@click.pass_context
def command(ctx: click.Context, /, first: str | None, second: str | None, **columns: Any) -> None:
    """Show one attack, defense, task, encoder or protocol.

    KIND can be left out where only one kind has the name. The options about columns and files are
    those of a task that is a FILE of yours.

    \b
    robench show rift
    robench show attack genetic
    robench show reviews.csv
    robench show reviews.csv --label-column stars
    """
    from robench.inspection.describe import describe
    from robench.tasks.columns import DataColumns

    if first is None:
        ctx.fail("Missing argument 'NAME'.")
    if second is None:
        kind, name = find_kind_of(first), first
    else:
        kind, name = find_kind(first), second
    facts = describe(kind, name, DataColumns.from_options(columns))
    emit(facts) if session_of(ctx).json else print_facts(facts)


def print_facts(facts: dict[str, Any]) -> None:
    """Print the facts as text: short ones on one line, longer ones under a heading."""
    from rich.text import Text

    # A docstring has paragraphs, and the console shows what else is in it.
    facts = {
        name: value if name == "summary" else shown_data(value) for name, value in facts.items()
    }
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
            _print_hanging(f"{heading}: ", value)
        elif isinstance(value, dict):
            pairs = ", ".join(f"{key}={part}" for key, part in value.items())
            _print_hanging(f"{heading}: ", pairs)
        elif all(len(line) <= SHORT_CHARACTERS for line in value):
            _print_hanging(f"{heading}: ", ", ".join(value))
        else:
            show(Text(f"{heading}:"))
            for line in value:
                _print_hanging("  - ", line)
    if facts.get("options"):
        _print_options(facts["kind"], facts["options"])


def _print_paragraphs(text: str) -> None:
    """Print a docstring, its paragraphs wrapped at the width of the terminal."""
    from rich.padding import Padding

    show("")
    for paragraph in text.replace("``", "'").split("\n\n"):
        show(Padding(terminal(" ".join(paragraph.split()), TEXT), (0, 0, 1, 2)))


def _print_hanging(label: str, text: str) -> None:
    """Print ``text`` after ``label``; further lines are indented by the width of the label."""
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
        defaults = [f"{_value_text(option['default'])}{unit}"]
        for task, value in option["task_defaults"].items():
            defaults.append(f"{task}: {_value_text(value)}")
        table.add_row(
            f"  {option['name']}", "\n".join(defaults), option["takes"], option["description"]
        )
    show(table)


def _value_text(value: object) -> str:
    return "none" if value is None else str(value)
