"""The options that describe a task that is a file of the user."""

from __future__ import annotations

import click

from robench.commands.option_types import EXISTING_FILE, apply

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
