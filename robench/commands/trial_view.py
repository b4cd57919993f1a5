"""Trials on the screen: coloured differences on a terminal, marks elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench.records.marked_text import Piece, marked, pieces
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


def fields_of(trial: TrialText) -> list[tuple[str, list[Piece]]]:
    """Return every field with its name, or with "" for the only field, and its pieces."""
    changed = trial.adversarial_text if trial.rejected_text is None else trial.rejected_text
    single = len(trial.fields) == 1
    return [
        (
            "" if single else name,
            pieces(text, changed, trial.changes)
            if name == trial.attackable
            else [Piece(text, text)],
        )
        for name, text in trial.fields.items()
    ]


def plain_view(trials: Sequence[TrialText], *, cells: bool = True) -> str:
    """Return the trials as plain text, with every change as ``[[old->new]]``.

    Args:
        trials: the trials.
        cells: whether the victim and the attack of each trial are named.
    """
    blocks = []
    for trial in trials:
        lines = [f"{trial.verdict}: {outcome_words(trial)} ({cost_words(trial)})"]
        for name, parts in fields_of(trial):
            lines.append(f"  {name + ': ' if name else ''}{marked(parts)}")
        if trial.problem:
            lines.append(f"  note: {trial.problem}")
        if cells:
            lines.append(f"  {_cell(trial)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


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
        lines.append(Text(f"  {_cell(trial)}", style="dim"))
    return lines


def _cell(trial: TrialText) -> str:
    return f"{trial.row} under {trial.attack} on {trial.task}, seed {trial.seed}; {trial.id}"
