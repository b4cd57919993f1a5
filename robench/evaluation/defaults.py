"""Default values of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TASK: Final = "mini-reviews"
ENCODER: Final = "tiny"
LM: Final = "tiny"
OUT: Final = Path("runs")
