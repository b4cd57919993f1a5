"""Train on data of your own and attack the victim.

    python examples/own_data.py

The script writes a small CSV file first. Put your own file in its place: CSV, TSV, JSONL or
Parquet with one column of texts and one of labels.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import robench


def write_reviews(path: Path) -> None:
    """Write reviews of the embedded, synthetic task as a CSV file."""
    task = robench.TASKS.get("mini-reviews")
    splits = task().load(robench.DataSource())
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "sentiment"])
        for example in [*splits.train[:1500], *splits.test[:500]]:
            writer.writerow([example.fields["text"], task.labels[example.label]])


def main() -> None:
    """Write a file, train on it, attack the victim, and print the result."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reviews.csv"
        write_reviews(path)
        results = robench.evaluate(
            defenses="standard",
            task=path,
            text_column="review",
            label_column="sentiment",
            substitutions="mini",
            attacks="pwws",
            limit=100,
            options={"defense.epochs": 2},
        )
        print(results)


if __name__ == "__main__":
    main()
