"""What the paired tests of a table say, in words."""

from __future__ import annotations

from collections.abc import Sequence

from robench._base.escaping import Markdown
from robench.records.columns import listed
from robench.records.paired import ComparedTable
from robench.records.percent import percent
from robench.records.rows import DefenseRow
from robench.records.statistics import Score

GROUP = "group"
"""Heading of the letters of the rows."""


def group_notes(compared: ComparedTable) -> list[Markdown]:
    """Return the sentences below a table that has groups; none without a comparison."""
    if not compared.tests:
        return []
    notes = []
    if compared.groups:
        notes.append(
            Markdown(
                "**Group**: two rows that share a letter are not told apart. No test of their "
                f"worst cases finds a difference at the 5 % level, {_over(compared)}"
                f"{_correction(compared)}. They may still differ."
            )
        )
    return [*notes, Markdown(detectable_sentence(compared))]


def uncompared(rows: Sequence[DefenseRow]) -> list[str]:
    """Return a sentence about rows with numbers that no test compares, for want of a worst case."""
    names = [
        row.defense
        for row in rows
        if isinstance(row.clean, Score) and not isinstance(row.worst, Score)
    ]
    if not names or len(names) == len(rows):
        return []
    have, them = ("has", "it") if len(names) == 1 else ("have", "them")
    return [f"{listed(names)} {have} no worst case, so no test compares {them} with other rows."]


def detectable_sentence(compared: ComparedTable) -> str:
    """Return how large a difference must be before such a table shows it."""
    seeds = seeds_text(compared.seeds, " to ")
    size = (
        f"With n = {compared.examples}, {seeds} {'seed' if seeds == '1' else 'seeds'} and "
        f"{_pairs(compared)}, this table"
    )
    if compared.detectable is None or compared.detectable >= 1:
        return f"{size} can hardly tell any two rows apart."
    points = percent(compared.detectable)
    if compared.tests == 1:
        return (
            f"{size} tells the two rows apart with a chance of 80 % if their worst cases truly "
            f"differ by {points} points. It often misses smaller differences."
        )
    others = "may need a larger one"
    if compared.seeds[1] > 1:
        others = "may need a far larger one, because their seeds differ more"
    return (
        f"{size} finds a true difference of {points} points between two worst cases with a chance "
        f"of 80 % or more for at least half of the pairs. Other pairs {others}."
    )


def group_sentence(compared: ComparedTable) -> str:
    """Return the groups of a table for a terminal: "a: rift, ascc; b: standard"."""
    groups = compared.groups or {}
    letters = sorted(set("".join(groups.values())), key=_letter_order)
    parts = [
        f"{letter}: {', '.join(row for row, own in groups.items() if letter in own)}"
        for letter in letters
    ]
    return (
        f"Groups of rows that are not told apart by the worst case (5 %, {_over(compared)}"
        f"{_correction(compared)}): {'; '.join(parts)}."
    )


def _over(compared: ComparedTable) -> str:
    if compared.seeds[1] > 1:
        return "over seeds and examples"
    return "over examples, for these trainings only"


def _letter_order(letter: str) -> tuple[bool, str]:
    return letter.isupper(), letter


def _correction(compared: ComparedTable) -> str:
    return "" if compared.tests == 1 else f", corrected by Holm for all {_pairs(compared)}"


def _pairs(compared: ComparedTable) -> str:
    return "1 pair of rows" if compared.tests == 1 else f"{compared.tests} pairs of rows"


def seeds_text(seeds: tuple[int, int], between: str = " and ") -> str:
    """Return the numbers of seeds of two rows; one number if they are equal."""
    return str(seeds[0]) if seeds[0] == seeds[1] else f"{seeds[0]}{between}{seeds[1]}"
