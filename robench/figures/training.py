"""The figure of some trainings: distance from the pre-trained weights (Figure 2a of the RIFT paper), information and dev accuracies by epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError
from robench.figures.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (
    ("distance", "relative L2 distance to the pre-trained weights"),
    ("dev_information", "estimate of I(S; T | Y) on dev, nats"),
    ("dev_accuracy", "dev accuracy"),
    ("dev_hull_accuracy", "dev accuracy under the convex-hull attack"),
)
"""Figure of an epoch's entry, and what its panel is called."""


def epochs_of(folder: Path) -> list[dict[str, Any]]:
    """The epochs of the training that made the victim in ``folder``; raises RobenchError where its log cannot be read."""
    path = folder / "training.json"
    try:
        epochs: list[dict[str, Any]] = [
            dict(entry) for entry in json.loads(path.read_text(encoding="utf-8"))["epochs"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RobenchError(
            f"'{path}' is not there or no log of a training. Name a victim's folder, such as one in runs/victims."
        ) from error
    if not any(entry.get(name) is not None for entry in epochs for name, _ in PANELS):
        raise RobenchError(
            f"'{path}' holds none of the figures that are drawn: train that victim again with --retrain."
        )
    return epochs


def draw(folders: Sequence[Path]) -> Figure:
    """A panel a figure, a line a victim; an epoch that lacks a figure is left out."""
    trainings = {folder.name: epochs_of(folder) for folder in folders}
    figure, panels = new_figure(2, 2)
    from matplotlib.ticker import MaxNLocator

    for panel, (name, title) in zip(panels, PANELS, strict=True):
        for victim, epochs in trainings.items():
            known = [
                (entry["epoch"], entry[name]) for entry in epochs if entry.get(name) is not None
            ]
            panel.plot(
                [epoch for epoch, _ in known], [value for _, value in known], "o-", label=victim
            )
        panel.set_xlabel("epoch")
        panel.set_title(title, fontsize="medium")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].legend(fontsize="small")
    return figure
