"""Which trials a record was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from robench.records.part import RecordPart, Sha256
from robench.search.attack import Trial


class TrialsPart(RecordPart):
    """The trials of a record.

    Attributes:
        sha256: ``digest_of_trials`` of the trials, in the order of the outcomes.
    """

    sha256: Sha256


def digest_of_trials(trials: Iterable[Trial], cell: str) -> str:
    """Return the SHA-256 (hex) over the key of a cell and its trials, one JSON text per line.

    Everything that a trial holds is part of it, its time as well.

    Args:
        trials: the trials in the order of the outcomes of their record.
        cell: key of the cell.
    """
    digest = hashlib.sha256(cell.encode())
    for trial in trials:
        digest.update(b"\n" + trial.model_dump_json().encode())
    return digest.hexdigest()
