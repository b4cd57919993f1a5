"""The files that hold NLI pairs: SNLI's, and those of the smaller training pools."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import IO, NamedTuple

from robench.tasks.publisher_files import FileLayout

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2}


class Pair(NamedTuple):
    """One labelled pair; ``name`` is SNLI's pairID, empty where there is none."""

    premise: str
    hypothesis: str
    label: int
    name: str = ""


def official(split: str) -> str:
    """The key of an official SNLI file: ``train``, ``dev`` or ``test``."""
    return f"snli_1.0_{split}.jsonl"


_CAD = ("NLI/original/train.tsv", "NLI/revised_combined/train.tsv")
_SICK = ("SICK_train.txt", "SICK_trial.txt", "SICK_test_annotated.txt")

POOL_FILES = {
    "train": (official("train"),),
    "cad": _CAD,
    "sick": _SICK,
    "snli-dev": (official("dev"),),
    "small": (*_CAD, *_SICK, official("dev")),
}
"""Training pool -> keys of its files."""

_FILE = re.compile(
    r"(?:.*/)?("
    + "|".join(
        re.escape(key)
        for key in sorted(
            {key for keys in POOL_FILES.values() for key in keys} | {official("test")}
        )
    )
    + ")"
)


def _parse(key: str, stream: IO[bytes]) -> list[Pair]:
    lines = (
        line.decode("utf-8") for line in stream
    )  # a member of a tar stream is too little of a file for TextIOWrapper
    if key.endswith(".jsonl"):
        return list(_snli(lines))
    if key.startswith("SICK"):
        return list(_table(lines, "sentence_A", "sentence_B", "entailment_judgment", quoted=False))
    return list(_table(lines, "sentence1", "sentence2", "gold_label", quoted=True))


def _snli(lines: Iterable[str]) -> Iterator[Pair]:
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if row["gold_label"] != "-":
                yield Pair(
                    row["sentence1"],
                    row["sentence2"],
                    LABELS[row["gold_label"]],
                    row.get("pairID", ""),
                )
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is no SNLI pair: {error!r}") from error


def _table(
    lines: Iterable[str], premise: str, hypothesis: str, judgement: str, *, quoted: bool
) -> Iterator[Pair]:
    reader = csv.DictReader(
        lines, delimiter="\t", quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    )
    for row in reader:
        try:
            yield Pair(row[premise], row[hypothesis], LABELS[row[judgement].strip().lower()])
        except (KeyError, AttributeError) as error:
            raise ValueError(f"line {reader.line_num} is no labelled pair: {error!r}") from error


def layout(wanted: Collection[str]) -> FileLayout[list[Pair]]:
    """These files and no others: SNLI's training file alone is 490 MB."""

    def key(path: str) -> str | None:
        match = _FILE.fullmatch(path)
        return match.group(1) if match and match.group(1) in wanted else None

    return FileLayout(key, _parse, hints=("snli", "cad", "sick", "nli"))
