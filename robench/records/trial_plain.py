"""Trials as plain text, with every change as ``[[old->new]]``."""

from __future__ import annotations

from collections.abc import Sequence

from robench._base.escaping import NAME, TEXT, shorten, terminal, terminal_lines
from robench.records.marked_text import Piece, bounded, marked, pieces
from robench.records.trial_texts import TrialText
from robench.records.trial_words import cost_words, outcome_words

INSIDE = "    "
"""What stands before the further lines of a text. So no line of a text looks like one of ours."""


def fields_of(trial: TrialText) -> list[tuple[str, list[Piece]]]:
    """Return every field with its name, or with "" for the only field, and its pieces.

    Of a text that is longer than ``escaping.TEXT``, the beginning is returned.
    """
    changed = trial.adversarial_text if trial.rejected_text is None else trial.rejected_text
    single = len(trial.fields) == 1
    return [
        (
            "" if single else name,
            bounded(
                pieces(text, changed, trial.changes)
                if name == trial.attackable
                else [Piece(text, text)],
                TEXT,
            ),
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
        lines = [terminal(f"{trial.verdict}: {outcome_words(trial)} ({cost_words(trial)})")]
        for name, parts in fields_of(trial):
            label = f"{terminal(name, NAME)}: " if name else ""
            lines.append(f"  {label}{text_lines(marked(parts))}")
        if trial.problem:
            lines.append(f"  note: {terminal(trial.problem)}")
        if cells:
            lines.append(f"  {terminal(cell_words(trial))}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def text_lines(text: str) -> str:
    """Return a text of data for a terminal. Its further lines are indented."""
    return terminal_lines(text).replace("\n", f"\n{INSIDE}")


def cell_words(trial: TrialText) -> str:
    """Return the victim, the attack, the task, the seed and the id of a trial."""
    row, attack, task, id_ = (
        shorten(name, NAME) for name in (trial.row, trial.attack, trial.task, trial.id)
    )
    return f"{row} under {attack} on {task}, seed {trial.seed}; {id_}"
