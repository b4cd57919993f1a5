"""Which trials a record was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from robench.records.part import RecordPart, Sha256
from robench.search.attack import Trial
from robench.search.trial_lines import Sketch, sketch_of


class TrialsPart(RecordPart):
    """The trials of a record.

    Attributes:
        sha256: ``digest_of_trials`` of the trials, in the order of the outcomes.
    """

    sha256: Sha256


def digest_of_trials(trials: Iterable[Trial | Sketch], cell: str) -> str:
    """Return the SHA-256 (hex) over the key of a cell and the SHA-256 of each of its trials.

    Everything that a trial holds is part of it, its time as well.

    Args:
        trials: the trials in the order of the outcomes of their record.
        cell: key of the cell.
    """
    digest = hashlib.sha256(cell.encode())
    for trial in trials:
        sketch = trial if isinstance(trial, Sketch) else sketch_of(trial)
        digest.update(sketch.sha256)
    return digest.hexdigest()
