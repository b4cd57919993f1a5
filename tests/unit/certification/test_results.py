"""Verdicts on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench._base.errors import RobenchError
from robench.certification.results import ExampleResult, ResultFile


def result(name: str, letter: str = "C") -> ExampleResult:
    return ExampleResult.model_validate(
        {"id": name, "letter": letter, "reason": "enumeration", "positions": 3}
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "new" / "a.jsonl")
    assert file.read() == {}
    file.append(result("x"))
    file.append(result("y", "U"))
    file.append(result("x", "F"))
    assert ResultFile(file.path).read() == {"x": result("x", "F"), "y": result("y", "U")}


def test_a_half_written_line_is_ignored_and_swallows_nothing(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.jsonl")
    file.append(result("x"))
    with file.path.open("ab") as stream:
        stream.write(b'{"id": "y", "letter"')
    assert list(file.read()) == ["x"]
    file.append(result("z"))
    assert list(file.read()) == ["x", "z"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.jsonl")
    with (
        file.held(None),
        pytest.raises(RobenchError, match="Another run is writing"),
        ResultFile(file.path).held(None),
    ):
        raise AssertionError
    with file.held(None) as again:
        again.append(result("x"))


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("no folder")
    file = ResultFile(tmp_path / "folder" / "a.jsonl")
    with pytest.raises(RobenchError, match="cannot be written"):
        file.append(result("x"))
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(RobenchError, match="cannot be read"):
        ResultFile(tmp_path / "b.jsonl").read()
