"""Board: a leaderboard's definition, and the records that belong to it.

A record that does not belong is refused with a reason. It is never dropped silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from robench._base.bounded_reading import Unreadable, read_toml
from robench._base.environment import Precision
from robench._base.errors import RobenchError, UsageError
from robench._base.hints import did_you_mean
from robench.protocol import Protocol, Unknown, get_protocol
from robench.records.comparable import (
    Admitted,
    cell_of,
    find_disagreement,
    group_by,
    separate_failed,
    without,
)
from robench.records.invented_names import label_problems
from robench.records.record import Record, Sha256
from robench.records.record_files import KnownRecords, read_records
from robench.records.reported import REPORTED

_PERCENTAGE = re.compile(r"\d+(\.\d+)? ?(%|percent\b)")
_HASH = re.compile("([0-9a-f]{12})[0-9a-f]{52}")


class Board(BaseModel):
    """What a leaderboard shows, as its TOML file defines it.

    A record must have exactly the board's task, encoder, protocol, test_name, train_pool and
    budget. The fields from ``digest`` on are pins. A record must have a pinned value as well.
    Where a pin is absent, all records must agree on the value (for ``training_precision``: all
    records of one defense).

    Attributes:
        title: the heading.
        task: name of the task.
        encoder: label of the encoder.
        protocol: name of the protocol.
        test_name: name of the list of test examples.
        train_pool: pool of the training examples.
        budget: queries per example, or None for no limit.
        attacks: labels of the attacks. They are the columns, in this order.
        defenses: labels of rows that are there even without a record. Other defenses that have
            records get a row too. A victim that the user gave needs its label here, such as
            ``"my-model (given)"``.
        records: folder of the board's records, relative to the TOML file.
        about: a paragraph below the heading. It holds no percentage, because the numbers of a
            board come from its records.
        digest: pin for the digest of the test split.
        surface: pin for the key of the surface, made with the task's own substitution set.
        encoder_sha256: pin for the hash of the encoder's files.
        language_model: pin for the identity of the language model.
        training_precision: pin for the precision of training.
        search_precision: pin for the precision of the search.
        commit: commit of robench whose code made the records. New records need the same code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("title", "about")
    @classmethod
    def _holds_no_percentage(cls, text: str) -> str:
        if found := _PERCENTAGE.search(text):
            raise ValueError(
                f"it holds the number '{found[0]}', but a board's numbers come from its records; "
                "leave the number out"
            )
        return text

    @field_validator("attacks", "defenses")
    @classmethod
    def _names_each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"it names '{twice[0]}' twice")
        return names

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
    commit: str | None = Field(default=None, pattern="^[0-9a-f]{7,40}$")


def board_files(folder: Path) -> list[Path]:
    """Return the TOML files of the boards in a folder, sorted; the reported numbers are none."""
    return [path for path in sorted(folder.glob("*.toml")) if path.name != REPORTED]


def load_board(path: Path) -> Board:
    """Return the board that a TOML file defines.

    Raises:
        UsageError: the file is missing or wrong, or holds reported numbers.
    """
    if path.name == REPORTED:
        raise UsageError(
            f"{path} is no board: it holds numbers that papers report. 'robench leaderboard' makes "
            "its pages."
        )
    try:
        table = read_toml(path)
        # From JSON, and strict: lists become tuples, and "20" does not become 20.
        board = Board.model_validate_json(json.dumps(table, default=str), strict=True)
    except Unreadable as error:
        raise UsageError(
            f"Cannot read the board {path}: {error.reason}. Name a .toml file such as "
            "leaderboards/mini-reviews.toml."
        ) from error
    except ValidationError as error:
        raise UsageError(f"The board {path}: {_problem(error)}") from error
    get_protocol(board.protocol)
    return board


def _problem(error: ValidationError) -> str:
    """Return what is wrong with a TOML file; a misspelt field rather than the one it stands for."""
    found = error.errors()
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    name = ".".join(map(str, first["loc"]))
    match first["type"]:
        case "extra_forbidden":
            near = did_you_mean(name, Board.model_fields)
            return f"'{name}': a board has no such field.{near}"
        case "missing":
            return f"'{name}': this field is missing."
        case "too_short":
            return f"'{name}': it is empty."
        case "string_pattern_mismatch":
            digits = "7 to 40" if name == "commit" else "64"
            return f"'{name}': {first['input']!r} is not a hash of {digits} hexadecimal digits."
    return f"'{name}': {first['msg'].removeprefix('Value error, ').lower()}."


def records_folder(path: Path, board: Board) -> Path:
    """Return the folder of records of the board whose TOML file is ``path``."""
    return path.parent / board.records


def board_records(
    path: Path, board: Board, known: KnownRecords | None = None
) -> tuple[Admitted, Admitted]:
    """Read and sort the records of the board whose TOML file is ``path`` (``admit_variants``).

    Args:
        path: the TOML file.
        board: what it says.
        known: the records of an earlier call, which are not read again.

    Raises:
        RobenchError: a record cannot be read, because a board is made from all of its records
            or not at all; or the records disagree (see ``admit``).
    """
    try:
        records = read_records(records_folder(path, board), known)
    except RobenchError as error:
        raise RobenchError(
            f"The board {path} cannot be made without all of its records. {error}"
        ) from error
    return admit_variants(board, records)


