"""The plan of the board runs: boards, their rows and columns, and the order of worth."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from robench._base.bounded_reading import Unreadable, read_toml
from robench._base.errors import UsageError

PLAN: Final = Path(__file__).with_suffix(".toml")
Kind = Literal["gpu", "cpu"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OnDevice(_Part):
    """What is different for a board on one kind of device.

    Attributes:
        options: further options of ``robench evaluate``.
        defenses: the rows that fit; empty for all.
        attacks: the columns that fit; empty for all.
    """

    options: str = ""
    defenses: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()


class PlannedBoard(_Part):
    """One board.

    Attributes:
        about: one line for people.
        options: options of ``robench evaluate`` without rows, columns, seeds, device and folder.
        defenses: the rows.
        attacks: the columns.
        leave_out: attack -> defenses under which it is not run.
        gpu: what is different on a GPU.
        cpu: what is different on a processor. A board with ``gpu`` and without it needs a GPU.
    """

    about: str
    options: str
    defenses: tuple[str, ...] = Field(min_length=1)
    attacks: tuple[str, ...] = Field(min_length=1)
    leave_out: dict[str, tuple[str, ...]] = {}
    gpu: OnDevice | None = None
    cpu: OnDevice | None = None

    @model_validator(mode="after")
    def _names_its_own(self) -> PlannedBoard:
        for part in (self.gpu, self.cpu):
            if part is not None and not (
                set(part.defenses) <= set(self.defenses) and set(part.attacks) <= set(self.attacks)
            ):
                raise ValueError("a device has a row or a column that the board lacks")
        rows = {row for rows in self.leave_out.values() for row in rows}
        if not (set(self.leave_out) <= set(self.attacks) and rows <= set(self.defenses)):
            raise ValueError("leave_out names a row or a column that the board lacks")
        return self

    def runs_on(self, kind: Kind) -> bool:
        """Return whether anything of the board runs on this kind of device."""
        return kind == "gpu" or self.gpu is None or self.cpu is not None

    def on(self, kind: Kind) -> OnDevice:
        """Return the rows, columns and all options on a kind of device."""
        part = (self.gpu if kind == "gpu" else self.cpu) or OnDevice()
        return OnDevice(
            options=f"{self.options} {part.options}".strip(),
            defenses=part.defenses or self.defenses,
            attacks=part.attacks or self.attacks,
        )


class Step(_Part):
    """A part of a board that is run together.

    Attributes:
        board: name of the board.
        seeds: the seeds.
    """

    board: str
    seeds: tuple[int, ...] = Field(min_length=1)


class Plan(_Part):
    """Boards, and the order of worth.

    Attributes:
        steps: what is run, the most worthwhile first.
        boards: name -> board.
    """

    steps: tuple[Step, ...]
    boards: dict[str, PlannedBoard]

    @model_validator(mode="after")
    def _steps_fit(self) -> Plan:
        known, seen = set(self.boards), set[tuple[str, int]]()
        for step in self.steps:
            for pair in ((step.board, seed) for seed in step.seeds):
                if step.board not in known or pair in seen:
                    raise ValueError(f"the step of {pair} names no board, or stands there twice")
                seen.add(pair)
        return self


@dataclass(frozen=True)
class Job:
    """One command: a row of a board, with some seeds.

    Attributes:
        board: name of the board.
        folder: name of the folder of its results.
        defense: the row.
        seeds: the seeds.
        arguments: those of ``robench``, without ``--device`` and ``--out``.
    """

    board: str
    folder: str
    defense: str
    seeds: tuple[int, ...]
    arguments: tuple[str, ...]

    @property
    def title(self) -> str:
        """The job in words."""
        seeds = ", ".join(map(str, self.seeds))
        return f"{self.board}: {self.defense}, seed{'s' if len(self.seeds) > 1 else ''} {seeds}"

    @property
    def name(self) -> str:
        """The job for file names."""
        return f"{self.folder}-{self.defense}-s{'-'.join(map(str, self.seeds))}"


def read_plan(path: Path = PLAN) -> Plan:
    """Return the plan in a TOML file.

    Raises:
        UsageError: the file cannot be read, or is no plan.
    """
    try:
        return Plan.model_validate_json(json.dumps(read_toml(path), default=str))
    except Unreadable as error:
        raise UsageError(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"The plan {path} is wrong at '{where}': {first['msg']}.") from error


def jobs_of(plan: Plan, kind: Kind, only: Sequence[str] = ()) -> list[Job]:
    """Return what runs on a kind of device, in the order of worth.

    Args:
        plan: the plan.
        kind: kind of the device.
        only: names of boards; empty for all.

    Raises:
        UsageError: a name is no board.
    """
    for name in only:
        if name not in plan.boards:
            raise UsageError(f"There is no board '{name}'. Boards: {', '.join(plan.boards)}.")
    return [
        job
        for step in plan.steps
        if not only or step.board in only
        for job in _jobs(plan.boards[step.board], step, kind)
    ]


def _jobs(board: PlannedBoard, step: Step, kind: Kind) -> Iterator[Job]:
    if not board.runs_on(kind):
        return
    part = board.on(kind)
    # Runs on a processor with fewer examples are another board.
    smaller = kind == "cpu" and board.cpu is not None
    folder = f"{step.board}-cpu" if smaller else step.board
    for defense in part.defenses:
        attacks = [each for each in part.attacks if defense not in board.leave_out.get(each, ())]
        words = _words(part.options, [defense], attacks, step.seeds)
        yield Job(step.board, folder, defense, step.seeds, words)


def board_commands(plan: Plan, name: str, kind: Kind) -> list[tuple[str, ...]]:
    """Return the arguments of ``robench`` that make a whole board, in as few calls as possible.

    Args:
        plan: the plan.
        name: name of the board.
        kind: kind of the device.
    """
    board = plan.boards[name]
    if not board.runs_on(kind):
        return []
    part = board.on(kind)
    seeds = sorted(seed for step in plan.steps if step.board == name for seed in step.seeds)
    groups: dict[tuple[str, ...], list[str]] = {}
    for defense in part.defenses:
        attacks = [each for each in part.attacks if defense not in board.leave_out.get(each, ())]
        groups.setdefault(tuple(attacks), []).append(defense)
    return [_words(part.options, rows, columns, seeds) for columns, rows in groups.items()]


def _words(
    options: str, defenses: Sequence[str], attacks: Sequence[str], seeds: Sequence[int]
) -> tuple[str, ...]:
    words = ["evaluate", *shlex.split(options)]
    for option, values in (("--defense", defenses), ("--attack", attacks), ("--seed", seeds)):
        words += [word for value in values for word in (option, str(value))]
    return tuple(words)


def left_for_a_gpu(plan: Plan, only: Sequence[str] = ()) -> list[str]:
    """Return what a processor leaves for a GPU, one line for each board."""
    lines = []
    for name, board in plan.boards.items():
        if only and name not in only:
            continue
        if not board.runs_on("cpu"):
            lines.append(f"{name}: all of it")
        elif board.cpu is not None:
            part = board.on("cpu")
            missing = [
                ", ".join(each for each in whole if each not in fits)
                for whole, fits in (
                    (board.defenses, part.defenses),
                    (board.attacks, part.attacks),
                )
            ]
            words = [f"with '{board.on('gpu').options}'", *filter(None, missing)]
            lines.append(f"{name}: the whole board {'; '.join(words)}")
    return lines
