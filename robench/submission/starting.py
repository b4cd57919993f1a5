"""What somebody needs who wants a row on a board: the right code, the commands, the open cells."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from robench._base.code_hash import code_sha256, source_sha256
from robench._base.errors import UsageError
from robench._base.key_code import TRAINING_CODE, TRIAL_CODE
from robench._base.release import __version__
from robench.records.board import Board, board_records, load_board
from robench.records.record import Record
from robench.search.registry import ATTACKS

SEEDS = (0, 1, 2)
"""Seeds of a board that has no record yet."""
YOURS = "YOUR-DEFENSE"


@dataclass(frozen=True)
class OpenCells:
    """Cells without a record of one row and one column.

    Attributes:
        defense: label of the row.
        attack: label of the column.
        seeds: the seeds of the board that lack a record.
    """

    defense: str
    attack: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Start:
    """What a new row of a board needs.

    Attributes:
        title: title of the board.
        commit: commit whose code made the board's records, as the board says; None where it does
            not say so.
        differs: what is not the same in this robench as in the board's records. If there is
            anything, the board takes no record of this robench.
        commands: evaluates a new row, and packs it.
        notes: what the commands cannot say.
        open_cells: cells of the board's rows that lack a record.
    """

    title: str
    commit: str | None
    differs: tuple[str, ...]
    commands: tuple[str, ...]
    notes: tuple[str, ...]
    open_cells: tuple[OpenCells, ...]


def start_row(path: Path) -> Start:
    """Return what a new row of a board needs.

    Args:
        path: the board's TOML file.

    Raises:
        UsageError: the TOML file is missing or wrong.
        RobenchError: a record cannot be read, or the records disagree.
    """
    board = load_board(path)
    admitted, _ = board_records(path, board)
    records = list(admitted.records.values())
    seeds = tuple(sorted({record.search.seed for record in records})) or SEEDS
    return Start(
        title=board.title,
        commit=board.commit,
        differs=tuple(differences(records)),
        commands=(_evaluate(board, records, seeds), "robench submit pack runs"),
        notes=tuple(_notes(board, records)),
        open_cells=tuple(_open_cells(board, records, seeds)),
    )


def differences(records: Iterable[Record]) -> list[str]:
    """Return what this robench has other than the one that made the records of a board.

    The code of surfaces is not compared: a record holds it only as a part of the surface's key.
    """
    search, training = source_sha256(*TRIAL_CODE), source_sha256(*TRAINING_CODE)
    found: dict[str, None] = {}
    for record in records:
        if record.software.robench != __version__:
            found[f"its version ({record.software.robench} made them, this is {__version__})"] = (
                None
            )
        if record.search.code_sha256 != search:
            found["the code of the search"] = None
        if record.victim.training_code_sha256 not in (None, training):
            found["the code of training"] = None
        if record.attack.code_sha256 != _attack_code(record.attack.name):
            found[f"the code of the attack '{record.attack.name}'"] = None
    return list(found)


@cache
def _attack_code(name: str) -> str | None:
    """Return the hash of an attack's code, or None where it is not installed."""
    try:
        return code_sha256(ATTACKS.get(name.partition("@")[0]))
    except UsageError:
        return None


def _evaluate(board: Board, records: Sequence[Record], seeds: Sequence[int]) -> str:
    """Return the command that makes a new row."""
    words = ["robench", "evaluate", "--task", board.task, "--encoder", board.encoder]
    words += ["--protocol", board.protocol, "--defense", YOURS]
    options: dict[str, None] = {}
    for label in board.attacks:
        attack, _, rest = label.partition("(")
        words += ["--attack", attack]
        name = attack.partition("@")[0]
        options.update(
            (f"{name}.{each}", None) for each in rest.removesuffix(")").split(", ") if each
        )
    for option in options:
        words += ["--option", option]
    for seed in seeds:
        words += ["--seed", str(seed)]
    if board.train_pool != "train":
        words += ["--train-pool", board.train_pool]
    if board.budget is not None:
        words += ["--budget", str(board.budget)]
    words += _settings(records)
    return shlex.join([*words, "--out", "runs"])


def _settings(records: Sequence[Record]) -> list[str]:
    """Return the options that the records of a board name."""
    words: list[str] = []
    if not records:
        return words
    first = records[0]
    if first.task.other_test is not None:
        words += ["--test", first.task.other_test]
    if first.surface.language_model == "none":
        words += ["--lm", "none"]
    trained = {record.victim.precision for record in records} - {None}
    if trained == {"bf16"}:
        words += ["--precision", "bf16"]
    if first.search.precision != "fp32":
        words += ["--search-precision", first.search.precision]
    return words


def _notes(board: Board, records: Sequence[Record]) -> list[str]:
    notes = []
    if "frozen-" not in board.test_name:
        notes.append(f"The board judges the list '{board.test_name}': name its file with --ids.")
    model = records[0].surface.language_model if records else board.language_model
    if model not in (None, "none"):
        kind, _, rest = model.partition(":")
        notes.append(
            f"The board's language model is {kind}:{rest[:12]}…. If it is not the default, name it "
            "with --lm."
        )
    return notes


def _open_cells(
    board: Board, records: Sequence[Record], seeds: Sequence[int]
) -> Iterable[OpenCells]:
    """Yield the cells of the board's rows that lack a record, row by row."""
    known = {(record.row, record.attack.label, record.search.seed) for record in records}
    rows = dict.fromkeys([*board.defenses, *sorted({record.row for record in records})])
    for row in rows:
        for attack in board.attacks:
            missing = tuple(seed for seed in seeds if (row, attack, seed) not in known)
            if missing:
                yield OpenCells(row, attack, missing)
