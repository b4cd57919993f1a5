"""What all commands share: errors as one sentence, exit codes, global flags and output."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from robench._base.ending import EndingSignals, exit_code, signal_of, was_ended
from robench._base.errors import RobenchError, UsageError, is_out_of_memory, one_line
from robench._base.files import causes, is_disk_full
from robench._base.hints import did_you_mean
from robench._base.no_exit import without_exits
from robench.commands.loading import announced_imports
from robench.commands.saying import console, say_json, tell, tell_lines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Function = TypeVar("Function", bound=Callable[..., Any])

OTHER_WORDS = ("--model", "--model-name", "--model-from-huggingface", "--checkpoint")
"""What other tools call ``--victim``."""
PIPED_WIDTH = 160
"""Columns of a table that is not written to a terminal."""

COMPLETION_VARIABLE = "_ROBENCH_COMPLETE"
"""Environment variable through which a shell asks for completions."""
SECTIONS = {
    "Run": ("evaluate", "train", "sweep", "attack", "certify"),
    "Many machines": ("merge", "slurm"),
    "Look at results": ("examples", "compare", "transfer", "verify", "leaderboard", "plot"),
    "Make pages": ("site", "report"),
    "Share victims and results": ("card", "push", "submit"),
    "Find names": ("list", "show"),
    "Set up": ("fetch", "doctor", "new", "completion"),
}
"""Heading of the help page -> its commands, in the order of use."""


@dataclass
class Session:
    """The global flags, and the message after an interruption.

    Attributes:
        debug: whether ``--debug`` was given.
        quiet: whether ``--quiet`` was given.
        json: whether ``--json`` was given: stdout is to be one JSON document.
        emitted: whether that document was printed.
        kept: the sentence after an interruption: what is kept and how to continue.
    """

    debug: bool = False
    quiet: bool = False
    json: bool = False
    emitted: bool = False
    kept: str = "Nothing was changed."


class Commands(click.Group):
    """A click group that prints every failure as one sentence on stderr.

    The exit code is 2 for wrong usage and 1 for a failed run. After an interruption it is 130
    (Ctrl-C), 143 (SIGTERM) or 129 (SIGHUP).
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which the commands were added: the order of use."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in groups, each under a heading that says what it is for."""
        grouped = {name for names in SECTIONS.values() for name in names}
        others = [name for name in self.commands if name not in grouped]
        for heading, names in {**SECTIONS, "Others": others}.items():
            found = [self.commands[name] for name in names if name in self.commands]
            rows = [(each.name or "", each.get_short_help_str(100)) for each in found]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows, col_max=14)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command as click does; for an unknown one, suggest the nearest name."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"There is no command '{args[0]}'.{did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run the command, report a failure, and exit."""
        session = Session()
        extra["standalone_mode"] = False
        # Also for ``python -m robench``, from whose name click would make another variable.
        extra.setdefault("complete_var", COMPLETION_VARIABLE)
        # Only the program says what it loads; a caller in Python has imported what it wanted.
        program = args is None
        words = sys.argv[1:] if args is None else args

        def told(number: int) -> None:
            _tell(*_interruption(number, session), session)

        ending = EndingSignals(told)
        with ending if program else nullcontext():
            try:
                shown = announced_imports(lambda: session.quiet) if program else nullcontext()
                # click itself exits after it has completed a word for a shell.
                completing = COMPLETION_VARIABLE in os.environ
                with nullcontext() if completing else without_exits(), shown:
                    _refuse_lost_folder()
                    code = super().main(args=args, prog_name=prog_name, obj=session, **extra)
            except BaseException as error:
                ending.finish()
                # A wrong option is found before the flags are set.
                early = isinstance(error, click.UsageError | UsageError)
                session.json |= early and "--json" in words
                code = report(error, session)
                ending.leave()
        sys.exit(code if isinstance(code, int) else 0)


def _refuse_lost_folder() -> None:
    """Raise UsageError if the current folder was deleted: no path can be resolved there."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError as error:
        raise UsageError("The current folder was deleted. Change to another folder.") from error


def report(error: BaseException, session: Session) -> int:
    """Print on stderr what went wrong and return the exit code.

    ``--debug`` adds the traceback. With ``--json``, stdout gets the sentence and the code as well,
    unless it has a document already.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    # Printing may fail after SIGHUP, and its error then hides the signal.
    interrupted = isinstance(error, click.Abort | KeyboardInterrupt) or was_ended(error)
    if session.debug and not interrupted:
        tell_lines("".join(traceback.format_exception(error)))
    if interrupted:
        return _tell(*_interruption(signal_of(error), session), session)
    sentence, code = explain(error)
    return _tell(sentence, code, session, "Error: ")


def _interruption(number: int, session: Session) -> tuple[str, int]:
    """Return the sentence and the exit code after a signal."""
    what = "Interrupted" if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}"
    return f"{what}. {session.kept}", exit_code(number)


def _tell(sentence: str, code: int, session: Session, before: str = "") -> int:
    """Print why a command ends, and return its exit code."""
    # After SIGHUP there may be no terminal left to print on.
    with suppress(OSError):
        tell(f"{before}{sentence}")
        if session.json and not session.emitted:
            session.emitted = True
            say_json(as_json({"error": sentence, "exit_code": code}))
    return code


def explain(error: BaseException) -> tuple[str, int]:
    """Return the sentence and the exit code for an error."""
    if isinstance(error, RobenchError):
        return one_line(error), error.exit_code
    if isinstance(error, click.ClickException):
        return usage_sentence(error), error.exit_code
    # Libraries raise errors of their own from the system's error, so the causes count too.
    chain = list(causes(error))
    if any(is_disk_full(cause) for cause in chain):
        return _disk_full_sentence(chain), 1
    if any(is_out_of_memory(cause) for cause in chain):
        return (
            "The memory is used up. Try a smaller --option defense.batch_size, fewer --workers, "
            "or another --device; finished work is kept."
        ), 1
    if isinstance(error, PermissionError):
        return (
            f"No permission for {error.filename}. "
            "Choose another place with --out or change its access rights."
        ), 1
    return (
        f"robench stopped on an unexpected {type(error).__name__}: {one_line(error)} "
        "(run the same command with --debug for the traceback, and report it)."
    ), 1


def _disk_full_sentence(chain: Sequence[BaseException]) -> str:
    files = [cause.filename for cause in chain if isinstance(cause, OSError) and cause.filename]
    where = f" while writing {files[0]}" if files else ""
    return (
        f"The disk is full{where}. What was finished before is kept; free some space, "
        "or choose another disk with --out, and run the same command again."
    )


def usage_sentence(error: click.ClickException) -> str:
    """Return click's message as one sentence, followed by the command for its help page."""
    if isinstance(error, click.NoSuchOption):
        near = [name for name in error.possibilities or () if name != error.option_name]
        hint = _other_word(error) or (f" Did you mean '{near[0]}'?" if near else "")
        message = f"There is no option '{error.option_name}'.{hint}"
    else:
        message = one_line(error.format_message()).rstrip(".")
        message = message.replace("is not a valid integer range", "is not a whole number")
        if not message.endswith("?"):
            message += "."
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message} See '{error.ctx.command_path} --help'."
    return message


