"""mini-reviews: short synthetic film reviews that ship with robench, so that everything can be tried offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from robench.errors import RobenchError
from robench.registry import TASKS
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.frozen import TEST_SIZE, Guard, Row, digest, make_examples, pick_balanced, pick_listed, without
from robench.tasks.reading import choose_pool

# Set when the composition is final (``Guard.of``); None checks nothing. Changing them afterwards makes a new benchmark.
TEST_GUARD: Guard | None = None
DEV_GUARD: Guard | None = None

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

    def load(self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None) -> Splits:
        """Read the embedded files; ``source`` is not looked at. See ``Task.load``."""
        pool = choose_pool("mini-reviews", self.train_pools, train_pool)
        test_rows, dev_rows = list(_rows("test")), list(_rows("dev"))
        test_all = make_examples("mini-reviews", test_rows)
        dev = without(make_examples("mini-reviews", dev_rows), test_all)
        if DEV_GUARD is not None:
            DEV_GUARD.check("The dev examples of mini-reviews", dev, dev_rows, _ORIGIN)
        if ids is None:
            test = pick_balanced(test_all, TEST_SIZE, len(self.labels))
            if TEST_GUARD is not None:
                TEST_GUARD.check("The test examples of mini-reviews", test, test_rows, _ORIGIN)
        else:
            test = pick_listed(ids, test_all, {})
        return Splits(
            train=without(make_examples("mini-reviews", _rows("train")), dev, test_all),
            dev=dev,
            test=test,
            train_pool=pool,
            test_name=f"frozen-{TEST_SIZE}" if ids is None else ids.stem,
            digest=digest(test),
            origin=_ORIGIN,
        )


def _rows(split: str) -> Iterator[Row]:
    """Rows of one embedded file, ``{"text": …, "label": 0 or 1}`` a line."""
    file = _folder() / f"{split}.jsonl"
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield {"text": row["text"]}, int(row["label"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RobenchError(f"robench's own file {file} cannot be read ({error}): install robench again.") from error