def twin_board(board: Board) -> Board:
    """Return the board of the same protocol with the other choice of ``Protocol.unknown``."""
    protocol = get_protocol(board.protocol)
    other: Unknown = "allowed" if protocol.unknown == "forbidden" else "forbidden"
    name = protocol.choosing(other, protocol.temperature).name
    # The key of the surface is the same, because the choice is made for each victim.
    return board.model_copy(update={"protocol": name})


def admit_variants(board: Board, records: Mapping[str, Record]) -> tuple[Admitted, Admitted]:
    """Sort records into those of the board and those of its ``twin_board``.

    Returns:
        What ``admit`` says of each. The reasons of both are in the first.

    Raises:
        RobenchError: see ``admit``; the records of both must agree as well.
    """
    twin = twin_board(board)
    theirs = {name: each for name, each in records.items() if each.protocol.name == twin.protocol}
    admitted, others = admit(board, without(records, theirs)), admit(twin, theirs)
    disagreement = find_disagreement({**admitted.records, **others.records})
    if disagreement is not None:
        raise RobenchError(
            f"The records {disagreement}, with and without unknown words: remove the stale one, "
            "or pin the right value in the board's TOML file."
        )
    reasons = dict(sorted({**admitted.reasons, **others.reasons}.items()))
    return replace(admitted, reasons=reasons), others


def admit(board: Board, records: Mapping[str, Record]) -> Admitted:
    """Sort records into those that count, those with errors, and those that do not belong.

    Args:
        board: the board.
        records: file name -> record.

    Raises:
        RobenchError: the records disagree on something that the board does not pin.
    """
    protocol = get_protocol(board.protocol)
    reasons: dict[str, str] = {}
    for name, record in records.items():
        reason = _misfit(board, protocol, record)
        if reason is not None:
            reasons[name] = reason
    reasons.update(_duplicates(without(records, reasons)))
    fitting = without(records, reasons)
    disagreement = find_disagreement(fitting)
    if disagreement is not None:
        raise RobenchError(
            f"The records {disagreement}: remove the stale one, or pin the right value in the "
            "board's TOML file."
        )
    return separate_failed(fitting, reasons)


def _misfit(board: Board, protocol: Protocol, record: Record) -> str | None:
    """Return why ``record`` does not belong on ``board``, or None if it does."""
    for what, expected, found in _requirements(board, record):
        if expected != found:
            return f"its {what} is {_short(found)}, the board's {_short(expected)}"
    if record.protocol != protocol:
        return (
            f"its protocol is called '{protocol.name}' but differs from the protocol of that name"
        )
    if record.limit is not None:
        return f"only {record.counts.n} of {record.task.examples} examples were judged (--limit)"
    if record.attack.label not in board.attacks:
        return f"its attack '{record.attack.label}' is not a column of the board"
    if invented := label_problems(record):
        return invented[0]
    if record.victim.name is not None and record.row not in board.defenses:
        return (
            f"its victim '{record.row}' was given by name; list that name under 'defenses' in the "
            "board's TOML file"
        )
    return None


def _requirements(board: Board, record: Record) -> list[tuple[str, object, object]]:
    """Return what is compared: (what, the board's value, the record's value)."""
    wanted: list[tuple[str, object, object]] = [
        ("task", board.task, record.task.name),
        ("list of test examples", board.test_name, record.task.test_name),
        ("protocol", board.protocol, record.protocol.name),
        ("query budget", board.budget, record.search.budget),
    ]
    pins: list[tuple[str, object, object]] = [
        ("digest of the test examples", board.digest, record.task.digest),
        ("surface", board.surface, record.surface.table_key),
        ("language model", board.language_model, record.surface.language_model),
        ("precision of the search", board.search_precision, record.search.precision),
    ]
    # A victim that robench did not train has no encoder, no training pool and no precision.
    if record.encoder is not None:
        wanted += [
            ("encoder", board.encoder, record.encoder.name),
            ("training pool", board.train_pool, record.task.train_pool),
        ]
        pins += [
            ("hash of the encoder's files", board.encoder_sha256, record.encoder.sha256),
            ("precision of training", board.training_precision, record.victim.precision),
        ]
    # A pin that the board leaves out allows every value. ``find_disagreement`` then compares the
    # records with each other.
    return wanted + [pin for pin in pins if pin[1] is not None]


def _short(value: object) -> str:
    """Return a value as text, with hashes cut to 12 digits."""
    if value is None:
        return "none"
    text = str(value)
    shortened = _HASH.sub(r"\1…", text)
    return shortened if _HASH.fullmatch(text) else f"'{shortened}'"


def _duplicates(records: Mapping[str, Record]) -> dict[str, str]:
    """Return records that claim the same cell, with the reason why they are refused.

    All of them are refused, because nothing says which one counts.
    """
    reasons: dict[str, str] = {}
    for (defense, attack, seed), names in group_by(records, cell_of).items():
        for name in names:
            others = [other for other in names if other != name]
            if others:
                reasons[name] = (
                    f"also claimed by {', '.join(others)}: {defense} under {attack}, seed {seed}; "
                    "keep one"
                )
    return reasons
