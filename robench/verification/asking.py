"""Ask the victim again about every clean text and every text that is said to fool it.

The questions go through the engine and the judge of an evaluation. Only the search is replaced: it
returns the text of the trial at once. So an answer has the same bits as in the evaluation, where
code, software and processor are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robench.search.attack import Attack, FreeAttack, Trial, Verdict
from robench.search.engine import example_rng, run
from robench.search.jobs import Job
from robench.search.oracle_interface import Oracle, TextOracle
from robench.search.settings import SearchSettings
from robench.text.space import Choice, SearchSpace

if TYPE_CHECKING:
    from robench.search.victim_protocol import SearchVictim

NAME = "verify"
"""Name in the random streams; the answers do not depend on it."""
TOLERANCE = 1e-3
"""Probabilities that differ by more are not those of other rounding."""
WEAK = 2e-3
"""Margin of two probabilities below which rounding on another machine may decide the class."""


def _ticket(rng: np.random.Generator) -> int:
    """Return a number that tells the example whose random stream this is."""
    return int(rng.integers(2**62))


class Replay(Attack):
    """Return for each example the choice that its trial claims, without any query."""

    access = "labels"

    def __init__(self, claims: Mapping[str, Choice]) -> None:
        super().__init__()
        self._claims = {_ticket(example_rng(0, NAME, id_)): claim for id_, claim in claims.items()}

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        """Return the claimed choice; None where there is none."""
        return self._claims.get(_ticket(rng))


class ReplayTexts(FreeAttack):
    """Return for each example the text that its trial claims, without any query."""

    def __init__(self, claims: Mapping[str, str]) -> None:
        super().__init__()
        self._claims = {_ticket(example_rng(0, NAME, id_)): claim for id_, claim in claims.items()}

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        """Return the claimed text; None where there is none."""
        return self._claims.get(_ticket(rng))


@dataclass(frozen=True)
class Answers:
    """What the victim said.

    Attributes:
        trials: id -> the trial of the replay.
        outside: sentences about texts that lie outside the surface.
    """

    trials: Mapping[str, Trial]
    outside: Sequence[str]


def ask_again(
    victim: SearchVictim, jobs: Sequence[Job], trials: Mapping[str, Trial], *, outside: bool
) -> Answers:
    """Ask about the clean text of every job, and about the text that its trial claims.

    Args:
        victim: the victim.
        jobs: one job per example, with its space.
        trials: id -> trial of the record.
        outside: whether the attack writes texts of its own.
    """
    from robench.search.packing import choose_shapes

    attack: Attack
    problems: list[str] = []
    if outside:
        texts = {id_: trial.text for id_, trial in trials.items() if trial.text is not None}
        attack = ReplayTexts(texts)
        problems += [
            f"{id_} has changed words, and the attack writes whole texts"
            for id_, trial in trials.items()
            if trial.changes
        ]
    else:
        claims = {}
        for job in jobs:
            choice, problem = claimed_choice(job, trials[job.example.id])
            problems += [] if problem is None else [problem]
            if choice is not None:
                claims[job.example.id] = choice
        attack = Replay(claims)
    shapes, _ = choose_shapes(victim, "fp32", getattr(victim, "vocabulary", 2))
    settings = SearchSettings(seed=0, device=victim.device)
    answers = {
        trial.id: trial for trial in run(victim, attack, NAME, jobs, settings, shapes=shapes)
    }
    return Answers(answers, problems)


def claimed_choice(job: Job, trial: Trial) -> tuple[Choice | None, str | None]:
    """Return a trial's changes as a choice of the space.

    Returns:
        The choice, None where the trial claims no text; and why there is none, or None.
    """
    # Letters of other alphabets look like Latin ones, so the sentences show their numbers.
    if trial.text is not None:
        return None, f"the text of {trial.id} was written freely, outside the surface"
    if not trial.changes:
        return None, None
    space, choice = job.space, job.space.original()
    for change in trial.changes:
        position = change.position
        if not 0 <= position < len(space.words) or space.words[position] != change.original:
            return None, f"{trial.id} has no word {change.original!a} at {position}"
        options = space.options[position]
        if change.substitute not in options[1:]:
            return None, (
                f"{trial.id} puts {change.substitute!a} in the place of "
                f"{change.original!a}, which its surface does not allow"
            )
        choice[position] = options.index(change.substitute, 1)
    return choice, None


def differences(
    trials: Sequence[Trial],
    answers: Answers,
    labels: Mapping[str, int],
    *,
    exact: bool,
    whole: bool = False,
) -> tuple[list[str], list[str]]:
    """Compare trials with what the victim says now.

    Args:
        trials: the trials of the record.
        answers: what the victim said.
        labels: id -> true label.
        exact: whether the same code, software and kind of processor answered.
        whole: whether every trial of the record holds probabilities. Trials of older versions do
            not.

    Returns:
        The differences, and those that rounding on another machine explains.
    """
    wrong, rounding = list(answers.outside), list[str]()
    for trial in trials:
        if trial.label != labels[trial.id]:
            wrong.append(
                f"the label of {trial.id} is {trial.label}, and its text has {labels[trial.id]}"
            )
        # Whether the error occurs here, only a repeated search can tell.
        if trial.verdict == Verdict.ERROR and trial.prediction is None:
            continue
        now = answers.trials[trial.id]
        found = _difference(trial, now, exact=exact)
        if found is None and whole:
            found = _without_probabilities(trial, now)
        if found is not None:
            (wrong if exact or not _weak(now) else rounding).append(found)
    return wrong, rounding


def _difference(trial: Trial, now: Trial, *, exact: bool) -> str | None:
    failed = trial.verdict == Verdict.ERROR
    if now.verdict == Verdict.ERROR:
        return None if failed else f"{trial.id} cannot be asked again: {now.problem}"
    right = trial.prediction == trial.label if failed else trial.verdict != Verdict.WRONG
    if right != (now.verdict != Verdict.WRONG):
        truth = "wrong" if now.verdict == Verdict.WRONG else "right"
        return f"{trial.id} is '{trial.verdict}', and the victim is {truth} on the clean text"
    if trial.prediction != now.prediction:
        return f"{trial.id} has the prediction {trial.prediction}, and the victim {now.prediction}"
    fooled = trial.verdict == Verdict.FOOLED
    if not failed and fooled != (now.verdict == Verdict.FOOLED):
        truth = "fools" if now.verdict == Verdict.FOOLED else "does not fool"
        return f"{trial.id} is '{trial.verdict}', and its text {truth} the victim"
    if fooled:
        if trial.adversarial_prediction != now.adversarial_prediction:
            return (
                f"{trial.id} has the adversarial prediction {trial.adversarial_prediction}, and "
                f"the victim says {now.adversarial_prediction}"
            )
        if not _close(trial.adversarial_probs, now.adversarial_probs, exact=exact):
            return f"{trial.id} has other probabilities on its adversarial text"
    if not _close(trial.probs, now.probs, exact=exact):
        return f"{trial.id} has other probabilities on its clean text"
    return None


def _without_probabilities(trial: Trial, now: Trial) -> str | None:
    """Return that probabilities were taken out of a trial; None where the victim gives none."""
    if trial.probs is None and now.probs is not None:
        return f"{trial.id} has no probabilities on its clean text, and the victim gives them"
    fooled = trial.verdict == Verdict.FOOLED == now.verdict
    if fooled and trial.adversarial_probs is None and now.adversarial_probs is not None:
        return f"{trial.id} has no probabilities on its adversarial text"
    return None


def _close(one: Sequence[float] | None, other: Sequence[float] | None, *, exact: bool) -> bool:
    # Trials of older versions have no probabilities.
    if one is None or other is None:
        return True
    if exact:
        return tuple(one) == tuple(other)
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=TOLERANCE))


def _weak(trial: Trial) -> bool:
    """Return whether the two likeliest classes of one of its texts are almost as likely."""
    for probs in (trial.probs, trial.adversarial_probs):
        if probs is not None and len(probs) > 1:
            first, second = sorted(probs, reverse=True)[:2]
            if first - second < WEAK:
                return True
    return False
