"""Trials that ended in an error: which are attacked again, and what that says of the record.

An error hides a result. Whoever turns fooled examples into errors changes every rate of a row. So
an error must occur again. Where it depends on the machine, nobody can decide it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from random import Random
from typing import Final

from robench._base.escaping import one_line
from robench.search.attack import Trial, Verdict
from robench.search.example_watch import is_too_long

MOST_ERRORS: Final = 100
"""Errors of a record that are attacked again whatever the sample; with fewer, all of them."""
LONGEST: Final = 100
"""Characters of a problem that a sentence shows."""
_OF_THE_MACHINE: Final = (
    "the worker process died",
    "out of memory",
    "outofmemory",
    "memoryerror",
    "cannot allocate",
)
"""Parts of problems that depend on the memory and the processes of a machine."""


def choose_errors(trials: Sequence[Trial], share: float, seed: int, cell: str) -> list[str]:
    """Return the ids of the errors that are attacked again, sorted: all, or a large part.

    Args:
        trials: the trials of the record.
        share: the share of the sample, in (0, 1].
        seed: seed of the choice.
        cell: key of the cell.
    """
    ids = sorted(trial.id for trial in trials if trial.verdict == Verdict.ERROR)
    number = max(ceil(share * len(ids)), min(len(ids), MOST_ERRORS))
    return sorted(Random(f"{seed} {cell} errors").sample(ids, number))


def error_differences(
    trials: Mapping[str, Trial], again: Sequence[Trial], *, exact: bool
) -> tuple[list[str], list[str]]:
    """Compare trials that ended in an error with those of a repeated search.

    Args:
        trials: id -> trial of the record; those of ``again`` are errors.
        again: the trials of the repeated search.
        exact: whether the same code, software and kind of processor searched.

    Returns:
        A sentence about the errors that do not occur here, and one about those that other code, a
        time limit or the memory may explain. Each list is empty or has one sentence.
    """
    gone = [each for each in again if each.verdict != Verdict.ERROR]
    excused = [each for each in gone if not exact or _of_the_machine(trials[each.id])]
    without = [each for each in gone if each not in excused]
    wrong = [_said(without, trials)] if without else []
    why = " It may come from other software, a time limit or the memory of its machine."
    return wrong, [_said(excused, trials) + why] if excused else []


def unended(
    trials: Mapping[str, Trial], again: Sequence[Trial], limit: float | None
) -> list[Trial]:
    """Return the repeated searches that did not end, so that they say nothing of the record.

    Args:
        trials: id -> trial of the record.
        again: the trials of the repeated searches.
        limit: time limit of the repeated searches of errors, in seconds; None for no limit.
    """
    found = []
    for now in again:
        was = trials[now.id]
        if now.verdict != Verdict.ERROR:
            continue
        if was.verdict != Verdict.ERROR or (is_too_long(now) and not is_too_long(was)):
            found.append(now)
        elif is_too_long(now) and limit is not None and now.problem != was.problem:
            # A shorter limit than that of the record says nothing.
            found.append(now)
    return found


def _of_the_machine(trial: Trial) -> bool:
    """Return whether an error depends on the time or the memory that a machine has."""
    problem = str(trial.problem).lower()
    return is_too_long(trial) or any(each in problem for each in _OF_THE_MACHINE)


def _said(gone: Sequence[Trial], trials: Mapping[str, Trial]) -> str:
    number, first = len(gone), gone[0]
    many = "example ended" if number == 1 else "examples ended"
    problem = one_line(str(trials[first.id].problem), LONGEST)
    return (
        f"{number} {many} in an error that does not occur here. The first is {first.id} "
        f"({problem}), and the same attack gives '{first.verdict}'."
    )
