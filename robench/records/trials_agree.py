"""Compare a record with its trials without reading all that the trials hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from robench.records.quick_digest import QuickDigest, quick_digest
from robench.records.record import LETTERS, Record, digest_of_ids
from robench.records.run_folder import RunFolder
from robench.records.trials_part import digest_of_trials
from robench.search.attack import Trial
from robench.search.trial_lines import Sketch
from robench.search.trials import TrialFile

Trials = Sequence[Trial | Sketch]
"""Trials of a record, in the order of its outcomes."""


class OtherLetter(NamedTuple):
    """A letter of a record that is not the one of its trial.

    Attributes:
        id: of the example.
        claimed: the letter of the record.
        found: the letter of the trial.
    """

    id: str
    claimed: str
    found: str


def names_other_ids(record: Record, ids: Iterable[str]) -> bool:
    """Return whether a record is about other examples than these, or about another order."""
    return digest_of_ids(ids) != record.ids_digest


def other_letters(record: Record, trials: Trials) -> list[OtherLetter]:
    """Return the letters that do not fit; there must be one trial for each."""
    return [
        OtherLetter(trial.id, claimed, LETTERS[trial.verdict])
        for claimed, trial in zip(record.outcomes, trials, strict=True)
        if claimed != LETTERS[trial.verdict]
    ]


def names_other_trials(record: Record, trials: Trials) -> bool:
    """Return whether a record was made from other trials; an older one does not say."""
    part = record.trials
    return part is not None and part.sha256 != digest_of_trials(trials, record.cell)


def fit(trials: Trials, record: Record) -> bool:
    """Return whether the trials, in this order, are those that ``record`` was made from."""
    return (
        len(trials) == len(record.outcomes)
        and not other_letters(record, trials)
        and not names_other_ids(record, (trial.id for trial in trials))
        and not names_other_trials(record, trials)
    )


def trial_file_of(path: Path, record: Record) -> TrialFile:
    """Return a file of trials of the record's cell, for reading.

    Only the trials of an older record may be without seals.
    """
    return TrialFile(path, cell=record.cell, unsealed=record.trials is None)


def disagreement(folder: RunFolder, record: Record, ids: Sequence[str] | None = None) -> str | None:
    """Return why the trials in a run's folder do not fit one of its records; None where they do.

    None as well where the folder has no trials of the record. 1000 trials take some milliseconds.

    Args:
        folder: the folder of the run.
        record: the record.
        ids: ids of the judged examples, in the order of the outcomes. None where they are not
            known: the frozen examples are sorted by id, so the trials tell them.

    Raises:
        RobenchError: the trials cannot be read, or are those of another cell.
    """
    path = folder.trials_file(record.cell_name)
    if not path.exists():
        return None
    part = record.trials
    if part is not None and ids is None:
        quick = quick_digest(path, record.cell, len(record.outcomes))
        wanted_digest = QuickDigest(part.sha256, record.ids_digest, record.outcomes)
        if quick == wanted_digest:
            return None
    file = trial_file_of(path, record)
    known = file.sketches()
    wanted = sorted(known) if ids is None else ids
    damage = f" ({file.which_damage})" if file.damaged else ""
    if names_other_ids(record, wanted):
        if damage and len(known) < len(record.outcomes):
            return f"the trials in {path} are not complete{damage}"
        return f"the trials in {path} are about other examples than the record{damage}"
    missing = [id_ for id_ in wanted if id_ not in known]
    if missing:
        first = missing[0]
        return f"{len(missing)} trials are missing in {path}{damage}, the first for {first}"
    trials = [known[id_] for id_ in wanted]
    other = other_letters(record, trials)
    if other:
        return (
            f"{len(other)} letters are not those of the trials in {path}, the first is "
            f"{other[0].id}"
        )
    if names_other_trials(record, trials):
        return f"the trials in {path} are not those that the record was made from"
    return None
