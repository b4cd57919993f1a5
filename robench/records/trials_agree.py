"""Compare a record with its trials without reading all that the trials hold."""

from __future__ import annotations

from collections.abc import Sequence

from robench.records.record import LETTERS, Record, digest_of_ids
from robench.records.run_folder import RunFolder
from robench.records.trials_part import digest_of_sketches
from robench.search.trials import TrialFile


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
    file = TrialFile(path, cell=record.cell, unsealed=record.trials is None)
    known = file.sketches()
    wanted = sorted(known) if ids is None else ids
    if digest_of_ids(wanted) != record.ids_digest:
        damage = f" ({file.damaged} lines are damaged; {file.damage})" if file.damaged else ""
        return f"the trials in {path} are about other examples than the record{damage}"
    missing = [id_ for id_ in wanted if id_ not in known]
    if missing:
        return f"{len(missing)} trials are missing in {path}, the first for {missing[0]}"
    trials = [known[id_] for id_ in wanted]
    pairs = zip(trials, record.outcomes, strict=True)
    other = [trial.id for trial, letter in pairs if LETTERS[trial.verdict] != letter]
    if other:
        return (
            f"{len(other)} letters are not those of the trials in {path}, the first is {other[0]}"
        )
    part = record.trials
    if part is not None and part.sha256 != digest_of_sketches(trials, record.cell):
        return f"the trials in {path} are not those that the record was made from"
    return None
