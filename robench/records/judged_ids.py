"""Trials and texts of a record in the order of its outcomes, as far as its run has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench.records.record import Record, TaskPart
from robench.records.run_folder import RunFolder
from robench.records.stored_trials import MissingTrials, find_trials
from robench.records.test_set import MissingTexts, TestSet, read_test_set
from robench.records.trial_texts import ids_of_judged
from robench.records.trials_agree import fit
from robench.search.attack import Trial


@dataclass(frozen=True)
class FoundTrials:
    """The trials of a record, as far as its run has them.

    Attributes:
        trials: one trial for each outcome, or None if they are missing or do not fit the record.
        problem: a sentence where there are trials that do not fit; None otherwise.
    """

    trials: list[Trial] | None
    problem: str | None = None


def fitting_trials(folder: Path, record: Record) -> FoundTrials:
    """Return the trials of ``record`` if they are those that it was made from.

    Args:
        folder: folder of the run.
        record: one of its records.
    """
    try:
        stored = find_trials(record, [RunFolder(folder)])
    except MissingTrials:
        return FoundTrials(None)
    except (RobenchError, OSError) as error:
        return FoundTrials(None, _not_used(str(error)))
    known = stored.trials
    if not known and not stored.damage:
        return FoundTrials(None)
    # Without the texts, the ids are tried in order: the frozen examples are sorted by id.
    for ids in (judged_ids(folder, record), sorted(known), list(known)):
        order = [known[id_] for id_ in ids if id_ in known]
        if fit(order, record):
            return FoundTrials(order)
    why = f" ({stored.damage})" if stored.damage else ""
    return FoundTrials(
        None, _not_used(f"The trials in {stored.path} do not fit {record.file_name}{why}.")
    )


def _not_used(reason: str) -> str:
    return f"{reason} They are not used, and the numbers of the record are claims."


def judged_ids(folder: Path, record: Record) -> list[str]:
    """Return the ids of the examples of ``record``; [] if the run does not hold its texts."""
    test_set = _test_set(folder, record)
    return [] if test_set is None else ids_of_judged(test_set, record)


def texts_of(folder: Path, record: Record) -> Mapping[str, str]:
    """Return id -> attackable text of the test set; empty if the run does not hold the texts."""
    test_set = _test_set(folder, record)
    return {} if test_set is None else test_set.texts


def _test_set(folder: Path, record: Record) -> TestSet | None:
    try:
        return find_test_set([RunFolder(folder)], record.task)
    except RobenchError:
        return None


def find_test_set(folders: Sequence[RunFolder], task: TaskPart) -> TestSet:
    """Return the texts of a record's test set; of several folders, the first with good ones.

    Raises:
        MissingTexts: no folder has them.
        RobenchError: they are damaged or those of another test set.
    """
    damaged: RobenchError | None = None
    for folder in folders:
        try:
            return read_test_set(folder.examples_file(task.file_part, task.digest), task.digest)
        except MissingTexts:
            continue
        except RobenchError as error:
            damaged = damaged or error
    name = RunFolder(Path()).examples_file(task.file_part, task.digest).name
    raise damaged or MissingTexts(f"the texts of the examples are not there ({name})")
