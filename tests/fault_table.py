"""The table at the end of the fault suite."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Row:
    """What happened when one kind of fault was tried.

    Attributes:
        name: the kind of fault.
        tries: how often it was tried.
        lost: finished results that were lost.
        wrong: results that were wrong without a word.
        crashed: tries that ended in a traceback, or that could not be continued.
        failed: tests that failed.
    """

    name: str
    tries: int
    lost: int
    wrong: int
    crashed: int
    failed: int = 0


HEADINGS = ("what was tried", "tries", "lost", "silently wrong", "crashed", "failed tests")


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table, one line for each kind of fault, with the sums below."""
    sums: dict[str, list[int]] = {}
    for row in rows:
        name, *numbers = astuple(row)
        before = sums.setdefault(name, [0] * len(numbers))
        sums[name] = [a + b for a, b in zip(before, numbers, strict=True)]
    total = [sum(column) for column in zip(*sums.values(), strict=True)]
    body = [[name, *numbers] for name, numbers in sorted(sums.items())]
    return tabulate([*body, ["all", *total]], HEADINGS, "simple")
