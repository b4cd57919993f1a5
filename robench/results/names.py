"""What the files of a cell are called: readable, and distinct where the cells are."""

from __future__ import annotations

import re

LONGEST = 40
"""Characters of a task's, a defense's or an attack's name that stand in a file name."""


def cell_name(task: str, defense: str, attack: str, seed: int, cell: str) -> str:
    """``<task>-<defense>-<attack>-s<seed>-<first 8 of the key>``, in letters, digits and ``._+-`` only.

    Args:
        task, defense, attack: registered names.
        cell: key of the cell (``robench.evaluation.cell.cell_key``).
    """
    return "-".join([*map(_safe, (task, defense, attack)), f"s{seed}", cell[:8]])


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+]+", "-", name)[:LONGEST].strip(".-")


def record_file_name(name: str, limit: int | None) -> str:
    """File name of the record of the cell called ``name``: a limited run never takes the place of a whole one."""
    return f"{name}.json" if limit is None else f"{name}-limit-{limit}.json"
