"""The whole Markdown of boards, compared with files that were checked by hand.

The files are ``tests/golden/board/*``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from robench.records.leaderboard import (
    check,
    markdown_path,
    render_board,
    render_run,
    results_table,
    write_board,
)
from robench.records.record import Record
from robench.records.record_files import RecordsOnDisk, write_record

MakeRecord = Callable[..., Record]
EXPECTED = Path(__file__).parent / "board"

TOML = """\
title = "A toy board"
task = "toy"
encoder = "tiny"
protocol = "rift2021"
attacks = ["pwws", "genetic"]
defenses = ["standard", "rift", "mixout"]
records = "records"
about = "Made by hand."
"""


@pytest.fixture
def toml(tmp_path: Path, make_record: MakeRecord) -> Path:
    """Write a board and its records.

    There are two seeds of rift, one seed of standard with a missing attack, one defense with an
    error, and three records that do not count.
    """
    records = {
        "std-gen.json": make_record("WFFFHHHHHP"),
        "rift-gen-0.json": make_record(
            "WFHHHHHHHH",
            defense="rift",
            seed=0,
            victim={"findings": ["saturated on 3 of 10 examples"]},
        ),
        "rift-gen-1.json": make_record("WWFFHHHHHH", defense="rift", seed=1),
        "rift-pwws-0.json": make_record("WFFHHHHHHH", defense="rift", attack="pwws", seed=0),
        "rift-pwws-1.json": make_record("WWHHHHHHHF", defense="rift", attack="pwws", seed=1),
        "ascc-gen.json": make_record("HHHHHHHHHE", defense="ascc|x"),
        "ascc-pwws.json": make_record("FFHHHHHHHH", defense="ascc|x", attack="pwws"),
        "short.json": make_record("HH", defense="rift", seed=2, limit=2, examples=10),
        "budget.json": make_record("HHHHHHHHHH", search={"budget": 9}),
        "other.json": make_record("HHHHHHHHHH", attack="other"),
    }
    for name, record in records.items():
        write_record(tmp_path / "records" / name, record)
    path = tmp_path / "toy.toml"
    path.write_text(TOML)
    return path


def expected(name: str) -> str:
    return (EXPECTED / name).read_text(encoding="utf-8")


def test_the_markdown_of_a_board(toml: Path) -> None:
    assert render_board(toml) == expected("toy.md")


def test_the_markdown_of_a_board_without_records(tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(TOML)
    assert render_board(path) == expected("empty.md")


def test_a_board_names_the_commit_of_its_records(toml: Path) -> None:
    toml.write_text(toml.read_text() + 'commit = "0123abc"\n')
    added = expected("toy.md").replace(
        "`robench submit start",
        "robench's code of commit `0123abc` made the records. `robench submit start",
    )
    assert render_board(toml) == added


def test_check_finds_every_difference(toml: Path) -> None:
    # Nothing is written yet, so everything differs.
    assert check(toml)
    write_board(toml)
    assert check(toml) == []
    markdown = markdown_path(toml)
    written = markdown.read_text(encoding="utf-8")
    markdown.write_text(written.replace("80.0", "81.0"), encoding="utf-8")
    assert any(line.startswith("-") and "81.0" in line for line in check(toml))
    for damaged in (written.rstrip("\n"), written.replace("\n", "\r\n"), written + "\n"):
        markdown.write_bytes(damaged.encode())
        assert check(toml)
    (toml.parent / "records" / "rift-gen-1.json").unlink()
    markdown.write_text(written, encoding="utf-8")
    assert any("rift" in line for line in check(toml))


def test_writing_a_board_again_changes_no_byte(toml: Path) -> None:
    first = write_board(toml).read_bytes()
    assert write_board(toml).read_bytes() == first


def run_records(make_record: MakeRecord) -> dict[str, Record]:
    later = datetime(2026, 2, 1, tzinfo=UTC)
    return {
        "a.json": make_record("WFHH"),
        "b.json": make_record("WHFH", attack="pwws"),
        "old.json": make_record("WHHH", defense="rift"),
        "new.json": make_record("WHHF", defense="rift", created=later),
        "stale.json": make_record(
            "FHHH", defense="rift", attack="pwws", victim={"sha256": "0" * 64}
        ),
        "short.json": make_record("HF", limit=2, examples=4),
    }


def test_the_markdown_of_a_folder_with_several_groups(make_record: MakeRecord) -> None:
    assert render_run(RecordsOnDisk(run_records(make_record), {})) == expected("run.md")


def test_damaged_records_are_listed_first(make_record: MakeRecord) -> None:
    whole = render_run(RecordsOnDisk(run_records(make_record), {}))
    text = render_run(RecordsOnDisk(run_records(make_record), {"torn.json": "It is not JSON."}))
    assert text == whole.replace(
        "# Results of this folder\n",
        "# Results of this folder\n\n"
        "## Records that cannot be read\n\n- `torn.json`: It is not JSON.\n",
    )


def test_the_table_for_a_terminal(make_record: MakeRecord) -> None:
    assert results_table(list(run_records(make_record).values())[:4]) + "\n" == expected(
        "terminal.txt"
    )


def test_the_markdown_of_an_empty_folder() -> None:
    assert "There are no records yet." in render_run(RecordsOnDisk({}, {}))
