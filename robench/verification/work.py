"""What is known of the record that is being checked, and the names of its checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robench._base.code_hash import source_sha256
from robench._base.key_code import TRIAL_CODE
from robench.records.record import Record
from robench.records.test_set import TestSet
from robench.search.attack import Trial
from robench.search.jobs import Job, make_jobs
from robench.verification import claims
from robench.verification.checking import Checking
from robench.verification.victims import FoundVictim
from robench.verification.workshop import Bench

if TYPE_CHECKING:
    from robench.tasks.example import Example
    from robench.text.surface import Surface

FILE, TRIALS, TASK, VICTIM, COST = "file", "trials", "task", "victim", "cost"
SURFACE, TEXTS, SEARCH, PROOFS = "surface", "texts", "searches", "proofs"
FINDINGS, PARTS, KEY = "findings", "other fields", "cell key"
"""Names of the checks."""
NEEDING_VICTIM: Final = (SURFACE, TEXTS, SEARCH, PROOFS, FINDINGS, PARTS, KEY)
"""Checks that cannot be made without the victim."""


@dataclass
class Work(Checking):
    """What is known of the record that is being checked.

    Attributes:
        record: the record.
        texts: its test set, or None where it is not there.
        trials: its trials in order; None where they are missing.
        found: the folder of its victim.
        bench: everything that made it.
        full: the surface of all judged examples.
        new: a surface that was built again, of the examples that are asked or attacked.
        chosen: ids of the held and fooled examples that are attacked again.
        errors: ids of the examples that ended in an error and are attacked again.
    """

    record: Record
    texts: TestSet | None = None
    trials: list[Trial] | None = None
    found: FoundVictim | None = None
    bench: Bench | None = None
    full: Surface | None = None
    new: Surface | None = None
    chosen: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def lacking(self) -> list[str]:
        """What is not there, or not usable, of what the checks with the victim need."""
        parts = {"the victim": self.found, "the texts": self.texts, "the trials": self.trials}
        return [name for name, part in parts.items() if part is None]

    @property
    def names_trials(self) -> bool:
        """Whether the record is of a version that names its trials."""
        return self.report.schema >= claims.SCHEMA_OF_TRIALS

    def lowered(self, *, own_key: bool = False) -> list[str]:
        """Return a sentence where the schema is below that of the code that made the record.

        A record of an earlier version may lack parts, so somebody may have lowered the number.

        Args:
            own_key: whether the code here gives its key; the hash in the record may be forged.
        """
        schema, least = self.report.schema, claims.SCHEMA_OF_TRIALS
        own_code = self.record.search.code_sha256 == source_sha256(*TRIAL_CODE)
        if self.names_trials or not (own_key or own_code):
            return []
        return [f"its schema is {schema}, and the code that made it writes schema {least} or more"]


def jobs_of(work: Work, bench: Bench, examples: Iterable[Example]) -> Iterator[Job]:
    """Yield the jobs of examples, on the new surface where it has them."""
    assert work.full is not None
    assert work.new is not None
    cells = {True: bench.cell(work.new), False: bench.cell(work.full)}
    for example in examples:
        cell = cells[example.id in work.new]
        yield from make_jobs(
            [example],
            cell.surface,
            bench.victim,
            constrained=cell.attack.constrained,
            threshold=cell.protocol.lm_threshold,
            without=cell.removed,
        )
