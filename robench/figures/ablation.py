"""Draw a sweep (Figures 2b and 4 of the RIFT paper).

The first two panels show the accuracies and the distance from the pre-trained weights over the
swept option (Figure 2b). The third shows robustness over clean accuracy (Figure 4). All accuracies
have their intervals, because differences inside them mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from robench._base.escaping import figure_text
from robench.figures.drawing import legend_below, new_figure
from robench.records.rows import Gap
from robench.records.statistics import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from robench.evaluation.sweep import SweepRow


def draw(rows: Sequence[SweepRow]) -> Figure:
    """Return the figure of a sweep.

    The first swept option is the x axis. With several swept options, each combination of the
    others is a line.
    """
    figure, (accuracies, distances, tradeoff) = new_figure(3)
    option = next(iter(rows[0].values))
    places = _places([row.values[option] for row in rows])
    for name, line in _lines(rows, option).items():
        _draw_accuracies(accuracies, option, places, line, name)
        _draw_distances(distances, option, places, line, name)
        _draw_tradeoff(tradeoff, option, line, name)
    for panel in (accuracies, distances):
        panel.set_xlabel(figure_text(option))
        panel.set_xticks(list(places.values()), [figure_text(value) for value in places])
    accuracies.set_ylabel("accuracy, %")
    distances.set_ylabel("relative L2 distance, last epoch")
    tradeoff.set_xlabel("clean accuracy, %")
    tradeoff.set_ylabel("accuracy under the worst attack, %")
    # The intervals fill the first panel.
    legend_below(figure, accuracies, columns=3)
    for panel in (distances, tradeoff):
        panel.legend(fontsize="small")
    return figure


def _places(values: Iterable[str]) -> dict[str, float]:
    """Return the place of each value on the x axis.

    Numbers stand at their value. If any value is not a number, all stand at equal intervals.
    """
    distinct = list(dict.fromkeys(values))
    try:
        return {value: float(value) for value in distinct}
    except ValueError:
        return {value: float(place) for place, value in enumerate(distinct)}


def _lines(rows: Sequence[SweepRow], option: str) -> dict[str, list[SweepRow]]:
    """Return the rows of each line by its name: the defense and the values of other options."""
    lines: dict[str, list[SweepRow]] = {}
    for row in rows:
        others = [f"{name}={value}" for name, value in row.values.items() if name != option]
        lines.setdefault(" ".join([row.defense, *others]), []).append(row)
    return lines


def _draw_accuracies(
    panel: Axes, option: str, places: Mapping[str, float], line: Sequence[SweepRow], name: str
) -> None:
    x = [places[row.values[option]] for row in line]
    _draw_scores(panel, x, [row.scores.clean for row in line], f"{name}, clean", "--")
    for attack in line[0].attacks:
        scores = [row.scores.under[row.attacks[attack]] for row in line]
        _draw_scores(panel, x, scores, f"{name}, {attack}", "-")


def _draw_scores(
    panel: Axes, x: Sequence[float], scores: Sequence[Score | Gap], label: str, style: str
) -> None:
    """Draw means with their intervals. A gap leaves its place empty."""
    known = [(at, score) for at, score in zip(x, scores, strict=True) if isinstance(score, Score)]
    means = [_percent(score.mean) for _, score in known]
    panel.errorbar(
        [at for at, _ in known],
        means,
        yerr=_bars([score for _, score in known]),
        fmt=f"o{style}",
        capsize=2,
        label=figure_text(label),
    )


def _percent(share: float) -> float:
    return 100 * share


def _bars(scores: Sequence[Score]) -> list[list[float]]:
    """Return how far each interval reaches below and above its mean, in points."""
    below = [_percent(score.mean - score.interval[0]) for score in scores]
    above = [_percent(score.interval[1] - score.mean) for score in scores]
    return [below, above]


def _draw_distances(
    panel: Axes, option: str, places: Mapping[str, float], line: Sequence[SweepRow], name: str
) -> None:
    known = [row for row in line if row.distances]
    x = [places[row.values[option]] for row in known]
    panel.plot(x, [fmean(row.distances) for row in known], "o-", label=figure_text(name))


def _draw_tradeoff(panel: Axes, option: str, line: Sequence[SweepRow], name: str) -> None:
    known = [
        (row.values[option], row.scores.clean, row.scores.worst)
        for row in line
        if isinstance(row.scores.clean, Score) and isinstance(row.scores.worst, Score)
    ]
    clean = [_percent(score.mean) for _, score, _ in known]
    worst = [_percent(score.mean) for _, _, score in known]
    panel.errorbar(
        clean,
        worst,
        xerr=_bars([score for _, score, _ in known]),
        yerr=_bars([score for _, _, score in known]),
        fmt="o-",
        elinewidth=0.5,
        label=figure_text(name),
    )
    for (value, _, _), x, y in zip(known, clean, worst, strict=True):
        panel.annotate(
            figure_text(value), (x, y), xytext=(4, 4), textcoords="offset points", fontsize="small"
        )
