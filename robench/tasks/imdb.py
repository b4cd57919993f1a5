"""IMDB: sentiment of film reviews (Maas et al. 2011)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

from robench._base.bounded_reading import MB
from robench._base.errors import UsageError
from robench.tasks import hub
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.frozen import TEST_SIZE, RawRow, identify, make_examples, without
from robench.tasks.guard import Guard
from robench.tasks.publisher_files import FileLayout, describe_missing, find_files
from robench.tasks.registry import TASKS
from robench.tasks.splits import choose_train_pool, make_splits, pick_listed

HUB = "stanfordnlp/imdb"
DEV_SIZE = 1000

TEST_GUARD = Guard(
    (12500, 12500),
    "61f8f070f2278a71892c835e387c55731266b5360a296dedb6c7431e6f48628f",
    "79ee14190b7e14d51e7278b0363f0f0ba1d681970e5762c7df9af48176babb0874e3ec51733a8177b33309da0dba2bc68361",
)
DEV_GUARD = Guard(
    (12500, 12500),
    "a2698c3529c6fd9ede5f0c63fd09927909788d907e3ef0429a88288de8517f62",
    "b19dc0d67d95715bd8c7d7ae4d7b381165e36a946872d99c4d268b8314d3f0f6c15d459402d183b339e120089f0b8f7bfcb3",
)

# A review's path in the publisher's folder, and a line of a published list of test reviews.
_FILE = re.compile(r"(?:.*/)?aclImdb/((?:train|test)/(?:neg|pos)/[^/.]+\.txt)")
_LISTED_FILE = re.compile(r"(?:\./)?(?:aclImdb/)?(?:test/)?((?:neg|pos)/[^/]+\.txt)")
_LABELS = {"neg": 0, "pos": 1}
_PARTS = ("train/neg", "train/pos", "test/neg", "test/pos")


def _key(path: str) -> str | None:
    match = _FILE.fullmatch(path)
    return match.group(1) if match else None


def _text(key: str, stream: IO[bytes]) -> str:
    return stream.read().decode("utf-8-sig")


def _complete(files: dict[str, str]) -> bool:
    return {key.rpartition("/")[0] for key in files} == set(_PARTS)


LAYOUT = FileLayout(_key, _text, hints=("imdb",), limit=1 * MB, many=True)


@TASKS.register("imdb")
class Imdb(Task):
    """50,000 film reviews, half of them positive; the whole review may be attacked.

    Test: the frozen 1000 of the 25,000 official test reviews.
    Dev: 1,000 of the 25,000 training reviews, picked by the same rule.
    Train: the other training reviews, without every review whose text is also a dev review or an
    official test review. (The publisher's two halves share some texts.)

    Deviations: Jia et al. 2019 judge the first 1000 names of a shuffled list (491 positive). That
    list can be given with ``--ids``. ASCC and RIFT take dev from the test half and use the order
    of ``os.listdir``.
    """

    labels = ("negative", "positive")
    fields = ("text",)
    attackable = "text"
    max_tokens = 300
    training = {"epochs": 20, "batch_size": 32}  # noqa: RUF012 (RIFT, appendix A.1)
    licence = "Research use, non-commercial (Maas et al. 2011)"
    paper = "Maas et al. 2011, Learning Word Vectors for Sentiment Analysis"

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read ``aclImdb/`` from the folder or its archives, or ``stanfordnlp/imdb`` from the hub.

        See ``Task.load``.
        """
        pool = choose_train_pool("imdb", self.train_pools, train_pool)
        train_rows, test_rows, names, origin = _read(source)
        test_all = make_examples("imdb", test_rows)
        train_all = without(make_examples("imdb", train_rows), test_all)
        dev = DEV_GUARD.pick("The dev examples of imdb", train_all, DEV_SIZE, train_rows, origin)
        if ids is None:
            test = TEST_GUARD.pick(
                "The frozen test examples of imdb", test_all, TEST_SIZE, test_rows, origin
            )
        else:
            by_name = dict(zip(names, identify("imdb", test_rows), strict=False))
            test = pick_listed(ids, test_all, by_name, _name_in_list)
        return make_splits(without(train_all, dev), dev, test, pool=pool, ids=ids, origin=origin)


def _name_in_list(line: str) -> str:
    """Return the file name in a line of a published list, such as ``neg/3152_1.txt``."""
    match = _LISTED_FILE.fullmatch(line)
    return match.group(1) if match else line


def _read(source: DataSource) -> tuple[list[RawRow], list[RawRow], list[str], str]:
    """Return the rows of train and of test, the names of the test files, and the origin.

    The names look like ``neg/3152_1.txt``. There are none where the rows come from the hub.
    """
    found = find_files(source.folder, LAYOUT, _complete)
    if _complete(found.files):
        keys = sorted(found.files)
        test_keys = [key for key in keys if key.startswith("test/")]
        train = [_row(key, found.files[key]) for key in keys if key.startswith("train/")]
        test = [_row(key, found.files[key]) for key in test_keys]
        names = [key.removeprefix("test/") for key in test_keys]
        return train, test, names, found.origin
    place = describe_missing("aclImdb/{train,test}/{neg,pos}/*.txt", source.folder)
    if not source.hub:
        raise UsageError(f"{place}. Name the folder that holds IMDB with --data.")
    try:
        return _hub_rows("train"), _hub_rows("test"), [], f"hub {HUB}"
    except hub.HubUnavailable as error:
        raise UsageError(
            f"{place}, and {error.reason}. Name the folder that holds IMDB with --data."
        ) from error


def _hub_rows(split: str) -> list[RawRow]:
    rows = hub.read_rows(HUB, split, ("text", "label"))
    return [({"text": text}, int(label)) for text, label in rows]


def _row(key: str, text: str) -> RawRow:
    return {"text": text}, _LABELS[key.split("/")[1]]
