"""The parts of a record that say how a cell ran: its search, its cost and its software."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, model_validator

from robench._base.environment import Precision
from robench.records.part import RecordPart, Sha256


class SearchPart(RecordPart):
    """How the search ran.

    Attributes:
        code_sha256: hash of robench's own code for search and verdict. None where it is unknown
            (records before schema 3).
        seed: seed of training and search.
        budget: allowed queries per example. None allows as many as the attack wants.
        precision: precision of the forward passes. In bf16, doubtful answers are computed again
            in fp32.
        example_seconds: own seconds after which the search of an example was ended as an ERROR.
            None means no limit.
    """

    code_sha256: Sha256 | None
    seed: NonNegativeInt
    budget: int | None = Field(ge=1)
    precision: Precision
    example_seconds: float | None = Field(default=None, gt=0)


class CostPart(RecordPart):
    """What the cell cost. A value that was not measured is None, and ``missing`` says why.

    Attributes:
        training_seconds: wall-clock time of the victim's training, on the machine that trained
            it.
        attack_seconds: time of all searches of the cell together, including interrupted runs.
            With several workers this is more than the wall-clock time.
        asked: queries over all examples.
        forwarded: rows that went through the victim, over all examples. A randomised victim
            computes each distinct query once for every variant, and all of them count.
        peak_memory_bytes: peak memory in the run that finished the cell. On CUDA it is the
            device's, otherwise that of the process or its largest worker.
        missing: name of a field that is None -> the reason.
    """

    training_seconds: float | None = Field(ge=0)
    attack_seconds: float | None = Field(ge=0)
    asked: NonNegativeInt
    forwarded: NonNegativeInt
    peak_memory_bytes: int | None = Field(ge=0)
    missing: dict[str, str]

    @model_validator(mode="after")
    def _absent_values_have_reasons(self) -> CostPart:
        measured = {
            "training_seconds": self.training_seconds,
            "attack_seconds": self.attack_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
        }
        absent = {name for name, value in measured.items() if value is None}
        if absent != set(self.missing):
            raise ValueError(
                f"'missing' must give a reason for exactly the absent measurements {sorted(absent)}"
            )
        return self


class SoftwarePart(RecordPart):
    """The software and the device.

    Attributes:
        robench: version of robench.
        versions: package -> version.
        device: device of the run that finished the cell. An interrupted earlier run used a
            device of the same kind, but perhaps another model.
        foreign_code: whether code of a model's folder ran in the process, which the user allowed
            with ``--trust-remote-code``. Such code can change every result of the process.
    """

    robench: str
    versions: dict[str, str]
    device: str
    foreign_code: bool = False
