"""Splits of a task: its frozen test examples, or those of a published list (``--ids``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from robench._base.bounded_reading import LISTING, Unreadable, read_text
from robench._base.errors import UsageError
from robench.tasks.base import Splits
from robench.tasks.example import Example
from robench.tasks.frozen import TEST_SIZE, digest


def make_splits(
    train: Sequence[Example],
    dev: Sequence[Example],
    test: Sequence[Example],
    *,
    pool: str,
    ids: Path | None,
    origin: str,
) -> Splits:
    """Assemble the splits of a task.

    If a list has more lines than are judged, a remark says so.

    Args:
        train: the training examples.
        dev: the dev examples.
        test: the test examples.
        pool: the training pool.
        ids: file whose list ``test`` follows; None if ``test`` was picked by the rule.
        origin: where the data were found.
    """
    return Splits(
        train=train,
        dev=dev,
        test=test,
        train_pool=pool,
        # The prefix keeps a list named "frozen-1000.txt" apart from the frozen 1000.
        test_name=f"frozen-{len(test)}" if ids is None else f"list-{ids.stem}",
        digest=digest(test),
        origin=origin,
        remarks=() if ids is None else _remarks(ids),
    )


def _remarks(path: Path) -> tuple[str, ...]:
    lines = len(_read_lines(path))
    if lines <= TEST_SIZE:
        return ()
    return (f"The list {path} has {lines:,} lines; its first {TEST_SIZE:,} are judged.",)


def pick_listed(
    path: Path,
    examples: Sequence[Example],
    names: Mapping[str, str],
    canonical: Callable[[str], str] = str,
) -> list[Example]:
    """Return the examples that a published list names, sorted by id.

    All lines count, or the first 1000 lines of a longer list.

    Args:
        path: text file with one example a line: robench's id or the publisher's name. Blank lines
            do not count.
        examples: the examples to choose from.
        names: publisher's name -> id; empty where the data have no names (the hub).
        canonical: brings a line into the form of ``names``.

    Raises:
        UsageError: the file is missing or empty; a line names no example, or the same example as
            another line.
    """
    by_id = {example.id: example for example in examples}
    picked: dict[str, Example] = {}
    for number, line in _read_lines(path)[:TEST_SIZE]:
        identity = line if line in by_id else names.get(canonical(line), "")
        where = f"Line {number} of {path} ('{line[:80]}')"
        if identity not in by_id:
            hint = "" if names else " These data have no file names, so only ids are known."
            raise UsageError(f"{where} names no test example.{hint}")
        if identity in picked:
            raise UsageError(
                f"{where} names an example for the second time. Remove one of the two lines."
            )
        picked[identity] = by_id[identity]
    if not picked:
        raise UsageError(f"The list {path} is empty. It needs one id or file name a line.")
    return sorted(picked.values(), key=lambda example: example.id)


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines that are not blank, each with its number.

    A byte order mark is dropped, and a backslash in a path becomes a slash (files from Windows).
    """
    try:
        text = read_text(path, LISTING)
    except Unreadable as error:
        raise UsageError(f"The list of ids {path} cannot be read: {error.reason}.") from error
    numbered = enumerate(text.splitlines(), start=1)
    return [(number, line.strip().replace("\\", "/")) for number, line in numbered if line.strip()]


def choose_train_pool(task: str, pools: Sequence[str], pool: str | None) -> str:
    """Return ``pool``, or the first of ``pools`` for None.

    Raises:
        UsageError: the task has no such pool.
    """
    if pool is None or pool in pools:
        return pool or pools[0]
    raise UsageError(f"Task '{task}' has no training pool '{pool}'. It has: {', '.join(pools)}.")
