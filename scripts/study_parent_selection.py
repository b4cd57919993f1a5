"""What does TextAttack's inverted parent selection cost an attacker? ``genetic-alzantot`` with the paper's sign and with TextAttack's, on the same examples.

    python -m scripts.study_parent_selection --out runs/study [--task imdb --option defense.train_examples=4000] [--limit 200]

Both search the same victims, spaces and random streams; only the sign differs. Elitism keeps the fittest text of a generation whatever the sign, so what
differs is who the parents of the others are: the smaller the population and the shorter the search, the more that matters. Hence several sizes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from robench._base.errors import RobenchError
from robench.evaluation.run import Silent, build_request, evaluate
from robench.results.record import Record
from robench.results.statistics import compare

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
    """The record of one victim under one sign."""
    options = {"attack.population": str(population), "attack.sign": sign, **chosen.pop("options")}
    (record,) = evaluate(
        build_request(
            defenses=(defense,), attacks=("genetic-alzantot",), options=options, **chosen
        ),
        Silent(),
    )
    return record


def line(defense: str, population: int, paper: Record, textattack: Record) -> dict[str, Any]:
    """Both records as one row."""
    paired = compare(
        textattack.outcomes, paper.outcomes
    )  # robust under TextAttack's sign only: fooled by the paper's only
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
@click.option("--limit", type=click.IntRange(1), help="Examples; all unless given.")
@click.option(
    "--option",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of the defenses, as for robench evaluate.",
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
    help="Of training.",
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
                try:
                    found.append(
                        measured(
                            defense,
                            population,
                            sign,
                            {"tasks": (task,), "options": dict(options), **chosen},
                        )
                    )
                except RobenchError as error:
                    raise click.ClickException(str(error)) from error
            rows.append(line(defense, population, *found))
    click.echo(tabulate([list(row.values()) for row in rows], HEADS, tablefmt="github"))
    click.echo(json.dumps(rows))


if __name__ == "__main__":
    main()
