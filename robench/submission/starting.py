"""What somebody needs who wants a row on a board: the right code, the commands, the open cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench.protocol import get_protocol
from robench.records.board import (
    Board,
    admit_variants,
    load_board,
    records_folder,
    twin_board,
)
from robench.records.comparable import CellPlace, cell_of
from robench.records.record import Record
from robench.records.record_files import read_records
from robench.submission.row_commands import GIVEN, evaluations, shared_options
from robench.submission.same_code import differences, other_defenses

SEEDS = (0, 1, 2)
"""Seeds of a board that has no record yet."""
YOURS = "YOUR-DEFENSE"
"""What stands in the place of a new defense's name."""


@dataclass(frozen=True)
class OpenCells:
    """Cells without a record of one row.

    Attributes:
        defense: label of the row.
        attacks: labels of the columns.
        seeds: the seeds of the board that lack a record in these columns.
        commands: make them; none for a victim that the user gives.
    """

    defense: str
    attacks: tuple[str, ...]
    seeds: tuple[int, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """What a new row of a board needs.

    Attributes:
        title: title of the board.
        commit: commit whose code made the board's records, as the board says; None where it does
            not say so.
        compared: number of the board's records whose code was compared.
        differs: what is not the same in this robench as in the board's records. If there is
            anything, the board takes no record of this robench.
        commands: evaluate a new row.
        notes: what the commands cannot say.
        open_cells: cells of the board's rows that lack a record.
    """

    title: str
    commit: str | None
    compared: int
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
    folder = records_folder(path, board)
    files = read_records(folder) if folder.is_dir() else {}
    admitted, twins = admit_variants(board, files)
    own = [*admitted.records.values(), *admitted.failed.values()]
    others = [*twins.records.values(), *twins.failed.values()]
    seeds = tuple(sorted({record.search.seed for record in own})) or SEEDS
    new = shared_options(_trained(board, own))
    taken = {cell_of(each) for each in files.values()}
    open_ = tuple(_open_cells(board, own, seeds, taken))
    row = f"{YOURS}({', '.join(new)})" if new else YOURS
    return Start(
        title=board.title,
        commit=board.commit,
        compared=len(own) + len(others),
        differs=tuple(differences([*own, *others])),
        commands=tuple(evaluations(board, own, row, board.attacks, seeds)),
        notes=(
            *_first_record(board, files),
            *_notes(board, own, others),
            *_one_seed(seeds),
            *_refused(files, admitted.reasons),
            *_defenses(own, open_),
        ),
        open_cells=open_,
    )


def _rows(board: Board, records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys([*board.defenses, *sorted({record.row for record in records})]))


def _trained(board: Board, records: Iterable[Record]) -> list[str]:
    """Return the labels of the rows that robench trains."""
    return [row for row in _rows(board, records) if not row.endswith(GIVEN)]


def _notes(board: Board, records: Sequence[Record], twins: Sequence[Record]) -> Iterable[str]:
    """Yield what the commands cannot say."""
    if not board.test_name.rpartition(":")[2].startswith("frozen-"):
        yield f"The board judges the list '{board.test_name}': name its file with --ids."
    model = board.language_model or next((each.surface.language_model for each in records), None)
    if model not in (None, "none"):
        kind, _, rest = str(model).partition(":")
        yield (
            f"The board's language model is {kind}:{rest[:12]}…. If it is not the default, name it "
            "with --lm."
        )
    if any(row.endswith(GIVEN) for row in _rows(board, records)):
        yield (
            "The board has rows of models that were given. For yours, name --victim in the place "
            "of --defense, and list its label under 'defenses' in the board's file."
        )
    if twins:
        choice = get_protocol(twin_board(board).protocol).unknown
        yield f"The board also has records with --unknown {choice}: they need a second run."


def _first_record(board: Board, files: Mapping[str, Record]) -> Iterable[str]:
    """Yield what the first record of a board must have, which no other record shows."""
    if not files:
        budget = "none" if board.budget is None else board.budget
        yield (
            "The board has no record yet. It takes those with the test examples "
            f"'{board.test_name}', the training pool '{board.train_pool}' and the query budget "
            f"{budget}."
        )


def _one_seed(seeds: Sequence[int]) -> Iterable[str]:
    """Yield what one training of each row cannot show."""
    if len(seeds) == 1:
        yield (
            f"The rows of this board have seed {seeds[0]} only, so they say nothing about another "
            "training. A claim that one method is better needs a board with several seeds."
        )


def _defenses(records: Sequence[Record], cells: Iterable[OpenCells]) -> Iterable[str]:
    """Yield which defenses of rows with open cells have other code here."""
    rows = {each.defense for each in cells}
    for name in other_defenses(record for record in records if record.row in rows):
        yield f"The defense '{name}' has other code here. The open cells of its rows need its own."


def _refused(files: Mapping[str, Record], reasons: Mapping[str, str]) -> Iterable[str]:
    """Yield how many records of the board do not count; their cells are taken nevertheless."""
    if reasons:
        name, reason = next(iter(reasons.items()))
        yield (
            f"{len(reasons)} of {len(files)} records do not count. Their cells stay taken until "
            f"the files are removed. The first is {name}: {reason}."
        )


def _open_cells(
    board: Board, records: Sequence[Record], seeds: Sequence[int], taken: set[CellPlace]
) -> Iterable[OpenCells]:
    """Yield the cells of the board's rows that lack a record, row by row."""
    for row in _rows(board, records):
        missing: dict[tuple[int, ...], list[str]] = {}
        for attack in board.attacks:
            lacking = tuple(seed for seed in seeds if (row, attack, seed) not in taken)
            if lacking:
                missing.setdefault(lacking, []).append(attack)
        for lacking, attacks in missing.items():
            commands = (
                () if row.endswith(GIVEN) else evaluations(board, records, row, attacks, lacking)
            )
            yield OpenCells(row, tuple(attacks), lacking, tuple(commands))
