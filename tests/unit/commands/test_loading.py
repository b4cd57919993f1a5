"""A command says which large library it loads, before the import."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from robench.commands.loading import LARGE, Announcer, announced_imports

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder
import click
said = click.echo
def echo(text=None, **kwargs):
    if kwargs.get("err"):
        kwargs.pop("err")
        print(text, "| torch" if "torch" in sys.modules else "| no torch", file=sys.stderr)
    else:
        said(text, **kwargs)
click.echo = echo
from robench.cli import main
sys.argv[0] = "robench"
main()
"""


def stderr_of(*arguments: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False
    )
    return result.stderr.splitlines()


def test_the_message_comes_before_the_import() -> None:
    lines = stderr_of("show", "defense", "rift")
    assert lines[0].startswith("Loading ")
    assert "Loading PyTorch … | no torch" in lines


def test_a_quiet_command_does_not_say_it() -> None:
    assert stderr_of("show", "defense", "rift", "--quiet") == []


def test_a_quick_command_does_not_say_it() -> None:
    assert stderr_of("list") == []


def test_a_wrong_name_is_only_one_sentence() -> None:
    (line,) = stderr_of("evaluate", "--defense", "rft", "--attack", "pwws")
    assert line.startswith("Error: There is no defense 'rft'.")


def test_each_library_is_announced_once() -> None:
    said: list[str] = []
    announcer = Announcer(said.append)
    for name in ("torch", "torch.nn", "json", "torch", "transformers"):
        assert announcer.find_spec(name) is None
    assert said == ["Loading PyTorch …", "Loading Transformers …"]


def test_a_library_that_is_only_looked_up_is_not_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(sys, "meta_path", [Announcer(said.append), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    find_spec("matplotlib")
    assert said == []


@pytest.mark.parametrize(
    ("rank", "quiet", "count"), [("0", False, 1), ("1", False, 0), ("0", True, 0)]
)
def test_one_process_of_a_launcher_speaks(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rank: str,
    quiet: bool,
    count: int,
) -> None:
    monkeypatch.setenv("RANK", rank)
    before = list(sys.meta_path)
    with announced_imports(lambda: quiet):
        sys.meta_path[0].find_spec("torch", None)
    assert capsys.readouterr().err.count("Loading") == count
    assert sys.meta_path == before


def test_names_are_modules() -> None:
    assert all(name.isidentifier() for name in LARGE)
