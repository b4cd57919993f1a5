"""Default values of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TASK: Final = "mini-reviews"
ENCODER: Final = "tiny"
LM: Final = "tiny"
OUT: Final = Path("runs")
EXAMPLE_SECONDS: Final = 3600.0
"""Time limit of an example under an attack of another package."""
BACKEND: Final = "local"
"""Where the work is done: in processes of this machine."""
