"""Record: the result of one cell of the grid, with everything that produced it.

A cell is one victim under one attack on one task with one seed. A record stores one letter per
example. Counts follow from the letters and rates follow from the counts. Neither rates nor
percentages are stored. ``robench.records.record_files`` reads and writes records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Literal

from pydantic import AwareDatetime, Field, JsonValue, NonNegativeInt, model_validator

from robench._base.environment import Precision
from robench.protocol import Protocol
from robench.records.by_label import LabelCounts, check_sums
from robench.records.curves import CurvesPart
from robench.records.fresh_draws import FreshDrawsPart
from robench.records.part import RecordPart as RecordPart
from robench.records.part import Sha256 as Sha256
from robench.records.row_labels import row_label, test_label
from robench.records.run_folder import cell_name, record_file_name
from robench.records.run_parts import CostPart as CostPart
from robench.records.run_parts import SearchPart as SearchPart
from robench.records.run_parts import SoftwarePart as SoftwarePart
from robench.records.selection_part import SelectionPart
from robench.records.surface_part import SurfacePart as SurfacePart
from robench.records.trained_on import TrainedOnPart
from robench.records.trials_part import TrialsPart
from robench.records.unknown_part import UnknownPart
from robench.search.access import Access
from robench.search.attack import Verdict

SCHEMA: Final = 7
"""Version of the record's format. ``record_files.MIGRATIONS`` converts older versions."""

LETTERS: Final = {
    Verdict.WRONG: "W",
    Verdict.FOOLED: "F",
    Verdict.HELD: "H",
    Verdict.HELD_PROVED: "P",
    Verdict.ERROR: "E",
}
"""Verdict -> its letter in ``Record.outcomes``."""


class Counts(RecordPart):
    """Number of examples per verdict. The five numbers add up to ``n``."""

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
    """Count the letters of an outcome string."""
    return Counts(
        wrong=outcomes.count("W"),
        fooled=outcomes.count("F"),
        held=outcomes.count("H"),
        held_proved=outcomes.count("P"),
        error=outcomes.count("E"),
    )


def digest_of_ids(ids: Iterable[str]) -> str:
    """Return the SHA-256 (hex) of example ids, one per line.

    It identifies the examples, and their order, that the outcome letters stand for.
    """
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


class TaskPart(RecordPart):
    """The task and its test examples.

    Attributes:
        name: name of the task.
        test_name: ``"frozen-1000"``, or ``"list-"`` followed by the name of a published list. For
            a test set that is not the task's own, ``other_test`` and a colon come first:
            ``"imdb:frozen-1000"``.
        digest: SHA-256 over the whole test split (ids, texts, labels). It does not depend on
            the limit.
        examples: size of the whole test split.
        train_pool: where the training examples come from.
        synthetic: whether the texts were composed for this project.
        other_test: name of the task or file of the judged examples, if it is not this task.
    """

    name: str
    test_name: str
    digest: Sha256
    examples: int = Field(ge=1)
    train_pool: str
    synthetic: bool
    other_test: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the tasks or files that training and judged examples come from."""
        return tuple(name for name in (self.name, self.other_test) if name)

    @property
    def file_part(self) -> str:
        """The task, and the test set where it is not the task's own, for file names."""
        return test_label(self.name, self.other_test)


class EncoderPart(RecordPart):
    """The pre-trained encoder.

    Attributes:
        name: its label.
        sha256: hash of its configuration, tokenizer and weights before fine-tuning.
    """

    name: str
    sha256: Sha256


class PluginPart(RecordPart):
    """A defense, or the part of an attack that both have.

    Attributes:
        name: registered name.
        label: the name, followed by the options that differ from the defaults.
        options: all options with their final values.
        code_sha256: hash of the plugin's code, or None where there is none.
    """

    name: str
    label: str
    options: dict[str, JsonValue]
    code_sha256: Sha256 | None


