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
        trials: id -> trial.
        damage: sentences about files that are not whole.
    """

    def __init__(self, part: ShardPart, examples: Sequence[Example], test_set: TestSet) -> None:
        self._part, self._examples = part, {example.id: example for example in examples}
        self._rules = TrialRules(
            test_set.labels, test_set.attackable, part.surface.outside, part.search.budget
        )
        self._origins: dict[str, str] = {}
        self.trials: dict[str, Trial] = {}
        self.damage: list[str] = []

    def add(self, shard: FoundShard) -> None:
        """Read the file of a shard and add its trials; a shard without one has none.

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
        for trial in found:
            self._add(trial, shard)

    def _add(self, trial: Trial, shard: FoundShard) -> None:
        example = self._examples.get(trial.id)
        # A run with a higher limit left it.
        if example is None:
            return
        problem = check_trial(trial, example, self._rules)
        if problem is not None:
            self.damage.append(
                f"the trial of {trial.id} of {shard.title} cannot be true ({problem}); run that "
                "shard again"
            )
            return
        known = self.trials.get(trial.id)
        if known is not None and not agree(known, trial):
            raise RobenchError(
                f"{self._origins[trial.id]} and {shard.title} have different trials of "
                f"{trial.id}, so they are not of one run. Keep the folder that you trust, and run "
                "the other shard again"
            )
        if known is None or known.verdict == Verdict.ERROR:
            self.trials[trial.id], self._origins[trial.id] = trial, shard.title

    def check_part(self, found: FoundPart) -> None:
        """Compare a part with the trials of its own shard, where those are whole."""
        part, shard = found.part, found.shard
        own = TrialFile(shard.files.trials_file(part.cell_name), cell=part.cell)
        try:
            trials = {trial.id: trial for trial in own.read()}
        except RobenchError:
            return
        wanted = part.shard.share(list(self._examples))
        present = [trials[id_] for id_ in wanted if id_ in trials]
        if own.damaged or len(present) < len(wanted):
            return
        if digest_of_trials(present, part.cell) != part.trials.sha256:
            self.damage.append(
                f"the trials of {shard.title} are not those that it finished with; run that shard "
                "again"
            )


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
                "run. Name another --out"
            )
        repaired = there is not None and there.verdict == Verdict.ERROR != trial.verdict
        if there is None or repaired:
            new.append(trial)
    return new
