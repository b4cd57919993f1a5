"""Matplotlib, where it is there: a new figure, and a figure as a file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 4.2
"""Inches of a panel's sides."""
EXTRA = "pip install 'robench[plots]'"


def require(*modules: str) -> None:
    """Raise UsageError, with what to do, unless matplotlib and ``modules`` can be imported: before the work whose figure is wanted."""
    from importlib.util import find_spec

    missing = [name for name in ("matplotlib", *modules) if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Figures need {' and '.join(missing)}, which this Python does not have: {EXTRA}."
        )


def new_figure(columns: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure, and its panels row by row."""
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PANEL * columns, PANEL * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, list(panels.flat)


def check_path(path: Path) -> None:
    """Raise UsageError where matplotlib has no format for the ending of ``path``."""
    require()
    from matplotlib.figure import Figure

    known: dict[str, Any] = Figure().canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise UsageError(
            f"A figure cannot be written as '{path.name}': its name must end with one of {', '.join(sorted(known))}, such as .png."
        )


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, in the format of its ending, whole or not at all; raises RobenchError when it cannot be written."""
    check_path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, dpi=150)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise RobenchError(
            f"The figure could not be written to '{path}' ({error.strerror or error}). Free some space or name another file."
        ) from error
