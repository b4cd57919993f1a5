"""Get the victims of an evaluation: train or load them, and check them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.evaluation.resolve import ResolvedTask, ResolvedVictim, balanced_prefix
from robench.records.run_folder import TRAINING_LOG, RunFolder

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.models.victim import Victim
    from robench.training.loop import TrainingProgress

CHECK_EXAMPLES = 200
"""Number of dev examples that the health checks use."""


@dataclass(frozen=True)
class TrainedVictim:
    """A victim that is ready to be attacked.

    Attributes:
        resolved: its defense and training configuration.
        victim: the classifier.
        folder: where it is stored.
        training_seconds: wall-clock time of its training, or None if it is unknown.
        no_seconds: why the time is unknown, or an empty text.
        findings: what the health checks found.
    """

    resolved: ResolvedVictim
    victim: Victim
    folder: Path
    training_seconds: float | None
    no_seconds: str
    findings: tuple[str, ...]


def victim_title(resolved: ResolvedVictim, task: ResolvedTask) -> str:
    """Return the name of a victim for people."""
    return f"{resolved.label} on {task.name}, seed {resolved.fit.seed}"


def train_and_check(
    request: EvaluationRequest, task: ResolvedTask, resolved: ResolvedVictim, report: Reporter
) -> TrainedVictim:
    """Return the victim, trained if necessary, after the health checks.

    Raises:
        RobenchError: the training failed, or the victim cannot be judged.
    """
    from robench.training.loop import train_or_load

    victims = RunFolder(request.out).victims
    title = victim_title(resolved, task)
    folder = victims / resolved.fit.folder_name
    if folder.exists() and not request.retrain:
        report.message(f"The victim {title} exists with the same configuration ({folder.name}).")
        victim, _ = train_or_load(resolved.fit, victims)
    else:
        report.started("training", title, None)
        listener = _TrainingListener(report)
        victim, _ = train_or_load(resolved.fit, victims, listener, retrain=request.retrain)
        report.finished(f"saved in {folder.name}")
    seconds, no_seconds = _training_seconds(folder)
    findings = _check(victim, task, title, report)
    return TrainedVictim(resolved, victim, folder, seconds, no_seconds, findings)


class _TrainingListener:
    """Pass the progress of a training on to a reporter."""

    def __init__(self, report: Reporter) -> None:
        self._report = report

    def __call__(self, progress: TrainingProgress) -> None:
        if progress.message:
            self._report.message(progress.message)
        if progress.steps:
            done = (progress.epoch - 1) * progress.steps + progress.step
            note = f"epoch {progress.epoch} of {progress.epochs}"
            if progress.loss is not None:
                note += f", loss {progress.loss:.3f}"
            self._report.advanced(done, progress.epochs * progress.steps, note)


def _training_seconds(folder: Path) -> tuple[float | None, str]:
    """Return the wall-clock time of a victim's training from its log.

    Returns:
        The seconds and an empty text, or None and the reason why they are unknown.
    """
    try:
        epochs = json.loads((folder / TRAINING_LOG).read_text(encoding="utf-8"))["epochs"]
        seconds = sum(epoch["training_seconds"] + epoch["dev_seconds"] for epoch in epochs)
        return round(seconds, 3), ""
    except (OSError, ValueError, KeyError, TypeError):
        return None, "the victim's training.json is missing or cannot be read"


def _check(victim: Victim, task: ResolvedTask, title: str, report: Reporter) -> tuple[str, ...]:
    """Run the health checks on dev examples.

    Returns:
        The findings, as sentences for the record.

    Raises:
        RobenchError: the victim cannot be judged at all.
    """
    from robench.models.health_checks import check_victim

    dev = task.splits.dev
    examples = balanced_prefix(dev, min(CHECK_EXAMPLES, len(dev)))
    report.started("checks", title, None)
    findings = check_victim(victim, examples)
    report.finished("" if findings else "no findings")
    for finding in findings:
        report.message(f"Warning: {finding.message}")
    return tuple(f"{finding.name}: {finding.message}" for finding in findings)
