"""The surface of a record: what its file says, and what a new one holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.bounded_reading import DATA, parse_json, read_bytes
from robench._base.code_hash import source_sha256
from robench._base.errors import first_line
from robench._base.key_code import SURFACE_CODE
from robench.text.words import splitter_version

if TYPE_CHECKING:
    from robench.text.surface import Surface


@dataclass(frozen=True)
class StoredSurface:
    """The surface in a run's folder.

    Attributes:
        surface: the surface; None where its file cannot be used.
        made_from: what the file says that made it; empty where it does not say so.
        problem: why the file cannot be used, or an empty text.
    """

    surface: Surface | None
    made_from: Mapping[str, Any]
    problem: str = ""

    @property
    def max_words(self) -> int:
        """The index from which words have no substitutes, as the file says."""
        value = self.made_from.get("max_words", 0)
        return value if isinstance(value, int) else 0

    @property
    def same_code(self) -> bool:
        """Whether the same code and splitter made it as are here."""
        made = self.made_from
        return (
            made.get("code") == source_sha256(*SURFACE_CODE)
            and made.get("splitter") == splitter_version()
        )


def stored_surface(folders: Sequence[Path], key: str) -> StoredSurface | None:
    """Return the first usable surface with this key; else what the first file says, or None."""
    paths = [path for folder in folders if (path := folder / f"{key}.parquet").exists()]
    first: StoredSurface | None = None
    for path in paths:
        found = _read_surface(path, key)
        if found.surface is not None and not key_problems(found, key):
            return found
        first = first or found
    return first


def _read_surface(path: Path, key: str) -> StoredSurface:
    """Return what a file holds. It may be one of a stranger: Arrow raises errors of many types."""
    from robench.text.surface import read

    try:
        surface = read(path, key)
        made_from = surface.meta["made_from"]
        if not isinstance(made_from, dict):
            raise TypeError("'made_from' is no object")
    except Exception as error:
        problem = f"the stored surface cannot be used ({first_line(error)[:200]})"
        return StoredSurface(None, _described(path), problem)
    return StoredSurface(surface, made_from)


def _described(path: Path) -> Mapping[str, Any]:
    """Return what a file that has no seal, as earlier versions wrote it, says that made it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from robench.text.surface import METADATA

    try:
        content = pa.py_buffer(read_bytes(path, DATA))
        about = pq.read_schema(pa.BufferReader(content)).metadata[METADATA]
        made_from = parse_json(about, path)["made_from"]
    except Exception:
        return {}
    return made_from if isinstance(made_from, dict) else {}


def key_problems(stored: StoredSurface, key: str) -> list[str]:
    """Return a sentence where the key of a stored surface does not follow from what made it."""
    made = json.dumps(dict(stored.made_from), sort_keys=True)
    if hashlib.sha256(made.encode()).hexdigest() == key:
        return []
    return ["the key of the surface does not follow from what its file says that made it"]


def other_ingredients(stored: StoredSurface, wanted: Mapping[str, Any]) -> list[str]:
    """Return what a stored surface was made with instead of what its run names."""
    return [
        f"its surface was made with another '{name}' than its run names"
        for name in sorted(wanted)
        # Other code and another splitter are no fault of the record.
        if name not in ("code", "splitter") and stored.made_from.get(name) != wanted[name]
    ]


def differing(one: Surface, other: Surface, ids: Iterable[str], threshold: float) -> list[str]:
    """Return the ids of the examples in which two surfaces allow other words.

    Args:
        one: a surface.
        other: another one.
        ids: the examples to compare.
        threshold: see ``Surface.space``.
    """
    return [
        each for each in ids if _spaces(one, each, threshold) != _spaces(other, each, threshold)
    ]


def _spaces(surface: Surface, example: str, threshold: float) -> object:
    """Return the words that may replace each word, with and without the language model."""
    try:
        words = len(surface.words(example))
        return [
            surface.space(example, words, constrained, threshold).options
            for constrained in (False, True)
        ]
    except (KeyError, ValueError, IndexError):
        return None
