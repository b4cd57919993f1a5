"""The figure of a sweep: accuracies and distance over the option (Figure 2b of the RIFT paper), and robustness against clean accuracy (Figure 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from robench.figures.drawing import new_figure
from robench.results.rows import Gap
from robench.results.statistics import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from robench.evaluation.sweep import SweepRow


def draw(rows: Sequence[SweepRow]) -> Figure:
    """Three panels. The first swept option is the axis; where there are more, every combination of the others is a line of its own."""
    figure, (accuracies, distances, tradeoff) = new_figure(3)
    axis = next(iter(rows[0].values))
    at = _places([row.values[axis] for row in rows])
    for name, line in _lines(rows, axis).items():
        x = [at[row.values[axis]] for row in line]
        _curve(accuracies, x, [row.scores.clean for row in line], f"{name}, clean", "--")
        for attack in line[0].attacks:
            _curve(
                accuracies,
                x,
                [row.scores.under[row.attacks[attack]] for row in line],
                f"{name}, {attack}",
                "-",
            )
        known = [
            (place, fmean(row.distances))
            for place, row in zip(x, line, strict=True)
            if row.distances
        ]
        distances.plot(
            [place for place, _ in known], [distance for _, distance in known], "o-", label=name
        )
        _tradeoff(tradeoff, axis, line, name)
    for panel in (accuracies, distances):
        panel.set_xlabel(axis)
        panel.set_xticks(list(at.values()), list(at))
    accuracies.set_ylabel("accuracy, %")
    distances.set_ylabel("relative L2 distance, last epoch")
    tradeoff.set_xlabel("clean accuracy, %")
    tradeoff.set_ylabel("accuracy under the worst attack, %")
    for panel in (accuracies, distances, tradeoff):
        panel.legend(fontsize="small")
    return figure


def _places(values: Iterable[str]) -> dict[str, float]:
    """Where each value stands on the axis: at its number if all are numbers, else one after the other."""
    distinct = list(dict.fromkeys(values))
    try:
        return {value: float(value) for value in distinct}
    except ValueError:
        return {value: float(place) for place, value in enumerate(distinct)}


def _lines(rows: Sequence[SweepRow], axis: str) -> dict[str, list[SweepRow]]:
    lines: dict[str, list[SweepRow]] = {}
    for row in rows:
        others = [f"{name}={value}" for name, value in row.values.items() if name != axis]
        lines.setdefault(" ".join([row.defense, *others]), []).append(row)
    return lines


def _curve(
    panel: Axes, places: Sequence[float], scores: Sequence[Score | Gap], label: str, style: str
) -> None:
    """Means with their intervals; a gap leaves its place empty."""
    known = [
        (place, score)
        for place, score in zip(places, scores, strict=True)
        if isinstance(score, Score)
    ]
    means = [100 * score.mean for _, score in known]
    below = [100 * (score.mean - score.interval[0]) for _, score in known]
    above = [100 * (score.interval[1] - score.mean) for _, score in known]
    panel.errorbar(
        [place for place, _ in known],
        means,
        yerr=[below, above],
        fmt=f"o{style}",
        capsize=2,
        label=label,
    )


def _tradeoff(panel: Axes, axis: str, line: Sequence[SweepRow], name: str) -> None:
    known = [
        (100 * row.scores.clean.mean, 100 * row.scores.worst.mean, row.values[axis])  # type: ignore[union-attr]
        for row in line
        if _whole(row)
    ]
    panel.plot([clean for clean, _, _ in known], [worst for _, worst, _ in known], "o-", label=name)
    for clean, worst, value in known:
        panel.annotate(
            value, (clean, worst), xytext=(4, 4), textcoords="offset points", fontsize="small"
        )


def _whole(row: SweepRow) -> bool:
    return isinstance(row.scores.clean, Score) and isinstance(row.scores.worst, Score)
