"""Read ``training.json``, the log of the training that made a victim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robench._base.bounded_reading import RECORD, Unreadable, read_json
from robench._base.seals import SealBroken, without_seal

_Seconds = Annotated[float, Field(ge=0, le=1e10)]


class EpochForm(BaseModel):
    """The values of one epoch that robench reads; None or absent where they were not measured."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    epoch: Annotated[int, Field(ge=1, le=10**6)]
    training_seconds: _Seconds | None = None
    dev_seconds: _Seconds | None = None
    distance: float | None = None
    dev_information: float | None = None
    dev_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    dev_hull_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None


class LogForm(BaseModel):
    """The log of a training; ``key`` is that of the victim."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    key: str | None = None
    epochs: Annotated[list[EpochForm], Field(min_length=1)]


def read_sealed_log(path: Path) -> dict[str, Any]:
    """Return the log as it was written.

    Logs of earlier versions have no seal. They do not name their victim either.

    Raises:
        Missing: there is no log.
        Unreadable: the log is damaged or was changed.
    """
    try:
        log = read_json(path, RECORD)
        return without_seal(log, required=isinstance(log, dict) and "victim" in log)
    except SealBroken as error:
        raise Unreadable(path, str(error)) from error


def read_training_log(path: Path) -> dict[str, Any]:
    """Return the log, of which ``LogForm`` has checked the values that robench reads.

    Raises:
        Unreadable: the file is missing or damaged, or is no log of a training.
    """
    log = read_sealed_log(path)
    try:
        LogForm.model_validate_json(json.dumps(log))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        reason = f"it is no log of a training ('{where}': {first['msg'].lower()})"
        raise Unreadable(path, reason) from error
    return log
