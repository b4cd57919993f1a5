"""``RecordPart``: the base of a record and of its parts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RecordPart(BaseModel):
    """Base of a record and its parts. They are frozen and refuse unknown fields and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
