"""Completion in the shell: names of plugins, tasks and options, without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from robench.cli import main
from robench.commands.shell import COMPLETION_VARIABLE as VARIABLE
from robench.inspection.option_names import option_names
from robench.search.registry import ATTACKS
from robench.training.registry import DEFENSES

ROOT = Path(__file__).parents[3]


def completions(*words: str) -> list[str]:
    *before, incomplete = words
    shell = ShellComplete(main, {}, "robench", VARIABLE)
    return [item.value for item in shell.get_completions(before, incomplete)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("evaluate", "--defense", "rif"), ["rift"]),
        (("train", "--defense", "ascc+mixo"), ["ascc+mixout"]),
        (("evaluate", "--attack", "pw"), ["pwws"]),
        (("evaluate", "--attack", "al"), ["all"]),
        (("sweep", "--task", "mini"), ["mini-reviews"]),
        (("evaluate", "--encoder", "tin"), ["tiny"]),
        (("evaluate", "--protocol", "sub"), ["subword"]),
        (("evaluate", "--option", "def"), ["defense."]),
        (("evaluate", "--defense", "rift", "--option", "rift.alp"), ["rift.alpha="]),
        (("evaluate", "--defense", "rift", "--option", "defense.alp"), ["defense.alpha="]),
        (("evaluate", "--attack", "genetic", "--option", "attack.pop"), ["attack.population="]),
        (("evaluate", "--option", "nothing.x"), []),
        (("complet",), ["completion"]),
        (("completion", "f"), ["fish"]),
    ],
)
def test_names_are_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert completions(*words) == expected


@pytest.mark.parametrize("name", [each for each in DEFENSES.names() if "+" not in each])
def test_options_of_a_defense_are_read_from_its_source(name: str) -> None:
    if DEFENSES.origin(name) == "built-in":
        assert set(option_names("defense", name)) == set(DEFENSES.get(name).Options.model_fields)


@pytest.mark.parametrize("name", ATTACKS.names())
def test_options_of_an_attack_are_read_from_its_source(name: str) -> None:
    if ATTACKS.origin(name) == "built-in":
        assert set(option_names("attack", name)) == set(ATTACKS.get(name).Options.model_fields)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in result.stdout


def test_another_shell_is_one_sentence() -> None:
    result = CliRunner().invoke(main, ["completion", "tcsh"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_completion_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from click.shell_completion import ShellComplete\n"
        "from robench.cli import main\n"
        "shell = ShellComplete(main, {}, 'robench', '_X')\n"
        "words = ['evaluate', '--defense', 'rift', '--option']\n"
        "found = shell.get_completions(words, 'rift.a')\n"
        "print([item.value for item in found], 'torch' in sys.modules)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout == "['rift.alpha='] False\n", printed.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_a_real_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "robench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m robench "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(robench completion bash)"
COMP_WORDS=(robench evaluate --attack pw)
COMP_CWORD=3
_robench_completion robench
echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment
    )
    assert printed.stdout.split() == ["pwws"], printed.stderr
