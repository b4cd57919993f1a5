"""Records of a folder: one that is damaged is named and hides no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robench._base.errors import RobenchError
from robench.results.record import Record, read_record, read_records, write_record
from robench.results.run_folder import Found, find_records

MakeRecord = Callable[..., Record]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert find_records(tmp_path / "none") == Found({}, {})


def test_whole_records_are_what_a_board_reads(tmp_path: Path, make_record: MakeRecord) -> None:
    for name in ("b.json", "a.json"):
        write_record(tmp_path / name, make_record("WFHP"))
    found = find_records(tmp_path)
    assert found.damaged == {}
    assert list(found.records.items()) == list(read_records(tmp_path).items())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not JSON"),
        (b'{"schema": 3, "cell', "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[]", "it has no 'schema' number"),
        (b'{"schema": 99}', "it has schema 99 and this robench reads up to 3. Update robench."),
        (b'{"schema": 3}', "is not valid at 'cell'"),
        (b'{"schema": 2}', "it does not hold what schema 2 does. Restore it"),
        (b'{"schema": 2, "victim": 5}', "it does not hold what schema 2 does. Restore it"),
    ],
)
def test_a_damaged_one_is_named_in_the_words_that_refuse_it_elsewhere(
    tmp_path: Path, make_record: MakeRecord, content: bytes, reason: str
) -> None:
    write_record(tmp_path / "a.json", make_record("WFHP"))
    (tmp_path / "torn.json").write_bytes(content)
    write_record(tmp_path / "z.json", make_record("WFHH"))
    found = find_records(tmp_path)
    assert list(found.records) == ["a.json", "z.json"]
    with pytest.raises(RobenchError) as refused:
        read_record(tmp_path / "torn.json")
    assert found.damaged == {"torn.json": str(refused.value)}
    assert str(tmp_path / "torn.json") in found.damaged["torn.json"]
    assert reason in found.damaged["torn.json"]
    with pytest.raises(RobenchError):
        read_records(tmp_path)


def test_a_link_to_nowhere_and_a_folder_are_named_as_well(tmp_path: Path) -> None:
    (tmp_path / "gone.json").symlink_to("nowhere")
    (tmp_path / "deep.json").mkdir()
    found = find_records(tmp_path)
    assert {
        name: sentence.partition("(")[2].partition(")")[0]
        for name, sentence in found.damaged.items()
    } == {
        "deep.json": "Is a directory",
        "gone.json": "No such file or directory",
    }
