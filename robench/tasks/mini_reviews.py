"""mini-reviews: short synthetic film reviews that ship with robench, for trying it offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from robench._base.errors import RobenchError
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.frozen import TEST_SIZE, RawRow, make_examples, without
from robench.tasks.guard import Guard
from robench.tasks.registry import TASKS
from robench.tasks.splits import choose_train_pool, make_splits, pick_listed

# Both guards were made by ``Guard.of``. Reviews that are composed anew make a new benchmark: its
# records cannot be compared with the old ones.
TEST_GUARD = Guard(
    (500, 500),
    "0c04a2c1b6b286e94de2984afc91df6644416a98c68a49939024f4abd618098f",
    "b46e9e1739043e08d60bbe6b5d6cdd7f6009132ba5fc0e1c20e3712e0453d27be10975282d960a527f91a56dec72386dcd67",
)
DEV_GUARD = Guard(
    (200, 200),
    "f2cf88bf96739ef6cdeb1d13a53901bb80016a17171ae23b4beb4444a63abf7f",
    "77b372b93c71ec0f62df714485e6aeda77c0090e",
)

_ORIGIN = "embedded in robench"


def _folder() -> Traversable:
    return files("robench.embedded") / "mini_reviews"


@TASKS.register("mini-reviews")
class MiniReviews(Task):
    """Synthetic reviews of about 8 to 20 words, composed from sentences written for this project.

    They serve to try robench out. They are no evidence about real text.

    Test: the 1,000 examples of the embedded test file.
    Dev: the embedded dev file, without every text that is also a test text.
    Train: the embedded train file, without every text that is also a dev or a test text.
    """

    labels = ("negative", "positive")
    fields = ("text",)
    attackable = "text"
    max_tokens = 64
    substitutions = "mini"
    held_out = "mini-held-out"
    licence = "MIT (written for robench)"
    paper = "none: synthetic"
    synthetic = True

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read the embedded files and ignore ``source``; see ``Task.load``."""
        pool = choose_train_pool("mini-reviews", self.train_pools, train_pool)
        test_rows, dev_rows = list(_rows("test")), list(_rows("dev"))
        test_all = make_examples("mini-reviews", test_rows)
        dev = without(make_examples("mini-reviews", dev_rows), test_all)
        DEV_GUARD.check("The dev examples of mini-reviews", dev, dev_rows, _ORIGIN)
        if ids is None:
            what = "The test examples of mini-reviews"
            test = TEST_GUARD.pick(what, test_all, TEST_SIZE, test_rows, _ORIGIN)
        else:
            test = pick_listed(ids, test_all, {})
        train = without(make_examples("mini-reviews", _rows("train")), dev, test_all)
        return make_splits(train, dev, test, pool=pool, ids=ids, origin=_ORIGIN)


def _rows(split: str) -> Iterator[RawRow]:
    """Yield the rows of one embedded file; each line is ``{"text": …, "label": 0 or 1}``."""
    file = _folder() / f"{split}.jsonl"
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield {"text": row["text"]}, int(row["label"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RobenchError(
            f"robench's own file {file} cannot be read ({error}). Install robench again."
        ) from error
