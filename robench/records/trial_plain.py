"""Trials as plain text, with every change as ``[[old->new]]``."""

from __future__ import annotations

from collections.abc import Sequence

from robench.records.marked_text import Piece, marked, pieces
from robench.records.trial_texts import TrialText
from robench.records.trial_words import cost_words, outcome_words


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
            lines.append(f"  {cell_words(trial)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def cell_words(trial: TrialText) -> str:
    """Return the victim, the attack, the task, the seed and the id of a trial."""
    return f"{trial.row} under {trial.attack} on {trial.task}, seed {trial.seed}; {trial.id}"
