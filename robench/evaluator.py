"""The grid: every defense against every attack on every task, seed by seed."""

from __future__ import annotations

from pathlib import Path

from robench.planning import Cell, EvaluationRequest, build_request
from robench.reporting import Reporter, Silent
from robench.results.record import Record

__all__ = ["Cell", "EvaluationRequest", "Reporter", "Silent", "build_request", "evaluate", "plan", "train_only"]


def plan(request: EvaluationRequest) -> list[Cell]:
    """What ``evaluate`` would do, without training; raises UsageError for anything that cannot work."""
    raise NotImplementedError


def evaluate(request: EvaluationRequest, report: Reporter) -> list[Record]:
    """Carry out ``request``; returns the records of its cells in the order task, defense, seed, attack."""
    raise NotImplementedError


def train_only(request: EvaluationRequest, report: Reporter) -> list[Path]:
    """Train what ``request`` lacks and return the victims' folders."""
    raise NotImplementedError
