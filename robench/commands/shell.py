"""What surrounds every command: errors as one sentence, exit codes, the global flags, and where output goes."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from robench._base.errors import RobenchError
from robench._base.files import causes, is_disk_full
from robench._base.hints import did_you_mean

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Function = TypeVar("Function", bound=Callable[..., Any])

INTERRUPTED = 130  # 128 + SIGINT, as shells count it
PIPED_WIDTH = 160  # columns of a table that is not written to a terminal


@dataclass
class Session:
    """What the global flags said, and what a command wants said if it is stopped.

    Attributes:
        kept: the sentence for Ctrl-C: what is kept and how to go on.
    """

    debug: bool = False
    quiet: bool = False
    kept: str = "Nothing was changed."


class Commands(click.Group):
    """A click group whose every failure is one sentence on stderr and the right exit code (2 usage, 1 failed run, 130 interrupted)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added: the order of use."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name when there is none such."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"There is no command '{args[0]}'.{did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run and exit; see the class."""
        session = Session()
        extra["standalone_mode"] = False
        try:
            code = super().main(args=args, prog_name=prog_name, obj=session, **extra)
        except BaseException as error:
            code = report(error, session)
        sys.exit(code if isinstance(code, int) else 0)


def report(error: BaseException, session: Session) -> int:
    """Say on stderr what went wrong and return the exit code; ``--debug`` adds the traceback."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        click.echo(f"Interrupted. {session.kept}", err=True)
        return INTERRUPTED
    if session.debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    sentence, code = explain(error)
    click.echo(f"Error: {sentence}", err=True)
    return code


def explain(error: BaseException) -> tuple[str, int]:
    """The sentence and the exit code for ``error``."""
    if isinstance(error, RobenchError):
        return one_line(error), error.exit_code
    if isinstance(error, click.ClickException):
        return usage_sentence(error), error.exit_code
    chain = list(causes(error))
    if any(is_disk_full(cause) for cause in chain):
        named = next(
            (cause.filename for cause in chain if isinstance(cause, OSError) and cause.filename),
            None,
        )
        where = f" while writing {named}" if named else ""
        return (
            f"The disk is full{where}. What was finished before is kept; free some space, or choose another disk with --out, and run the same command again.",
            1,
        )
    if any(
        type(cause).__name__ == "OutOfMemoryError" or isinstance(cause, MemoryError)
        for cause in chain
    ):
        return (
            "The memory is used up. Try a smaller --option defense.batch_size, fewer --workers, or another --device; finished work is kept.",
            1,
        )
    if isinstance(error, PermissionError):
        return (
            f"No permission for {error.filename}. Choose another place with --out or mend its access rights.",
            1,
        )
    return (
        f"robench stopped on an unexpected {type(error).__name__}: {one_line(error)} (run the same command with --debug for the traceback, and report it).",
        1,
    )


def usage_sentence(error: click.ClickException) -> str:
    """Click's message as one sentence that ends by naming the help page."""
    message = (
        one_line(error.format_message())
        .rstrip(".")
        .replace("is not a valid integer range", "is not a whole number")
    )
    if isinstance(error, click.NoSuchOption):
        near = f" Did you mean '{error.possibilities[0]}'?" if error.possibilities else ""
        message = f"There is no option '{error.option_name}'.{near}"
    message = message if message.endswith(("?", ".")) else message + "."
    command = (
        error.ctx.command_path
        if isinstance(error, click.UsageError) and error.ctx is not None
        else ""
    )
    return f"{message} See '{command} --help'." if command else message


def one_line(error: object) -> str:
    """Its text without line breaks."""
    return " ".join(str(error).split()) or "no message"


def global_flags(function: Function) -> Function:
    """``--debug`` and ``--quiet``, accepted before and after the command's name."""

    def remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and parameter.name is not None:
            setattr(ctx.find_object(Session), parameter.name, True)

    for flag, help_text in (
        ("--quiet", "No progress, only results and errors."),
        ("--debug", "Show the traceback of an error."),
    ):
        function = click.option(
            flag, is_flag=True, expose_value=False, callback=remember, help=help_text
        )(function)
    return function


def session_of(ctx: click.Context) -> Session:
    """What the global flags said."""
    session = ctx.find_object(Session)
    return session if session is not None else Session()


def show(*renderables: RenderableType) -> None:
    """Print results: as wide as the terminal, never cut short in a pipe, no blanks at the ends of lines."""
    from rich.console import Console

    console = _console(Console(highlight=False, markup=False))
    with console.capture() as capture:
        console.print(*renderables)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def terminal_width() -> int | None:
    """Columns of the terminal that results go to; None where they go elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr() -> Console:
    """Where progress and news go."""
    from rich.console import Console

    return _console(Console(stderr=True, highlight=False, markup=False))


def _console(console: Console) -> Console:
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, PIPED_WIDTH)
    return console
