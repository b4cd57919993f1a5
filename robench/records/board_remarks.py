"""What looks like a mistake in a board, in sentences."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from robench.records.board_contents import read_board
from robench.records.record_files import KnownRecords


def remarks(path: Path, known: KnownRecords | None = None) -> list[str]:
    """Return what is odd about the board whose TOML file is ``path``; nothing for most boards.

    Records that do not count, and rows or columns without any record, often come from a misspelt
    name in the TOML file. They are no errors, because a board may wait for its records.

    Args:
        path: the TOML file.
        known: the records of an earlier call, which are not read again.

    Raises:
        UsageError: the TOML file is missing or wrong.
        RobenchError: a record or a certificate cannot be read, or the records disagree.
    """
    contents = read_board(path, known)
    if not contents.folder.is_dir():
        return [f"{path}: the folder of its records, {contents.folder}, is not there."]
    admitted = contents.admitted
    records = [*admitted.records.values(), *admitted.failed.values()]
    found = []
    if admitted.reasons:
        name, reason = next(iter(admitted.reasons.items()))
        number = len(admitted.reasons)
        found.append(
            f"{path}: {number} of {number + len(records) + len(contents.twins.records)} records do "
            f"not count. The first is {name}: {reason}."
        )
    empty = [
        *_without("the attack", contents.columns.attacks, {each.attack.label for each in records}),
        *_without("the defense", contents.expected, {each.row for each in records}),
    ]
    if records and empty:
        found.append(f"{path}: no record is of {' or '.join(empty)}. Are the names right?")
    return found


def _without(kind: str, labels: Iterable[str], there: set[str]) -> list[str]:
    return [f"{kind} '{label}'" for label in labels if label not in there]
