"""Everything that a command prints goes through here, so that no text of others steers a terminal.

A name in a record, a message of a plugin or a text of data may hold control codes: they move the
cursor, hide links, or turn the direction of the line. Here they are shown instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from robench._base.escaping import TEXT, json_text, one_line, terminal, terminal_lines, visible

if TYPE_CHECKING:
    from rich.console import Console


def say(text: object = "", *, nl: bool = True) -> None:
    """Print results on stdout. Line ends and tabs stay, all other control characters are shown.

    Args:
        text: the text.
        nl: whether a line end follows.
    """
    click.echo(terminal_lines(str(text)), nl=nl)


def say_line(text: object) -> None:
    """Print one line on stdout, also where a path in it holds a line end."""
    click.echo(terminal(text, TEXT))


def say_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout. A line end inside of one is shown, so no text adds a line."""
    click.echo("\n".join(terminal(line, TEXT) for line in lines))


def tell(sentence: str = "") -> None:
    """Print one sentence on stderr, on one line."""
    click.echo(one_line(sentence, TEXT), err=True)


def tell_lines(text: str) -> None:
    """Print several lines on stderr, such as a traceback."""
    click.echo(terminal_lines(text), err=True, nl=False)


def say_data(text: str, *, nl: bool = False) -> None:
    """Print data for a program on stdout: exactly in a pipe or a file, as ``say`` on a terminal."""
    if sys.stdout.isatty():
        say(text, nl=nl)
    else:
        # In a pipe, click takes colour codes out of a text. Data keep them.
        click.echo(text, nl=nl, color=True)


def say_json(text: str) -> None:
    """Print JSON on stdout. It means the same, and its strings hold no raw control character."""
    click.echo(json_text(text))


def console(**settings: Any) -> Console:
    """Return a console of rich that shows control characters, and knows no markup and no emoji."""
    return _console_class()(highlight=False, markup=False, emoji=False, **settings)


@cache
def _console_class() -> type[Console]:
    """Return the class of ``console``. rich is imported here, because it takes its time."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class _Console(Console):
        """A console whose texts are visible; its own control codes are not touched."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else visible(text, keep="\n"), style, control)

    return _Console
