"""Measure what depends on the scale of a victim's logits.

    robench train --defense standard --seed 0 --out runs/study
    python -m scripts.study_scale_of_logits runs/study/victims/standard-… [--limit 300]

The last layer of one victim is multiplied by several numbers, which changes no prediction. Each
attack then searches in its published form and in the form in which the scale cancels. The same is
done for the dev metric under the convex-hull attack.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import torch
from tabulate import tabulate

from robench.evaluation.resolve import resolve_request
from robench.evaluation.resolved import ResolvedRequest
from robench.evaluation.run import Silent, build_request
from robench.models import convex_hull
from robench.models.victim import Victim
from robench.plugins.options import build_options
from robench.search.attack import Verdict
from robench.search.engine import run
from robench.search.jobs import make_jobs
from robench.search.registry import ATTACKS
from robench.text.surface import Surface
from robench.text.surface_building import load_or_build
from robench.training import selection
from robench.training.data import SubstituteTable, encode_examples

FORMS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("pwws, published", "pwws", {"scores": "probabilities"}),
    ("pwws", "pwws", {}),
    ("greedy", "greedy", {}),
    (
        "convex-hull, published",
        "convex-hull",
        {"objective": "cross-entropy", "texts": "heaviest"},
    ),
    ("convex-hull, heaviest words", "convex-hull", {"texts": "heaviest"}),
    ("convex-hull", "convex-hull", {}),
    ("genetic, published", "genetic", {"scores": "probabilities"}),
    ("genetic", "genetic", {}),
)
"""Column, attack and options."""


class Study:
    """One victim with its data and its surface.

    Args:
        folder: of a saved victim.
        limit: number of test examples.
        small: sizes of the genetic searches, by option.
    """

    def __init__(self, folder: Path, limit: int, small: dict[str, str]) -> None:
        self.folder, self.small = folder, small
        task = Victim.load(folder).task
        request = build_request(
            victims=(str(folder),), attacks=("pwws",), tasks=(task,), limit=limit, lm="none"
        )
        self.resolved: ResolvedRequest = resolve_request(request, Silent())
        (self.task,) = self.resolved.tasks
        (self.test,) = self.task.tests
        self.surface: Surface = load_or_build(
            folder / "surfaces",
            self.resolved.surface_request(self.task, self.test),
            lambda done, total: None,
        )

    def victim(self, scale: float) -> Victim:
        """Return the victim with its last layer times ``scale``."""
        victim = Victim.load(self.folder)
        with torch.no_grad():
            for parameter in victim.model.head[-1].parameters():
                parameter.mul_(scale)
        return victim

    def fooled(self, victim: Victim, attack: str, options: dict[str, str]) -> int:
        """Return how many test examples an attack fools the victim on, without a constraint."""
        cls = ATTACKS.get(attack)
        if attack == "genetic":
            options = {**self.small, **options}
        made = cls(build_options(cls.Options, options, f"attack '{attack}'"))
        jobs = make_jobs(self.test.examples, self.surface, victim, constrained=False, threshold=5.0)
        return sum(t.verdict == Verdict.FOOLED for t in run(victim, made, attack, jobs))

    def dev(self, victim: Victim, objective: str) -> float:
        """Return the dev accuracy under the convex-hull attack with that objective."""
        table = SubstituteTable(
            victim.table, self.test.substitutions, self.resolved.protocol.lookup
        )
        examples = encode_examples(
            self.task.splits.dev,
            victim.encoder_fields,
            table,
            victim.attackable,
            segments=victim.segments,
        )
        maximise: Callable[..., Any] = convex_hull.maximise

        def chosen(*given: Any, **named: Any) -> Any:
            return maximise(*given, **{**named, "objective": objective})

        with patch.object(selection, "maximise", chosen):
            scores = selection.score_on_dev(victim.model, examples, 64, "cpu", hull=True, seed=0)
        assert scores.hull is not None
        return scores.hull


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--limit", type=click.IntRange(1), default=300, show_default=True)
@click.option(
    "--scale",
    "scales",
    type=float,
    multiple=True,
    default=(1e-6, 0.1, 1.0, 3.0, 30.0, 100.0),
    show_default=True,
)
@click.option("--population", type=click.IntRange(2), default=60, show_default=True)
@click.option("--iterations", type=click.IntRange(0), default=40, show_default=True)
def main(
    folder: Path, limit: int, scales: tuple[float, ...], population: int, iterations: int
) -> None:
    """Measure and print one row for each scale."""
    small = {"population": str(population), "iterations": str(iterations)}
    study, rows = Study(folder, limit, small), []
    for scale in scales:
        victim = study.victim(scale)
        row: list[Any] = [f"{scale:g}"]
        row += [f"{100 * study.dev(victim, each):.1f}" for each in ("cross-entropy", "margin")]
        for column, attack, options in FORMS:
            row.append(study.fooled(victim, attack, options))
            click.echo(f"{scale:g}, {column}: {row[-1]}", err=True)
        rows.append(row)
    heads = ("s", "dev, published", "dev", *(column for column, _, _ in FORMS))
    click.echo(tabulate(rows, heads, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
