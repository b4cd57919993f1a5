"""Write the files of ``mini-reviews``.

Run ``python -m scripts.compose_mini_reviews`` from the repository root.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from . import card
from .compose import SEED, Review, compose
from .reading import read_synonyms

TARGET = Path(__file__).parents[2] / "robench" / "embedded" / "mini_reviews"


def data_files(splits: Mapping[str, Sequence[Review]]) -> dict[str, str]:
    """Return file name -> content of all files that must be reproduced byte for byte."""
    files = {}
    for name, reviews in splits.items():
        lines = [json.dumps({"text": review.text, "label": review.label}) for review in reviews]
        files[f"{name}.jsonl"] = "".join(f"{line}\n" for line in lines)
    synonyms = {head: list(substitutes) for head, substitutes in sorted(read_synonyms().items())}
    rows = ",\n".join(
        f"{json.dumps(head)}: {json.dumps(substitutes)}" for head, substitutes in synonyms.items()
    )
    return files | {"substitutions.json": f"{{\n{rows}\n}}\n"}


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=TARGET,
    help="Folder to write to.",
)
@click.option(
    "--seed",
    default=SEED,
    show_default=True,
    help="Another seed gives other reviews, not the embedded ones.",
)
def main(out: Path, seed: int) -> None:
    """Compose the reviews and write splits, dictionary and data card."""
    splits = compose(seed)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (data_files(splits) | {"README.md": card.render(splits, seed)}).items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    for name, value in card.figures(splits).single.items():
        click.echo(f"{name}: {value}")


if __name__ == "__main__":
    main()
