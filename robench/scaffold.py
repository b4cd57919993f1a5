"""The starting file of a plugin and its test."""

from __future__ import annotations

from pathlib import Path


def write_plugin(kind: str, name: str, folder: Path) -> list[Path]:
    """Write the files; returns their paths."""
    raise NotImplementedError
