"""What ``robench doctor`` finds: versions, device, assets, disk, hub, plugins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        section: heading it stands under.
        state: ``"missing"`` limits what can be run, ``"problem"`` should be mended.
        detail: the version, the place found, or where was looked and what to do.
    """

    section: str
    what: str
    state: Literal["ok", "missing", "problem"]
    detail: str


def examine(*, data: Path | None = None, out: Path = Path("runs"), online: bool = False) -> list[Finding]:
    """Look at everything a run needs; raises nothing and changes nothing."""
    return []
