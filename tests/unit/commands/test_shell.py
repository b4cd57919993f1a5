"""Every failure prints one sentence on stderr and sets the right exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from robench._base.errors import RobenchError, UsageError, one_line
from robench.cli import main
from robench.commands import shell
from robench.commands.shell import Session, explain

Failing = Callable[[BaseException], Result]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``robench fail``, which raises the given error."""

    def run(
        error: BaseException, *before: str, after: tuple[str, ...] = (), kept: str | None = None
    ) -> Result:
        @click.command("fail")
        @shell.global_flags
        @click.pass_context
        def fail(ctx: click.Context, /) -> None:
            if kept:
                shell.session_of(ctx).kept = kept
            raise error

        monkeypatch.setitem(main.commands, "fail", fail)
        return CliRunner().invoke(main, [*before, "fail", *after])

    return run


def test_a_current_folder_that_was_deleted_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = tmp_path / "lost"
    lost.mkdir()
    monkeypatch.chdir(lost)
    lost.rmdir()
    result = CliRunner().invoke(main, ["list"])
    assert result.exit_code == 2
    assert "The current folder was deleted. Change to another folder." in result.stderr


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/victims/model.safetensors")


def wrapped(error: BaseException) -> RuntimeError:
    outer = RuntimeError("unable to write the model")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UsageError("There is no attack 'x'."), 2, "Error: There is no attack 'x'."),
        (RobenchError("The victim\n  did not learn."), 1, "Error: The victim did not learn."),
        (
            disk_full(),
            1,
            "Error: The disk is full while writing runs/victims/model.safetensors. "
            "What was finished before is kept; free some space, ",
        ),
        (
            wrapped(disk_full()),
            1,
            "Error: The disk is full while writing runs/victims/model.safetensors.",
        ),
        (
            RuntimeError("I/O error: No space left on device (os error 28)"),
            1,
            "Error: The disk is full. What was finished",
        ),
        (
            type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried …"),
            1,
            "Error: The memory is used up. Try a smaller",
        ),
        (MemoryError(), 1, "Error: The memory is used up."),
        (
            PermissionError(errno.EACCES, "Permission denied", "runs"),
            1,
            "Error: No permission for runs. Choose another place with --out",
        ),
        (
            ValueError("a\nb"),
            1,
            "Error: robench stopped on an unexpected ValueError: a b "
            "(run the same command with --debug for the traceback, and report it).",
        ),
        (
            AssertionError(),
            1,
            "Error: robench stopped on an unexpected AssertionError: no message (run",
        ),
    ],
)
def test_an_error_prints_one_line_and_sets_its_exit_code(
    failing: Callable[..., Result], error: BaseException, code: int, sentence: str
) -> None:
    result = failing(error)
    assert result.exit_code == code
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_interruption_exits_with_130_and_says_what_is_kept(
    failing: Callable[..., Result],
) -> None:
    result = failing(KeyboardInterrupt(), kept="The trials are kept; run it again.")
    assert result.exit_code == 130
    assert result.stderr.strip() == "Interrupted. The trials are kept; run it again."


def test_an_interruption_of_a_command_that_changes_nothing_says_so(
    failing: Callable[..., Result],
) -> None:
    assert failing(KeyboardInterrupt()).stderr.strip() == "Interrupted. Nothing was changed."


@pytest.mark.parametrize(("before", "after"), [(("--debug",), ()), ((), ("--debug",))])
def test_debug_before_or_after_the_command_adds_the_traceback(
    failing: Callable[..., Result], before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    result = failing(ValueError("deep"), *before, after=after)
    assert "Traceback (most recent call last)" in result.stderr
    assert (
        result.stderr.strip()
        .splitlines()[-1]
        .startswith("Error: robench stopped on an unexpected ValueError: deep")
    )
    assert result.exit_code == 1


@pytest.mark.parametrize("code", [0, 5, None, "bye"])
def test_a_system_exit_of_a_plugin_is_a_failure(
    failing: Callable[..., Result], code: object
) -> None:
    result = failing(SystemExit(code))
    assert result.exit_code == 1
    assert "Code of a plugin or a library raised SystemExit(" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lst"], "Error: There is no command 'lst'. Did you mean 'list'? See 'robench --help'."),
        (["xyzzy"], "Error: There is no command 'xyzzy'. See 'robench --help'."),
        (
            ["evaluate", "--defence", "rift"],
            "Error: There is no option '--defence'. Did you mean '--defense'? "
            "See 'robench evaluate --help'.",
        ),
        (
            ["evaluate", "--defense", "rift"],
            "Error: Missing option '--attack'. See 'robench evaluate --help'.",
        ),
        (
            ["list", "attaks"],
            "Error: There is no kind 'attaks'. Did you mean 'attacks'? "
            "Kinds: attacks, defenses, tasks, encoders, protocols.",
        ),
        (["show"], "Error: Missing argument 'NAME'. See 'robench show --help'."),
        (
            ["evaluate", "--limit", "5x"],
            "Error: Invalid value for '--limit': '5x' is not a whole number. "
            "See 'robench evaluate --help'.",
        ),
        (["--nonsense"], "Error: There is no option '--nonsense'. See 'robench --help'."),
    ],
)
def test_a_wrong_command_line_prints_one_sentence_with_the_nearest_name(
    arguments: list[str], sentence: str
) -> None:
    result = CliRunner().invoke(main, arguments, prog_name="robench")
    assert (result.exit_code, result.stderr.strip()) == (2, sentence)


