"""Record: what one cell of the grid (defense x attack x task x seed) came to, with everything that made it.

A record stores one letter per example. Counts follow from the letters, rates follow from the counts, and neither rates nor percents are stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    ValidationError,
    model_validator,
)

from robench._base.environment import Precision
from robench._base.errors import RobenchError
from robench.protocol import Protocol
from robench.results.atomic import write_text
from robench.results.names import cell_name, record_file_name
from robench.search.attack import Verdict

SCHEMA: Final = 3

LETTERS: Final = {
    Verdict.WRONG: "W",
    Verdict.FOOLED: "F",
    Verdict.HELD: "H",
    Verdict.HELD_PROVED: "P",
    Verdict.ERROR: "E",
}
"""Verdict -> its letter in ``Record.outcomes``."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Base of a record's parts: frozen, no unknown names, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Counts(Part):
    """How many examples ended how. The five add up to n."""

    wrong: NonNegativeInt
    fooled: NonNegativeInt
    held: NonNegativeInt
    held_proved: NonNegativeInt
    error: NonNegativeInt

    @property
    def n(self) -> int:
        """Number of examples."""
        return self.wrong + self.fooled + self.held + self.held_proved + self.error


def count(outcomes: str) -> Counts:
    """Counts of a string of outcome letters."""
    return Counts(
        wrong=outcomes.count("W"),
        fooled=outcomes.count("F"),
        held=outcomes.count("H"),
        held_proved=outcomes.count("P"),
        error=outcomes.count("E"),
    )


