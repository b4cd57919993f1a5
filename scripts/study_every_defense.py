"""Print the training table of the study of every defense, from the victims of a run.

    robench train --task mini-reviews --defense all --seed 0 --seed 1 --seed 2 --out runs/every
    python -m scripts.study_every_defense runs/every

The command that makes the board ``leaderboards/mini-reviews.toml`` trains the same victims. Each
row has the mean over the trainings of one defense, and the range where trainings differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click
from tabulate import tabulate

from robench._base.bounded_reading import read_json
from robench._base.escaping import cell

HEADER = (
    "defense",
    "trainings",
    "loss, epoch 1",
    "loss, last epoch",
    "selected epochs",
    "dev accuracy",
    "under the convex-hull attack",
    "distance",
    "information",
)
Training = Mapping[str, Any]


def trainings(run: Path) -> dict[str, list[Training]]:
    """Return name of a defense -> what was kept of its trainings, in the order of the seeds.

    Args:
        run: the folder of a run, with ``victims/``.

    Raises:
        click.ClickException: no victim is there, or two of one defense and one seed.
    """
    found: dict[str, list[tuple[int, Training]]] = defaultdict(list)
    for path in sorted((run / "victims").glob("*/victim.json")):
        card = read_json(path)
        if any(seed == card["seed"] for seed, _ in found[card["name"]]):
            raise click.ClickException(
                f"'{run}' has two trainings of {card['name']} with seed {card['seed']}. Take a run "
                "with one set of options."
            )
        found[card["name"]].append((card["seed"], read_json(path.with_name("training.json"))))
    if not found:
        raise click.ClickException(f"'{run}' has no victims. Name the folder of a finished run.")
    by_seed = {name: sorted(pairs, key=lambda pair: pair[0]) for name, pairs in found.items()}
    return {name: [kept for _, kept in by_seed[name]] for name in sorted(by_seed)}


def spread(values: Sequence[float], digits: int, factor: float = 1) -> str:
    """Write the mean, and the least and greatest value where they differ.

    Args:
        values: one for each training.
        digits: after the decimal point.
        factor: 100 for a percentage.
    """
    shown = [f"{factor * each:.{digits}f}" for each in (mean(values), min(values), max(values))]
    return shown[0] if shown[1] == shown[2] else f"{shown[0]} [{shown[1]}, {shown[2]}]"


def row(name: str, kept: Sequence[Training]) -> list[str]:
    """Return the cells of one defense."""

    def at(epoch: Callable[[Training], int], value: str) -> list[float]:
        return [each["epochs"][epoch(each) - 1][value] for each in kept]

    def selected(training: Training) -> int:
        return int(training["selected_epoch"])

    def last(training: Training) -> int:
        return len(training["epochs"])

    information = [value for value in at(last, "dev_information") if value is not None]
    return [
        f"`{cell(name)}`",
        str(len(kept)),
        spread(at(lambda _: 1, "loss"), 3),
        spread(at(last, "loss"), 3),
        ", ".join(str(selected(each)) for each in kept),
        spread(at(selected, "dev_accuracy"), 1, 100),
        spread(at(selected, "dev_hull_accuracy"), 1, 100),
        spread(at(last, "distance"), 4),
        spread(information, 2) if information else "—",
    ]


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(run: Path) -> None:
    """Print the table of the trainings of RUN."""
    rows = [row(name, kept) for name, kept in trainings(run).items()]
    click.echo(tabulate(rows, HEADER, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
