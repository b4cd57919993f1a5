"""Repeat a part of the searches of a record from scratch, and make its proofs again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from random import Random
from typing import TYPE_CHECKING

from robench.certification.branching import Effort, Prover
from robench.search.attack import Trial, Verdict
from robench.search.jobs import Job

if TYPE_CHECKING:
    from robench.models.victim import Victim

MOST_TEXTS = 1000
"""Texts of the largest space whose proof is made again by asking about all of them."""
MOST_DIFFERENT = 0.05
"""Share of a sample that may be fooled on other software only; with more, the record fails."""
_SAMPLED = (Verdict.HELD, Verdict.FOOLED)


def choose_sample(trials: Sequence[Trial], share: float, seed: int, cell: str) -> list[str]:
    """Return the ids of the examples that are attacked again, sorted.

    They are drawn from the held and from the fooled examples separately, at least one of each.

    Args:
        trials: the trials of the record.
        share: the share, in (0, 1].
        seed: seed of the choice.
        cell: key of the cell, so that two records have different samples.
    """
    draw = Random(f"{seed} {cell}")
    chosen: list[str] = []
    for verdict in _SAMPLED:
        ids = sorted(trial.id for trial in trials if trial.verdict == verdict)
        chosen += draw.sample(ids, ceil(share * len(ids)))
    return sorted(chosen)


def fewest_found(held: int, share: float, sure: float) -> int:
    """Return the smallest number of invented held examples that a sample meets almost surely.

    Args:
        held: number of held examples, the invented ones among them; at least 1.
        share: share of them that is attacked again, in (0, 1].
        sure: the probability with which at least one invented example is in the sample.
    """
    drawn, missed, number = ceil(share * held), 1.0, 0
    while missed > 1 - sure:
        missed *= max(0, held - drawn - number) / (held - number)
        number += 1
    return number


def prove_by_asking(jobs: Iterable[Job], victim: Victim) -> dict[str, str]:
    """Ask about every text of small spaces.

    Args:
        jobs: examples with at most ``MOST_TEXTS`` texts.
        victim: the victim.

    Returns:
        Id -> ``"C"`` where no text fools the victim, ``"F"`` where one does, and ``"U"`` where an
        answer is too close to the border.
    """
    prover = Prover(victim, None, Effort(texts=MOST_TEXTS, parts=0))
    found = {}
    for job in jobs:
        candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
        verdict = prover.prove_choices(job.space, candidates, job.example.label)
        found[job.example.id] = verdict.letter
    return found


def is_small(job: Job) -> bool:
    """Return whether every text of a space can be asked about."""
    return job.space.cardinality <= MOST_TEXTS


def search_differences(
    trials: Mapping[str, Trial], again: Iterable[Trial], *, exact: bool
) -> tuple[list[str], list[str]]:
    """Compare trials of a record with those of a repeated search.

    Times never count. On the same code, software and kind of processor every other difference is a
    failure. Elsewhere last bits can turn a search. A difference is then no failure, but the record
    is not verified, because its file alone says which software made it.

    Args:
        trials: id -> trial of the record.
        again: the trials of the repeated search.
        exact: whether they must be equal.

    Returns:
        The differences, and those that other software may explain.
    """
    different, softer = [], 0
    number = 0
    for now in again:
        number += 1
        was = trials[now.id]
        if _decided(was, exact=exact) != _decided(now, exact=exact):
            different.append(_how(was, now))
            softer += now.verdict == Verdict.FOOLED != was.verdict
    if exact or softer > max(1, MOST_DIFFERENT * number):
        return different, []
    return [], different


def _decided(trial: Trial, *, exact: bool) -> Trial:
    """Return a trial without what differs from run to run.

    Where they need not be equal in every digit, the probabilities are left out. The check of the
    texts compares them.
    """
    rounded = {} if exact else {"probs": None, "adversarial_probs": None}
    return trial.model_copy(update={"seconds": 0.0, **rounded})


def _how(was: Trial, now: Trial) -> str:
    if was.verdict != now.verdict:
        return f"{was.id} is '{was.verdict}', and the same attack gives '{now.verdict}'"
    if (was.changes, was.text) != (now.changes, now.text):
        return f"{was.id} has another text than the same attack finds"
    if was.asked != now.asked:
        return f"{was.id} has {was.asked} queries, and the same attack makes {now.asked}"
    return f"{was.id} has another trial than the same attack gives"