def _other_word(error: click.NoSuchOption) -> str:
    """Return a hint for an option that has another name here, or an empty text."""
    command = error.ctx.command if error.ctx is not None else None
    known = {name for each in (command.params if command else ()) for name in each.opts}
    if error.option_name in OTHER_WORDS and "--victim" in known:
        return (
            " Did you mean '--victim' (a model that exists, attacked as it is) or '--encoder' "
            "(an encoder to train)?"
        )
    if error.option_name == "--victim" and "--defense" in known:
        return " A model that exists is attacked with 'robench evaluate --victim'."
    return ""


def global_flags(function: Function) -> Function:
    """Add ``--json``, ``--quiet`` and ``--debug``.

    They may stand before and after the command's name.
    """

    def remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and parameter.name is not None:
            setattr(ctx.find_object(Session), parameter.name, True)

    for flag, help_text in (
        ("--debug", "Show the traceback of an error."),
        ("--quiet", "No progress, only results and errors."),
        ("--json", "Print the results as one JSON document."),
    ):
        function = click.option(
            flag,
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=remember,
            help=help_text,
        )(function)
    return function


def session_of(ctx: click.Context) -> Session:
    """Return the session of a command, which holds the global flags."""
    session = ctx.find_object(Session)
    return session if session is not None else Session()


def emit(data: Any) -> None:
    """Print ``data`` on stdout as the one JSON document of this command.

    Args:
        data: plain data, pydantic models, dataclasses and paths, also nested. Its keys keep their
            order, so that documents are the same from run to run.

    Raises:
        ValueError: a number is infinite or not a number, or the command has printed a document.
    """
    session = session_of(click.get_current_context())
    if session.emitted:
        raise ValueError("The command has printed its JSON document already.")
    text = as_json(data)
    session.emitted = True
    say_json(text)


def as_json(data: Any) -> str:
    """Return ``data`` as JSON text; see ``emit``."""
    from pydantic_core import to_jsonable_python

    return json.dumps(to_jsonable_python(data), indent=2, ensure_ascii=False, allow_nan=False)


def show(*renderables: RenderableType) -> None:
    """Print results on stdout.

    They are as wide as the terminal. In a pipe nothing is cut off. No line ends in blanks.
    """
    screen = _widened(console())
    with screen.capture() as capture:
        screen.print(*renderables)
    # The console has made the texts visible. What is left are its own colours.
    click.echo("\n".join(line.rstrip() for line in capture.get().split("\n")[:-1]))


def terminal_width() -> int | None:
    """Return the columns of the terminal on stdout; None where stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stderr() -> Console:
    """Return the console for progress and messages."""
    return _widened(console(stderr=True))


def _widened(screen: Console) -> Console:
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = max(screen.width, PIPED_WIDTH)
    return screen
