"""What commands print: no text of others steers the terminal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hostile import HOSTILE, TEXTS, controls
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

import robench
from robench.commands.saying import (
    console,
    say,
    say_data,
    say_json,
    say_line,
    say_lines,
    tell,
    tell_lines,
)

CODE = Path(robench.__file__).parent
STEERING = "a\x1b[2Jb\x1b]8;;http://evil.example\x07c\rd\u202ee\n\tf"


def test_no_command_prints_past_this_module() -> None:
    others = [*(CODE / "commands").glob("*.py"), CODE / "cli.py"]
    allowed = {"saying.py": 7, "shell.py": 1}  # ``shell.show`` prints what a console has made
    found = {path.name: path.read_text("utf-8").count("click.echo(") for path in others}
    assert {name: count for name, count in found.items() if count} == allowed
    past = re.compile(r"click\.secho\(|(?<![\w.])print\(|std(out|err)\.write|[^_]Console\(")
    for path in others:
        assert not past.findall(path.read_text("utf-8")), path.name


def printed(function: object, *arguments: object, **settings: object) -> tuple[str, str]:
    @click.command()
    def command() -> None:
        function(*arguments, **settings)  # type: ignore[operator]

    result = CliRunner().invoke(command, standalone_mode=False)
    assert result.exception is None
    return result.stdout, result.stderr


def test_lines_of_results_keep_their_line_ends_only() -> None:
    out, err = printed(say, STEERING)
    assert out == "a\\x1b[2Jb\\x1b]8;;http://evil.example\\x07c\\rd\\u202ee\n\tf\n"
    assert err == ""
    assert printed(say_lines, ["verified", "a\nverified"]) == ("verified\na\\nverified\n", "")
    assert printed(say_line, "wrote a\nb") == ("wrote a\\nb\n", "")


def test_a_sentence_on_stderr_stays_one_line() -> None:
    out, err = printed(tell, STEERING)
    assert out == ""
    assert err == "a\\x1b[2Jb\\x1b]8;;http://evil.example\\x07c d\\u202ee f\n"
    assert printed(tell_lines, STEERING)[1].count("\n") == 1
    assert printed(tell) == ("", "\n")


def test_data_in_a_pipe_are_exact_and_on_a_terminal_visible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert printed(say_data, STEERING)[0] == STEERING

    class _Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = _Screen()
    monkeypatch.setattr("sys.stdout", screen)
    say_data(STEERING)
    assert not controls(screen.getvalue())


def test_json_means_the_same_and_shows_no_control() -> None:
    data = {"text": HOSTILE, STEERING: [STEERING]}
    out, _ = printed(say_json, json.dumps(data, ensure_ascii=False, indent=2))
    assert json.loads(out) == data
    assert not controls(out)


@pytest.mark.parametrize("text", [pytest.param(t, id=n) for n, t in TEXTS.items() if n != "long"])
def test_a_console_shows_controls_and_knows_no_markup(text: str) -> None:
    screen = console(file=io.StringIO(), width=500, force_terminal=True)
    table = Table("a", "b")
    table.add_row(Text(text, style="bold"), text)
    with screen.capture() as capture:
        screen.print(text, Text(text, style="red"), table)
    shown = capture.get()
    # What is left are the styles of the console itself.
    for style in ("\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[1;31m"):
        shown = shown.replace(style, "")
    assert not controls(shown)
    assert "\x1b" not in shown


def test_markup_and_emoji_stay_text() -> None:
    screen = console(file=io.StringIO(), width=100)
    with screen.capture() as capture:
        screen.print("[bold]x[/bold] :boom:", Text("[red]y"))
    assert capture.get().split("\n")[0] == "[bold]x[/bold] :boom: [red]y"


def test_the_bars_still_draw() -> None:
    screen = console(file=io.StringIO(), width=90, force_terminal=True)
    with Progress(TextColumn("{task.description}", markup=False), console=screen) as progress:
        progress.add_task("half \x1b[2J done", total=1)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "half \\x1b[2J" in shown
    assert "\x1b[?25l" in shown  # the console's own code, which hides the cursor
