"""Verdicts on the disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from robench._base.errors import RobenchError
from robench.certification.results import ExampleResult, ResultFile

KEY = "a" * 64


def result(name: str, letter: str = "C") -> ExampleResult:
    return ExampleResult.model_validate(
        {"id": name, "letter": letter, "reason": "enumeration", "positions": 3}
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "new" / "a.jsonl", KEY)
    assert file.read() == {}
    file.append(result("x"))
    file.append(result("y", "U"))
    file.append(result("x", "F"))
    assert ResultFile(file.path, KEY).read() == {"x": result("x", "F"), "y": result("y", "U")}


def test_a_half_written_line_is_ignored_and_swallows_nothing(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.jsonl", KEY)
    with file:
        file.append(result("x"))
    with file.path.open("ab") as stream:
        stream.write(b'{"id": "y", "letter"')
    assert list(file.read()) == ["x"]
    assert file.damaged == 0
    with file:
        file.append(result("z"))
    assert list(file.read()) == ["x", "z"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.jsonl", KEY)
    with (
        file,
        pytest.raises(RobenchError, match="Another run is writing"),
        ResultFile(file.path, KEY),
    ):
        raise AssertionError
    with file as again:
        again.append(result("x"))


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("no folder")
    file = ResultFile(tmp_path / "folder" / "a.jsonl", KEY)
    with pytest.raises(RobenchError, match=r"verdicts in .* cannot be opened"):
        file.append(result("x"))
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(RobenchError, match="cannot be read"):
        ResultFile(tmp_path / "b.jsonl", KEY).read()


@pytest.mark.parametrize(
    ("name", "value"),
    [("letter", "F"), ("id", "y"), ("positions", 4), ("hull", True), ("seal", "0" * 16)],
)
def test_a_changed_line_is_no_verdict(tmp_path: Path, name: str, value: object) -> None:
    file = ResultFile(tmp_path / "a.jsonl", KEY)
    file.append(result("x"))
    line = json.loads(file.path.read_text())
    assert line[name] != value
    file.path.write_text(json.dumps({**line, name: value}) + "\n")
    assert file.read() == {}
    assert file.damaged == 1


def test_a_line_of_another_certificate_is_no_verdict(tmp_path: Path) -> None:
    ResultFile(tmp_path / "a.jsonl", KEY).append(result("x"))
    other = ResultFile(tmp_path / "a.jsonl", "b" * 64)
    assert other.read() == {}
    assert other.damaged == 1


@pytest.mark.parametrize("line", ["{}", "[]", "1", "null", '{"id": "x"}', "[" * 5000, '"seal"'])
def test_a_line_of_another_kind_is_no_verdict(tmp_path: Path, line: str) -> None:
    file = ResultFile(tmp_path / "a.jsonl", KEY)
    file.path.write_text(f"{line}\n\n")
    assert file.read() == {}
    assert file.damaged == 1


def test_the_file_and_its_folder_are_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    file = ResultFile(tmp_path / "new" / "a.jsonl", KEY)
    with file:
        file.append(result("x"))
        assert {file.path.stat().st_ino, file.path.parent.stat().st_ino} <= set(synced)
        synced.clear()
        file.append(result("y"))
    assert file.path.stat().st_ino in synced


def test_a_link_is_neither_written_nor_read(tmp_path: Path) -> None:
    precious = tmp_path / "of the user"
    precious.write_text("no newline")
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "a.jsonl").symlink_to(precious)
    file = ResultFile(folder / "a.jsonl", KEY)
    with pytest.raises(RobenchError, match=r"cannot be opened \(it is a link; put the file"):
        file.append(result("x"))
    with pytest.raises(RobenchError, match="leads out of the folder"):
        file.read()
    assert precious.read_text() == "no newline"


def test_a_pipe_instead_of_the_verdicts_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    file = ResultFile(tmp_path / "a.jsonl", KEY)
    with pytest.raises(RobenchError, match="no regular file"), file:
        pass
    with pytest.raises(RobenchError, match="it is a pipe"):
        file.read()
