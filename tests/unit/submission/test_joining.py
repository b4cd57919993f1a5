"""Records of an archive on a board: all of them or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from submissions import (
    forged,
    members_of,
    of_a_folder,
    write_archive,
    write_board,
    write_cell,
    write_certified,
    write_run,
)

from robench._base.errors import RobenchError, UsageError
from robench.records.certificate import Certificate
from robench.records.leaderboard import render_board
from robench.submission.joining import Joined, add_to_board
from robench.submission.packing import pack
from robench.verification.unpacking import unpack


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return pack(tmp_path / "run").path


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return write_board(tmp_path / "board")


def add(archive: Path, board: Path, folder: Path) -> Joined:
    passed_over: list[str] = []
    root = unpack(archive, folder / f"unpacked-{archive.stem}", passed_over)
    return add_to_board(root, archive.name, board, passed_over)


def test_the_records_are_copied_byte_by_byte(archive: Path, board: Path, tmp_path: Path) -> None:
    found = add(archive, board, tmp_path)
    members = members_of(archive)
    assert len(found.added) == 2
    assert found.tasks == ("toy",)
    for name in found.added:
        assert (board.parent / "records" / name).read_bytes() == members[f"records/{name}"]
    assert "| standard " in render_board(board)
    assert {each.name for each in (board.parent / "records").iterdir()} == set(found.added)


def test_adding_twice_changes_nothing(archive: Path, board: Path, tmp_path: Path) -> None:
    first = add(archive, board, tmp_path)
    second = add(archive, board, tmp_path / "again")
    assert (second.added, second.known) == ((), first.added)


def certified(folder: Path, letters: str = "CFUC", **fields: Any) -> tuple[Path, Certificate]:
    """Return an archive with a certificate about the victim of its records."""
    record, _ = write_run(folder / "run")
    made = write_certified(folder / "run", record, letters, **fields)
    return pack(folder / "run").path, made


def test_certificates_are_copied_without_their_verdicts(board: Path, tmp_path: Path) -> None:
    archive, certificate = certified(tmp_path)
    found = add(archive, board, tmp_path)
    inside = f"certificates/{certificate.file_name}"
    assert inside in found.added
    written = board.parent / "records" / "certificates"
    assert [each.name for each in written.iterdir()] == [certificate.file_name]
    assert (written / certificate.file_name).read_bytes() == members_of(archive)[inside]
    assert "## Certified beside attacked" in render_board(board)
    again = add(archive, board, tmp_path / "again")
    assert (again.added, inside in again.known) == ((), True)


def test_a_second_certificate_for_a_line_of_the_board(board: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    add(certified(tmp_path / "a")[0], board, tmp_path / "a")
    other, _ = certified(tmp_path / "b", "CCCC", key="1" * 64)
    with pytest.raises(RobenchError, match=r"does not take .*: also claimed by"):
        add(other, board, tmp_path / "b")
    assert len(list((board.parent / "records" / "certificates").iterdir())) == 1


def test_a_changed_certificate_of_the_same_name(board: Path, tmp_path: Path) -> None:
    archive, certificate = certified(tmp_path)
    add(archive, board, tmp_path)
    path = board.parent / "records" / "certificates" / certificate.file_name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(RobenchError, match="is there with other content"):
        add(archive, board, tmp_path / "again")


def test_a_damaged_certificate_of_the_board(board: Path, tmp_path: Path) -> None:
    archive, _ = certified(tmp_path)
    folder = board.parent / "records" / "certificates"
    folder.mkdir(parents=True)
    (folder / "torn.json").write_text("{")
    with pytest.raises(RobenchError, match=r"torn\.json"):
        add(archive, board, tmp_path)
    assert [each.name for each in folder.iterdir()] == ["torn.json"]


def test_a_certificate_under_a_name_that_no_run_gives_it(board: Path, tmp_path: Path) -> None:
    archive, certificate = certified(tmp_path)

    def rename(members: dict[str, bytes]) -> None:
        name = f"certificates/{certificate.file_name}"
        members["certificates/better.json"] = members.pop(name)

    path = forged(archive, tmp_path / "forged.zip", rename, careful=True)
    with pytest.raises(RobenchError, match=r"would call 'better\.json'"):
        add(path, board, tmp_path)


def other_protocol(run: Path) -> None:
    write_cell(run, "WFHH", attack="pwws", protocol="subword")


def other_attack(run: Path) -> None:
    write_cell(run, "WFHH", attack="greedy")


def other_budget(run: Path) -> None:
    write_cell(run, "WFHH", attack="pwws", search={"budget": 9})


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (other_protocol, "its protocol is 'subword', the board's 'rift2021'"),
        (other_attack, "its attack 'greedy' is not a column"),
        (other_budget, "its query budget is '9', the board's none"),
    ],
)
def test_a_record_that_the_board_does_not_take(
    tmp_path: Path, board: Path, write: Callable[[Path], None], said: str
) -> None:
    write_run(tmp_path / "run")
    write(tmp_path / "run")
    with pytest.raises(RobenchError) as caught:
        add(pack(tmp_path / "run").path, board, tmp_path)
    assert said in str(caught.value)
    assert not (board.parent / "records").exists()


def test_a_cell_that_the_board_has_already(archive: Path, board: Path, tmp_path: Path) -> None:
    add(archive, board, tmp_path)
    write_cell(tmp_path / "new", "WHHH", attack="pwws", code="0" * 64)
    path = pack(tmp_path / "new").path
    before = {each.name: each.read_bytes() for each in (board.parent / "records").iterdir()}
    with pytest.raises(RobenchError, match="Remove the one that should not count"):
        add(path, board, tmp_path)
    assert {e.name: e.read_bytes() for e in (board.parent / "records").iterdir()} == before


def test_a_forged_archive_is_not_added(archive: Path, board: Path, tmp_path: Path) -> None:
    path = forged(
        archive, tmp_path / "forged.zip", lambda m: m.update({"run.sh": b"x"}), careful=True
    )
    with pytest.raises(RobenchError, match=r"is not added\. The archive holds 'run\.sh'"):
        add(path, board, tmp_path)
    assert not (board.parent / "records").exists()


def test_marks_of_the_archive_do_not_reach_the_board(
    archive: Path, board: Path, tmp_path: Path
) -> None:
    """Somebody else's verified.json must not mark a row as verified."""
    path = forged(
        archive,
        tmp_path / "forged.zip",
        lambda m: m.update({"records/verified.json": b"{}"}),
        careful=True,
    )
    add(path, board, tmp_path)
    assert not (board.parent / "records" / "verified.json").exists()


