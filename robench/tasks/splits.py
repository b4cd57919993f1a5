"""What a task hands out: its splits with the frozen test examples, or those of a published list (``--ids``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from robench._base.errors import UsageError
from robench.tasks.base import Example, Splits
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
    """What a task hands out; where a list is longer than what is judged of it, a remark says so.

    Args:
        pool: the training pool.
        ids: file whose list ``test`` follows; None where it was picked by the rule.
        origin: where the data were found.
    """
    # A list named "frozen-1000.txt" must not pass for the frozen 1000.
    test_name = f"frozen-{len(test)}" if ids is None else f"list-{ids.stem}"
    remarks = () if ids is None else _remarks(ids)
    return Splits(
        train=train,
        dev=dev,
        test=test,
        train_pool=pool,
        test_name=test_name,
        digest=digest(test),
        origin=origin,
        remarks=remarks,
    )


def _remarks(path: Path) -> tuple[str, ...]:
    lines = len(_lines(path))
    return (
        (f"The list {path} has {lines:,} lines; its first {TEST_SIZE:,} are judged.",)
        if lines > TEST_SIZE
        else ()
    )


def pick_listed(
    path: Path,
    examples: Sequence[Example],
    names: Mapping[str, str],
    canonical: Callable[[str], str] = str,
) -> list[Example]:
    """The examples that a published list names, sorted by id: all of its lines, or the first 1000 of a longer list.

    Args:
        path: text file, one example a line: our own id, or the publisher's name. Blank lines do not count.
        names: publisher's name -> id; empty where the data have no names (the hub).
        canonical: brings a line into the form of ``names``.

    Raises:
        UsageError: no such file, an empty one, a line that names nothing or the same example as another line.
    """
    by_id = {example.id: example for example in examples}
    picked: dict[str, Example] = {}
    for number, line in _lines(path)[:TEST_SIZE]:
        identity = line if line in by_id else names.get(canonical(line), "")
        if identity not in by_id:
            hint = (
                ""
                if names
                else " These data came without file names (the hub's have none), so only ids are known."
            )
            raise UsageError(
                f"Line {number} of {path} ('{line[:80]}') names no test example.{hint}"
            )
        if identity in picked:
            raise UsageError(
                f"Line {number} of {path} ('{line[:80]}') names an example for the second time. Remove one of the two lines."
            )
        picked[identity] = by_id[identity]
    if not picked:
        raise UsageError(f"The list {path} is empty. It takes one id or file name a line.")
    return sorted(picked.values(), key=lambda example: example.id)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"The list of ids {path} cannot be read: {reason}.") from error
    return [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]


def choose_train_pool(task: str, pools: Sequence[str], pool: str | None) -> str:
    """``pool`` where the task has it, its first one for None; raises UsageError otherwise."""
    if pool is None or pool in pools:
        return pool or pools[0]
    raise UsageError(f"Task '{task}' has no training pool '{pool}'. It takes: {', '.join(pools)}.")
