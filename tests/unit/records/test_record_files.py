"""Record files: writing, reading, older formats, and folders with damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from robench._base.errors import RobenchError
from robench._base.seals import with_seal
from robench.records import record_files
from robench.records.record import SCHEMA, Record, count
from robench.records.record_files import (
    KnownRecords,
    RecordsOnDisk,
    find_records,
    migrate,
    read_record,
    read_records,
    read_with_schema,
    write_record,
)

MakeRecord = Callable[..., Record]


def raw(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(record.model_dump_json(by_alias=True))
    return data


def sealed(data: dict[str, Any]) -> str:
    """Return the text of a record file with the seal that fits."""
    return json.dumps(with_seal(data))


def of_schema_6(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = {**raw(record), "schema": 6}
    del data["by_label"]
    return data


def of_schema_4(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = {**of_schema_6(record), "schema": 4}
    del data["trials"]
    del data["protocol"]["unknown"], data["protocol"]["temperature"]
    return data


def of_schema_3(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = {**of_schema_4(record), "schema": 3}
    del data["task"]["other_test"], data["surface"]["unattackable"]
    del data["victim"]["kind"], data["victim"]["name"], data["victim"]["given"]
    return data


def of_schema_2(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = {**of_schema_3(record), "schema": 2}
    del data["victim"]["training_code_sha256"], data["search"]["code_sha256"]
    return data


def test_the_schema_of_the_file_is_told(tmp_path: Path, make_record: MakeRecord) -> None:
    record = make_record("WFH")
    write_record(tmp_path / "new.json", record)
    (tmp_path / "old.json").write_text(json.dumps(of_schema_4(record)))
    assert read_with_schema(tmp_path / "new.json") == (record, SCHEMA)
    assert read_with_schema(tmp_path / "old.json")[1] == 4


def test_a_record_is_read_as_it_was_written(tmp_path: Path, make_record: MakeRecord) -> None:
    record = make_record(
        "WFHP", defense="rift", options={"alpha": 0.25, "name": "x", "none": None, "list": [1, 2]}
    )
    path = tmp_path / "deep" / record.file_name
    write_record(path, record)
    assert read_record(path) == record
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    stored = json.loads(path.read_text())
    assert stored["schema"] == SCHEMA
    assert stored["protocol"]["lm_threshold"] == 5.0
    assert stored["created"].endswith("Z")


def test_a_record_that_does_not_say_whether_its_attack_searches_has_one_that_does(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    path = tmp_path / "a.json"
    write_record(path, make_record("HF", searches=False))
    assert not read_record(path).attack.searches
    data = json.loads(path.read_text())
    del data["attack"]["searches"]
    path.write_text(sealed(data))
    assert read_record(path).attack.searches


def test_rates_and_percents_are_not_stored(make_record: MakeRecord) -> None:
    text = json.dumps(raw(make_record("WFHP")))
    assert "%" not in text
    assert "accuracy" not in text
    assert "rate" not in text.replace("generated", "")


def test_counts_that_do_not_match_the_outcomes_are_refused(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    data = raw(make_record("WFHP"))
    data["counts"] = {"wrong": 0, "fooled": 2, "held": 1, "held_proved": 1, "error": 0}
    path = tmp_path / "r.json"
    path.write_text(sealed(data))
    with pytest.raises(RobenchError, match=r"r\.json is not valid at .*the counts"):
        read_record(path)


def test_nan_is_neither_accepted_nor_written(make_record: MakeRecord) -> None:
    with pytest.raises(ValidationError):
        make_record("WFHP", cost={"attack_seconds": float("nan")})
    bad = make_record("WFHP", options={"alpha": 0.5})
    assert bad.defense is not None
    bad.defense.options["alpha"] = float("nan")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(Path("never-written.json"), bad)
    assert not Path("never-written.json").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"schema": "1"}', '{"schema": true}', "{}", "\x00\xff"]
)
def test_a_corrupt_file_gives_a_one_line_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(RobenchError) as caught:
        read_record(path)
    assert "bad.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_and_a_missing_file_are_refused(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    path = tmp_path / "r.json"
    write_record(path, make_record("WFHP"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RobenchError, match="it is not JSON"):
        read_record(path)
    with pytest.raises(RobenchError, match="it does not exist"):
        read_record(tmp_path / "none.json")


def test_a_newer_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(RobenchError, match=r"schema 99 .* Update robench"):
        migrate({"schema": 99})


def test_an_older_schema_without_a_step_is_refused() -> None:
    with pytest.raises(RobenchError, match="can no longer read"):
        migrate({"schema": 0})


def test_older_schemas_are_converted_one_version_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_record: MakeRecord
) -> None:
    """Convert two invented versions: -1 called the outcomes 'letters', 0 had no counts."""
    monkeypatch.setitem(
        record_files.MIGRATIONS,
        -1,
        lambda old: {
            **{k: v for k, v in old.items() if k != "letters"},
            "outcomes": old["letters"],
        },
    )
    monkeypatch.setitem(
        record_files.MIGRATIONS,
        0,
        lambda old: {**old, "counts": count(old["outcomes"]).model_dump()},
    )
    record = make_record(
        "WFHP",
        disbelieved=None,
        search={"code_sha256": None},
        victim={"training_code_sha256": None},
    )
    old = of_schema_2(record)
    old["letters"] = old.pop("outcomes")
    del old["counts"], old["disbelieved"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**old, "schema": -1}))
    assert read_record(path) == record


def test_a_record_of_schema_2_has_no_hashes_of_core_code(make_record: MakeRecord) -> None:
    record = make_record("WFHP", disbelieved=1)
    new = Record.model_validate_json(json.dumps(migrate(of_schema_2(record))))
    assert (new.schema_version, new.victim.training_code_sha256, new.search.code_sha256) == (
        7,
        None,
        None,
    )
    update = {
        "victim": record.victim.model_copy(update={"training_code_sha256": None}),
        "search": record.search.model_copy(update={"code_sha256": None}),
    }
    assert new == record.model_copy(update=update)


def test_a_record_of_schema_6_has_no_counts_by_label(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    record = make_record("WFHP", by_label={"a": (3, 4, 3, 2), "b": (1, 0, 0, 0)})
    path = tmp_path / "old.json"
    path.write_text(sealed(of_schema_6(record)))
    assert read_with_schema(path) == (record.model_copy(update={"by_label": None}), 6)


def test_a_record_of_schema_4_made_the_usual_choices(make_record: MakeRecord) -> None:
    record = make_record("WFHP", defense="rift")
    new = Record.model_validate_json(json.dumps(migrate(of_schema_4(record))))
    assert new == record
    assert (new.protocol.unknown, new.protocol.temperature) == ("allowed", "none")


def test_a_victim_of_schema_3_was_trained(make_record: MakeRecord) -> None:
    record = make_record("WFHP", defense="rift")
    new = Record.model_validate_json(json.dumps(migrate(of_schema_3(record))))
    assert new == record
    assert (new.victim.kind, new.victim.name, new.surface.unattackable) == ("trained", None, None)


def test_a_record_of_a_given_victim_is_read_as_it_was_written(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    record = make_record("WFHP", given="org/my model", surface={"unattackable": 2})
    assert (record.defense, record.encoder) == (None, None)
    write_record(tmp_path / record.file_name, record)
    assert read_record(tmp_path / record.file_name) == record
    assert record.file_name.startswith("toy-org-my-model-genetic-s0-")


def test_a_record_of_schema_1_has_no_number_of_disbelieved_claims(
    make_record: MakeRecord,
) -> None:
    old = {**of_schema_2(make_record("WFHP")), "schema": 1}
    del old["disbelieved"]
    new = Record.model_validate_json(json.dumps(migrate(old)))
    assert (new.schema_version, new.disbelieved, new.search.code_sha256) == (7, None, None)


def test_a_record_that_nobody_could_read_does_not_replace_one(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    path = tmp_path / "record.json"
    write_record(path, make_record("WFHP"))
    before = path.read_bytes()
    part = make_record("WFHP").search.model_copy(update={"budget": 10**16})
    with pytest.raises(RobenchError, match=r"is not written, because .* limit is 1e\+15"):
        write_record(path, make_record("WFHP").model_copy(update={"search": part}))
    assert path.read_bytes() == before


def test_records_of_a_folder_are_sorted_by_name(tmp_path: Path, make_record: MakeRecord) -> None:
    assert read_records(tmp_path / "none") == {}
    for name in ("b.json", "a.json"):
        write_record(tmp_path / name, make_record("WFHP"))
    assert list(read_records(tmp_path)) == ["a.json", "b.json"]


# -- Folders that may hold damaged records --


def test_a_missing_folder_has_no_records(tmp_path: Path) -> None:
    assert find_records(tmp_path / "none") == RecordsOnDisk({}, {})


def test_readable_records_are_those_that_a_board_reads(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    for name in ("b.json", "a.json"):
        write_record(tmp_path / name, make_record("WFHP"))
    found = find_records(tmp_path)
    assert found.damaged == {}
    assert list(found.records.items()) == list(read_records(tmp_path).items())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not JSON"),
        (b'{"schema": 4, "cell', "it is not JSON"),
        (b"\xff\xfe", "it is not UTF-8 text (byte 0xff in line 1)"),
        (b"[]", "it has no 'schema' number"),
        (b'{"schema": 99}', "it has schema 99 and this robench reads up to 7. Update robench."),
        (b'{"schema": 6}', "it has no 'seal', so it was edited or is not whole. Restore it"),
        (b'{"schema": 6, "seal": 1}', "its 'seal' does not fit, so it was damaged or edited"),
        (sealed({"schema": 6}).encode(), "is not valid at 'cell'"),
        (b'{"schema": 5}', "is not valid at 'cell'"),
        (b'{"schema": 4}', "it lacks fields of schema 4. Restore it"),
        (b'{"schema": 3}', "it lacks fields of schema 3. Restore it"),
        (b'{"schema": 2}', "it lacks fields of schema 2. Restore it"),
        (b'{"schema": 2, "victim": 5}', "it lacks fields of schema 2. Restore it"),
    ],
)
def test_a_damaged_record_has_the_reason_of_read_record(
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


def test_a_broken_link_and_a_folder_count_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "gone.json").symlink_to("nowhere")
    (tmp_path / "deep.json").mkdir()
    found = find_records(tmp_path)
    assert {
        name: sentence.partition("(")[2].partition(")")[0]
        for name, sentence in found.damaged.items()
    } == {
        "deep.json": "it is a folder",
        "gone.json": "it is a link to a file that does not exist",
    }


def test_files_that_did_not_change_are_read_once(
    make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> Record:
        read.append(path.name)
        return read_record(path)

    monkeypatch.setattr(record_files, "read_record", counted)
    write_record(tmp_path / "a.json", make_record("WFHP", attack="pwws"))
    write_record(tmp_path / "b.json", make_record("WFHP", attack="genetic"))
    (tmp_path / "torn.json").write_text("{")
    known = KnownRecords()
    first = find_records(tmp_path, known)
    assert find_records(tmp_path, known) == first
    assert read == ["a.json", "b.json", "torn.json"]
    changed = make_record("WFFP", attack="pwws")
    write_record(tmp_path / "a.json", changed)
    (tmp_path / "b.json").unlink()
    write_record(tmp_path / "torn.json", make_record("WFHP", attack="greedy"))
    again = find_records(tmp_path, known)
    assert read[3:] == ["a.json", "torn.json"]
    assert (list(again.records), again.damaged) == (["a.json", "torn.json"], {})
    assert again.records["a.json"] == changed
    assert find_records(tmp_path) == again
