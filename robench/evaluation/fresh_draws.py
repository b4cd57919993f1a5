"""Ask a randomised victim about the texts that fooled it, with fresh random variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from robench.records.fresh_draws import FreshDrawsPart
from robench.records.trial_texts import changed_text
from robench.search.attack import Trial, Verdict

if TYPE_CHECKING:
    from robench.models.judged import JudgedVictim
    from robench.tasks.example import Example

SEEDS = 10
"""Fresh seeds for each text."""
MOST_TEXTS = 100
"""Texts at most that are asked again."""
FIRST_SEED = 2**32
"""Fresh seeds begin here; seeds of trainings are smaller."""


def fresh_draws(
    victim: JudgedVictim, trials: Sequence[Trial], examples: Sequence[Example]
) -> list[tuple[str, int]] | None:
    """Ask a randomised victim again about the first ``MOST_TEXTS`` texts that fooled it.

    Args:
        victim: the victim.
        trials: in the order of ``examples``.
        examples: the judged examples.

    Returns:
        For each text the id of its example, and the number of seeds for which the victim is
        wrong; None where the victim is not randomised by a smoothing.
    """
    from robench.models.smoothed import mean_logits, vote_logits
    from robench.models.victim import Victim

    if not isinstance(victim, Victim) or victim.smoothing is None:
        return None
    draws = victim.smoothing.draws
    answer = mean_logits if victim.smoothing.answer == "mean" else vote_logits
    found: list[tuple[str, int]] = []
    for trial, example in zip(trials, examples, strict=True):
        if trial.verdict != Verdict.FOOLED or len(found) == MOST_TEXTS:
            continue
        original = example.fields[victim.attackable]
        text = changed_text(trial, original)
        if text is None:
            continue
        row = victim.read({**example.fields, victim.attackable: text})
        logits = victim.drawn_logits(row, draws * SEEDS, FIRST_SEED)
        parts = np.split(logits, SEEDS)
        wrong = sum(int(answer(part[:, None]).argmax() != example.label) for part in parts)
        found.append((example.id, wrong))
    return found


def fresh_draws_part(found: Sequence[tuple[str, int]] | None) -> FreshDrawsPart | None:
    """Return the record's part; None where nothing was asked again.

    Args:
        found: what ``fresh_draws`` returned. Of more than ``MOST_TEXTS`` the first ones count.
    """
    first = (found or ())[:MOST_TEXTS]
    if not first:
        return None
    return FreshDrawsPart(texts=len(first), seeds=SEEDS, fooled=sum(wrong for _, wrong in first))
