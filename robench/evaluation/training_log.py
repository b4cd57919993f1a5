"""What a training says while it runs, and what its log says afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.bounded_reading import Unreadable
from robench.models.training_log import read_training_log
from robench.records.run_folder import TRAINING_LOG

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.training.loop import TrainingProgress


class TrainingListener:
    """Pass the progress of a training on to a reporter."""

    def __init__(self, report: Reporter) -> None:
        self._report = report

    def __call__(self, progress: TrainingProgress) -> None:
        """Pass on one step or one message."""
        if progress.message:
            self._report.message(progress.message)
        if progress.steps:
            done = (progress.epoch - 1) * progress.steps + progress.step
            note = f"epoch {progress.epoch} of {progress.epochs}"
            if progress.loss is not None:
                note += f", loss {progress.loss:.3f}"
            self._report.advanced(done, progress.epochs * progress.steps, note)


def training_seconds(folder: Path) -> tuple[float | None, str]:
    """Return the wall-clock time of a victim's training from its log.

    Returns:
        The seconds and an empty text, or None and the reason why they are unknown.
    """
    try:
        epochs = read_training_log(folder / TRAINING_LOG)["epochs"]
        seconds = sum(epoch["training_seconds"] + epoch["dev_seconds"] for epoch in epochs)
        return round(seconds, 3), ""
    except (Unreadable, KeyError, TypeError):
        return None, "the victim's training.json is missing or cannot be read"