@pytest.mark.parametrize("option", ["--limit", "--budget", "--workers"])
@pytest.mark.parametrize("value", ["0", "-3", "many", "1.5"])
def test_numbers_out_of_range_are_refused(option: str, value: str) -> None:
    result = CliRunner().invoke(
        main, ["evaluate", "--defense", "rift", "--attack", "pwws", option, value]
    )
    assert result.exit_code == 2
    assert f"'{option}'" in result.stderr
    assert value in result.stderr
    assert result.stderr.count("\n") == 1


def test_robench_alone_prints_its_help_and_succeeds() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0
    assert "robench evaluate --defense rift --attack genetic" in result.stdout
    shown = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert set(main.commands) <= set(shown)
    headings = [line for line in result.stdout.splitlines() if line in HEADINGS]
    assert headings == list(HEADINGS)


HEADINGS = (
    "Run:",
    "Look at results:",
    "Make pages:",
    "Share victims and results:",
    "Find names:",
    "Set up:",
)


def test_every_command_has_a_section_on_the_help_page() -> None:
    listed = [name for names in shell.SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(main.commands)
    assert "Others" not in CliRunner().invoke(main, []).stdout


@pytest.mark.parametrize("name", ["train", "evaluate", "sweep"])
def test_a_run_without_arguments_shows_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [name], prog_name="robench")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: Say what to {name}, such as: robench {name} --defense")
    assert result.stderr.count("\n") == 1


def test_every_command_has_a_help_page() -> None:
    for name in main.commands:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, name
        assert "--debug" in result.stdout


def test_the_version_is_that_of_the_package() -> None:
    from robench import __version__

    assert CliRunner().invoke(main, ["--version"]).stdout.strip() == f"robench {__version__}"


def test_the_context_of_an_error_is_searched_for_a_full_disk() -> None:
    cleaning = ValueError("while cleaning up")
    cleaning.__context__ = disk_full()
    assert explain(cleaning)[0].startswith("The disk is full while writing")


@pytest.mark.parametrize(("text", "line"), [("", "no message"), (" a \n b\t c ", "a b c")])
def test_a_message_is_put_on_one_line(text: str, line: str) -> None:
    assert one_line(ValueError(text)) == line


def test_a_session_starts_without_flags() -> None:
    assert (Session().debug, Session().quiet) == (False, False)


@pytest.mark.parametrize("command", ["train", "evaluate", "sweep"])
def test_an_empty_folder_name_is_refused(command: str) -> None:
    attack = () if command == "train" else ("--attack", "pwws")
    result = CliRunner().invoke(main, [command, "--defense", "standard", *attack, "--out", ""])
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "Error: Invalid value for '--out': is empty: name a folder, '.' for this one."
    )


def test_a_folder_without_write_permission_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, allowed = tmp_path / "closed", os.access
    closed.mkdir()
    # The permissions of the folder would not do: root may write everywhere.
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != closed and allowed(path, mode)
    )
    result = CliRunner().invoke(
        main,
        [
            "evaluate",
            "--defense",
            "standard",
            "--attack",
            "pwws",
            "--out",
            str(closed / "new" / "runs"),
        ],
    )
    assert result.exit_code == 2
    assert (
        f"cannot be written to: you may not write in '{closed}'. Name another folder."
        in result.stderr
    )
    assert list(closed.iterdir()) == []


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in CliRunner().invoke(main, ["doctor"]).stdout


@pytest.mark.parametrize(
    ("command", "absent"),
    [("certify", ["Attack this", "Attack only"]), ("train", ["--victim"]), ("sweep", ["--victim"])],
)
def test_a_help_text_speaks_of_what_the_command_has_and_does(
    command: str, absent: list[str]
) -> None:
    text = " ".join(CliRunner().invoke(main, [command, "--help"]).stdout.split())
    assert "--protocol" in text
    assert [each for each in absent if each in text] == []
