"""The files that hold NLI pairs: SNLI's files and those of the smaller training pools."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from typing import IO, Any, NamedTuple

from robench._base.bounded_reading import Unreadable, parse_json
from robench.tasks.publisher_files import FileLayout, decoded_lines

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2}


class Pair(NamedTuple):
    """One labelled pair; ``name`` is SNLI's pairID, or empty where the publisher gives none."""

    premise: str
    hypothesis: str
    label: int
    name: str = ""


def official(split: str) -> str:
    """Return the key of an official SNLI file; ``split`` is ``train``, ``dev`` or ``test``."""
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


def _file_pattern() -> re.Pattern[str]:
    """Return a pattern that matches the path of every known file; group 1 is the file's key."""
    keys = {official("test")}.union(*POOL_FILES.values())
    alternatives = "|".join(re.escape(key) for key in sorted(keys))
    return re.compile(rf"(?:.*/)?({alternatives})")


_FILE = _file_pattern()


def layout(wanted: Collection[str]) -> FileLayout[list[Pair]]:
    """Return a layout of the ``wanted`` keys only: SNLI's training file alone has 490 MB."""

    def key(path: str) -> str | None:
        match = _FILE.fullmatch(path)
        return match.group(1) if match and match.group(1) in wanted else None

    return FileLayout(key, _parse, hints=("snli", "cad", "sick", "nli"))


def _parse(key: str, stream: IO[bytes]) -> list[Pair]:
    lines = decoded_lines(stream)
    if key.endswith(".jsonl"):
        return list(_parse_snli(lines))
    if key.startswith("SICK"):
        return list(
            _parse_table(lines, "sentence_A", "sentence_B", "entailment_judgment", quoted=False)
        )
    return list(_parse_table(lines, "sentence1", "sentence2", "gold_label", quoted=True))


def _parse_snli(lines: Iterable[str]) -> Iterator[Pair]:
    """Yield the pairs of one official SNLI file, without those that have no gold label."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line, "the line")
            if row["gold_label"] != "-":
                yield Pair(
                    premise=_text(row["sentence1"]),
                    hypothesis=_text(row["sentence2"]),
                    label=LABELS[row["gold_label"]],
                    name=_text(row.get("pairID", "")),
                )
        except Unreadable as error:
            raise ValueError(f"line {number} is not an SNLI pair: {error.reason}") from error
        except (KeyError, TypeError) as error:
            raise ValueError(f"line {number} is not an SNLI pair: {error!r}") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _parse_table(
    lines: Iterable[str], premise: str, hypothesis: str, judgement: str, *, quoted: bool
) -> Iterator[Pair]:
    """Yield the pairs of a tab-separated file; the strings name its columns."""
    if quoted:
        reader = csv.DictReader(lines, delimiter="\t")
    else:
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    for row in reader:
        try:
            yield Pair(row[premise], row[hypothesis], LABELS[row[judgement].strip().lower()])
        except (KeyError, AttributeError) as error:
            raise ValueError(f"line {reader.line_num} is not a labelled pair: {error!r}") from error
