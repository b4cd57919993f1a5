"""The trials of shards: read, checked, and joined where they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import RobenchError
from robench.records.run_folder import RunFolder
from robench.records.shard import Shard
from robench.records.shard_part import ShardPart
from robench.records.trial_check import TrialRules, check_trial
from robench.records.trials_part import digest_of_trials
from robench.search.attack import Trial, Verdict
from robench.search.trials import TrialFile

if TYPE_CHECKING:
    from robench.records.test_set import TestSet
    from robench.tasks.example import Example


@dataclass(frozen=True)
class FoundShard:
    """A shard in the folder of a run.

    Attributes:
        shard: which one it is.
        folder: the folder of the run (``--out``).
        files: its own folder inside, with its trials and parts.
    """

    shard: Shard
    folder: Path
    files: RunFolder

    @property
    def title(self) -> str:
        """Name for people."""
        return f"shard {self.shard} in '{self.folder}'"


@dataclass(frozen=True)
class FoundPart:
    """What a shard knows of a finished cell, and where it was found."""

    part: ShardPart
    shard: FoundShard


class SharedTrials:
    """Gather the trials that the shards have of one cell.

    Args:
        part: one of the parts of the cell.
        examples: the judged examples.
        test_set: the texts and the labels.

    Attributes:
        trials: id -> trial of the shards that can be used.
        damage: parts of a sentence about files that are not whole, and shards that are refused.
    """

    def __init__(self, part: ShardPart, examples: Sequence[Example], test_set: TestSet) -> None:
        self._part, self._examples = part, {example.id: example for example in examples}
        self._rules = TrialRules(
            test_set.labels, test_set.attackable, part.surface.outside, part.search.budget
        )
        self._origins: dict[str, str] = {}
        self.trials: dict[str, Trial] = {}
        self.damage: list[str] = []

    def add(self, shard: FoundShard, part: ShardPart | None) -> None:
        """Read the file of a shard and add its trials; a shard without one has none.

        A shard that holds an impossible trial, or other trials than it finished with, adds none.

        Args:
            shard: the shard.
            part: what it knows of the cell; None where it is not finished.

        Raises:
            RobenchError: another shard has another trial of the same example.
        """
        file = TrialFile(shard.files.trials_file(self._part.cell_name), cell=self._part.cell)
        try:
            found = file.read()
        except RobenchError as error:
            self.damage.append(str(error))
            return
        if file.damaged:
            self.damage.append(
                f"'{file.path}' has damaged lines ({file.damaged}; {file.damage}); run "
                f"{shard.title} again, which attacks their examples again"
            )
        problem = self._impossible(found)
        if problem is None and not file.damaged and part is not None:
            problem = self._other_trials(found, part)
        if problem is not None:
            which, why = problem
            self.damage.append(f"{which} of {shard.title} {why}; run that shard again")
            return
        for trial in found:
            # A run with a higher limit left the others.
            if trial.id in self._examples:
                self._add(trial, shard)

    def problem_of(self, trial: Trial) -> str | None:
        """Return what is impossible about a trial, as a part of a sentence; None if nothing is.

        Trials of examples that are not judged are not looked at.
        """
        example = self._examples.get(trial.id)
        return None if example is None else check_trial(trial, example, self._rules)

    def _impossible(self, trials: Sequence[Trial]) -> tuple[str, str] | None:
        """Return which trials are impossible and why, as parts of a sentence; None if none is."""
        problems = {trial.id: self.problem_of(trial) for trial in trials}
        found = {name: problem for name, problem in problems.items() if problem is not None}
        if not found:
            return None
        name, problem = next(iter(found.items()))
        if len(found) == 1:
            return f"the trial of {name}", f"cannot be true ({problem})"
        return f"{len(found)} trials", f"cannot be true (the first is that of {name}: {problem})"

    def _other_trials(self, trials: Sequence[Trial], part: ShardPart) -> tuple[str, str] | None:
        """Compare the trials of a shard with those that it finished with, where they are whole."""
        by_id = {trial.id: trial for trial in trials}
        wanted = part.shard.share(list(self._examples))
        present = [by_id[id_] for id_ in wanted if id_ in by_id]
        whole = len(present) == len(wanted)
        if not whole or digest_of_trials(present, part.cell) == part.trials.sha256:
            return None
        return "the trials", "are not those that it finished with"

    def _add(self, trial: Trial, shard: FoundShard) -> None:
        known = self.trials.get(trial.id)
        if known is not None and not agree(known, trial):
            raise RobenchError(
                f"{self._origins[trial.id]} and {shard.title} have different trials of "
                f"{trial.id}, so they are not of one run. Keep the folder that you trust, and run "
                "the other shard again"
            )
        if known is None or known.verdict == Verdict.ERROR:
            self.trials[trial.id], self._origins[trial.id] = trial, shard.title


def agree(one: Trial, other: Trial) -> bool:
    """Return whether two trials of an example say the same, apart from their time.

    An error says nothing, so it agrees with everything.
    """
    if Verdict.ERROR in (one.verdict, other.verdict):
        return True
    return one == other.model_copy(update={"seconds": one.seconds})


def joined_with(known: Mapping[str, Trial], trials: Mapping[str, Trial], path: Path) -> list[Trial]:
    """Return the trials that a file lacks.

    Args:
        known: id -> trial of the file.
        trials: id -> trial of the shards.
        path: the file, for the message.

    Raises:
        RobenchError: the file has another trial of an example.
    """
    new: list[Trial] = []
    for trial in trials.values():
        there = known.get(trial.id)
        if there is not None and not agree(there, trial):
            raise RobenchError(
                f"'{path}' has another trial of {trial.id} than the shards, so it is not of this "
                "run. If only merges wrote that file, delete it and run the same command again. "
                "Otherwise name another --out"
            )
        repaired = there is not None and there.verdict == Verdict.ERROR != trial.verdict
        if there is None or repaired:
            new.append(trial)
    return new
