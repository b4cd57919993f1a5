"""Attack some examples a second time, after all others, to find an attack that keeps state.

A trial must not depend on the examples before it. Each example gets a copy of the attack object,
but a list, a class or a module that the attack fills is shared. Then the first examples have other
trials once all others have been attacked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from robench._base.escaping import one_line
from robench.search.attack import Trial, Verdict
from robench.search.example_watch import is_too_long
from robench.search.jobs import Job
from robench.search.unchanged import VictimChanged

AGAIN = 2
"""Number of examples that are attacked a second time."""
UNJUDGED = (Verdict.WRONG, Verdict.ERROR)
"""Verdicts of examples that were not searched to the end, so that nothing can be compared."""


class KeepsState(VictimChanged):
    """An attack gives an example another trial the second time."""


class Repeats:
    """The first examples of a run and their trials.

    Args:
        attack: its name, for the message.
    """

    def __init__(self, attack: str) -> None:
        self._attack = attack
        self._jobs: dict[str, Job] = {}
        self._trials: dict[str, Trial] = {}

    def jobs(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Return ``jobs`` one by one, and remember the first of them."""
        for job in jobs:
            if len(self._trials) < AGAIN:
                self._jobs[job.example.id] = job
            yield job

    def note(self, trial: Trial) -> None:
        """Remember one of the first trials."""
        known = trial.id in self._jobs and trial.verdict not in UNJUDGED
        if known and len(self._trials) < AGAIN:
            self._trials[trial.id] = trial

    def check(self, attack_again: Callable[[Sequence[Job]], Iterable[Trial]]) -> None:
        """Attack the examples again, one after the other, and compare.

        Args:
            attack_again: attacks jobs with the same settings.

        Raises:
            KeepsState: a trial differs.
        """
        for example, first in self._trials.items():
            (second,) = attack_again([self._jobs[example]])
            compare(self._attack, first, second)


def compare(attack: str, first: Trial, second: Trial) -> None:
    """Compare two trials of one example.

    A search that took too long the second time says nothing. Any other error does.

    Raises:
        KeepsState: they differ.
    """
    if _found(first) != _found(second) and not is_too_long(second):
        raise KeepsState(
            f"Attack '{attack}' gave another trial for {first.id} when it attacked it "
            f"again after all others ({_said(first)}; then {_said(second)}). It keeps "
            "state between examples, or draws from elsewhere than rng. So its results "
            "depend on the order of the examples, and they do not count."
        )


def _found(trial: Trial) -> tuple[object, ...]:
    return trial.verdict, trial.changes, trial.text, trial.asked


def _said(trial: Trial) -> str:
    changed = f", {len(trial.changes)} words changed" if trial.changes else ""
    problem = f": {one_line(trial.problem, 80)}" if trial.problem else ""
    return f"{trial.verdict.value} after {trial.asked} queries{changed}{problem}"
