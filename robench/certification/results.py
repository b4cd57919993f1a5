"""The verdicts of a certification that runs, one line per example, so that it can continue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robench._base.bounded_reading import Missing, Unreadable, raw_lines
from robench._base.errors import RobenchError
from robench._base.waiting import Patience, alone


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

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    id: str
    letter: Literal["C", "F", "U", "A", "W"]
    reason: str
    positions: int = Field(ge=0, le=10**9)
    hull: bool = False
    seconds: float = Field(default=0.0, ge=0, le=1e10)


class ResultFile:
    """The verdicts of one certificate on the disk.

    A line that is damaged, such as the last one after a power cut, is read as if it were not there.

    Args:
        path: the file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def held(self, patience: Patience | None) -> Iterator[ResultFile]:
        """Keep other runs out while the block runs.

        Raises:
            RobenchError: another run has the file, and the patience is at its end.
        """
        who = f"Another run is writing '{self.path}'."
        with alone(self.path.with_suffix(".lock"), who, patience):
            yield self

    def read(self) -> dict[str, ExampleResult]:
        """Return the verdicts by id; of two for one example, the later.

        Raises:
            RobenchError: the file cannot be read.
        """
        found: dict[str, ExampleResult] = {}
        try:
            for line in raw_lines(self.path):
                with suppress(ValidationError):
                    result = ExampleResult.model_validate_json(line or b"")
                    found[result.id] = result
        except Missing:
            return {}
        except Unreadable as error:
            raise RobenchError(
                f"The verdicts in '{self.path}' cannot be read ({error.reason}). "
                "Check the path and its permissions."
            ) from error
        return found

    def append(self, result: ExampleResult) -> None:
        """Write one verdict.

        Raises:
            RobenchError: the disk is full or the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                # A line that a killed run left half-written must not swallow this one.
                if stream.tell() and not self._ends_a_line():
                    stream.write(b"\n")
                stream.write(result.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise RobenchError(
                f"The verdicts in '{self.path}' cannot be written ({error.strerror}). Finished "
                "verdicts are kept. Free some space, then run the same command again."
            ) from error

    def _ends_a_line(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, 2)
            return stream.read(1) == b"\n"
