"""SST-2: sentiment of sentences from film reviews (Socher et al. 2013), as GLUE publishes it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from robench._base.errors import UsageError
from robench.tasks import hub
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.frozen import RawRow, make_examples, without
from robench.tasks.guard import Guard
from robench.tasks.publisher_files import (
    FileLayout,
    decoded_lines,
    describe_missing,
    find_files,
)
from robench.tasks.registry import TASKS
from robench.tasks.splits import choose_train_pool, make_splits, pick_listed

HUB = "stanfordnlp/sst2"
DEV_SIZE = 1000

TEST_GUARD = Guard(
    (428, 444),
    "25903d46f3e290a94afb7f8d3fdbf11e34dce6c22bec3c4b247ee10808290a33",
    "d87355d840abe9b8785e902671d35ac6c2eb48bfb9b01ad137f51411ea6b1f988336429d9fc8d9703ab25af6",
)
DEV_GUARD = Guard(
    (29780, 37569),
    "8c66c4d9cbf27bf41e3229abe95ae0d36f8156da0938db852e7ba56f2c0ebb47",
    "47bf8695c8d8ce55bfa287bba5dddf6deb3dfa36a676953e64a4199388b396521f30815a106f48f55f4366d400d3d8d5d0bd",
)

_FILE = re.compile(r"(?:.*/)?SST-2/((?:train|dev)\.tsv)")
_FILES = {"train.tsv", "dev.tsv"}


def _key(path: str) -> str | None:
    match = _FILE.fullmatch(path)
    return match.group(1) if match else None


def _parse(key: str, stream: IO[bytes]) -> list[RawRow]:
    return list(_parse_lines(decoded_lines(stream)))


def _parse_lines(lines: Iterator[str]) -> Iterator[RawRow]:
    """Yield the rows of a file of GLUE, which has no quotes; the label may be the first column."""
    reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    texts = [name for name in reader.fieldnames or () if name != "label"]
    if len(texts) != 1 or len(reader.fieldnames or ()) != 2:
        raise ValueError("its first line does not name a label and one other column")
    for row in reader:
        if row[texts[0]] is None or row["label"] not in {"0", "1"}:
            raise ValueError(f"line {reader.line_num} is no labelled sentence")
        yield {"text": row[texts[0]]}, int(row["label"])


LAYOUT = FileLayout(_key, _parse, hints=("sst", "glue"))


@TASKS.register("sst2")
class Sst2(Task):
    """67,349 phrases and 872 sentences from film reviews; the whole text may be attacked.

    Test: all 872 official dev sentences (428 negative), because GLUE's test labels are not public.
    Dev: 1,000 of the official training phrases, picked by the rule of the frozen examples.
    Train: the other training phrases, without every phrase that is also a dev phrase or a test
    sentence. Many training phrases are parts of other training sentences, also of dev's.

    No paper that robench follows sets a window or a number of epochs here. The window is GLUE's
    usual one.
    """

    labels = ("negative", "positive")
    fields = ("text",)
    attackable = "text"
    max_tokens = 128
    licence = "Research use (Socher et al. 2013; no licence is given)"
    paper = (
        "Socher et al. 2013, Recursive deep models for semantic compositionality over a sentiment "
        "treebank"
    )

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read ``SST-2/{train,dev}.tsv`` from the folder or its archives, or the hub.

        On the hub the dataset is ``stanfordnlp/sst2``. See ``Task.load``.
        """
        pool = choose_train_pool("sst2", self.train_pools, train_pool)
        train_rows, test_rows, origin = _read(source)
        test_all = make_examples("sst2", test_rows)
        TEST_GUARD.check("The test examples of sst2", test_all, test_rows, origin)
        train_all = without(make_examples("sst2", train_rows), test_all)
        dev = DEV_GUARD.pick("The dev examples of sst2", train_all, DEV_SIZE, train_rows, origin)
        test = test_all if ids is None else pick_listed(ids, test_all, {})
        return make_splits(without(train_all, dev), dev, test, pool=pool, ids=ids, origin=origin)


def _read(source: DataSource) -> tuple[list[RawRow], list[RawRow], str]:
    """Return the rows of train and of the official dev file, and the origin."""
    found = find_files(source.folder, LAYOUT, lambda files: files.keys() >= _FILES)
    if found.files.keys() >= _FILES:
        return found.files["train.tsv"], found.files["dev.tsv"], found.origin
    place = describe_missing("SST-2/{train,dev}.tsv", source.folder)
    if not source.hub:
        raise UsageError(f"{place}. Name the folder that holds SST-2 with --data.")
    try:
        return _hub_rows("train"), _hub_rows("validation"), f"hub {HUB}"
    except hub.HubUnavailable as error:
        raise UsageError(
            f"{place}, and {error.reason}. Name the folder that holds SST-2 with --data."
        ) from error


def _hub_rows(split: str) -> list[RawRow]:
    rows = hub.read_rows(HUB, split, ("sentence", "label"))
    return [({"text": text}, int(label)) for text, label in rows]
