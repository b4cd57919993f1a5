"""``RecordPart``: the base of a record and of its parts; and how such things are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from robench._base.files import write_text
from robench._base.seals import with_seal

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 hash as 64 hexadecimal digits."""


class RecordPart(BaseModel):
    """Base of a record and its parts. They are frozen and refuse unknown fields and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def write_sealed(path: Path, content: BaseModel) -> None:
    """Write a record or the like as JSON with a seal, whole or not at all.

    Raises:
        RobenchError: the file cannot be written.
    """
    data = with_seal(content.model_dump(mode="json", by_alias=True))
    write_text(path, json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
