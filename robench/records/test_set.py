"""The texts of a test set in a run's folder, so that its trials can be shown without the task.

The first line describes the test set. Every further line is one example::

    {"task": "imdb", "digest": "…", "labels": ["negative", "positive"], "attackable": "text", …}
    {"id": "imdb/9f3c…", "label": "positive", "fields": {"text": "…"}}

The digest covers all examples, and the first line has a seal of its own (``robench._base.seals``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from robench._base.bounded_reading import (
    GB,
    Bounds,
    Missing,
    Unreadable,
    parse_json,
    read_bytes,
    read_text,
)
from robench._base.errors import RobenchError
from robench._base.files import write_text
from robench._base.seals import with_seal, without_seal
from robench.tasks.example import Example
from robench.tasks.frozen import digest

_BOUNDS = Bounds(size=2 * GB)
REMEDY = "Run that evaluation again, which writes the texts."


class MissingTexts(RobenchError):
    """There is no file with the texts of a test set."""


@dataclass(frozen=True)
class TestSet:
    """All test examples of a task, with what is needed to read its trials.

    Attributes:
        task: name of the task, as records have it.
        digest: SHA-256 over the ids, labels and texts (``Splits.digest``).
        labels: names of the classes, in order.
        attackable: the field whose words may be replaced.
        examples: the whole test split, sorted by id.
    """

    __test__ = False  # Pytest would take the name for that of a test.

    task: str
    digest: str
    labels: tuple[str, ...]
    attackable: str
    examples: Sequence[Example]

    @cached_property
    def by_id(self) -> Mapping[str, Example]:
        """The examples by their ids."""
        return {example.id: example for example in self.examples}

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The attackable texts by the ids of their examples."""
        return {example.id: example.fields[self.attackable] for example in self.examples}


def write_test_set(path: Path, test_set: TestSet) -> None:
    """Write the file whole or not at all; a file that already holds the same is not touched.

    Raises:
        RobenchError: the file cannot be written.
    """
    content = _text_of(test_set)
    try:
        if read_bytes(path, _BOUNDS) == content.encode():
            return
    except Unreadable:
        # It is missing, or damaged so that it cannot be read.
        pass
    write_text(path, content)


def _text_of(test_set: TestSet) -> str:
    header = {
        "task": test_set.task,
        "digest": test_set.digest,
        "labels": list(test_set.labels),
        "attackable": test_set.attackable,
    }
    lines: list[dict[str, Any]] = [with_seal(header)]
    for example in test_set.examples:
        lines.append(
            {
                "id": example.id,
                "label": test_set.labels[example.label],
                "fields": dict(example.fields),
            }
        )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_test_set(path: Path, expected: str) -> TestSet:
    """Read a test set and check its content against its digest.

    Args:
        path: the file.
        expected: the digest of the test set, as the record has it.

    Raises:
        MissingTexts: there is no file.
        RobenchError: the file is damaged, or that of another test set. The message says how to
            get it.
    """
    try:
        content = read_text(path, _BOUNDS, inside=path.parent)
    except Missing as error:
        raise MissingTexts(
            f"The texts of the examples are missing: there is no {path}. Runs of older versions "
            f"did not keep them. {REMEDY}"
        ) from error
    except Unreadable as error:
        raise RobenchError(
            f"The texts of the examples in {path} cannot be read ({error.reason}). {REMEDY}"
        ) from error
    try:
        test_set = _parse(content, path)
    except (Unreadable, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    if test_set.digest != expected or digest(test_set.examples) != expected:
        raise _damaged(path)
    return test_set


def _damaged(path: Path) -> RobenchError:
    return RobenchError(
        f"{path} is damaged: its texts are not those that the record's digest names. {REMEDY}"
    )


def _parse(content: str, path: Path) -> TestSet:
    """Parse the lines of a file; the caller checks the digest."""
    # Not splitlines, which also splits at separators that may stand inside a text.
    texts = content.removesuffix("\n").split("\n")
    header, *lines = (parse_json(text, path) for text in texts)
    # Earlier versions wrote no seal.
    first = without_seal(header, required=False)
    labels = tuple(first["labels"])
    if not all(isinstance(name, str) for name in (first["task"], first["attackable"], *labels)):
        raise TypeError("a name is no text")
    examples = [
        Example(line["id"], dict(line["fields"]), labels.index(line["label"])) for line in lines
    ]
    return TestSet(first["task"], first["digest"], labels, first["attackable"], examples)
