"""Draw accuracy under attack over queries, changed words, and an option of the attack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from robench._base.escaping import figure_text
from robench.figures.drawing import legend_below, new_figure
from robench.records.curve_tables import accuracy_at, whole_curves
from robench.records.curves import CurveName
from robench.records.option_curves import OptionCurve, option_curves
from robench.records.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES: Mapping[CurveName, str] = {
    "queries": "queries for each example, at most",
    "words": "changed words, at most",
}
"""Name of a curve -> label of its axis."""


def draw(records: Sequence[Record]) -> Figure:
    """Return the figure of the curves of records that share a table.

    The first panel shows accuracy under attack over the queries, and the second over the changed
    words. Each line is one row under one attack, the mean over its seeds. A further panel shows
    each option of an attack that has several values, such as its population.
    """
    options = option_curves(records)
    figure, panels = new_figure(2 + len(options))
    for panel, name in zip(panels, AXES, strict=False):
        _draw_curves(panel, name, records)
    for panel, found in zip(panels[2:], options.items(), strict=True):
        _draw_option(panel, *found)
    for panel in panels:
        panel.set_ylabel("accuracy under attack, %")
        panel.set_ylim(0, 100)
    for panel in panels[2:]:
        panel.legend(fontsize="small")
    # Both first panels have the same lines, if they have any.
    legend_below(figure, panels[0] if panels[0].get_lines() else panels[1], columns=2)
    return figure


def _draw_curves(panel: Axes, name: CurveName, records: Iterable[Record]) -> None:
    lines = {
        f"{row}, {attack}": found for (row, attack), found in whole_curves(records, name).items()
    }
    from matplotlib.ticker import MaxNLocator

    known = [curve for curves in lines.values() for _, curve in curves]
    points = sorted({at for curve in known for at in curve.at_most})
    for label, curves in sorted(lines.items()):
        # A curve is flat after its last point, because a larger cost fools no further example.
        means = [100 * fmean(accuracy_at(*each, point) for each in curves) for point in points]
        panel.plot(
            points, means, "o-", drawstyle="steps-post", markersize=3, label=figure_text(label)
        )
    panel.set_xlabel(AXES[name])
    if name == "queries":
        panel.set_xscale("log")
    else:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not lines:
        panel.set_title("not measured in these records", fontsize="medium")


def _draw_option(panel: Axes, name: str, curves: Sequence[OptionCurve]) -> None:
    for curve in curves:
        values, means = zip(*sorted(curve.points.items()), strict=True)
        panel.plot(values, [100 * mean for mean in means], "o-", label=figure_text(curve.label))
    panel.set_xlabel(figure_text(name))