class AttackPart(PluginPart):
    """An attack.

    Its name holds the substitution set where the user named one: ``"pwws@wordnet"``.

    Attributes:
        searches: whether it searches for a text that fools the victim (``Attack.searches``).
        access: what it sees of the victim (``Attack.access``). None in older records.
    """

    searches: bool = True
    access: Access | None = None


class GivenPart(RecordPart):
    """A victim that robench did not train.

    Attributes:
        source: the last part of the folder, or the hub id; the name of a function.
        architecture: class of the model, or None for a function.
        max_tokens: tokens of the longest text that it reads, or None where it is unknown.
        label_map: name of a label in the model -> name of the label in the task, where they
            differ.
        repeatable: whether a later run may use the trials. It is False for a function without a
            version.
    """

    source: str
    architecture: str | None
    max_tokens: int | None = Field(ge=1)
    label_map: dict[str, str]
    repeatable: bool = True


class VictimPart(RecordPart):
    """The classifier.

    Attributes:
        kind: ``"trained"`` by robench, ``"given"`` as a folder or a hub model, or a ``"function"``
            of the user.
        name: name that the user gave the victim. None means that the defense names it.
        sha256: hash of its weights; for a given victim, of all files that decide its answers.
        identity: hash of weights, tokenizer, configuration and of how texts are read, for a victim
            that robench trained. None for others, and in records of earlier versions.
        configuration: key of everything that decides the victim.
        training_code_sha256: hash of robench's own training code. None where robench did not
            train the victim, or where it is unknown (records before schema 3).
        precision: precision of the training, or None where robench did not train the victim.
        findings: what the health checks found.
        given: what is known of a victim that robench did not train, otherwise None.
        selection: how its epoch was chosen. None where robench did not train the victim, and
            where an older robench did.
        smoothing: how a randomised victim answers: ``{"kind": "masking", "draws": 16, …}`` as in
            its ``victim.json``, or ``{"kind": "function", "draws": 8}`` for the mean over several
            calls of a function. None for a victim that answers about the text itself, and in
            records before schema 5.
        temperature: what the logits of the searches were divided by, fitted on dev; None where
            the protocol asks for no temperature.
    """

    kind: Literal["trained", "given", "function"]
    name: str | None = None
    sha256: Sha256
    configuration: Sha256
    training_code_sha256: Sha256 | None
    precision: Precision | None
    findings: tuple[str, ...]
    given: GivenPart | None = None
    selection: SelectionPart | None = None
    smoothing: dict[str, JsonValue] | None = None
    temperature: float | None = Field(default=None, gt=0)
    identity: Sha256 | None = None

    @model_validator(mode="after")
    def _kind_and_parts_agree(self) -> VictimPart:
        if (self.kind == "trained") != (self.given is None):
            raise ValueError("'given' must be there for exactly the victims that were not trained")
        if self.kind != "trained" and self.name is None:
            raise ValueError("a victim that was not trained needs a name")
        if self.kind != "trained" and self.selection is not None:
            raise ValueError("no epoch was selected for a victim that was not trained")
        return self


