"""The log of how long parts of runs took on this machine, for estimates of later runs.

It lies in the user's cache, in one file for each device, or in the folder that ``ROBENCH_RATES``
names. Each line has a seal, and a damaged line is passed over. Nothing in it decides a result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from robench._base.bounded_reading import MB, Bounds, Missing, Unreadable, raw_lines, read_bytes
from robench._base.files import atomic_file, lock, make_folder, open_itself
from robench._base.seals import seal_line, seal_of_bytes, split_line

FOLDER: Final = "ROBENCH_RATES"
"""The environment variable that names another folder; empty keeps no log."""
LARGEST: Final = 2 * MB
"""Bytes of a file after which the older half of its lines is dropped."""
_ABOUT: Final = "robench costs 1"
_BOUNDS = Bounds(size=8 * MB, line=16_000)

Kind = Literal["training", "surface", "attack", "forward", "step"]
Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]

logger = logging.getLogger(__name__)


class Work(BaseModel):
    """What decides how long a part of a run takes.

    Attributes:
        kind: a training, a surface, the attack of a cell; or a measured forward pass or training
            step.
        device: name of the hardware (``describe_device``).
        model: the encoder or the victim; for a surface, the language model.
        precision: precision of its forward passes.
        what: label of the defense or of the attack; empty for other kinds.
        row: label of the attacked victim's row.
        data: name of the task or test set.
        settings: what else changes the number of queries or the time.
        units: examples times epochs of a training, examples of a surface or attack, rows of a
            forward pass or step.
        words: mean number of words of an example that the victim sees.
        positions: mean number of words that have substitutes.
        changes: mean number of texts that differ from the original in one word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    device: str
    model: str
    precision: str = "fp32"
    what: str = ""
    row: str = ""
    data: str = ""
    settings: str = ""
    units: Amount
    words: Amount = 0.0
    positions: Amount = 0.0
    changes: Amount = 0.0


class Done(BaseModel):
    """A part of a run that is done.

    Attributes:
        work: what was done.
        seconds: wall-clock seconds.
        asked: queries of an attack.
        forwarded: rows that went through the victim.
        expected: the seconds that were estimated before: least, likely, most. None where there
            was no estimate.
        when: when it was done, in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: Work
    seconds: Amount
    asked: NonNegativeInt | None = None
    forwarded: NonNegativeInt | None = None
    expected: tuple[Amount, Amount, Amount] | None = None
    when: AwareDatetime


class CostLog:
    """The log of all devices.

    Args:
        folder: its folder; None for a log that is empty and keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self) -> list[Done]:
        """Return what was done on all devices, the oldest first for each device."""
        if self._folder is None or not self._folder.is_dir():
            return []
        return [done for path in sorted(self._folder.glob("*.jsonl")) for done in _read(path)]

    def add(self, done: Done) -> None:
        """Append one line; a sentence in the program's log says if that is not possible."""
        if self._folder is None:
            return
        path = self._folder / f"{_file_stem(done.work.device)}.jsonl"
        try:
            make_folder(self._folder)
            _append(path, seal_line(_content(done), _ABOUT))
        except (OSError, Unreadable) as error:
            _warn(self._folder, getattr(error, "strerror", None) or str(error))


def cost_log() -> CostLog:
    """Return the log in the user's cache, or in the folder that the environment names."""
    named = os.environ.get(FOLDER)
    if named is not None:
        return CostLog(Path(named) if named else None)
    from platformdirs import user_cache_path

    return CostLog(user_cache_path("robench") / "rates")


@cache
def _warn(folder: Path, reason: str) -> None:
    logger.warning("How long this run takes is not kept for estimates (%s: %s).", folder, reason)


def _file_stem(device: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")[:60]
    return f"{plain}-{hashlib.sha256(device.encode()).hexdigest()[:8]}"


def _content(done: Done) -> bytes:
    return json.dumps(done.model_dump(mode="json"), separators=(",", ":")).encode()


def _append(path: Path, line: bytes) -> None:
    """Append a line to a file, of which several processes may be writing.

    Raises:
        OSError, Unreadable: it cannot be written, or no longer be read.
    """
    descriptor = open_itself(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, line)
        large = os.fstat(descriptor).st_size > LARGEST and lock(descriptor)
        if large:
            kept = read_bytes(path, _BOUNDS).splitlines(keepends=True)
            with atomic_file(path) as temporary:
                temporary.write_bytes(b"".join(kept[len(kept) // 2 :]))
    finally:
        os.close(descriptor)


def _read(path: Path) -> Sequence[Done]:
    """Return the intact lines of a file."""
    try:
        lines = list(raw_lines(path, _BOUNDS))
    except (Missing, Unreadable, OSError):
        return []
    return [done for line in lines if line and (done := _parsed(line)) is not None]


def _parsed(line: bytes) -> Done | None:
    content, seal = split_line(line)
    if seal is None or seal_of_bytes(content, _ABOUT) != seal:
        return None
    try:
        return Done.model_validate_json(content)
    except ValidationError:
        # A later version of robench may write other fields.
        return None
