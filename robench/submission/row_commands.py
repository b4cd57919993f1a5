"""The commands that make records of a board, from what the board and its records say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from robench.records.board import Board
from robench.records.record import Record

DEFAULT_TRAIN_POOL = "train"
GIVEN = "(given)"


def evaluations(
    board: Board,
    records: Sequence[Record],
    row: str,
    attacks: Iterable[str],
    seeds: Iterable[int],
) -> list[str]:
    """Return commands that evaluate a row of a board; several where options of attacks collide.

    Args:
        board: the board.
        records: its records.
        row: label of the row, such as ``"standard(epochs=8)"``.
        attacks: labels of columns.
        seeds: the seeds.
    """
    defense, options = split_label(row)
    start = ["robench", "evaluate", "--task", board.task, "--encoder", board.encoder]
    start += ["--protocol", board.protocol, "--defense", defense]
    start += [word for option in options for word in ("--option", f"defense.{option}")]
    end = [word for seed in seeds for word in ("--seed", str(seed))]
    end += [*_settings(board, records), "--out", "runs"]
    return [
        shlex.join([*start, *_attack_options(part), *end]) for part in _without_collisions(attacks)
    ]


def split_label(label: str) -> tuple[str, list[str]]:
    """Return the name and the options in a label: ``"genetic(population=5)"``."""
    name, _, rest = label.partition("(")
    # A value may hold a comma. An option begins with a name and an equals sign.
    return name, [each for each in re.split(r", (?=\w+=)", rest.removesuffix(")")) if each]


def shared_options(labels: Iterable[str]) -> list[str]:
    """Return the options that every row of a board has."""
    options = [dict.fromkeys(split_label(each)[1]) for each in labels]
    return (
        [each for each in options[0] if all(each in other for other in options)] if options else []
    )


def _without_collisions(labels: Iterable[str]) -> list[list[str]]:
    """Return labels of attacks in parts. In a part, an option belongs to one label only."""
    parts: list[list[str]] = []
    for label in labels:
        for part in parts:
            if not any(_collide(label, other) for other in part):
                part.append(label)
                break
        else:
            parts.append([label])
    return parts


def _collide(one: str, other: str) -> bool:
    (first, options), (second, others) = split_label(one), split_label(other)
    same = first.partition("@")[0] == second.partition("@")[0]
    return same and (first == second or bool(options or others))


def _attack_options(labels: Sequence[str]) -> list[str]:
    words: list[str] = []
    for label in labels:
        words += ["--attack", split_label(label)[0]]
    for label in labels:
        name, options = split_label(label)
        words += [
            word
            for option in options
            for word in ("--option", f"{name.partition('@')[0]}.{option}")
        ]
    return words


def _settings(board: Board, records: Sequence[Record]) -> list[str]:
    """Return the options that the board pins, or else its records name."""
    first = records[0] if records else None
    words: list[str] = []
    test = board.test_name.rpartition(":")[0]
    if test:
        words += ["--test", test]
    if board.train_pool != DEFAULT_TRAIN_POOL:
        words += ["--train-pool", board.train_pool]
    if board.budget is not None:
        words += ["--budget", str(board.budget)]
    model = board.language_model or (first and first.surface.language_model)
    if model == "none":
        words += ["--lm", "none"]
    trained = {record.victim.precision for record in records} - {None}
    if board.training_precision == "bf16" or trained == {"bf16"}:
        words += ["--precision", "bf16"]
    search = board.search_precision or (first and first.search.precision)
    if search == "bf16":
        words += ["--search-precision", "bf16"]
    if first is not None and "punkt-nltk" in (first.surface.splitter or ""):
        words += ["--punkt", "nltk"]
    return words
