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


def fresh_draws_part(
    victim: JudgedVictim, trials: Sequence[Trial], examples: Sequence[Example]
) -> FreshDrawsPart | None:
    """Return how often fooling texts fool the victim with other variants.

    Args:
        victim: the victim.
        trials: in the order of ``examples``.
        examples: the judged examples.

    Returns:
        None where the victim is not randomised by a smoothing, or no text fooled it.
    """
    from robench.models.smoothed import mean_logits, vote_logits
    from robench.models.victim import Victim

    if not isinstance(victim, Victim) or victim.smoothing is None:
        return None
    draws = victim.smoothing.draws
    answer = mean_logits if victim.smoothing.answer == "mean" else vote_logits
    texts = fooled = 0
    for trial, example in zip(trials, examples, strict=True):
        if trial.verdict != Verdict.FOOLED or texts == MOST_TEXTS:
            continue
        original = example.fields[victim.attackable]
        text = changed_text(trial, original)
        if text is None:
            continue
        texts += 1
        row = victim.read({**example.fields, victim.attackable: text})
        logits = victim.drawn_logits(row, draws * SEEDS, FIRST_SEED)
        for part in np.split(logits, SEEDS):
            fooled += int(answer(part[:, None]).argmax() != example.label)
    return FreshDrawsPart(texts=texts, seeds=SEEDS, fooled=fooled) if texts else None
