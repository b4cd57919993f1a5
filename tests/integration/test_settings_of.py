"""Published settings of a known task for a task of one's own, on the real command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from robench.cli import main

SENTENCE = "For 'mine.csv' there are no published settings of rift, so the general defaults are"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    rows = [f"a film number {n},{('negative', 'positive')[n % 2]}" for n in range(120)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def plan(task: Path | str, *arguments: str, defense: str = "rift") -> Result:
    asked = ("evaluate", "--defense", defense, "--attack", "pwws", "--task", str(task), "--dry-run")
    files = ("--substitutions", "mini") if task != "mini-reviews" else ()
    return CliRunner().invoke(main, [*asked, *files, *arguments])


def test_general_defaults_are_said_to_be_general(file: Path) -> None:
    result = plan(file)
    assert result.exit_code == 0, result.stderr
    assert SENTENCE in result.stderr
    assert "--settings-of imdb or snli, or set single values" in result.stderr
    assert "rift(" not in result.stdout


def test_settings_of_another_task_are_used_and_stand_in_the_label(file: Path) -> None:
    result = plan(file, "--settings-of", "snli")
    assert result.exit_code == 0, result.stderr
    assert SENTENCE not in result.stderr
    assert "rift(alpha=0.7, batch_size=120, beta=5.0)" in result.stdout


def test_a_defense_without_published_settings_needs_no_remark(file: Path) -> None:
    assert "published settings" not in plan(file, defense="standard").stderr
    # Nobody published settings for synthetic texts.
    assert "published settings" not in plan("mini-reviews").stderr


def test_an_unknown_task_is_refused_with_a_suggestion(file: Path) -> None:
    result = plan(file, "--settings-of", "snil")
    assert result.exit_code == 2
    assert "There is no task 'snil'. Did you mean 'snli'?" in result.stderr
