"""Names, targets and tables of the figures. Nothing is asserted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from tabulate import tabulate

from throughput.limit import Clock
from throughput.searches import Run

LIMIT: Final = {20: 0.85, 100: 0.95, 250: 0.95}
SHIPPED: Final = {100: 7.0}
FIXED: Final = {20: 3.0, 100: 1.7}
"""Targets of PWWS on ``tiny``, by number of words."""


@dataclass
class ThroughputRow:
    """One victim under one attack at one length.

    ``shipped`` and ``fixed`` are TextAttack's clocks. They have no rows if it was not measured.
    """

    victim: str
    attack: str
    words: int
    runs: list[Run] = field(default_factory=list)
    shipped: Clock = field(default_factory=Clock)
    fixed: Clock = field(default_factory=Clock)

    @property
    def prefix(self) -> str:
        """Prefix of the figures' names; PWWS and ``tiny`` are not named."""
        return ("" if self.victim == "tiny" else f"{self.victim}_") + (
            "" if self.attack == "pwws" else f"{self.attack}_"
        )

    @property
    def rate(self) -> float:
        """The engine's rows per CPU second, the median over the repetitions."""
        return median(run.engine.rate for run in self.runs)

    @property
    def over_limit(self) -> list[float]:
        """The engine's rate over that of the limit, for each repetition."""
        return [run.engine.rate / run.limit.rate for run in self.runs]

    @property
    def over_whole(self) -> float:
        """The engine's rate over that of whole forwards, the median over the repetitions."""
        return median(run.engine.rate / run.whole.rate for run in self.runs)

    def over(self, peer: Clock) -> float | None:
        """Return the engine's rate over TextAttack's, or None if that was not measured."""
        return self.rate / peer.rate if peer.rows else None

    def cells(self) -> list[str]:
        """Return one line of the table."""
        wanted = self.prefix == ""
        low, high = min(self.over_limit), max(self.over_limit)
        return [
            self.victim,
            self.attack,
            str(self.words),
            f"{self.rate:,.0f}",
            f"{median(run.limit.rate for run in self.runs):,.0f}",
            f"{median(self.over_limit):.3f} ({low:.3f}–{high:.3f})",
            _wanted(LIMIT.get(self.words) if wanted else None),
            f"{self.over_whole:.3f}",
            f"{self.shipped.rate:,.1f}" if self.shipped.rows else "–",
            _times(self.over(self.shipped)),
            _wanted(SHIPPED.get(self.words) if wanted else None),
            f"{self.fixed.rate:,.1f}" if self.fixed.rows else "–",
            _times(self.over(self.fixed)),
            _wanted(FIXED.get(self.words) if wanted else None),
        ]


HEADS = [
    "victim",
    "attack",
    "words",
    "engine",
    "limit",
    "engine/limit",
    "wanted",
    "engine/whole",
    "TextAttack",
    "over",
    "wanted",
    "fixed",
    "over",
    "wanted",
]


def throughput_table(rows: Sequence[ThroughputRow]) -> str:
    """Return the table of rows per CPU second."""
    return tabulate(
        [row.cells() for row in rows],
        HEADS,
        tablefmt="simple",
        disable_numparse=True,
        stralign="right",
    )


def figures(rows: Sequence[ThroughputRow]) -> dict[str, dict[str, float]]:
    """Return name -> number of words -> figure."""
    found: dict[str, dict[str, float]] = {}

    def note(name: str, words: int, value: float | None) -> None:
        if value is not None:
            found.setdefault(name, {})[str(words)] = round(value, 4)

    for row in rows:
        note(f"{row.prefix}engine_over_limit", row.words, median(row.over_limit))
        note(f"{row.prefix}engine_over_whole_forwards", row.words, row.over_whole)
        note(f"{row.prefix}over_textattack", row.words, row.over(row.shipped))
        note(f"{row.prefix}over_textattack_fixed", row.words, row.over(row.fixed))
        note(f"{row.prefix}engine_rows_per_cpu_second", row.words, row.rate)
        note(
            f"{row.prefix}limit_rows_per_cpu_second",
            row.words,
            median(run.limit.rate for run in row.runs),
        )
        note(
            f"{row.prefix}whole_forwards_rows_per_cpu_second",
            row.words,
            median(run.whole.rate for run in row.runs),
        )
    return found


WANTED: Final = {
    "two_workers_over_one": "≥ 1.85",
    "reduced_over_limit": "≥ 1.5",
    "reduced_over_whole_forwards": "≥ 1.5",
    "reduced_verdict_difference": "≤ 0.01",
    "rss_mb_after_1000": "as after 100",
}


def other_table(found: Mapping[str, Any]) -> str:
    """Return a table of the figures that belong to no row of the first table."""
    lines = []
    for name, value in found.items():
        for words, figure in value.items() if isinstance(value, Mapping) else [("", value)]:
            lines.append([f"{name} {words}".strip(), f"{figure:,.4g}", WANTED.get(name, "")])
    return tabulate(
        lines, ["figure", "measured", "wanted"], tablefmt="simple", disable_numparse=True
    )


def _wanted(value: float | None) -> str:
    return "" if value is None else f"≥ {value:g}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}x"
