"""The options that describe a task that is a file of the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from robench.commands.option_types import EXISTING_FILE, apply

if TYPE_CHECKING:
    from robench.tasks.columns import DataColumns

_column = "for --task FILE. Default: guessed, and the run says so."
_file_columns = [
    click.option("--text-column", metavar="NAME", help=f"Column of the text, {_column}"),
    click.option(
        "--pair-column", metavar="NAME", help="Column of the second text, for --task FILE."
    ),
    click.option("--label-column", metavar="NAME", help=f"Column of the label, {_column}"),
    click.option(
        "--attack-column",
        metavar="NAME",
        help="Column whose words may be replaced, for --task FILE. Default: the text, or the "
        "second text of a pair.",
    ),
    click.option(
        "--train-file",
        type=EXISTING_FILE,
        help="File of the training examples. FILE is then the test set.",
    ),
    click.option(
        "--dev-file",
        type=EXISTING_FILE,
        help="File of the dev examples. Default: rows of the training file.",
    ),
    click.option(
        "--test-file",
        type=EXISTING_FILE,
        help="File of the test examples. FILE is then the training set.",
    ),
]
_file_substitutions = click.option(
    "--substitutions",
    metavar="NAME",
    help="Substitution set of FILE: counterfitted, mini or a JSON file. Default: counterfitted.",
)
_file_window = click.option(
    "--max-tokens",
    type=click.IntRange(min=8),
    metavar="N",
    help="Window of FILE in tokens. Default: chosen from the lengths of the texts.",
)
own_data_options = apply([*_file_columns, _file_substitutions, _file_window])
"""What the options say about a task that is a file."""
own_file_options = apply([*_file_columns, _file_window])
"""The same without the substitution set, for a command that finds the set by its hash."""


def columns_from(values: Mapping[str, Any]) -> DataColumns:
    """Return what the values of ``own_file_options`` say about a file."""
    from robench.tasks.columns import DataColumns

    return DataColumns(
        text=values["text_column"],
        pair=values["pair_column"],
        label=values["label_column"],
        attack=values["attack_column"],
        train_file=values["train_file"],
        dev_file=values["dev_file"],
        test_file=values["test_file"],
        max_tokens=values["max_tokens"],
    )
