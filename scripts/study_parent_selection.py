"""Measure what TextAttack's inverted parent selection costs an attacker.

    python -m scripts.study_parent_selection --out runs/study [--limit 200]
        [--task imdb --option defense.train_examples=4000]

``genetic-alzantot`` runs with the paper's sign and with TextAttack's sign on the same examples,
victims, spaces and random streams; only the sign differs. With either sign, elitism keeps the
fittest text of a generation, so the sign only decides which texts become the parents of the others.
This matters more for a smaller population and a shorter search, so several sizes are measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from robench._base.errors import RobenchError
from robench.evaluation.run import Silent, build_request, evaluate
from robench.records.record import Record
from robench.records.statistics import compare

HEADS = (
    "victim",
    "population",
    "n",
    "fooled, paper's",
    "fooled, TextAttack's",
    "by paper's only",
    "by TextAttack's only",
    "p (McNemar)",
    "asked",
    "asked",
)


def measured(defense: str, population: int, sign: str, chosen: dict[str, Any]) -> Record:
    """Return the record of one victim under one sign."""
    options = {"attack.population": str(population), "attack.sign": sign, **chosen.pop("options")}
    (record,) = evaluate(
        build_request(
            defenses=(defense,), attacks=("genetic-alzantot",), options=options, **chosen
        ),
        Silent(),
    )
    return record


def line(defense: str, population: int, paper: Record, textattack: Record) -> dict[str, Any]:
    """Return both records as one row."""
    # An example that is robust only under TextAttack's sign is fooled only by the paper's sign.
    paired = compare(textattack.outcomes, paper.outcomes)
    return {
        "victim": defense,
        "population": population,
        "n": len(paper.outcomes),
        "fooled_corrected": paper.counts.fooled,
        "fooled_as_shipped": textattack.counts.fooled,
        "only_corrected": paired.only_first,
        "only_as_shipped": paired.only_second,
        "p_value": round(paired.p_value, 4),
        "asked_corrected": paper.cost.asked,
        "asked_as_shipped": textattack.cost.asked,
    }


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--task", default="mini-reviews", show_default=True)
@click.option(
    "--defense", "defenses", multiple=True, default=("standard", "rift"), show_default=True
)
@click.option("--limit", type=click.IntRange(1), help="Number of examples (default: all).")
@click.option(
    "--option",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the defenses, as in robench evaluate.",
)
@click.option(
    "--population",
    "populations",
    type=click.IntRange(2),
    multiple=True,
    default=(60, 20, 8),
    show_default=True,
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Precision of training.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="ROBENCH_DATA",
    help="Folder with the data sets.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/study"), show_default=True
)
def main(
    task: str,
    defenses: tuple[str, ...],
    pairs: tuple[str, ...],
    populations: tuple[int, ...],
    **chosen: Any,
) -> None:
    """Measure and report."""
    options = dict(pair.split("=", 1) for pair in pairs)
    rows = []
    for defense in defenses:
        for population in populations:
            found = []
            for sign in ("corrected", "as-shipped"):
                click.echo(f"{defense}, population {population}, {sign}", err=True)
                settings = {"tasks": (task,), "options": dict(options), **chosen}
                try:
                    found.append(measured(defense, population, sign, settings))
                except RobenchError as error:
                    raise click.ClickException(str(error)) from error
            rows.append(line(defense, population, *found))
    click.echo(tabulate([list(row.values()) for row in rows], HEADS, tablefmt="github"))
    click.echo(json.dumps(rows))


if __name__ == "__main__":
    main()