class Record(RecordPart):
    """The result of one cell.

    Attributes:
        schema_version: version of this format, ``"schema"`` in the file.
        cell: key of the cell and its trials (``robench.evaluation.cell.cell_key``).
        task: what was judged.
        encoder: the pre-trained encoder, or None for a victim that robench did not train.
        defense: how the victim was trained, or None for a victim that robench did not train.
        attack: how it was attacked.
        protocol: the evaluation choices.
        victim: the classifier.
        surface: which words may replace which.
        search: how the search ran.
        limit: number of judged examples if it is below the size of the test split. None means
            the whole split.
        outcomes: one letter per example, in the order of the ids (``LETTERS``).
        ids_digest: ``digest_of_ids`` of those examples.
        counts: ``count(outcomes)``. It is stored so that a person can read the file, and checked
            against the outcomes.
        disbelieved: number of held examples for which the search saw the victim fooled but the
            verdict did not. None where it was not counted (schema 1).
        trained_on: the substitution set and the attacks that the victim trained with. None where
            that is unknown (given victims, records before schema 5).
        curves: fooled examples by queries and by changed words. None where they were not counted.
        unknown: what the victim reads as its unknown token. None where it was not counted
            (records before schema 5).
        fresh_draws: texts that fooled a randomised victim, asked again with other variants. None
            for other victims, where no text fooled it, and in records before schema 5.
        by_label: counts for each label of the task, in the order of the labels. None in records
            before schema 7.
        trials: which trials it was made from. None in records before schema 6.
        cost: time, queries and memory.
        software: versions and device.
        created: time of the last trial, in UTC.
    """

    schema_version: Literal[7] = Field(default=SCHEMA, alias="schema")
    cell: Sha256
    task: TaskPart
    encoder: EncoderPart | None
    defense: PluginPart | None
    attack: AttackPart
    protocol: Protocol
    victim: VictimPart
    surface: SurfacePart
    search: SearchPart
    limit: int | None = Field(ge=1)
    outcomes: str = Field(pattern="^[WFHPE]+$")
    ids_digest: Sha256
    counts: Counts
    disbelieved: int | None = Field(ge=0)
    trained_on: TrainedOnPart | None = None
    curves: CurvesPart | None = None
    unknown: UnknownPart | None = None
    fresh_draws: FreshDrawsPart | None = None
    by_label: tuple[LabelCounts, ...] | None = None
    trials: TrialsPart | None = None
    cost: CostPart
    software: SoftwarePart
    created: AwareDatetime

    @model_validator(mode="after")
    def _fields_agree(self) -> Record:
        if self.counts != count(self.outcomes):
            raise ValueError(
                f"the counts {self.counts} do not match the outcomes {count(self.outcomes)}"
            )
        if (self.disbelieved or 0) > self.counts.held:
            raise ValueError(
                f"{self.disbelieved} disbelieved claims are more than the {self.counts.held} "
                "examples that held"
            )
        if self.curves is not None:
            self.curves.check_total(self.counts.fooled)
        if self.by_label is not None:
            check_sums(
                self.by_label,
                wrong=self.counts.wrong,
                fooled=self.counts.fooled,
                held=self.counts.held + self.counts.held_proved,
                error=self.counts.error,
            )
        if self.limit is not None and self.limit >= self.task.examples:
            raise ValueError(
                f"a limit of {self.limit} has no effect: there are {self.task.examples} examples"
            )
        wanted = self.limit or self.task.examples
        if len(self.outcomes) != wanted:
            raise ValueError(f"there are {len(self.outcomes)} outcomes for {wanted} examples")
        if self.created.utcoffset() != timedelta(0):
            raise ValueError("'created' must be in UTC")
        trained = self.victim.kind == "trained"
        if (self.defense is not None) != trained or (self.encoder is not None) != trained:
            raise ValueError("a defense and an encoder belong to exactly the trained victims")
        if (self.surface.unattackable or 0) > len(self.outcomes):
            raise ValueError("more examples are without an attackable word than were judged")
        if self.unknown is not None and self.unknown.successes not in (None, self.counts.fooled):
            raise ValueError(
                f"there are {self.unknown.successes} successes and {self.counts.fooled} fooled "
                "examples"
            )
        return self

    @property
    def row(self) -> str:
        """Label of the victim's row in tables (``row_label``)."""
        label = "" if self.defense is None else self.defense.label
        return row_label(self.victim.kind, self.victim.name, label)

    @property
    def row_name(self) -> str:
        """Short name of the victim's row, as file names use it."""
        return self.victim.name or ("" if self.defense is None else self.defense.name)

    @property
    def cell_name(self) -> str:
        """Name of the cell in file names."""
        return cell_name(
            self.task.file_part,
            self.row_name,
            self.attack.name,
            self.search.seed,
            self.cell,
        )

    @property
    def file_name(self) -> str:
        """File name of the record in a folder of records."""
        return record_file_name(self.cell_name, self.limit)


def sources_of(records: Iterable[Record]) -> list[str]:
    """Return the names of all tasks and files that the examples of records come from, sorted."""
    return sorted({name for record in records for name in record.task.sources})
