"""What a file of trials holds besides those of a record, and texts that robench never wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from robench._base.escaping import NAME, one_line
from robench.records.record import Record
from robench.records.stored_trials import StoredTrials
from robench.records.test_set import TestSet
from robench.records.trials_agree import trial_file_of
from robench.search.attack import Trial, Verdict
from robench.search.judge import MISTAKEN, UNCHANGED
from robench.search.trial_lines import Revoked, read_line

_DISAGREE: Final = (
    "the victim is wrong on the substituted words but right on the text that holds them",
    "the victim is wrong on the text but right on the substituted words that it holds",
)
_CAUSES: Final = (
    "whose margin is so close to zero that rounding decides",
    "which splits into other words",
)
REJECTED: Final = frozenset(
    {MISTAKEN, UNCHANGED, *(f"{what}, {why}" for what in _DISAGREE for why in _CAUSES)}
)
"""What the judge says of a success that it rejects."""
NOT_EXACT: Final = (
    "the whole space was answered without a success, but in bf16, which proves nothing"
)
"""What the engine says of a search in bf16 that answered everything."""


def free_texts(trials: Iterable[Trial], budget: int | None) -> list[str]:
    """Return sentences about held trials whose problem is no sentence of robench.

    The problem of an error can be any text, because it may be that of a model or of an attack.

    Args:
        trials: the trials.
        budget: allowed queries of an example, or None.
    """
    known = {None, *REJECTED, NOT_EXACT}
    if budget is not None:
        known.add(f"the budget of {budget} rows was spent")
    return [
        f"{trial.id} is '{trial.verdict}', and its 'problem' is no sentence that robench writes"
        for trial in trials
        if trial.verdict in (Verdict.HELD, Verdict.HELD_PROVED) and trial.problem not in known
    ]


def stray_notes(stored: StoredTrials, texts: TestSet | None, record: Record) -> Iterator[str]:
    """Yield notes on trials of examples that do not exist, and on revoked trials.

    Args:
        stored: the trials on the disk.
        texts: the whole test set; None where it is not there.
        record: their record.
    """
    strange = [] if texts is None else [each for each in stored.trials if each not in texts.by_id]
    if strange:
        yield (
            f"{stored.path.name} holds {_number(len(strange))} of examples that are not in the "
            f"test set, the first is {one_line(strange[0], NAME)}. They do not count."
        )
    revoked = _revoked(stored, record)
    if first := next(revoked, None):
        number = 1 + sum(1 for _ in revoked)
        yield (
            f"In {stored.path.name}, {_number(number)} {'was' if number == 1 else 'were'} "
            f"revoked, and the later trials count. The first is that of {one_line(first.id, NAME)} "
            f"({one_line(first.reason, NAME)})."
        )


def _number(number: int) -> str:
    return "1 trial" if number == 1 else f"{number} trials"


def _revoked(stored: StoredTrials, record: Record) -> Iterator[Revoked]:
    """Yield the revoked trials. A line whose seal does not fit revokes nothing.

    Only in the file of an older record lines may be without seals.
    """
    keys = [record.cell, None] if record.trials is None else [record.cell]
    for _, line in trial_file_of(stored.path, record).whole_lines():
        if line.startswith(b'{"revoked"'):
            found = (read_line(line, key) for key in keys)
            yield from islice((each for each in found if isinstance(each, Revoked)), 1)
