"""Print the plan of a dry run: the cells, what they take, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from robench._base.escaping import NAME, terminal
from robench._base.progress_lines import duration
from robench.commands.config_writing import SETTINGS
from robench.commands.saying import say, say_line
from robench.commands.shell import Session, emit, show

if TYPE_CHECKING:
    from rich.table import Table

    from robench.evaluation.cost_plan import Plan, PlannedPart, PlannedRange

UNKNOWN = "not known"


def print_plan(session: Session, plan: Plan) -> None:
    """Print the plan of a dry run, one line for each cell and one for each part."""
    if session.json:
        settings = click.get_current_context().meta[SETTINGS]
        emit(
            {
                "config": settings,
                "cells": plan.cells,
                "parts": plan.parts,
                "total": plan.total,
                "past": plan.past,
                "device": plan.device,
            }
        )
        return
    show(_cells(plan))
    if not plan.parts:
        say("\nNothing is left to do.")
        return
    sources = _Sources()
    say("")
    show(_parts(plan.parts, sources))
    say("")
    for line in (*sources.lines(), total_sentence(plan), past_sentence(plan)):
        say_line(line)


def _cells(plan: Plan) -> Table:
    headings = ("task", "defense", "seed", "attack", "victim", "surface", "trials to do")
    table = _table(headings, right=("seed", "trials to do"))
    for cell in plan.cells:
        table.add_row(
            terminal(cell.task, NAME),
            terminal(cell.defense, NAME),
            str(cell.seed),
            terminal(cell.attack or "-", NAME),
            cell.victim,
            cell.surface or "after training",
            f"{cell.total - cell.done} of {cell.total}",
        )
    return table


def _parts(parts: Sequence[PlannedPart], sources: _Sources) -> Table:
    table = _table(("what it takes", "queries", "rows", "time", "from"), right=("queries", "rows"))
    for part in parts:
        known = [each.source for each in (part.queries, part.seconds) if each is not None]
        table.add_row(
            terminal(part.title, NAME),
            count_range(part.queries),
            count_range(part.rows),
            time_range(part.seconds),
            sources.marks(known),
        )
    return table


def _table(headings: Sequence[str], right: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        justify = "right" if heading in right else "left"
        table.add_column(heading, overflow="fold", justify=justify)  # type: ignore[arg-type]
    return table


class _Sources:
    """The sources of the numbers, each with a letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def marks(self, sources: Sequence[str]) -> str:
        """Return the letters of sources, each once."""
        for source in sources:
            self._letters.setdefault(source, _letter(len(self._letters)))
        return " ".join(dict.fromkeys(self._letters[source] for source in sources)) or "-"

    def lines(self) -> list[str]:
        """Return one line for each source."""
        return [f"{letter}: {source}" for source, letter in self._letters.items()]


def _letter(number: int) -> str:
    """Return a, b, …, z, aa, ab, …"""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def count_range(amount: PlannedRange | None) -> str:
    """Write a range of queries in two digits: ``"650,000 to 820,000"``; empty where none is."""
    if amount is None:
        return ""
    low, high = (_rounded(each) for each in (amount.low, amount.high))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _rounded(amount: float) -> int:
    """Return the number in two digits."""
    return int(float(f"{amount:.1e}"))


def time_range(amount: PlannedRange | None) -> str:
    """Write a range of seconds: ``"35 min 0 s to 50 min 0 s"``, or that it is not known."""
    if amount is None:
        return UNKNOWN
    low, high = short_time(amount.low), short_time(amount.high)
    return low if low == high else f"{low} to {high}"


def short_time(seconds: float) -> str:
    """Write a duration briefly: ``"45 s"``, ``"12 min"``, ``"3 h 5 min"``, ``"4.0 d"``."""
    if seconds < 99.5:
        return duration(seconds) if seconds < 9.95 else f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{seconds / 86_400:.1f} d"


def total_sentence(plan: Plan) -> str:
    """Say what all parts take together."""
    total, known = plan.total, len(plan.parts) - plan.total.unknown
    where = f"on this device ({plan.device})"
    if not known:
        return (
            f"How long it takes {where} is not known: nothing like it was run here. "
            "'--measure' measures it for some seconds."
        )
    low, likely, high = (short_time(each) for each in (total.low, total.likely, total.high))
    hours = (
        "no GPU is used"
        if total.gpu_hours is None
        else f"{total.gpu_hours[0]:.2g} to {total.gpu_hours[1]:.2g} GPU hours"
    )
    sentence = f"In all {low} to {high}, most likely {likely}, {where}; {hours}."
    if total.unknown:
        parts = "1 part has" if total.unknown == 1 else f"{total.unknown} parts have"
        sentence += (
            f" {parts} no estimate and no place in the sum; '--measure' measures most parts."
        )
    return sentence


def past_sentence(plan: Plan) -> str:
    """Say how far off earlier estimates on this device were."""
    past = plan.past
    if past is None:
        return "No estimate can be compared yet: no part with one was finished on this device."
    estimates = "1 earlier estimate" if past.parts == 1 else f"{past.parts} earlier estimates"
    return (
        f"{estimates} on this device: off by a factor of {past.median_factor:.1f} in the median "
        f"and {past.worst_factor:.1f} at worst; {past.inside} of {past.parts} lay in the range."
    )
