"""Records and certificates that a stranger made: each is named, and none stops the others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import RobenchError
from robench.records.record import Record
from robench.records.record_files import find_records, read_record, write_record

MakeRecord = Callable[..., Record]
Change = Callable[[dict[str, Any]], object]


def put(*keys: str, value: Any) -> Change:
    """Return a change that puts ``value`` at the place that the keys name."""

    def change(raw: dict[str, Any]) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        raw[keys[-1]] = value

    return change


def written(path: Path, make_record: MakeRecord, change: Change) -> Path:
    write_record(path, make_record("WFHP"))
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    return path


WRONG_TYPES = {
    "bool as int": put("counts", "wrong", value=True),
    "text as int": put("counts", "wrong", value="1"),
    "float as int": put("counts", "wrong", value=1.0),
    "int as bool": put("surface", "constrained", value=1),
    "text as bool": put("surface", "constrained", value="true"),
    "text as float": put("cost", "attack_seconds", value="1.5"),
    "bool as float": put("cost", "attack_seconds", value=True),
    "int as text": put("task", "name", value=5),
    "list as text": put("task", "name", value=["a"]),
    "null as text": put("task", "name", value=None),
    "int as date": put("created", value=1_700_000_000),
    "text as list": put("victim", "findings", value="finding"),
    "text as int in the protocol": put("protocol", "lm_radius", value="20"),
    "bool as int in the protocol": put("protocol", "lm_radius", value=True),
    "bool as seed": put("search", "seed", value=False),
    "unknown field": put("cost", "dollars", value=1),
}
NUMBERS = {
    "negative": put("cost", "asked", value=-1),
    "huge int": put("cost", "asked", value=10**18),
    "int beyond 64 bits": put("cost", "asked", value=10**30),
    "huge float": put("cost", "attack_seconds", value=1e300),
    "infinity": put("cost", "attack_seconds", value=float("inf")),
    "NaN": put("cost", "attack_seconds", value=float("nan")),
}
SIZES = {
    "long label": put("attack", "label", value="x" * 10_000_000),
    "long finding": put("victim", "findings", value=["x" * 20_000]),
    "deep options": put("attack", "options", value=json.loads("[" * 90 + "]" * 90)),
    "half a character": put("attack", "label", value="\ud800"),
}


@pytest.mark.parametrize("name", [*WRONG_TYPES, *NUMBERS, *SIZES])
def test_a_value_that_no_robench_writes_is_refused(
    tmp_path: Path, make_record: MakeRecord, name: str
) -> None:
    changes = {**WRONG_TYPES, **NUMBERS, **SIZES}
    path = written(tmp_path / "bad.json", make_record, changes[name])
    with pytest.raises(RobenchError) as caught:
        read_record(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


CONTENTS: dict[str, bytes] = {
    "deep lists": b"[" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "many digits": b'{"schema": ' + b"9" * 1_000_000 + b"}",
    "thousands of digits": b'{"schema": ' + b"9" * 4_000 + b"}",
    "schema is a huge float": b'{"schema": 1e308}',
    "schema is true": b'{"schema": true}',
    "schema is negative": b'{"schema": -1}',
    "repeated key": b'{"schema": 1, "schema": 5}',
    "UTF-16": '{"schema": 5}'.encode("utf-16"),
    "NULs": b"\0" * 1000,
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "only a mark": b"\xef\xbb\xbf",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_hostile_content_is_damage_of_that_file_only(
    tmp_path: Path, make_record: MakeRecord, name: str
) -> None:
    write_record(tmp_path / "good.json", make_record("WFHP"))
    (tmp_path / "bad.json").write_bytes(CONTENTS[name])
    found = find_records(tmp_path)
    assert list(found.records) == ["good.json"]
    assert list(found.damaged) == ["bad.json"]
    assert len(found.damaged["bad.json"]) < 600


def test_what_is_no_regular_file_is_damage_of_that_file_only(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    records = tmp_path / "records"
    write_record(records / "good.json", make_record("WFHP"))
    write_record(tmp_path / "outside.json", make_record("WFHP"))
    os.mkfifo(records / "pipe.json")
    (records / "zero.json").symlink_to("/dev/zero")
    (records / "out.json").symlink_to(tmp_path / "outside.json")
    (records / "loop.json").symlink_to("loop.json")
    (records / "nothing.json").symlink_to("gone.json")
    (records / "folder.json").mkdir()
    with (records / "sparse.json").open("wb") as stream:
        stream.truncate(1_000_000_000)
    found = find_records(records)
    assert list(found.records) == ["good.json"]
    assert {name: reason.partition("(")[2][:20] for name, reason in found.damaged.items()} == {
        "folder.json": "it is a folder). Mov",
        "loop.json": "it is a link that le",
        "nothing.json": "it is a link to a fi",
        "out.json": "it is a link that le",
        "pipe.json": "it is a pipe, and ro",
        "sparse.json": "it has 1,000,000,000",
        "zero.json": "it is a device, and ",
    }
    ends = {name: reason.partition("). ")[2] for name, reason in found.damaged.items()}
    assert ends["folder.json"] == "Move this folder to another place; only files belong here."
    assert ends["pipe.json"] == "Delete it; only regular files belong here."
    for name in ("loop.json", "out.json", "zero.json"):
        assert ends[name] == "Put a copy of the file in the place of the link, or delete the link."
    assert ends["nothing.json"].startswith("Put the file in the place of the link")
    assert ends["sparse.json"].startswith("Restore it, or delete it")


def test_a_record_with_a_byte_order_mark_is_read(tmp_path: Path, make_record: MakeRecord) -> None:
    record = make_record("WFHP")
    write_record(tmp_path / "a.json", record)
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.json").read_bytes())
    assert read_record(tmp_path / "a.json") == record


def test_a_record_of_very_many_examples_is_read(tmp_path: Path, make_record: MakeRecord) -> None:
    record = make_record("WFHP" * 50_000)
    write_record(tmp_path / "a.json", record)
    assert read_record(tmp_path / "a.json").counts.n == 200_000


def test_every_committed_record_is_read() -> None:
    folders = [path for path in Path("leaderboards/records").iterdir() if path.is_dir()]
    for folder in folders:
        assert find_records(folder).damaged == {}
