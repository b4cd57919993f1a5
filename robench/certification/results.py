"""The verdicts of a certification that runs, one line per example, so that it can continue.

Each line has a seal, which depends on the key of the certificate too (``robench._base.seals``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robench._base.bounded_reading import Missing, Unreadable, parse_json, raw_lines
from robench._base.errors import RobenchError
from robench._base.files import make_folder, open_itself, sync_folder
from robench._base.seals import SEAL, line_seal
from robench._base.waiting import Patience, alone

SECONDS_PER_SYNC = 1.0
"""Seconds after which the next line is forced to the disk; closing the file forces all lines."""


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


class ResultFile:
    """The verdicts of one certificate on the disk.

    A line that is damaged, such as the last one after a power cut, is read as if it were not there.
    So is a line whose seal does not fit, and a line of another certificate.

    Args:
        path: the file; its folder is made where it is missing.
        key: key of the certificate.

    Attributes:
        damaged: lines that the last ``read`` left out.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.damaged = 0
        self._key = key
        self._synced_at = 0.0

    @contextmanager
    def held(self, patience: Patience | None) -> Iterator[ResultFile]:
        """Keep other runs out while the block runs.

        Raises:
            RobenchError: another run has the file, and the patience is at its end.
        """
        who = f"Another run is writing '{self.path}'."
        with alone(self.path.with_suffix(".lock"), who, patience):
            try:
                yield self
            finally:
                self._sync()

    def read(self) -> dict[str, ExampleResult]:
        """Return the verdicts by id; of two for one example, the later.

        Raises:
            RobenchError: the file cannot be read.
        """
        found: dict[str, ExampleResult] = {}
        self.damaged = 0
        try:
            for line in raw_lines(self.path, inside=self.path.parent):
                result = None if line is None else self._result_of(line)
                if result is not None:
                    found[result.id] = result
                elif line != b"":
                    self.damaged += 1
        except Missing:
            return {}
        except Unreadable as error:
            raise RobenchError(
                f"The verdicts in '{self.path}' cannot be read ({error.reason}). "
                "Check the path and its permissions."
            ) from error
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
            RobenchError: the disk is full or the file cannot be written.
        """
        content = result.model_dump(mode="json")
        line = json.dumps({**content, SEAL: line_seal(self._key, content)}, ensure_ascii=False)
        try:
            make_folder(self.path.parent)
            descriptor = open_itself(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            with os.fdopen(descriptor, "ab") as stream:
                size = os.fstat(descriptor).st_size
                new = size == 0
                # A line that a killed run left half-written must not swallow this one.
                if not new and os.pread(descriptor, 1, size - 1) != b"\n":
                    stream.write(b"\n")
                stream.write(line.encode() + b"\n")
                stream.flush()
                if monotonic() - self._synced_at > SECONDS_PER_SYNC:
                    os.fsync(stream.fileno())
                    self._synced_at = monotonic()
            if new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise RobenchError(
                f"The verdicts in '{self.path}' cannot be written ({error.strerror}). Finished "
                "verdicts are kept. Free some space, then run the same command again."
            ) from error

    def _sync(self) -> None:
        """Force the lines to the disk; a disk that fails has said so at the last line."""
        try:
            descriptor = open_itself(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return
