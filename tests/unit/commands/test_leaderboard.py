"""``leaderboard``: what it writes, what ``--check`` prints, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from robench.cli import main
from robench.records.record import Record
from robench.records.record_files import write_record


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one board and no records."""
    folder = tmp_path / "leaderboards"
    (folder / "records").mkdir(parents=True)
    (folder / "small.toml").write_text(
        'title = "Small"\ntask = "mini-reviews"\nencoder = "tiny"\nprotocol = "rift2021"\n'
        'attacks = ["pwws"]\nrecords = "records"\n'
    )
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_written_board_agrees_with_its_records(boards: Path) -> None:
    assert run("leaderboard").stdout.strip() == "wrote leaderboards/small.md"
    result = run("leaderboard", "--check")
    assert (result.exit_code, result.stdout.strip()) == (
        0,
        "leaderboards/small.md agrees with its records",
    )


def test_a_remark_about_a_board_goes_to_stderr(
    boards: Path, make_record: Callable[..., Record]
) -> None:
    write_record(boards / "records" / "a.json", make_record("WFHH"))
    result = run("leaderboard")
    assert (result.exit_code, result.stdout) == (0, "wrote leaderboards/small.md\n")
    assert "1 of 1 records do not count. The first is a.json: its task is 'toy'" in result.stderr


def test_check_prints_the_difference_and_fails(boards: Path) -> None:
    run("leaderboard")
    table = boards / "small.md"
    table.write_text(table.read_text() + "A line by hand.\n")
    result = run("leaderboard", "--check", "--board", str(boards / "small.toml"))
    assert result.exit_code == 1
    assert "-A line by hand." in result.stdout
    assert result.stderr.strip().endswith(
        "small.md: not what the records give. Run 'robench leaderboard' and commit the result."
    )
    assert "A line by hand." in table.read_text()


@pytest.mark.parametrize("flags", [(), ("--check",)])
def test_a_board_with_a_damaged_record_is_not_made(
    boards: Path, make_record: Callable[..., Record], flags: tuple[str, ...]
) -> None:
    run("leaderboard")
    before = (boards / "small.md").read_bytes()
    write_record(boards / "records" / "a.json", make_record("WFHH"))
    (boards / "records" / "torn.json").write_text("{")
    result = run("leaderboard", *flags)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: The board leaderboards/small.toml cannot be made without all of its records. "
        "Cannot read the record leaderboards/records/torn.json (it is not JSON: Expecting "
        "property name enclosed in double quotes in line 1, column 2). "
        "Restore it, or delete it and evaluate that cell again.\n"
    )
    assert (boards / "small.md").read_bytes() == before


def test_leaderboard_without_a_board_says_where_it_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("leaderboard", "--check")
    assert result.exit_code == 2
    assert (
        result.stderr.strip() == "Error: There is no board: leaderboards/ has no .toml file here. "
        "Name one with --board FILE."
    )


REPORTED = """\
[[papers]]
name = "P"
cite = "A, 2020"
title = "A paper"
url = "https://example.org"

[[tables]]
paper = "P"
source = "Table 1"
where = "main paper"
caption = "Accuracy"
task = "imdb"
encoder = "bert"
columns = [{ printed = "PWWS", attack = "pwws" }]
rows = [{ printed = "Base", defense = "standard", values = ["20.5"] }]
"""


def test_reported_numbers_are_written_and_checked_with_the_boards(boards: Path) -> None:
    (boards / "reported.toml").write_text(REPORTED)
    assert run("leaderboard").stdout.splitlines() == [
        "wrote leaderboards/reported.md",
        "wrote leaderboards/small.md",
    ]
    assert run("leaderboard", "--check").exit_code == 0
    page = boards / "reported.md"
    page.write_text(page.read_text().replace("20.5", "25.0"))
    result = run("leaderboard", "--check", "--board", str(boards / "reported.toml"))
    assert result.exit_code == 1
    assert result.stderr.strip().endswith(
        "reported.md: not what the records give. Run 'robench leaderboard' and commit the result."
    )


def test_a_bad_file_of_reported_numbers_gets_one_sentence(boards: Path) -> None:
    (boards / "reported.toml").write_text(REPORTED.replace("20.5", "205"))
    result = run("leaderboard")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: The reported numbers leaderboards/reported.toml: 'tables.0.rows.0.values' "
        "(Table 1): '205' is not in [0, 100].\n"
    )


def test_reported_numbers_have_no_trials_to_check(boards: Path) -> None:
    (boards / "reported.toml").write_text(REPORTED)
    (boards.parent / "runs").mkdir()
    run("leaderboard")
    result = run("leaderboard", "--check", "--runs", "runs", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert [(each["table"], "trials" in each) for each in found] == [
        ("leaderboards/reported.md", False),
        ("leaderboards/small.md", True),
    ]
