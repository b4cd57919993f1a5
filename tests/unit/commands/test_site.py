"""``site build`` and ``report``: what they print, what they write, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from site_cases import write_toy_board
from trial_runs import write_run

from robench.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_the_site_of_a_folder_of_boards(tmp_path: Path) -> None:
    write_toy_board(tmp_path / "boards")
    write_run(tmp_path / "run")
    out = tmp_path / "out"
    result = run("site", "build", "--boards", tmp_path / "boards", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == ["wrote 6 pages (0.9 MB)", f"open {out}/index.html"]
    more = ("--runs", tmp_path / "run", "--examples", 1, "--json")
    result = run("site", "build", "--boards", tmp_path / "boards", "--out", out, *more)
    told = json.loads(result.stdout)
    assert (told["pages"], told["left_out"]) == (7, [])
    assert (out / "examples.html").read_text().count('class="example"') == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--boards", "nothing"), "There is no board: 'nothing' has no .toml file of a board."),
        (("--runs", "nothing"), "Directory 'nothing' does not exist"),
        (("--examples", "0"), "0 is not in the range"),
    ],
)
def test_wrong_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("site", "build", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_group_alone_shows_its_help() -> None:
    assert "Write the site into one folder." in run("site").stdout


def test_a_report_lies_in_the_folder_of_its_run(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run("report", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"wrote {tmp_path}/report.html (0.9 MB)\n"
    told = json.loads(run("report", tmp_path, "--out", tmp_path / "b.html", "--json").stdout)
    assert told["report"] == str(tmp_path / "b.html")
    assert (tmp_path / "b.html").read_text() == (tmp_path / "report.html").read_text()


def test_a_report_of_an_empty_folder_is_refused(tmp_path: Path) -> None:
    result = run("report", tmp_path)
    assert result.exit_code == 2
    assert "There are no results" in result.stderr
    assert list(tmp_path.iterdir()) == []
