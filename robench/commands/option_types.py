"""Types of command-line options, and how several become one decorator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]


class Folder(click.Path):
    """A folder to write into; it need not exist.

    An empty path, for example from an unset shell variable, is refused: it would mean the current
    directory.
    """

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, and refuse one that cannot be written to."""
        if not str(value):
            self.fail("is empty: name a folder, '.' for this one.", param, ctx)
        folder = Path(str(super().convert(value, param, ctx)))
        # The folder may have to be made, so its nearest existing parent decides.
        path = folder.absolute()
        existing = next(place for place in (path, *path.parents) if place.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            self.fail(
                f"'{folder}' cannot be written to: you may not write in '{existing}'. "
                "Name another folder.",
                param,
                ctx,
            )
        return folder


EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class Workers(click.IntRange):
    """A number of processes, or ``auto``, which becomes None."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; None for ``auto``."""
        return None if value == "auto" else super().convert(value, param, ctx)


def apply(options: Iterable[Decorator]) -> Callable[[Function], Function]:
    """Join several option decorators into one; the help lists them in the order given."""

    def decorate(function: Function) -> Function:
        for option in reversed(list(options)):
            function = option(function)
        return function

    return decorate
