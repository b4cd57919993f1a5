"""What a table shows, in sentences that follow from its numbers."""

from __future__ import annotations

from robench.records.columns import listed
from robench.records.flags import find_flags
from robench.records.label_tables import constant_notes
from robench.records.notes import health_lines
from robench.records.paired_notes import uncompared
from robench.records.percent import percent
from robench.records.rows import DefenseRow
from robench.records.statistics import Score
from robench.site.tables import Table

MOST_NAMED = 3
"""Rows that a sentence names; more are counted."""


def findings(table: Table) -> list[str]:
    """Return sentences about the most robust row, the clean accuracy, and contradictions.

    What makes a row's number doubtful stands right after it.
    """
    if table.records and not table.columns.worst_over:
        return _without_search(table)
    whole = [row for row in table.rows if isinstance(row.worst, Score)]
    if not whole:
        return ["No row has a worst case yet."]
    best = whole[0]
    score = f"{_score(best.worst)} % ({_seeds_of(best, table)})"
    said = [f"Most robust by the worst case: {best.defense} with {score}."]
    said += _found_on(best.defense, table)
    said += constant_notes(table.rows, table.records.values())
    said += _told_apart(best, table)
    said += uncompared(table.rows)
    clean = max(table.rows, key=_clean_mean)
    if clean is not best:
        said.append(
            f"Most accurate without an attack: {clean.defense} with {_score(clean.clean)} %."
        )
    said += _health(table, best.defense)
    flags = find_flags(table.records.values())
    if flags:
        number = "One result contradicts" if len(flags) == 1 else f"{len(flags)} results contradict"
        said.append(f"{number} another one. Read the section on flags.")
    return said


def _without_search(table: Table) -> list[str]:
    """Return sentences about a table whose attacks change no text."""
    means = [row.clean.mean for row in table.rows if isinstance(row.clean, Score)]
    said = ["No attack of this table searches for texts, so there is no worst case."]
    if means:
        low, high = percent(min(means)), percent(max(means))
        said.append(
            f"The rows are right on {low} to {high} % of the examples. No test of this table "
            "compares them; 'robench compare' makes one for two rows."
        )
    return [*said, *constant_notes(table.rows, table.records.values()), *_health(table)]


def _seeds_of(row: DefenseRow, table: Table) -> str:
    """Return how many trainings a row is the mean of, or how many seeds of the search."""
    records = table.records.values()
    trained = all(each.victim.kind == "trained" for each in records if each.row == row.defense)
    if len(row.seeds) == 1:
        return "one training" if trained else "one seed of the search"
    return f"{len(row.seeds)} {'trainings' if trained else 'seeds of the search'}"


def _found_on(row: str, table: Table) -> list[str]:
    """Return a sentence on what the health checks found on a row."""
    own = health_lines(each for each in table.records.values() if each.row == row)
    if not own:
        return []
    number = "a finding" if len(own) == 1 else f"{len(own)} findings"
    first = own[0].removeprefix(f"{row}, ")
    return [f"Health checks have {number} on {row}: {first}"]


def _health(table: Table, but: str | None = None) -> list[str]:
    """Return a sentence on how much the health checks found, unless all of it is about one row."""
    every = health_lines(table.records.values())
    own = health_lines(each for each in table.records.values() if each.row == but)
    if len(every) == len(own):
        return []
    number = "1 finding" if len(every) == 1 else f"{len(every)} findings"
    return [f"Health checks have {number} on the rows of this table. Read them first."]


def _clean_mean(row: DefenseRow) -> float:
    return row.clean.mean if isinstance(row.clean, Score) else -1.0


def _score(score: object) -> str:
    if not isinstance(score, Score):
        return "—"
    low, high = score.interval
    return f"{percent(score.mean)} [{percent(low)}, {percent(high)}]"


def _told_apart(best: DefenseRow, table: Table) -> list[str]:
    """Return a sentence on the rows that the paired test does not tell apart from the best."""
    made = table.compared.comparisons
    if not made or made[0].first != best.defense:
        return []
    near = [each.other for each in made if not each.told_apart]
    if not near:
        return ["The paired test tells it apart from every other row."]
    more = len(near) - MOST_NAMED
    named = near if more <= 0 else [*near[:MOST_NAMED], f"{more} more"]
    return [f"The paired test does not tell it apart from {listed(named)}."]
