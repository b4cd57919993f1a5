"""The labels of the user's data: cells become names, and names become numbers.

The rule does not depend on the order of the rows or on the format of the file:

* Whole numbers (``1``, ``"1"``, ``1.0``) keep their digits as a name and are ordered as numbers.
* ``true`` and ``false`` become the names ``"false"`` and ``"true"``.
* Everything else is a name, in alphabetical order. Names of the data set itself (ClassLabel) keep
  its order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robench._base.errors import UsageError
from robench.tasks.own.tables import Table

_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = frozenset({"true", "false"})
_UNLABELLED = -1
_MOST_SHOWN = 12
_MANY_LABELS = 50


@dataclass(frozen=True)
class Labels:
    """The labels of several tables.

    Attributes:
        names: the names, in order.
        of: for each table, the index of each row's label; None for a row without a label.
        remarks: sentences about the labels.
    """

    names: tuple[str, ...]
    of: tuple[tuple[int | None, ...], ...]
    remarks: tuple[str, ...]


def read_labels(tables: Sequence[tuple[Table, str]], wanted: Sequence[str] = ()) -> Labels:
    """Read the labels of several tables, which share their names.

    Args:
        tables: each table and the column of its labels.
        wanted: the names that must be used, in order; ``()`` takes those of the tables.

    Raises:
        UsageError: a label is missing or is no label; or a name is not among ``wanted``.
    """
    cells = [_named_cells(table, column) for table, column in tables]
    present = {name for column in cells for name in column if name is not None}
    present = _same_spelling(present)
    cells = [[_respell(name, present) for name in column] for column in cells]
    counts = Counter(name for column in cells for name in column if name is not None)
    _check_number(tables[0][0].name, tables[0][1], counts)
    own = _class_names(tables)
    if wanted:
        matched = _match(tables[0][0].name, sorted(counts), wanted)
        names = tuple(wanted)
    else:
        names = own or tuple(_ordered(counts))
        matched = {name: name for name in names}
    index = {found: names.index(name) for found, name in matched.items()}
    of = tuple(tuple(None if name is None else index[name] for name in column) for column in cells)
    return Labels(names, of, _remarks(tables, names, counts, from_data=bool(own or wanted)))


def _named_cells(table: Table, column: str) -> list[str | None]:
    """Return the label of each row as a name; None where a hub dataset has none (-1)."""
    names = table.class_names.get(column)
    cells: list[str | None] = []
    for row, cell in enumerate(table.read(column)):
        name = _name(table, column, row, cell)
        if names is None:
            cells.append(name)
        elif name == str(_UNLABELLED):
            cells.append(None)
        else:
            cells.append(_class_name(table, column, row, name, names))
    return cells


def _class_name(table: Table, column: str, row: int, name: str, names: Sequence[str]) -> str:
    if name in names:
        return name
    if name.isdigit() and int(name) < len(names):
        return names[int(name)]
    raise UsageError(
        f"The label '{name[:60]}' in {table.where(row)} (column '{column}') is none of its "
        f"classes: {', '.join(names[:_MOST_SHOWN])}."
    )


def _name(table: Table, column: str, row: int, cell: Any) -> str:
    """Return the name of one label."""
    where = f"{table.where(row)} (column '{column}')"
    if cell is None or cell != cell or (isinstance(cell, str) and _is_blank(cell)):
        raise UsageError(
            f"The label is missing in {where}. Fill it in, or remove the rows without a label."
        )
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, (int, float, str)):
        text = " ".join(str(cell).split())
        if _WHOLE.fullmatch(text):
            return str(int(text.partition(".")[0]))
        if _DECIMAL.fullmatch(text):
            raise UsageError(
                f"The label in {where} is {text}. Scores are no labels: robench judges "
                "classification. Name another column with --label-column, or make classes of them."
            )
        return text
    raise UsageError(
        f"The label in {where} is a {type(cell).__name__}. "
        "A label is a name, a whole number, or true or false."
    )


def _is_blank(cell: str) -> bool:
    return not cell.strip() or cell.strip().casefold() == "nan"


def _same_spelling(names: set[str]) -> set[str]:
    """Return the names, in lower case if all of them are spellings of true and false."""
    folded = {name.casefold() for name in names}
    return folded if folded <= _BOOLEANS else names


def _respell(name: str | None, present: set[str]) -> str | None:
    return name if name is None or name in present else name.casefold()


def _check_number(table: str, column: str, counts: Mapping[str, int]) -> None:
    rows = sum(counts.values())
    if len(counts) > max(_MANY_LABELS, rows // 10):
        raise UsageError(
            f"Column '{column}' of {table} has {len(counts):,} different values in {rows:,} rows, "
            "so it is no label. Name the column of the label with --label-column."
        )
    if not counts:
        raise UsageError(
            f"No row of {table} has a label: column '{column}' is -1 everywhere. "
            "Use a part of the data that has labels."
        )


def _class_names(tables: Sequence[tuple[Table, str]]) -> tuple[str, ...]:
    """Return the names that all tables declare, or ``()``."""
    declared = {table.class_names.get(column, ()) for table, column in tables}
    return declared.pop() if len(declared) == 1 else ()


def _ordered(names: Mapping[str, int]) -> list[str]:
    if all(_WHOLE.fullmatch(name) for name in names):
        return sorted(names, key=int)
    return sorted(names)


def _match(table: str, found: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Return label of the data -> wanted label; small and capital letters make no difference."""
    by_fold = {name.casefold(): name for name in wanted}
    unknown = [name for name in found if name.casefold() not in by_fold]
    if unknown:
        raise UsageError(
            f"The labels of {table} ({', '.join(found[:_MOST_SHOWN])}) are not those of the task "
            f"({', '.join(wanted)}): {', '.join(unknown[:_MOST_SHOWN])} is unknown. "
            "Write the task's names into the label column."
        )
    return {name: name if name in wanted else by_fold[name.casefold()] for name in found}


def _remarks(
    tables: Sequence[tuple[Table, str]],
    names: Sequence[str],
    counts: Mapping[str, int],
    *,
    from_data: bool,
) -> tuple[str, ...]:
    table = tables[0][0].name
    shown = [f"{number} = '{name}'" for number, name in enumerate(names[:_MOST_SHOWN])]
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    order = (
        ""
        if from_data
        else (
            " (in the order of the numbers)"
            if all(_WHOLE.fullmatch(name) for name in names)
            else " (in alphabetical order)"
        )
    )
    remarks = [f"Labels of {table}: {', '.join(shown)}{more}{order}."]
    if str(_UNLABELLED) in counts:
        remarks.append(
            f"Label -1 counts as a label of its own. If {table} means 'no label' by it, "
            "remove these rows."
        )
    folded = Counter(name.casefold() for name in names)
    twins = [name for name in names if folded[name.casefold()] > 1]
    if twins:
        remarks.append(f"Some labels differ in capital letters only: {', '.join(twins)}.")
    return tuple(remarks)