def test_an_archive_of_a_folder_must_hold_what_a_board_takes(
    archive: Path, board: Path, tmp_path: Path
) -> None:
    members = of_a_folder(members_of(archive))
    assert len(add(write_archive(tmp_path / "plain.zip", members), board, tmp_path).added) == 2
    without = {n: each for n, each in members.items() if not n.startswith("trials/")}
    with pytest.raises(RobenchError, match="The trials are missing"):
        add(write_archive(tmp_path / "without.zip", without), board, tmp_path)


def test_records_of_other_code_are_refused_with_the_way_on(board: Path, tmp_path: Path) -> None:
    write_cell(tmp_path / "old", "HFHH", search={"code_sha256": "1" * 64})
    add(pack(tmp_path / "old").path, board, tmp_path)
    board.write_text(board.read_text() + 'commit = "0123abc"\n')
    write_cell(tmp_path / "new", "HFHH", attack="pwws", search={"code_sha256": "2" * 64})
    archive = pack(tmp_path / "new").path
    with pytest.raises(UsageError) as refused:
        add(archive, board, tmp_path / "x")
    said = str(refused.value)
    assert said.startswith(f"{archive.name} is not added to the board {board}. The records ")
    assert "differ in robench's code of the search" in said
    assert "remove the stale one" not in said
    assert f"commit 0123abc and in the board's setting: 'robench submit start {board}'" in said
    assert len(list((board.parent / "records").glob("*.json"))) == 1
