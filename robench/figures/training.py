"""Draw trainings epoch by epoch.

The panels show the distance from the pre-trained weights (Figure 2a of the RIFT paper), the
information estimate, and the dev accuracies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.bounded_reading import Unreadable
from robench._base.errors import RobenchError
from robench._base.escaping import figure_text
from robench.figures.drawing import new_figure
from robench.models.training_log import read_training_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (
    ("distance", "relative L2 distance to the pre-trained weights"),
    ("dev_information", "estimate of I(S; T | Y) on dev, nats"),
    ("dev_accuracy", "dev accuracy"),
    ("dev_hull_accuracy", "dev accuracy under the convex-hull attack"),
)
"""Key in the entry of an epoch, and the title of its panel."""


def epochs_of(folder: Path) -> list[dict[str, Any]]:
    """Return the epochs of the training that made the victim in ``folder``.

    Raises:
        RobenchError: the log of the training cannot be read, or holds nothing to draw.
    """
    path = folder / "training.json"
    try:
        log = read_training_log(path)
        epochs: list[dict[str, Any]] = [dict(entry) for entry in log["epochs"]]
    except (Unreadable, ValueError, KeyError, TypeError) as error:
        raise RobenchError(
            f"'{path}' is missing or is not the log of a training. Name a victim's folder, such "
            "as one in runs/victims."
        ) from error
    if not any(entry.get(key) is not None for entry in epochs for key, _ in PANELS):
        raise RobenchError(
            f"'{path}' holds none of the values of this figure. Train that victim again with "
            "--retrain."
        )
    return epochs


def draw(folders: Sequence[Path]) -> Figure:
    """Return the figure of the victims in ``folders``.

    Each panel shows one value, and each line one victim. An epoch without the value is left out.

    Raises:
        RobenchError: see ``epochs_of``.
    """
    trainings = {folder.name: epochs_of(folder) for folder in folders}
    figure, panels = new_figure(2, 2)
    from matplotlib.ticker import MaxNLocator

    for panel, (key, title) in zip(panels, PANELS, strict=True):
        for victim, epochs in trainings.items():
            known = [entry for entry in epochs if entry.get(key) is not None]
            x = [entry["epoch"] for entry in known]
            panel.plot(x, [entry[key] for entry in known], "o-", label=figure_text(victim))
        panel.set_xlabel("epoch")
        panel.set_title(title, fontsize="medium")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].legend(fontsize="small")
    return figure
