"""Trials on the screen: coloured differences on a terminal, marks elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench._base.escaping import NAME, terminal
from robench.commands.saying import console, say
from robench.records.trial_plain import cell_words, fields_of, plain_view, text_lines
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
    if not sys.stdout.isatty():
        say(plain_view(trials, cells=cells), nl=False)
        return
    from rich.padding import Padding

    screen = console()
    for number, trial in enumerate(trials):
        if number:
            screen.print()
        head, *lines = coloured_lines(trial, cells=cells)
        screen.print(head)
        for line in lines:
            # Also the further lines of a long text are indented.
            screen.print(Padding(line[2:], (0, 0, 0, 2), expand=False))


def coloured_lines(trial: TrialText, *, cells: bool = True) -> list[Text]:
    """Return a trial as lines for a terminal.

    An old word is struck through, and its substitute follows an arrow, underlined. So the
    difference does not rest on colours.
    """
    from rich.text import Text

    head = Text(str(trial.verdict), style=STYLES[str(trial.verdict)])
    head.append(f": {terminal(outcome_words(trial))}", style="bold")
    head.append(f" ({cost_words(trial)})", style="dim")
    lines = [head]
    for name, parts in fields_of(trial):
        line = Text("  ")
        if name:
            line.append(f"{terminal(name, NAME)}: ", style="dim")
        for piece in parts:
            if piece.changed:
                line.append(text_lines(piece.old), style="red strike")
                line.append("→", style="dim")
                line.append(text_lines(piece.new), style="bold green underline")
            else:
                line.append(text_lines(piece.old))
        lines.append(line)
    if trial.problem:
        lines.append(Text(f"  note: {terminal(trial.problem)}"))
    if cells:
        lines.append(Text(f"  {terminal(cell_words(trial))}", style="dim"))
    return lines
