"""The list of a submission's files, ``submission.json``, and the names inside its archive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from robench._base.bounded_reading import MB, Bounds, Unreadable, read_json
from robench._base.errors import RobenchError
from robench._base.release import __version__
from robench._base.seals import SealBroken, with_seal, without_seal
from robench.records.record import Sha256

MANIFEST: Final = "submission.json"
CHECKLIST: Final = "CHECKLIST.md"
ADVERSARIAL: Final = "adversarial"
"""Folder with the texts that fooled the victims, one file for each record."""
ROOT_FILES: Final = (MANIFEST, CHECKLIST)
_BOUNDS: Final = Bounds(size=16 * MB)

Name = Annotated[str, Field(max_length=500)]


class FilePart(BaseModel):
    """One file of a submission.

    Attributes:
        sha256: hash of its bytes.
        size: number of bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    size: NonNegativeInt


class Manifest(BaseModel):
    """What a submission says of itself.

    Attributes:
        kind: always ``"robench submission"``.
        version: version of this format.
        robench: version of robench that packed it.
        files: name inside the archive -> the file. ``submission.json`` itself is not among them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["robench submission"] = "robench submission"
    version: Literal[1] = 1
    robench: Annotated[str, Field(max_length=100)]
    files: dict[Name, FilePart]


def manifest_of(files: Mapping[str, FilePart]) -> bytes:
    """Return the bytes of ``submission.json``; the same files give the same bytes."""
    manifest = Manifest(robench=__version__, files=dict(sorted(files.items())))
    content = with_seal(manifest.model_dump(mode="json"))
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode()


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of an unpacked submission; None where there is none.

    Raises:
        RobenchError: it is damaged, or of another version.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        raw = without_seal(read_json(path, _BOUNDS, inside=folder))
        return Manifest.model_validate(raw)
    except (Unreadable, SealBroken) as error:
        raise RobenchError(f"'{MANIFEST}' cannot be read: {error}. Pack the run again.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:100]
        raise RobenchError(
            f"'{MANIFEST}' is not one that this robench reads ('{where}': {first['msg']}). Pack "
            "the run again."
        ) from error


def file_part(content: bytes) -> FilePart:
    """Return what a manifest says of a file with this content."""
    return FilePart(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
