"""Tasks that break a promise of ``robench.Task``, for tests that they are refused."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from robench import TASKS, Example, Splits, Task
from robench.tasks.frozen import digest, make_examples

WORDS = ("good", "bad", "film", "plot", "story", "scene")


def _sound(split: str, size: int) -> list[Example]:
    draw = random.Random(split)
    rows = []
    for index in range(size):
        words = " ".join(draw.choice(WORDS) for _ in range(5))
        rows.append(({"text": f"{words} number {index} of {split}"}, index % 2))
    return make_examples("test-lying", rows)


def sound() -> Splits:
    """Return splits without any fault."""
    test = _sound("test", 20)
    return Splits(
        train=_sound("train", 64),
        dev=_sound("dev", 20),
        test=test,
        train_pool="train",
        test_name="frozen-1000",
        digest=digest(test),
        origin="made up",
    )


def _first(split: str, **change: Any) -> Splits:
    """Return splits whose first example of ``split`` is changed."""
    splits = sound()
    first, *rest = getattr(splits, split)
    changed: dict[str, Any] = {split: [replace(first, **change), *rest]}
    return replace(splits, **changed)


def _ends(code: Callable[[], object]) -> Splits:
    code()
    return sound()


def _exits() -> None:
    raise SystemExit(0)


def _complains() -> None:
    raise ValueError("x" * 5_000_000)


def _unprintable() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    raise Odd


def _endless() -> Splits:
    def again() -> None:
        again()

    again()
    return sound()


LIES: dict[str, Callable[[], Any]] = {
    "label-too-large": lambda: _first("test", label=2),
    "label-negative": lambda: _first("test", label=-1),
    "label-of-training-too-large": lambda: _first("train", label=7),
    "label-is-text": lambda: _first("test", label="positive"),
    "label-is-a-fraction": lambda: _first("test", label=0.5),
    "text-is-a-number": lambda: _first("test", fields={"text": 3}),
    "text-is-missing": lambda: _first("test", fields={}),
    "another-field": lambda: _first("test", fields={"text": "good", "more": "bad"}),
    "text-has-half-a-character": lambda: _first("test", fields={"text": "good \ud800 film"}),
    "id-twice": lambda: _first("test", id=sound().test[1].id),
    "id-is-a-number": lambda: _first("test", id=7),
    "test-text-in-training": lambda: _first("test", fields=sound().train[0].fields),
    "no-test": lambda: replace(sound(), test=[]),
    "no-training": lambda: replace(sound(), train=[]),
    "digest-of-other-texts": lambda: replace(sound(), digest="0" * 64),
    "nothing": lambda: None,
    "not-splits": lambda: {"train": [], "test": []},
    "exits": lambda: _ends(_exits),
    "os-exits": lambda: _ends(lambda: os._exit(0)),
    "complains-at-length": lambda: _ends(_complains),
    "has-no-words": lambda: _ends(_unprintable),
    "calls-itself": _endless,
}
"""Name of a lie -> what the task's ``load`` returns."""


@contextmanager
def lying_task(lie: Callable[[], Any], swaps: str) -> Iterator[str]:
    """Register a task whose ``load`` returns what ``lie`` returns, and yield its name.

    Args:
        lie: makes what ``load`` returns.
        swaps: file of its substitution set.
    """

    class Lying(Task):
        """Breaks one promise."""

        labels = ("negative", "positive")
        attackable = "text"
        max_tokens = 32
        substitutions = swaps
        synthetic = True

        def load(self, source: Any, *, train_pool: Any = None, ids: Path | None = None) -> Splits:
            return lie()  # type: ignore[no-any-return]

    with TASKS.temporarily("test-lying", Lying):
        yield "test-lying"
