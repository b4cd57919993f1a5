"""Helpers for tests that run evaluations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from robench._base.reporting import Silent
from robench.evaluation.run import EvaluationRequest
from robench.records.record import Record
from robench.search.attack import Trial
from robench.search.trial_lines import read_header
from robench.search.trials import TrialFile

FinishedRun = tuple[EvaluationRequest, list[Record]]
"""A request that was carried out, and its records."""


class Listening(Silent):
    """Remember the phases and the messages of a run."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.messages: list[str] = []

    def started(self, phase: str, what: str, total: int | None) -> None:
        """Remember the phase."""
        self.phases.append(phase)

    def message(self, text: str) -> None:
        """Remember the message."""
        self.messages.append(text)


def trials_of(out: Path) -> dict[str, dict[str, Any]]:
    """Return the trials of a run without their durations, by file name and id."""
    files = sorted((out / "trials").glob("*.jsonl"))
    return {
        f"{path.name} {trial.id}": trial.model_dump(exclude={"seconds"})
        for path in files
        for trial in TrialFile(path).read()
    }


def rewrite_trials(source: Path, target: Path, change: Callable[[list[Trial]], None]) -> None:
    """Write the trials of one file into another one after a change, with seals that fit."""
    trials = TrialFile(source).read()
    change(trials)
    with source.open("rb") as stream:
        header = read_header(stream.readline().removesuffix(b"\n"))
    assert header is not None
    with TrialFile(target, cell=header.cell) as file:
        for trial in trials:
            file.append(trial)


def without_measurements(record: Record) -> dict[str, Any]:
    """Return a record without date, times and memory, which differ from run to run."""
    return record.model_dump(
        exclude={
            "created": True,
            # The digest covers the times.
            "trials": True,
            "cost": {"training_seconds", "attack_seconds", "peak_memory_bytes"},
        }
    )