def digest_of_ids(ids: Iterable[str]) -> str:
    """SHA-256 (hex) of example ids, one a line: says which examples, in which order, the outcome letters stand for."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


class TaskPart(Part):
    """What was judged.

    Attributes:
        test_name: ``"frozen-1000"`` or ``"list-"`` and the name of a published list.
        digest: SHA-256 over the whole test split (ids, texts, labels), whatever the limit.
        examples: size of the whole test split.
        train_pool: where the training examples came from.
        synthetic: whether the texts were composed for this project.
    """

    name: str
    test_name: str
    digest: Sha256
    examples: int = Field(ge=1)
    train_pool: str
    synthetic: bool


class EncoderPart(Part):
    """The pre-trained encoder: its name and the SHA-256 over its configuration, tokenizer and weights before fine-tuning."""

    name: str
    sha256: Sha256


class PluginPart(Part):
    """A defense or an attack: registered name, label (the name and the options that were asked for), all options as resolved, SHA-256 of its source file."""

    name: str
    label: str
    options: dict[str, JsonValue]
    code_sha256: Sha256 | None


class VictimPart(Part):
    """The trained classifier.

    Attributes:
        sha256: of its weights.
        configuration: key of what made it.
        training_code_sha256: of robench's own code that trained it; None where it was not noted (before schema 3).
        precision: of the training.
        findings: of the checks.
    """

    sha256: Sha256
    configuration: Sha256
    training_code_sha256: Sha256 | None
    precision: Precision
    findings: tuple[str, ...]


class SurfacePart(Part):
    """What may replace what.

    Attributes:
        key: SHA-256 of everything that made the surface.
        language_model: the scorer's identity; ``"none"`` where there is none, and then nothing is constrained.
        constrained: whether this attack was bound by the language model.
        outside: whether this attack wrote texts of its own, so that the surface says nothing about them.
    """

    key: Sha256
    language_model: str
    constrained: bool
    outside: bool = False


class SearchPart(Part):
    """How the search ran.

    Attributes:
        code_sha256: of robench's own code that searched and judged; None where it was not noted (before schema 3).
        seed: of training and search.
        budget: questions allowed per example; None: as many as the attack wants.
        precision: of its forwards; in bf16, doubtful answers are in fp32 all the same.
    """

    code_sha256: Sha256 | None
    seed: NonNegativeInt
    budget: int | None = Field(ge=1)
    precision: Precision


class Cost(Part):
    """What the cell cost. A measurement that was not taken is None, and ``missing`` says why.

    Attributes:
        training_seconds: wall clock of the victim's training, on whatever machine trained it.
        attack_seconds: of all searches of the cell together, interrupted runs included; with several workers more than the wall clock shows.
        asked, forwarded: questions put, and rows that had to go through the victim, over all examples.
        peak_memory_bytes: of the device on CUDA, else of the process or its largest worker, in the run that finished the cell.
        missing: name of a None above -> reason.
    """

    training_seconds: float | None = Field(ge=0)
    attack_seconds: float | None = Field(ge=0)
    asked: NonNegativeInt
    forwarded: NonNegativeInt
    peak_memory_bytes: int | None = Field(ge=0)
    missing: dict[str, str]

    @model_validator(mode="after")
    def _reasons(self) -> Cost:
        absent = {
            name
            for name in ("training_seconds", "attack_seconds", "peak_memory_bytes")
            if getattr(self, name) is None
        }
        if absent != set(self.missing):
            raise ValueError(
                f"'missing' must give a reason for exactly the absent measurements {sorted(absent)}"
            )
        return self


class Software(Part):
    """What ran where. ``device`` is that of the run that finished the cell; earlier ones that were interrupted had another of the same kind at most."""

    robench: str
    versions: dict[str, str]
    device: str


class Record(Part):
    """One cell of the grid.

    Attributes:
        cell: key of the trials file (``robench.evaluation.cell.cell_key``).
        limit: how many examples were judged, fewer than there are; None when the whole test split was.
        outcomes: one letter per example in id order: Wrong, Fooled, Held, held-Proved, Error.
        ids_digest: ``digest_of_ids`` of those examples.
        counts: ``count(outcomes)``, stored so that the file can be read without a program; checked to agree.
        disbelieved: how many of the held ones were fooled by what the search claimed, or by an answer that it got, where the verdict found the victim right;
            None where it was not counted (schema 1).
        created: when the last trial was in, UTC.
    """

    schema_version: Literal[3] = Field(default=SCHEMA, alias="schema")
    cell: Sha256
    task: TaskPart
    encoder: EncoderPart
    defense: PluginPart
    attack: PluginPart
    protocol: Protocol
    victim: VictimPart
    surface: SurfacePart
    search: SearchPart
    limit: int | None = Field(ge=1)
    outcomes: str = Field(pattern="^[WFHPE]+$")
    ids_digest: Sha256
    counts: Counts
    disbelieved: int | None = Field(ge=0)
    cost: Cost
    software: Software
    created: AwareDatetime

    @model_validator(mode="after")
    def _agree(self) -> Record:
        if self.counts != count(self.outcomes):
            raise ValueError(
                f"the counts {self.counts} do not follow from the outcomes {count(self.outcomes)}"
            )
        if (self.disbelieved or 0) > self.counts.held:
            raise ValueError(
                f"{self.disbelieved} disbelieved claims are more than the {self.counts.held} examples that held"
            )
        if self.limit is not None and self.limit >= self.task.examples:
            raise ValueError(
                f"a limit of {self.limit} is none: there are {self.task.examples} examples"
            )
        wanted = self.limit or self.task.examples
        if len(self.outcomes) != wanted:
            raise ValueError(
                f"{len(self.outcomes)} outcomes, but {wanted} examples were to be judged"
            )
        if self.created.utcoffset() != datetime.min - datetime.min:
            raise ValueError("'created' must be in UTC")
        return self

    @property
    def file_name(self) -> str:
        """Its name in a records folder."""
        return record_file_name(
            cell_name(
                self.task.name, self.defense.name, self.attack.name, self.search.seed, self.cell
            ),
            self.limit,
        )


def write_record(path: Path, record: Record) -> None:
    """Write ``record`` whole or raise RobenchError."""
    data = record.model_dump(mode="json", by_alias=True)
    write_text(path, json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_record(path: Path) -> Record:
    """The record in ``path``, migrated to the present schema; raises RobenchError with one sentence where it cannot be read."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = f"{error.strerror}" if isinstance(error, OSError) else "it is not JSON"
        raise RobenchError(
            f"Cannot read the record {path} ({reason}). Restore it or delete it and evaluate that cell again."
        ) from error
    try:
        return Record.model_validate_json(json.dumps(migrate(raw)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RobenchError(
            f"The record {path} is not valid at '{where}' ({first['msg']}). Restore it or delete it and evaluate that cell again."
        ) from error
    except RobenchError as error:
        raise RobenchError(f"Cannot read the record {path}: {error}") from error


def read_records(folder: Path) -> dict[str, Record]:
    """File name -> record for every ``*.json`` in ``folder``, sorted by name; empty where the folder does not exist."""
    return {path.name: read_record(path) for path in sorted(folder.glob("*.json"))}


def _without_core_code(old: dict[str, Any]) -> dict[str, Any]:
    return {
        **old,
        "victim": {**old["victim"], "training_code_sha256": None},
        "search": {**old["search"], "code_sha256": None},
    }


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda old: {**old, "disbelieved": None},
    2: _without_core_code,
}
"""Schema version -> the step that turns a raw record of that version into one of the next."""


def migrate(raw: Any) -> dict[str, Any]:
    """Bring a raw record to the present schema, step by step.

    Raises:
        RobenchError: it is no record or not a whole one, comes from a newer robench, or from a version without a step.
    """
    version = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise RobenchError("it has no 'schema' number, so it is no record.")
    if version > SCHEMA:
        raise RobenchError(
            f"it has schema {version} and this robench reads up to {SCHEMA}. Update robench."
        )
    data: dict[str, Any] = raw
    while version < SCHEMA:
        if version not in MIGRATIONS:
            raise RobenchError(
                f"it has schema {version}, which this robench can no longer read. Evaluate that cell again."
            )
        try:
            data = {**MIGRATIONS[version](data), "schema": version + 1}
        except (KeyError, TypeError) as error:
            raise RobenchError(
                f"it does not hold what schema {version} does. Restore it or delete it and evaluate that cell again."
            ) from error
        version += 1
    return data
