from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from robench._base.errors import RobenchError
from robench.results import record as module
from robench.results.record import (
    LETTERS,
    SCHEMA,
    Counts,
    Record,
    count,
    digest_of_ids,
    migrate,
    read_record,
    read_records,
    write_record,
)
from robench.search.attack import Verdict

MakeRecord = Callable[..., Record]


def raw(record: Record) -> dict[str, object]:
    data: dict[str, object] = json.loads(record.model_dump_json(by_alias=True))
    return data


def of_schema_2(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = {**raw(record), "schema": 2}
    del data["victim"]["training_code_sha256"], data["search"]["code_sha256"]
    return data


def test_every_verdict_has_its_own_letter() -> None:
    assert set(LETTERS) == set(Verdict)
    assert sorted(LETTERS.values()) == sorted("WFHPE")


def test_counts_by_hand() -> None:
    assert count("WWFHHHPE") == Counts(wrong=2, fooled=1, held=3, held_proved=1, error=1)
    assert count("WWFHHHPE").n == 8


@given(st.text("WFHPE", max_size=50))
def test_counts_add_up_to_n(outcomes: str) -> None:
    assert count(outcomes).n == len(outcomes)


def test_a_record_comes_back_as_it_went(tmp_path: Path, make_record: MakeRecord) -> None:
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


def test_rates_and_percents_are_not_stored(make_record: MakeRecord) -> None:
    text = json.dumps(raw(make_record("WFHP")))
    assert "%" not in text
    assert "accuracy" not in text
    assert "rate" not in text.replace("generated", "")


def test_counts_that_do_not_follow_are_refused(tmp_path: Path, make_record: MakeRecord) -> None:
    data = raw(make_record("WFHP"))
    data["counts"] = {"wrong": 0, "fooled": 2, "held": 1, "held_proved": 1, "error": 0}
    path = tmp_path / "r.json"
    path.write_text(json.dumps(data))
    with pytest.raises(RobenchError, match=r"r\.json is not valid at .*the counts"):
        read_record(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcomes", "WFHX"),
        ("outcomes", ""),
        ("created", "2026-01-01T00:00:00+02:00"),
        ("created", "2026-01-01T00:00:00"),
        ("limit", 0),
        ("limit", 3),
        ("more", 1),
    ],
)
def test_what_a_record_refuses(make_record: MakeRecord, field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Record.model_validate_json(json.dumps({**raw(make_record("WFHP")), field: value}))


def test_unknown_fields_of_parts_and_of_the_protocol_are_refused(make_record: MakeRecord) -> None:
    for part in ("task", "protocol", "cost", "surface"):
        data = raw(make_record("WFHP"))
        data[part] = {**data[part], "surprise": 1}  # type: ignore[dict-item]
        with pytest.raises(ValidationError, match="surprise"):
            Record.model_validate_json(json.dumps(data))


def test_nan_is_never_written_nor_taken(make_record: MakeRecord) -> None:
    with pytest.raises(ValidationError):
        make_record("WFHP", cost={"attack_seconds": float("nan")})
    bad = make_record("WFHP", options={"alpha": 0.5})
    bad.defense.options["alpha"] = float("nan")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(Path("never-written.json"), bad)
    assert not Path("never-written.json").exists()


def test_a_missing_measurement_needs_its_reason(make_record: MakeRecord) -> None:
    with pytest.raises(ValidationError, match="reason"):
        make_record("WFHP", cost={"training_seconds": None})
    with pytest.raises(ValidationError, match="reason"):
        make_record("WFHP", cost={"missing": {"training_seconds": "lost"}})
    kept = make_record(
        "WFHP",
        cost={"training_seconds": None, "missing": {"training_seconds": "trained elsewhere"}},
    )
    assert kept.cost.missing["training_seconds"] == "trained elsewhere"


def test_limit_must_agree_with_the_outcomes(make_record: MakeRecord) -> None:
    assert make_record("WFHP", limit=4, examples=10).limit == 4
    with pytest.raises(ValidationError, match="a limit of 4 is none"):
        make_record("WFHP", limit=4)
    with pytest.raises(ValidationError, match="10 examples were to be judged"):
        make_record("WFHP", examples=10)


def test_a_limited_record_never_takes_the_place_of_a_whole_one(make_record: MakeRecord) -> None:
    whole, limited = make_record("WFHP"), make_record("WFHP", limit=4, examples=10)
    assert whole.cell == limited.cell
    assert whole.file_name != limited.file_name
    assert limited.file_name == whole.file_name.removesuffix(".json") + "-limit-4.json"


def test_a_file_name_says_what_is_in_it(make_record: MakeRecord) -> None:
    record = make_record("WFHP", defense="rift", label="rift(alpha=0.5)", attack="pwws", seed=3)
    assert record.file_name == f"toy-rift-pwws-s3-{record.cell[:8]}.json"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"schema": "1"}', '{"schema": true}', "{}", "\x00\xff"]
)
def test_a_corrupt_file_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(RobenchError) as caught:
        read_record(path)
    assert "bad.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_and_a_missing_one(tmp_path: Path, make_record: MakeRecord) -> None:
    path = tmp_path / "r.json"
    write_record(path, make_record("WFHP"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RobenchError, match="it is not JSON"):
        read_record(path)
    with pytest.raises(RobenchError, match="No such file"):
        read_record(tmp_path / "none.json")


def test_a_newer_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(RobenchError, match=r"schema 99 .* Update robench"):
        migrate({"schema": 99})


def test_an_older_schema_without_a_step_is_refused() -> None:
    with pytest.raises(RobenchError, match="can no longer read"):
        migrate({"schema": 0})


def test_older_schemas_are_migrated_step_by_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_record: MakeRecord
) -> None:
    """Two made-up older versions: -1 called the outcomes 'letters', 0 had no counts."""
    monkeypatch.setitem(
        module.MIGRATIONS,
        -1,
        lambda old: {
            **{k: v for k, v in old.items() if k != "letters"},
            "outcomes": old["letters"],
        },
    )
    monkeypatch.setitem(
        module.MIGRATIONS, 0, lambda old: {**old, "counts": count(old["outcomes"]).model_dump()}
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


def test_a_record_of_schema_2_does_not_know_its_core_code(make_record: MakeRecord) -> None:
    record = make_record("WFHP", disbelieved=1)
    new = Record.model_validate_json(json.dumps(migrate(of_schema_2(record))))
    assert (new.schema_version, new.victim.training_code_sha256, new.search.code_sha256) == (
        3,
        None,
        None,
    )
    update = {
        "victim": record.victim.model_copy(update={"training_code_sha256": None}),
        "search": record.search.model_copy(update={"code_sha256": None}),
    }
    assert new == record.model_copy(update=update)


def test_a_record_of_schema_1_does_not_know_how_many_claims_were_not_believed_either(
    make_record: MakeRecord,
) -> None:
    old = {**of_schema_2(make_record("WFHP")), "schema": 1}
    del old["disbelieved"]
    new = Record.model_validate_json(json.dumps(migrate(old)))
    assert (new.schema_version, new.disbelieved, new.search.code_sha256) == (3, None, None)


@pytest.mark.parametrize(
    ("part", "name"), [("search", "code_sha256"), ("victim", "training_code_sha256")]
)
def test_a_record_of_today_says_which_code_it_is_of(
    make_record: MakeRecord, part: str, name: str
) -> None:
    data: dict[str, Any] = raw(make_record("WFHP"))
    del data[part][name]
    with pytest.raises(ValidationError, match=name):
        Record.model_validate_json(json.dumps(data))


def test_only_held_examples_can_have_claims_that_were_not_believed(make_record: MakeRecord) -> None:
    assert make_record("WFHHP", disbelieved=2).disbelieved == 2
    with pytest.raises(
        ValidationError, match="3 disbelieved claims are more than the 2 examples that held"
    ):
        make_record("WFHHP", disbelieved=3)


def test_records_of_a_folder_come_sorted(tmp_path: Path, make_record: MakeRecord) -> None:
    assert read_records(tmp_path / "none") == {}
    for name in ("b.json", "a.json"):
        write_record(tmp_path / name, make_record("WFHP"))
    assert list(read_records(tmp_path)) == ["a.json", "b.json"]


def test_digest_of_ids_depends_on_order_and_borders() -> None:
    assert digest_of_ids(["a", "b"]) != digest_of_ids(["b", "a"])
    assert digest_of_ids(["ab"]) != digest_of_ids(["a", "b"])
    # echo -n "" | sha256sum
    assert digest_of_ids([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
