"""Refuse two columns that would search the same substitution set with the same attack."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from robench._base.errors import UsageError

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.resolved import ResolvedAttack, ResolvedTask, ResolvedTest


def refuse_same_searches(
    attacks: Sequence[ResolvedAttack], tasks: Sequence[ResolvedTask], report: Reporter
) -> None:
    """Refuse two names of one search, such as ``pwws`` and ``pwws@mini`` on a task with ``mini``.

    Where the two differ on another test set of the run, a message says which searches are equal.

    Args:
        attacks: the attacks of a run.
        tasks: its tasks, with the sets that the attacks name.
        report: receives the messages.

    Raises:
        UsageError: two attacks are the same search on every test set.
    """
    tests = [test for task in tasks for test in task.tests]
    for one, other in combinations(attacks, 2):
        if (one.registered, one.options) != (other.registered, other.options):
            continue
        same = [test.title for test in tests if _same_set(test, one, other)]
        if not same:
            continue
        sentence = (
            f"'{one.label}' and '{other.label}' search the same substitution set on "
            f"{', '.join(same)}, so they give the same results"
        )
        if len(same) == len(tests):
            raise UsageError(f"{sentence}. Leave one of them out.")
        report.message(f"{sentence} there.")


def _same_set(test: ResolvedTest, one: ResolvedAttack, other: ResolvedAttack) -> bool:
    names = (one.substitutions, other.substitutions)
    # Without a search, the sets were not looked for.
    if any(name and name not in test.sources for name in names):
        return False
    first, second = (test.source(name).sha256 for name in names)
    return first == second
