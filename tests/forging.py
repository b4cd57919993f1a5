"""Forge the results of a run as a careful person could, for tests of ``robench verify``.

``forge`` changes a trial and keeps everything else consistent: letters, counts, curves, costs and
the hashes of the trials follow the forged trials.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robench._base.reporting import Silent
from robench._base.seals import SEAL, seal_of
from robench.evaluation.run import build_request, evaluate
from robench.records.by_label import count_by_label
from robench.records.curves import CurvesPart, draw_curve, query_points, word_points
from robench.records.record import LETTERS, Record, count
from robench.records.record_files import read_record, record_paths, write_record
from robench.records.run_folder import RunFolder
from robench.records.trials_part import TrialsPart, digest_of_trials
from robench.search.attack import Trial, Verdict
from robench.search.trials import TrialFile

Change = Callable[[Trial], Trial]

OPTIONS = {
    "defense.epochs": "2",
    "defense.train_examples": "320",
    "defense.dev_examples": "80",
    "attack.population": "6",
    "attack.iterations": "3",
}
"""Options of a short training and search. The training has a finding: it was still improving."""


@dataclass(frozen=True)
class ForgedRun:
    """A copy of a run whose files may be changed."""

    root: Path

    @property
    def folder(self) -> RunFolder:
        """Its paths."""
        return RunFolder(self.root)

    def path(self, attack: str) -> Path:
        """Return the file of the record of an attack."""
        return next(p for p in record_paths(self.folder.records) if f"-{attack}-s" in p.name)

    def record(self, attack: str) -> Record:
        """Return the record of an attack."""
        return read_record(self.path(attack))

    def trials(self, attack: str) -> list[Trial]:
        """Return the trials of an attack."""
        return TrialFile(self.folder.trials_file(self.record(attack).cell_name)).read()

    def edit(self, attack: str, **fields: Any) -> None:
        """Change fields of a record file by hand; ``a__b`` is the field ``b`` of the part ``a``."""
        path = self.path(attack)
        data = json.loads(path.read_text())
        for name, value in fields.items():
            *parts, last = name.split("__")
            place = data
            for part in parts:
                place = place[part]
            place[last] = value
        if SEAL in data:
            data[SEAL] = seal_of(data)
        path.write_text(json.dumps(data, indent=2))

    def write_trials(self, record: Record, trials: list[Trial]) -> None:
        """Write a trials file anew, as robench itself would write it."""
        path = self.folder.trials_file(record.cell_name)
        path.unlink()
        with TrialFile(path, cell=record.cell) as file:
            for trial in trials:
                file.append(trial)

    def write_copy(self, record: Record, copy: Record) -> None:
        """Write a second record, with the trials of the first under its own key."""
        trials = TrialFile(self.folder.trials_file(record.cell_name)).read()
        with TrialFile(self.folder.trials_file(copy.cell_name), cell=copy.cell) as file:
            for trial in trials:
                file.append(trial)
        digest = TrialsPart(sha256=digest_of_trials(trials, copy.cell))
        copy = copy.model_copy(update={"trials": digest})
        write_record(self.folder.records / copy.file_name, copy)

    def of_other_code(self, attack: str) -> Record:
        """Make a record one of other code, whose key cannot be computed here, and return it."""
        record = self.record(attack)
        search = record.search.model_copy(update={"code_sha256": "0" * 64})
        other = record.model_copy(update={"search": search, "cell": "1" * 64})
        self.write_copy(record, other)
        self.path_of(record).unlink()
        self.folder.trials_file(record.cell_name).unlink()
        return self.record(attack)

    def path_of(self, record: Record) -> Path:
        """Return the file of a record."""
        return self.folder.records / record.file_name

    def forge(self, attack: str, change: Change) -> Record:
        """Change trials, and make the record from the forged trials."""
        record, path = self.record(attack), self.path(attack)
        trials = [change(trial) for trial in self.trials(attack)]
        self.write_trials(record, trials)
        forged = follow(record, trials)
        write_record(path, forged)
        return forged


def follow(record: Record, trials: list[Trial]) -> Record:
    """Return the record with everything that follows from forged trials."""
    ordered = sorted(trials, key=lambda trial: trial.id)
    outcomes = "".join(LETTERS[trial.verdict] for trial in ordered)
    fooled = [trial for trial in ordered if trial.verdict == Verdict.FOOLED]
    queries = [trial.asked_at_success or 0 for trial in fooled]
    words = [len(trial.changes) for trial in fooled]
    assert record.unknown is not None
    assert record.by_label is not None
    cost = {
        "asked": sum(trial.asked for trial in ordered),
        "forwarded": sum(trial.forwarded for trial in ordered),
        "attack_seconds": round(sum(trial.seconds for trial in ordered), 3),
    }
    unknown = {"successes": len(fooled), "successes_unknown": 0}
    return record.model_copy(
        update={
            "outcomes": outcomes,
            "counts": count(outcomes),
            "disbelieved": sum(trial.disbelieved for trial in ordered),
            "curves": CurvesPart(
                queries=draw_curve(queries, query_points()), words=draw_curve(words, word_points())
            ),
            "by_label": count_by_label([each.label for each in record.by_label], ordered),
            "unknown": record.unknown.model_copy(update=unknown),
            "cost": record.cost.model_copy(update=cost),
            "trials": TrialsPart(sha256=digest_of_trials(ordered, record.cell)),
        }
    )


def held(trial: Trial) -> Trial:
    """Return a fooled trial as one that held; others stay as they are."""
    if trial.verdict != Verdict.FOOLED:
        return trial
    return trial.model_copy(
        update={
            "verdict": Verdict.HELD,
            "adversarial_prediction": None,
            "adversarial_probs": None,
            "changes": (),
            "asked_at_success": None,
        }
    )


def only_first(change: Change, wanted: Verdict) -> Change:
    """Return a change of the first trial with a verdict only."""
    done: list[str] = []

    def changed(trial: Trial) -> Trial:
        if done or trial.verdict != wanted:
            return trial
        done.append(trial.id)
        return change(trial)

    return changed


def make_run(out: Path) -> Path:
    """Evaluate one small victim under two attacks on 24 texts, and return the folder."""
    request = build_request(
        defenses=("standard",),
        attacks=("genetic", "pwws"),
        limit=24,
        options=OPTIONS,
        device="cpu",
        workers=1,
        out=out,
    )
    evaluate(request, Silent())
    return out


def copied(run: Path, target: Path) -> ForgedRun:
    """Return a copy of a run."""
    shutil.copytree(run, target)
    return ForgedRun(target)
