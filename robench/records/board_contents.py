"""Everything that a board shows, read from its TOML file, records and certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from robench._base.escaping import prose
from robench.records.board import Board, board_records, load_board, records_folder
from robench.records.board_certificates import board_certificates
from robench.records.columns import Columns, board_columns
from robench.records.comparable import Admitted
from robench.records.marks import Marks, marks_in
from robench.records.record_files import KnownRecords
from robench.records.render import section
from robench.records.sandwich import Sandwich, sandwiches
from robench.records.shown_records import short_name, shown_records


@dataclass(frozen=True)
class BoardContents:
    """What a board shows. All texts of records are short enough for a page.

    Attributes:
        board: the definition.
        folder: the folder of its records.
        columns: the columns of its table.
        admitted: the records.
        twins: the records with the other choice of ``Protocol.unknown``.
        expected: labels of rows that are there even without a record.
        marks: what ``robench verify`` found.
        sandwiches: certificates beside attacks.
        refused_certificates: file name -> why the certificate does not count.
    """

    board: Board
    folder: Path
    columns: Columns
    admitted: Admitted
    twins: Admitted
    expected: tuple[str, ...]
    marks: Marks
    sandwiches: Sequence[Sandwich]
    refused_certificates: Mapping[str, str]

    def section(self) -> list[str]:
        """Return the Markdown of the table with everything that belongs to it, as lines."""
        return section(
            self.columns,
            self.admitted,
            expected=self.expected,
            about=prose(self.board.about),
            variants=self.twins.records.values(),
            marks=self.marks,
        )


def read_board(path: Path, known: KnownRecords | None = None) -> BoardContents:
    """Read the board whose TOML file is ``path``.

    Args:
        path: the TOML file.
        known: the records of an earlier call, which are not read again.

    Raises:
        UsageError: the TOML file is missing or wrong.
        RobenchError: a record or a certificate cannot be read, or the records disagree.
    """
    board = load_board(path)
    admitted, twins = (_shown(each) for each in board_records(path, board, known))
    folder = records_folder(path, board)
    parts = (admitted.records, admitted.failed, twins.records)
    records = [record for part in parts for record in part.values()]
    certified = board_certificates(path, board, records)
    attacks = map(short_name, board.attacks)
    return BoardContents(
        board=board,
        folder=folder,
        columns=board_columns(attacks, admitted.records.values()),
        admitted=admitted,
        twins=twins,
        expected=tuple(map(short_name, board.defenses)),
        marks=marks_in(folder, {**admitted.records, **admitted.failed}),
        sandwiches=sandwiches(certified.certificates.values(), records),
        refused_certificates=certified.reasons,
    )


def _shown(admitted: Admitted) -> Admitted:
    """Return the records of a board with texts that are short enough for a page."""
    counted, failed = shown_records(admitted.records), shown_records(admitted.failed)
    return replace(admitted, records=counted, failed=failed)
