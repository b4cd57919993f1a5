"""Where the data lie that ship inside the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def embedded_path(*parts: str) -> Path:
    """Return the path of a file or folder of ``robench.embedded``."""
    return Path(str(files("robench.embedded").joinpath(*parts)))
