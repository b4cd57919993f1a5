"""The trials that a cell has from earlier runs: those that can be true, and those that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.records.trial_check import TrialRules, check_trial, needs_space
from robench.search.attack import Trial, Verdict

if TYPE_CHECKING:
    from robench.search.trials import TrialFile
    from robench.tasks.example import Example
    from robench.text.space import SearchSpace


@dataclass(frozen=True)
class KnownTrials:
    """What the trials file of a cell holds.

    Attributes:
        done: id -> trial of the examples that need not be attacked again.
        impossible: id -> why its trial cannot be true, as a part of a sentence. These examples
            are attacked again.
        foreign: ids that are not in the test set. Their trials are not used.
    """

    done: Mapping[str, Trial]
    impossible: Mapping[str, str]
    foreign: tuple[str, ...]

    def sentences(self, file: TrialFile, *, attacking: bool) -> list[str]:
        """Return what to tell about the file; an empty list where nothing is wrong with it.

        Args:
            file: the file that was read.
            attacking: whether examples are attacked now. Damage that cost no trial is not told.
        """
        told = []
        if file.damaged and attacking:
            told.append(
                f"'{file.path}' has damaged lines ({file.damaged}; {file.damage}). "
                "Examples whose trials are lost are attacked again."
            )
        if self.impossible:
            first, reason = next(iter(self.impossible.items()))
            told.append(
                f"'{file.path}' holds trials that cannot be true ({len(self.impossible)}; {first}: "
                f"{reason}). Their examples are attacked again."
            )
        if self.foreign:
            told.append(
                f"'{file.path}' holds trials of examples that are not in the test set "
                f"({len(self.foreign)}; {self.foreign[0]}). They are not used; delete the file if "
                "it belongs to other data."
            )
        return told


def sort_known(
    trials: Iterable[Trial],
    examples: Sequence[Example],
    whole: Sequence[Example],
    rules: TrialRules,
    space_of: Callable[[Example], SearchSpace],
) -> KnownTrials:
    """Sort the trials of a cell's file.

    An ERROR is not done: its cause may have passed (for example, too little memory).

    Args:
        trials: what the file holds.
        examples: the examples that are judged.
        whole: the whole test set. A longer run leaves trials of further examples.
        rules: what holds for all trials of the cell.
        space_of: returns what the attack could choose for an example.
    """
    judged = {example.id: example for example in examples}
    all_ids = {example.id for example in whole}
    done: dict[str, Trial] = {}
    impossible: dict[str, str] = {}
    foreign: list[str] = []
    for trial in trials:
        example = judged.get(trial.id)
        if example is None:
            foreign += [] if trial.id in all_ids else [trial.id]
            continue
        space = space_of(example) if needs_space(trial) and not rules.outside else None
        problem = check_trial(trial, example, rules, space)
        if problem is not None:
            impossible[trial.id] = problem
        elif trial.verdict != Verdict.ERROR:
            done[trial.id] = trial
    return KnownTrials(done, impossible, tuple(foreign))
