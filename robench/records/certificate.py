"""Certificate: which examples of a test set are proved robust for one victim, by one method.

A certificate stores one letter per example, as a record does. Rates are derived from the letters.
``robench.records.certificate_files`` reads and writes certificates.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import AwareDatetime, Field, JsonValue, NonNegativeInt, model_validator

from robench.protocol import Protocol
from robench.records.record import RecordPart, Sha256, SoftwarePart, TaskPart, VictimPart
from robench.records.row_labels import row_label
from robench.records.run_folder import cell_name, record_file_name

SCHEMA: Final = 1
"""Version of the certificate's format."""

Method = Literal["bounds", "smoothing"]

LETTERS: Final = {
    "C": "certified",
    "F": "a text that fools the victim was found",
    "U": "not certified",
    "A": "abstained",
    "W": "wrong",
}
"""Letter of an example -> what it means.

* ``C``: no text of the space changes the right answer.
* ``F``: the search for a proof met a text of the space that fools the victim.
* ``U``: neither is known.
* ``A``: the draws do not say which label the smoothed victim gives.
* ``W``: the (smoothed) victim is wrong on the example itself.
"""


class SpacePart(RecordPart):
    """The texts for which a certificate holds.

    Attributes:
        key: SHA-256 of everything that decides the surface (``SurfacePart.key``).
        rules: as in ``SurfacePart``.
        language_model: identity of the scorer, or ``"none"``.
        constrained: whether the space holds only what the language model allows.
    """

    key: Sha256
    rules: Sha256
    language_model: str
    constrained: bool


class Certificate(RecordPart):
    """The certificate of one victim by one method.

    Attributes:
        schema_version: version of this format, ``"schema"`` in the file.
        key: SHA-256 of everything that decides the letters, apart from the examples.
        method: ``"bounds"`` (enumeration and interval bounds) or ``"smoothing"``.
        options: options of the method with their values.
        row: label of the victim's row, as in records.
        row_name: short name of the row.
        smoothed: whether the certificate is about a smoothed victim that was made from this victim
            for the certificate, and not about this victim as it was attacked.
        victim: the classifier.
        task: what was judged.
        protocol: the evaluation choices.
        space: the texts for which it holds.
        seed: seed of training and of random draws.
        limit: number of examples if it is below the size of the test split.
        letters: one letter per example (``LETTERS``).
        positions: for each example, the number of words that can be replaced by a word that the
            victim tells apart from it.
        reasons: letter and reason (``"C: enumeration"``) -> number of examples.
        hull: number of examples for which the convex hull of the word vectors is certified too.
        ids_digest: ``digest_of_ids`` of the examples.
        error: for a method with random draws, the probability that the letter C of one example
            is wrong. It holds for each example, and not for all of them together.
        seconds: time that the certificate took, over all runs that worked on it.
        code_sha256: hash of the code that made it.
        software: versions and device.
        created: time of the last example, in UTC.
    """

    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    key: Sha256
    method: Method
    options: dict[str, JsonValue]
    row: str
    row_name: str
    smoothed: bool
    victim: VictimPart
    task: TaskPart
    protocol: Protocol
    space: SpacePart
    seed: NonNegativeInt
    limit: int | None = Field(ge=1)
    letters: str = Field(pattern="^[CFUAW]+$")
    positions: tuple[NonNegativeInt, ...]
    reasons: dict[str, NonNegativeInt]
    hull: NonNegativeInt
    ids_digest: Sha256
    error: float | None = Field(gt=0, lt=1)
    seconds: float = Field(ge=0)
    code_sha256: Sha256
    software: SoftwarePart
    created: AwareDatetime

    @model_validator(mode="after")
    def _fields_agree(self) -> Certificate:
        wanted = self.limit or self.task.examples
        if len(self.letters) != wanted:
            raise ValueError(f"there are {len(self.letters)} letters for {wanted} examples")
        if len(self.positions) != len(self.letters):
            raise ValueError("there must be one number of positions for each letter")
        if sum(self.reasons.values()) != len(self.letters):
            raise ValueError("the reasons must add up to the number of letters")
        if (self.error is None) != (self.method == "bounds"):
            raise ValueError("a probability of error belongs to exactly the method smoothing")
        if self.created.utcoffset() != timedelta(0):
            raise ValueError("'created' must be in UTC")
        return self

    def number(self, letters: str) -> int:
        """Return how many examples have one of ``letters``."""
        return sum(map(self.letters.count, letters))

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.letters)

    @property
    def name(self) -> str:
        """Name of its files, without the ending."""
        return cell_name(self.task.file_part, self.row_name, self.method, self.seed, self.key)

    @property
    def file_name(self) -> str:
        """File name of the certificate."""
        return record_file_name(self.name, self.limit)


def row_of(victim: VictimPart, defense_label: str) -> str:
    """Return the label of a victim's row (``Record.row``)."""
    return row_label(victim.kind, victim.name, defense_label)
