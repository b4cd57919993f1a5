"""mini-reviews: short synthetic film reviews that ship with robench, so that everything can be tried offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from robench._base.errors import RobenchError
from robench.plugins.registry import TASKS
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.frozen import TEST_SIZE, RawRow, make_examples, without
from robench.tasks.guard import Guard
from robench.tasks.splits import choose_train_pool, make_splits, pick_listed

# Made by ``Guard.of``. Composing the reviews anew makes a new benchmark, whose records do not compare with the old one's.
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
    """Synthetic reviews of about 8 to 20 words, composed from sentences written for this project: a try-out, not evidence about real text.

    Test: the 1,000 examples of the embedded test file, dev and train: the embedded files, less every text that is also a test (or dev) text.
    """

    labels = ("negative", "positive")
    attackable = "text"
    max_tokens = 64
    substitutions = "mini"
    licence = "MIT (written for robench)"
    paper = "none: synthetic"
    synthetic = True

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read the embedded files; ``source`` is not looked at. See ``Task.load``."""
        pool = choose_train_pool("mini-reviews", self.train_pools, train_pool)
        test_rows, dev_rows = list(_rows("test")), list(_rows("dev"))
        test_all = make_examples("mini-reviews", test_rows)
        dev = without(make_examples("mini-reviews", dev_rows), test_all)
        DEV_GUARD.check("The dev examples of mini-reviews", dev, dev_rows, _ORIGIN)
        what = "The test examples of mini-reviews"
        test = (
            TEST_GUARD.pick(what, test_all, TEST_SIZE, test_rows, _ORIGIN)
            if ids is None
            else pick_listed(ids, test_all, {})
        )
        train = without(make_examples("mini-reviews", _rows("train")), dev, test_all)
        return make_splits(train, dev, test, pool=pool, ids=ids, origin=_ORIGIN)


def _rows(split: str) -> Iterator[RawRow]:
    """Rows of one embedded file, ``{"text": …, "label": 0 or 1}`` a line."""
    file = _folder() / f"{split}.jsonl"
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield {"text": row["text"]}, int(row["label"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RobenchError(
            f"robench's own file {file} cannot be read ({error}): install robench again."
        ) from error
