"""Small data sets in the publishers' layouts: as folders, as archives and as hub datasets."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import datasets
import pytest

from robench.tasks import imdb, snli
from robench.tasks.guard import Guard

ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".zip")
SIZE = 12
"""Examples per class in each half of IMDB. The tests pick 10 test examples in all."""


def review(half: str, label: str, number: int) -> str:
    """Return a review with line breaks, odd white space, quotes and accents, as real ones have."""
    return f'{half} review  {number}<br /><br />"{label}"\xa0caf\u00e9 \x85 end{" " * (number % 3)}'


def write_imdb(folder: Path) -> Path:
    """Write ``folder/aclImdb``, with other files beside the reviews."""
    for half in ("train", "test"):
        for label in ("neg", "pos"):
            place = folder / "aclImdb" / half / label
            place.mkdir(parents=True)
            for number in range(SIZE):
                (place / f"{number}_{2 if label == 'neg' else 9}.txt").write_text(
                    review(half, label, number), encoding="utf-8"
                )
        (folder / "aclImdb" / half / "urls_pos.txt").write_text("http://example.org")
    unsup = folder / "aclImdb" / "train" / "unsup"
    unsup.mkdir()
    (unsup / "0_0.txt").write_text("no label")
    return folder


def pairs(split: str, count: int) -> list[dict[str, str]]:
    """Return ``count`` SNLI rows of each label, and one without a label."""
    rows = [
        {
            "gold_label": label,
            "sentence1": f"{split} premise {number}.",
            "sentence2": f"A {label} hypothesis  {number}. ",
            "pairID": f"{split}{number}{label[0]}",
        }
        for label in ("entailment", "neutral", "contradiction")
        for number in range(count)
    ]
    return [
        *rows,
        {
            "gold_label": "-",
            "sentence1": "Nobody knows.",
            "sentence2": "Is it so?",
            "pairID": f"{split}x",
        },
    ]


def write_snli(
    folder: Path, splits: tuple[str, ...] = ("dev", "test"), name: str = "snli_1.0"
) -> Path:
    """Write ``folder/<name>/snli_1.0_<split>.jsonl``."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    for split in splits:
        lines = (json.dumps(row) for row in pairs(split, SIZE))
        (folder / name / f"snli_1.0_{split}.jsonl").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )
    return folder


def write_pools(folder: Path) -> Path:
    """Write CAD and SICK; each file has one new pair and one pair of SNLI's test file."""
    judged = pairs("test", SIZE)[0]
    for place in ("original", "revised_combined"):
        (folder / "NLI" / place).mkdir(parents=True)
        quoted = f'"{place} says ""hello""."'
        rows = [
            f"{quoted}\tHe speaks.\tentailment",
            f"{judged['sentence1'].upper()}\t{judged['sentence2']}\tneutral",
        ]
        (folder / "NLI" / place / "train.tsv").write_text(
            "\n".join(["sentence1\tsentence2\tgold_label", *rows]) + "\n", encoding="utf-8"
        )
    (folder / "sick2014").mkdir()
    for part in ("train", "trial", "test_annotated"):
        rows = [
            f'1\tA "{part}" dog\tA dog\t4.5\tENTAILMENT',
            f"2\t{judged['sentence1']}\t{judged['sentence2']}\t1\tNEUTRAL",
        ]
        head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"
        (folder / "sick2014" / f"SICK_{part}.txt").write_text(
            "\r\n".join([head, *rows]) + "\r\n", encoding="utf-8"
        )
    return folder


def pack(folder: Path, archive: Path) -> Path:
    """Pack all that ``folder`` holds into an archive of the kind that its name says.

    The members are not sorted by name.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    paths = sorted((path for path in folder.rglob("*") if path.is_file()), reverse=True)
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in paths:
                zipped.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:xz" if archive.name.endswith("xz") else "w:gz") as tar:
            for path in paths:
                tar.add(path, path.relative_to(folder))
    return archive


class Hub:
    """A replacement of ``datasets.load_dataset``; ``asked`` lists the requests."""

    def __init__(self, tables: dict[tuple[str, str], dict[str, list[Any]]]) -> None:
        self.tables = tables
        self.asked: list[tuple[str, str]] = []

    def __call__(self, name: str, *, split: str) -> datasets.Dataset:
        self.asked.append((name, split))
        if (name, split) not in self.tables:
            raise ConnectionError(f"Couldn't reach '{name}' on the Hub")
        return datasets.Dataset.from_dict(self.tables[name, split])


def imdb_hub() -> Hub:
    """Return the reviews of ``write_imdb``, positive ones first as on the hub."""
    tables: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for half in ("train", "test"):
        rows = [
            (review(half, label, number), int(label == "pos"))
            for label in ("pos", "neg")
            for number in range(SIZE)
        ]
        tables[imdb.HUB, half] = {
            "text": [text for text, _ in rows],
            "label": [label for _, label in rows],
        }
    return Hub(tables)


def snli_hub(*splits: str) -> Hub:
    """Return the pairs of ``write_snli``; a missing label is -1, as on the hub."""
    numbers = {"entailment": 0, "neutral": 1, "contradiction": 2, "-": -1}
    tables: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for split in splits:
        rows = pairs(split, SIZE)
        tables[snli.HUB, {"dev": "validation"}.get(split, split)] = {
            "premise": [row["sentence1"] for row in rows],
            "hypothesis": [row["sentence2"].rstrip() for row in rows],
            "label": [numbers[row["gold_label"]] for row in rows],
        }
    return Hub(tables)


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tasks pick 10 test and 6 dev examples, without their guards.

    The guards would refuse these data, because they are not the published ones.
    """
    for module in (imdb, snli):
        monkeypatch.setattr(module, "TEST_SIZE", 10)
        monkeypatch.setattr(module, "DEV_SIZE", 6)
    monkeypatch.setattr(Guard, "check", lambda *_: None)
