"""Trials on the screen: coloured differences on a terminal, marks elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench.records.trial_plain import cell_words, fields_of, plain_view
from robench.records.trial_texts import TrialText
from robench.records.trial_words import cost_words, outcome_words

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {
    "fooled": "bold red",
    "held": "green",
    "held-proved": "bold green",
    "wrong": "yellow",
    "error": "bold magenta",
}


def show_trials(trials: Sequence[TrialText], *, cells: bool = True) -> None:
    """Print trials on stdout: in colour on a terminal, as ``plain_view`` elsewhere."""
    import click

    if not sys.stdout.isatty():
        click.echo(plain_view(trials, cells=cells), nl=False)
        return
    from rich.console import Console
    from rich.padding import Padding

    console = Console(highlight=False, markup=False)
    for number, trial in enumerate(trials):
        if number:
            console.print()
        head, *lines = coloured_lines(trial, cells=cells)
        console.print(head)
        for line in lines:
            # Also the further lines of a long text are indented.
            console.print(Padding(line[2:], (0, 0, 0, 2), expand=False))


def coloured_lines(trial: TrialText, *, cells: bool = True) -> list[Text]:
    """Return a trial as lines for a terminal.

    An old word is struck through, and its substitute follows an arrow, underlined. So the
    difference does not rest on colours.
    """
    from rich.text import Text

    head = Text(str(trial.verdict), style=STYLES[str(trial.verdict)])
    head.append(f": {outcome_words(trial)}", style="bold")
    head.append(f" ({cost_words(trial)})", style="dim")
    lines = [head]
    for name, parts in fields_of(trial):
        line = Text("  ")
        if name:
            line.append(f"{name}: ", style="dim")
        for piece in parts:
            if piece.changed:
                line.append(piece.old, style="red strike")
                line.append("→", style="dim")
                line.append(piece.new, style="bold green underline")
            else:
                line.append(piece.old)
        lines.append(line)
    if trial.problem:
        lines.append(Text(f"  note: {trial.problem}"))
    if cells:
        lines.append(Text(f"  {cell_words(trial)}", style="dim"))
    return lines
