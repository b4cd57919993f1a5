"""Records: what they hold, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from records import GIVEN

from robench.records.record import LETTERS, Counts, Record, count, digest_of_ids
from robench.search.attack import Verdict

MakeRecord = Callable[..., Record]


def raw(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(record.model_dump_json(by_alias=True))
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
def test_a_record_refuses_an_invalid_value(
    make_record: MakeRecord, field: str, value: object
) -> None:
    with pytest.raises(ValidationError):
        Record.model_validate_json(json.dumps({**raw(make_record("WFHP")), field: value}))


def test_unknown_fields_of_the_parts_are_refused(make_record: MakeRecord) -> None:
    for part in ("task", "protocol", "cost", "surface"):
        data = raw(make_record("WFHP"))
        data[part] = {**data[part], "surprise": 1}
        with pytest.raises(ValidationError, match="surprise"):
            Record.model_validate_json(json.dumps(data))


def test_a_missing_measurement_needs_a_reason(make_record: MakeRecord) -> None:
    with pytest.raises(ValidationError, match="reason"):
        make_record("WFHP", cost={"training_seconds": None})
    with pytest.raises(ValidationError, match="reason"):
        make_record("WFHP", cost={"missing": {"training_seconds": "lost"}})
    kept = make_record(
        "WFHP",
        cost={"training_seconds": None, "missing": {"training_seconds": "trained elsewhere"}},
    )
    assert kept.cost.missing["training_seconds"] == "trained elsewhere"


def test_the_limit_must_match_the_number_of_outcomes(make_record: MakeRecord) -> None:
    assert make_record("WFHP", limit=4, examples=10).limit == 4
    with pytest.raises(ValidationError, match="a limit of 4 has no effect"):
        make_record("WFHP", limit=4)
    with pytest.raises(ValidationError, match="there are 4 outcomes for 10 examples"):
        make_record("WFHP", examples=10)


def test_a_limited_record_has_a_file_name_of_its_own(make_record: MakeRecord) -> None:
    whole, limited = make_record("WFHP"), make_record("WFHP", limit=4, examples=10)
    assert whole.cell == limited.cell
    assert whole.file_name != limited.file_name
    assert limited.file_name == whole.file_name.removesuffix(".json") + "-limit-4.json"


def test_the_file_name_of_a_record(make_record: MakeRecord) -> None:
    record = make_record("WFHP", defense="rift", label="rift(alpha=0.5)", attack="pwws", seed=3)
    assert record.file_name == f"toy-rift-pwws-s3-{record.cell[:8]}.json"


@pytest.mark.parametrize(
    ("part", "name"), [("search", "code_sha256"), ("victim", "training_code_sha256")]
)
def test_a_record_of_the_present_schema_needs_hashes_of_core_code(
    make_record: MakeRecord, part: str, name: str
) -> None:
    data = raw(make_record("WFHP"))
    del data[part][name]
    with pytest.raises(ValidationError, match=name):
        Record.model_validate_json(json.dumps(data))


def test_there_are_no_more_disbelieved_claims_than_held_examples(make_record: MakeRecord) -> None:
    assert make_record("WFHHP", disbelieved=2).disbelieved == 2
    with pytest.raises(
        ValidationError, match="3 disbelieved claims are more than the 2 examples that held"
    ):
        make_record("WFHHP", disbelieved=3)


def test_the_digest_of_ids_depends_on_their_order_and_borders() -> None:
    assert digest_of_ids(["a", "b"]) != digest_of_ids(["b", "a"])
    assert digest_of_ids(["ab"]) != digest_of_ids(["a", "b"])
    # echo -n "" | sha256sum
    assert digest_of_ids([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("victim", "reason"),
    [
        ({"kind": "given"}, "'given' must be there"),
        ({"given": GIVEN}, "'given' must be there"),
        ({"kind": "given", "given": GIVEN}, "needs a name"),
        ({"kind": "function", "name": "f", "given": GIVEN}, "exactly the trained victims"),
        ({"kind": "lent"}, "'trained', 'given' or 'function'"),
    ],
)
def test_a_kind_of_victim_that_does_not_fit_is_refused(
    make_record: Callable[..., Record], victim: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        make_record("WFHP", victim=victim)


def test_more_unattackable_examples_than_examples_are_refused(
    make_record: Callable[..., Record],
) -> None:
    assert make_record("WFHP", surface={"unattackable": 4}).surface.unattackable == 4
    with pytest.raises(ValidationError, match="without an attackable word"):
        make_record("WFHP", surface={"unattackable": 5})


def test_the_label_of_a_row_says_who_trained_the_victim(
    make_record: Callable[..., Record],
) -> None:
    assert make_record("H", defense="rift", label="rift(alpha=1)").row == "rift(alpha=1)"
    assert make_record("H", victim={"name": "saved"}).row == "saved"
    given = make_record("H", given="mine")
    assert (given.row, given.row_name) == ("mine (given)", "mine")
    called = make_record("H", given="mine", victim={"kind": "function"})
    assert called.row == "mine (function)"


def test_another_test_set_is_in_the_file_name(make_record: Callable[..., Record]) -> None:
    other = {"test_name": "imdb:frozen-1000", "other_test": "imdb"}
    assert make_record("H", task=other).file_name.startswith("toy-on-imdb-standard-genetic-s0-")
    assert make_record("H").file_name.startswith("toy-standard-genetic-s0-")


EPOCHS = ({"clean": 0.5, "attacked": 0.25}, {"clean": 0.75, "attacked": None})
SELECTION = {"rule": "robust", "margin": 0.03, "kept": 2, "epochs": EPOCHS}


def test_a_record_says_how_the_epoch_was_chosen(make_record: MakeRecord) -> None:
    record = make_record("HF", victim={"selection": SELECTION})
    again = Record.model_validate(raw(record))
    assert again == record
    assert again.victim.selection is not None
    assert again.victim.selection.epochs[1].clean == 0.75
    assert make_record("HF").victim.selection is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kept": 3}, "epoch 3 was kept, but there are 2 epochs"),
        ({"kept": 0}, "greater than or equal to 1"),
        ({"margin": 1.5}, "less than or equal to 1"),
        ({"epochs": ({"clean": 50, "attacked": None},)}, "less than or equal to 1"),
        ({"reason": "none"}, "Extra inputs are not permitted"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(
    make_record: MakeRecord, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_record("HF", victim={"selection": {**SELECTION, **change}})


def test_the_sources_of_examples_are_the_task_and_another_test_set(
    make_record: Callable[..., Record],
) -> None:
    assert make_record("HF").task.sources == ("toy",)
    other = make_record("HF", task={"other_test": "mine.csv", "test_name": "mine.csv:frozen-2"})
    assert other.task.sources == ("toy", "mine.csv")
