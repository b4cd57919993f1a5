"""Trials of worker processes that ended before they had checked themselves.

A worker of an attack of others compares its victim and its code with what they were, and attacks
some examples again, after its last job. A worker that ends before has not done this. Then some of
its examples are attacked again in another worker, where nothing of the first is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NoReturn

from robench.search.attack import Trial, Verdict
from robench.search.jobs import Job
from robench.search.repeats import compare
from robench.search.unchanged import VictimChanged

ENDS = 2
"""Number of first and of last examples of a worker that are attacked again."""
MOST_IDLE = 4
"""Workers that may end before their checks while no example of theirs was left."""


class Unchecked(VictimChanged):
    """Nobody knows whether trials count: workers ended before their checks, or sent others."""


class Sample:
    """Some examples of one worker with their trials: the first and the last ones."""

    def __init__(self) -> None:
        self._first: list[tuple[Job, Trial]] = []
        self._last: deque[tuple[Job, Trial]] = deque(maxlen=ENDS)

    def note(self, job: Job, trial: Trial) -> None:
        """Remember the trial of a job, where it says something."""
        if trial.verdict == Verdict.ERROR:
            return
        if len(self._first) < ENDS:
            self._first.append((job, trial))
        else:
            self._last.append((job, trial))

    def pairs(self) -> list[tuple[Job, Trial]]:
        """Return the jobs and their trials."""
        return [*self._first, *self._last]


class UncheckedTrials:
    """Trials that must come again from another worker.

    Args:
        attack: its name, for sentences.
    """

    def __init__(self, attack: str) -> None:
        self._attack = attack
        self._owed: dict[str, Trial] = {}
        self._idle = 0

    def __contains__(self, example: str) -> bool:
        return example in self._owed

    def add(self, sample: Sample, cause: str, *, idle: bool) -> Sequence[Job]:
        """Return the jobs to attack again after a worker has ended before its checks.

        Args:
            sample: of that worker.
            cause: why it ended.
            idle: whether no example of its own was left. Otherwise the example bears the blame.

        Raises:
            Unchecked: too many workers have ended in this way.
        """
        pairs = sample.pairs()
        self._idle += idle and bool(pairs)
        if self._idle >= MOST_IDLE:
            raise Unchecked(
                f"{self._idle} worker processes of attack '{self._attack}' ended after their last "
                f"example and before their checks ({cause}). So nobody knows whether their trials "
                "are right, and they do not count. Run the same command again; if it happens "
                "again, the attack is the reason."
            )
        self._owed |= {trial.id: trial for _, trial in pairs}
        return [job for job, _ in pairs]

    def refuse(self, example: str) -> NoReturn:
        """Refuse a trial of an example that its worker did not have.

        Raises:
            Unchecked: always.
        """
        raise Unchecked(
            f"A worker process of attack '{self._attack}' sent a trial of {example}, which it did "
            "not have. So nobody knows whether its trials are right, and they do not count."
        )

    def settle(self, trial: Trial) -> bool:
        """Compare a trial with the first one of its example, if it came for that.

        Returns:
            Whether it did. Then it is no result.

        Raises:
            KeepsState: the trials differ.
        """
        first = self._owed.pop(trial.id, None)
        if first is None:
            return False
        compare(self._attack, first, trial)
        return True
