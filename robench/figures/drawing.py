"""Make and save figures with matplotlib, which is an optional dependency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError, UsageError
from robench._base.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 4.2
"""Width and height of a panel in inches."""

EXTRA = "pip install 'robench[plots]'"


def require(*modules: str) -> None:
    """Check that matplotlib and ``modules`` can be imported.

    Commands call this before the work whose figure they draw.

    Raises:
        UsageError: one is missing. The message says what to install.
    """
    from importlib.util import find_spec

    missing = [name for name in ("matplotlib", *modules) if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Figures need {' and '.join(missing)}, which this Python does not have: {EXTRA}."
        )


def new_figure(columns: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, row by row."""
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PANEL * columns, PANEL * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, list(panels.flat)


def legend_below(figure: Figure, panel: Axes, columns: int) -> None:
    """Name the lines of a panel below the figure, where they cover nothing; its names may be long.

    Args:
        figure: the figure.
        panel: one of its panels. Without lines there is no legend.
        columns: most names side by side.
    """
    lines, names = panel.get_legend_handles_labels()
    if lines:
        figure.legend(lines, names, loc="outside lower center", fontsize="small", ncols=columns)


def check_path(path: Path) -> None:
    """Check that matplotlib has a format for the ending of ``path``.

    Raises:
        UsageError: it has none.
    """
    require()
    from matplotlib.figure import Figure

    known: dict[str, Any] = Figure().canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise UsageError(
            f"A figure cannot be written as '{path.name}': its name must end with one of "
            f"{', '.join(sorted(known))}, such as .png."
        )


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, whole or not at all. The ending decides the format.

    Raises:
        UsageError: there is no format for the ending.
        RobenchError: the file cannot be written.
    """
    check_path(path)
    ending = path.suffix.removeprefix(".").lower()
    try:
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format=ending, dpi=150)
    except OSError as error:
        raise RobenchError(
            f"The figure could not be written to '{path}' ({error.strerror or error}). Free some "
            "space or name another file."
        ) from error
