"""A small file of numbers that papers report, for tests of its reader and of its pages."""

from __future__ import annotations

_FILE = """\
page = "page.md"

[stand_ins]
toy = "imdb"

[[papers]]
name = "P"
cite = "A and B, 2020"
title = "TITLE"
url = "https://example.org/p"
notes = ["NOTE"]

[[papers]]
name = "Q"
cite = "C, 2021"
title = "Another"
url = "https://example.org/q"
missing = "There was no text of it."

[[setups]]
paper = "P"
task = "imdb"
source = "section 3"
encoder = "an encoder"
training = "all of it"
epochs = "20"
batch_size = "32"
learning_rate = "0.00002"
selection = "the last epoch"
tokens = "subwords"
language_model = "none at all"
attacks = "their own"
judged = "1000 examples"
trainings = "3"

[[tables]]
paper = "P"
source = "Table 1"
where = "main paper"
caption = "Accuracy of methods"
task = "imdb"
encoder = "bert"
columns = [
    { printed = "Clean", attack = "none" },
    { printed = "PWWS", attack = "pwws", examples = 10 },
]
rows = [
    { printed = "Base", defense = "standard", values = ["90.0", "20.5 ± 1.5"] },
ROWS
]
"""


def reported_file(title: str, note: str, rows: str) -> str:
    """Return the file with the title and the note of its paper, and further rows of its table.

    Args:
        rows: lines of TOML; the first row of the table is ``standard``.
    """
    return _FILE.replace("TITLE", title).replace("NOTE", note).replace("ROWS", rows)
