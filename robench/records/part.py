"""``RecordPart``: the base of a record and of its parts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 hash as 64 hexadecimal digits."""


class RecordPart(BaseModel):
    """Base of a record and its parts. They are frozen and refuse unknown fields and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
