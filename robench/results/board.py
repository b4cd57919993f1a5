"""Board: which records make a leaderboard. What does not fit is refused with a reason, never dropped in silence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robench._base.environment import Precision
from robench._base.errors import RobenchError, UsageError
from robench.protocol import Protocol, get_protocol
from robench.results.comparable import Admitted, admitted, conflict
from robench.results.record import Record, Sha256, read_records

_HASH = re.compile("([0-9a-f]{12})[0-9a-f]{52}")


class Board(BaseModel):
    """What a leaderboard shows, as its TOML says it.

    Attributes:
        title, about: heading, and a paragraph beneath it.
        task, encoder, protocol, test_name, train_pool, budget: a record must have exactly these.
        attacks: labels of the attacks: the columns, in this order.
        defenses: labels of defenses that have a row even while they have no record; others that have records get a row as well.
        records: folder of the board's records, relative to the TOML.
        digest, surface, encoder_sha256, language_model, training_precision, search_precision: pins, as records have them; where one is absent,
            all records must agree on it (for the precision of training: those of one defense).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    task: str
    encoder: str
    protocol: str
    test_name: str = "frozen-1000"
    train_pool: str = "train"
    budget: int | None = None
    attacks: tuple[str, ...] = Field(min_length=1)
    defenses: tuple[str, ...] = ()
    records: str
    about: str = ""
    digest: Sha256 | None = None
    surface: Sha256 | None = None
    encoder_sha256: Sha256 | None = None
    language_model: str | None = None
    training_precision: Precision | None = None
    search_precision: Precision | None = None


def load_board(path: Path) -> Board:
    """The board in a TOML file; raises UsageError with one sentence where it is missing or wrong."""
    try:
        board = Board.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(
            f"Cannot read the board {path}: {error.strerror}. Name a .toml file such as leaderboards/mini-reviews.toml."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The board {path} is not valid TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"The board {path}: '{'.'.join(map(str, first['loc']))}': {first['msg'].lower()}."
        ) from error
    get_protocol(board.protocol)
    return board


def records_folder(path: Path, board: Board) -> Path:
    """Folder of the records of the board whose TOML is ``path``."""
    return path.parent / board.records


def admit(board: Board, records: Mapping[str, Record]) -> Admitted:
    """Sort ``records`` (file name -> record) into those that count for ``board``, those that failed and those that do not belong.

    Raises:
        RobenchError: the records disagree on something that must be the same for all and the board does not pin.
    """
    reasons: dict[str, str] = {}
    for name, record in records.items():
        if reason := _misfit(board, get_protocol(board.protocol), record):
            reasons[name] = reason
    fitting = {name: record for name, record in records.items() if name not in reasons}
    reasons.update(_twins(fitting))
    fitting = {name: record for name, record in fitting.items() if name not in reasons}
    if disagreement := conflict(fitting):
        raise RobenchError(
            f"The records {disagreement}: remove the stale one, or pin the right one in the board's TOML."
        )
    return admitted(fitting, reasons)


def _misfit(board: Board, protocol: Protocol, record: Record) -> str | None:
    """Why ``record`` does not belong on ``board``; None where it does."""
    wanted: list[tuple[str, object, object]] = [
        ("task", board.task, record.task.name),
        ("encoder", board.encoder, record.encoder.name),
        ("list of test examples", board.test_name, record.task.test_name),
        ("training pool", board.train_pool, record.task.train_pool),
        ("protocol", board.protocol, record.protocol.name),
        ("query budget", board.budget, record.search.budget),
    ]
    pins: list[tuple[str, object, object]] = [
        ("digest of the test examples", board.digest, record.task.digest),
        ("surface", board.surface, record.surface.key),
        ("language model", board.language_model, record.surface.language_model),
        ("hash of the encoder's files", board.encoder_sha256, record.encoder.sha256),
        ("precision of training", board.training_precision, record.victim.precision),
        ("precision of the search", board.search_precision, record.search.precision),
    ]
    wanted += [pin for pin in pins if pin[1] is not None]
    for what, expected, found in wanted:
        if expected != found:
            return f"its {what} is {_short(found)}, the board's {_short(expected)}"
    if record.protocol != protocol:
        return (
            f"its protocol is called '{protocol.name}' but differs from the protocol of that name"
        )
    if record.limit is not None:
        return f"only {record.counts.n} of {record.task.examples} examples were judged (--limit)"
    if record.attack.label not in board.attacks:
        return f"its attack '{record.attack.label}' is no column of the board"
    return None


def _short(value: object) -> str:
    if value is None:
        return "none"
    text = _HASH.sub(r"\1…", str(value))
    return text if _HASH.fullmatch(str(value)) else f"'{text}'"


def _twins(records: Mapping[str, Record]) -> dict[str, str]:
    """Records that claim one cell: all of them are refused, because nothing says which one counts."""
    cells: dict[tuple[str, str, int], list[str]] = {}
    for name, record in records.items():
        cells.setdefault(
            (record.defense.label, record.attack.label, record.search.seed), []
        ).append(name)
    return {
        name: f"also claimed by {', '.join(other for other in names if other != name)}: {defense} under {attack}, seed {seed}; keep one"
        for (defense, attack, seed), names in cells.items()
        if len(names) > 1
        for name in names
    }


def board_records(path: Path, board: Board) -> Admitted:
    """Read and sort the records of the board whose TOML is ``path``; raises RobenchError where one cannot be read: a board is made of all or not at all."""
    try:
        records = read_records(records_folder(path, board))
    except RobenchError as error:
        raise RobenchError(
            f"The board {path} is not made without all of its records. {error}"
        ) from error
    return admit(board, records)
