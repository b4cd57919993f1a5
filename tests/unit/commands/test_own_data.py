"""Commands beside `evaluate` that meet a task that is a file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from own_data import reviews, write_rows

from robench._base.errors import UsageError
from robench.cli import main
from robench.commands.plot import texts
from robench.evaluation.request import build_request
from robench.evaluation.sweep import SweepPoint, file_stem


def victim_of(task: str) -> Any:
    return cast(Any, SimpleNamespace(task=task))


def test_show_describes_a_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "films.csv", reviews(100))
    for arguments in (["show", str(path)], ["show", "task", str(path)]):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        said = " ".join(done.output.split())
        assert "task films.csv (file films.csv)" in said
        assert "Labels: negative, positive" in said
        assert "Examples: train=72, dev=8, test=20" in said
        assert "Columns of films.csv that are used" in said


def test_show_takes_the_columns_of_a_file(tmp_path: Path) -> None:
    """The message of a file without a clear label names an option, which show must have."""
    rows = [{"said": row["text"], "other": "x", "verdict": row["label"]} for row in reviews(100)]
    path = str(write_rows(tmp_path / "films.csv", rows))
    refused = CliRunner().invoke(main, ["show", path])
    assert refused.exit_code == 2
    assert "Name the column with --label-column." in refused.output
    columns = ["--text-column", "said", "--label-column", "verdict", "--max-tokens", "32"]
    done = CliRunner().invoke(main, ["show", path, *columns])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "Labels: negative, positive" in said
    assert "Window: 32 tokens" in said


def test_columns_of_what_is_no_file_are_refused() -> None:
    done = CliRunner().invoke(main, ["show", "rift", "--label-column", "stars"])
    assert done.exit_code == 2
    assert (
        "--label-column: this is about a file of your own data, and 'rift' is none. Leave it out."
        in (done.output)
    )


def test_show_refuses_a_file_that_is_not_there() -> None:
    done = CliRunner().invoke(main, ["show", "none.csv"])
    assert done.exit_code == 2
    assert "there is no such file" in done.output


def test_a_figure_of_texts_needs_the_file_of_the_task(tmp_path: Path) -> None:
    path = str(write_rows(tmp_path / "films.csv", reviews(100)))
    drawn = texts(victim_of("films.csv"), path, "test", 4, None, False)
    assert sorted(example.label for example in drawn) == [0, 0, 1, 1]
    with pytest.raises(UsageError, match=r"own data 'films\.csv'\. Name the file with --task"):
        texts(victim_of("films.csv"), None, "test", 4, None, False)
    with pytest.raises(UsageError, match="is not the victim's task 'imdb'"):
        texts(victim_of("imdb"), path, "test", 4, None, False)
    assert len(texts(victim_of("mini-reviews"), None, "test", 6, None, False)) == 6


def test_the_files_of_a_sweep_have_the_name_of_the_task() -> None:
    request = build_request(
        defenses=("standard",), attacks=("pwws",), tasks=("some/where/films.csv",)
    )
    point = SweepPoint({"defense.alpha": "0.1"}, request)
    assert file_stem([point]) == "sweep-films.csv-defense.alpha"
