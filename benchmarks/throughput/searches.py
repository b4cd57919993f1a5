"""Measure the engine against its limit; each repetition is a run over the same texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click

from robench import ATTACKS, Attack
from robench._base.environment import Precision
from robench.models.victim import Victim
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from throughput.limit import Clock, Limit, now
from throughput.subjects import make_jobs

ITERATIONS = 5
"""Generations of the genetic search.

Its rate does not depend on their number, and 40 of them at 250 words take minutes for each text.
"""
QUERIES_THE_CLEAN_TEXT = frozenset({"pwws"})
"""Searches whose own rows include the clean text.

The engine queries the clean text once more before such a search and TextAttack does not, so it
counts once for both.
"""
LEAST = 4
"""The least number of texts in a run; a query budget shortens their searches if necessary."""


@dataclass(frozen=True)
class Load:
    """The texts of one run, and the query budget of their searches."""

    jobs: Sequence[Job]
    budget: int | None


@dataclass(frozen=True)
class Run:
    """One repetition.

    ``engine`` counts the rows of the searches and the clean texts; ``limit`` and ``whole`` count
    the bare forwards that ran alongside.
    """

    engine: Clock
    limit: Clock
    whole: Clock
    verdicts: Counter[str]


def build_attack(name: str) -> Attack:
    """Build the attack with the options of this benchmark."""
    attack = ATTACKS.get(name)
    values: dict[str, Any] = (
        {"iterations": ITERATIONS} if "iterations" in attack.Options.model_fields else {}
    )
    return attack(attack.Options(**values))


def make_load(victim: Victim, attack: str, words: int, rows: float, examples: int | None) -> Load:
    """Return texts whose searches need about ``rows`` rows in all, or ``examples`` texts."""
    first = list(make_jobs(victim, words, LEAST))
    substitutes = sum(int(job.space.sizes.sum()) - words for job in first) / LEAST
    positions = sum(len(job.space.positions) for job in first) / LEAST
    spread = substitutes / max(positions, 1) + 1
    wanted = (
        words + substitutes + positions / 2
        if attack == "pwws"
        else 60 * spread * (ITERATIONS + 1) / 2
    )
    number = examples or max(LEAST, round(rows / wanted))
    budget = int(max(rows / LEAST, 64)) if rows / LEAST < wanted and examples is None else None
    return Load(list(islice(make_jobs(victim, words, number), number)), budget)


def measure(
    victim: Victim,
    limit: Limit,
    whole: Limit,
    attack: str,
    load: Load,
    precision: Precision = "fp32",
) -> Run:
    """Run the engine once, with both limits alongside.

    Raises:
        RuntimeError: a trial failed.
        UsageError: there are too few rows for a comparison.
    """
    built = build_attack(attack)
    with limit.listening(), whole.listening():
        began = now(victim.device)
        settings = SearchSettings(budget=load.budget, precision=precision)
        trials = list(run(victim, built, attack, load.jobs, settings))
        seconds = now(victim.device) - began - limit.away - whole.away
    problem = next((trial.problem for trial in trials if trial.verdict == "error"), None)
    if problem is not None:
        raise RuntimeError(f"a trial failed: {problem}")
    if not (limit.clock.rows and whole.clock.rows):
        batch = max(limit.batch, whole.batch)
        raise click.UsageError(
            f"These searches do not fill one bare forward of {batch} rows. "
            "Give them more with --examples or --seconds."
        )
    clean = 0 if attack in QUERIES_THE_CLEAN_TEXT else len(trials)
    return Run(
        Clock(seconds, clean + sum(trial.forwarded for trial in trials)),
        limit.clock,
        whole.clock,
        Counter(trial.verdict.value for trial in trials),
    )


def engine_clock(victim: Victim, attack: str, load: Load, precision: Precision = "bf16") -> Clock:
    """Run the engine once, alone, and return its seconds and its rows.

    Raises:
        RuntimeError: a trial failed.
    """
    built = build_attack(attack)
    settings = SearchSettings(budget=load.budget, precision=precision)
    began = now(victim.device)
    trials = list(run(victim, built, attack, load.jobs, settings))
    seconds = now(victim.device) - began
    problem = next((trial.problem for trial in trials if trial.verdict == "error"), None)
    if problem is not None:
        raise RuntimeError(f"a trial failed: {problem}")
    clean = 0 if attack in QUERIES_THE_CLEAN_TEXT else len(trials)
    return Clock(seconds, clean + sum(trial.forwarded for trial in trials))
