"""The verdicts of a certification that runs, one line per example, so that it can continue.

Each line has a seal, which depends on the key of the certificate too (``robench._base.seals``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robench._base.bounded_reading import Unreadable, parse_json
from robench._base.line_file import LineFile
from robench._base.seals import SEAL, line_seal
from robench._base.waiting import Patience


class ExampleResult(BaseModel):
    """The verdict on one example.

    Attributes:
        id: of the example.
        letter: ``robench.records.certificate.LETTERS``.
        reason: what decided it.
        positions: number of words that can be replaced.
        hull: whether the convex hull is certified too.
        seconds: time that it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str
    letter: Literal["C", "F", "U", "A", "W"]
    reason: str
    positions: int = Field(ge=0, le=10**9)
    hull: bool = False
    seconds: float = Field(default=0.0, ge=0, le=1e10)


class ResultFile(LineFile):
    """The verdicts of one certificate on the disk.

    A line whose seal does not fit is damaged and is read as if it were not there. So is a line of
    another certificate. ``LineFile`` says how lines are written and locked.

    Args:
        path: the file; its folder is made where it is missing.
        key: key of the certificate.
        patience: how long to wait for another run that has the file. None waits not at all.
    """

    holds: ClassVar[str] = "verdicts"

    def __init__(self, path: Path, key: str, patience: Patience | None = None) -> None:
        super().__init__(path, patience)
        self._key = key

    def read(self) -> dict[str, ExampleResult]:
        """Return the verdicts by id; of two for one example, the later.

        Raises:
            RobenchError: the file cannot be read.
        """
        found: dict[str, ExampleResult] = {}
        for number, line in self.whole_lines():
            result = self._result_of(line)
            if result is not None:
                found[result.id] = result
            elif line:
                self.note_damage(number, "it is no verdict of this certificate")
        return found

    def _result_of(self, line: bytes) -> ExampleResult | None:
        """Return the verdict of a line; None where the line is damaged."""
        try:
            content = parse_json(line, self.path)
            seal = content.pop(SEAL)
            result = ExampleResult.model_validate_json(json.dumps(content), strict=True)
        except (Unreadable, ValidationError, LookupError, TypeError, AttributeError):
            return None
        return result if seal == line_seal(self._key, content) else None

    def append(self, result: ExampleResult) -> None:
        """Write one verdict.

        Raises:
            RobenchError: another run has the file, the disk is full, or the file cannot be
                written.
        """
        content = result.model_dump(mode="json")
        sealed = {**content, SEAL: line_seal(self._key, content)}
        self.append_line(json.dumps(sealed, ensure_ascii=False).encode() + b"\n")
