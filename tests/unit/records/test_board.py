"""Which records a board takes, and what it says about the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from records import sha

from robench._base.errors import RobenchError, UsageError
from robench.records.board import Board, admit, load_board
from robench.records.record import Record

MakeRecord = Callable[..., Record]
A, B = "a" * 64, "b" * 64


def board(**values: Any) -> Board:
    return Board.model_validate(
        {
            "title": "T",
            "task": "toy",
            "encoder": "tiny",
            "protocol": "rift2021",
            "attacks": ["genetic", "pwws"],
            "records": "r",
        }
        | values
    )


def test_a_fitting_record_is_admitted(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("HF"),
        "b.json": make_record("HH", attack="pwws"),
        "c.json": make_record("HH", defense="rift"),
    }
    found = admit(board(), records)
    assert found.records == records
    assert not found.failed
    assert not found.reasons


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ({"task": {"name": "other"}}, "its task is 'other', the board's 'toy'"),
        ({"encoder": {"name": "mini"}}, "its encoder is 'mini', the board's 'tiny'"),
        (
            {"task": {"test_name": "jia"}},
            "its list of test examples is 'jia', the board's 'frozen-1000'",
        ),
        ({"task": {"train_pool": "cad"}}, "its training pool is 'cad', the board's 'train'"),
        ({"protocol": "subword"}, "its protocol is 'subword', the board's 'rift2021'"),
        ({"search": {"budget": 100}}, "its query budget is '100', the board's none"),
        ({"limit": 2, "examples": 10}, "only 2 of 10 examples were judged (--limit)"),
        ({"attack": "other"}, "its attack 'other' is not a column of the board"),
        (
            {"attack_label": "genetic(population=5)"},
            "its attack 'genetic(population=5)' is not a column of the board",
        ),
    ],
)
def test_a_record_that_does_not_fit_is_refused_with_the_reason(
    make_record: MakeRecord, override: dict[str, Any], reason: str
) -> None:
    found = admit(
        board(),
        {
            "good.json": make_record("HF"),
            "bad.json": make_record("HF", **{"defense": "rift"} | override),
        },
    )
    assert dict(found.reasons) == {"bad.json": reason}
    assert list(found.records) == ["good.json"]


@pytest.mark.parametrize(
    ("pin", "part", "field", "reason"),
    [
        (
            "digest",
            "task",
            "digest",
            "its digest of the test examples is bbbbbbbbbbbb…, the board's aaaaaaaaaaaa…",
        ),
        ("surface", "surface", "key", "its surface is bbbbbbbbbbbb…, the board's aaaaaaaaaaaa…"),
        (
            "encoder_sha256",
            "encoder",
            "sha256",
            "its hash of the encoder's files is bbbbbbbbbbbb…, the board's aaaaaaaaaaaa…",
        ),
    ],
)
def test_a_pin_refuses_other_values_and_without_a_pin_records_must_agree(
    make_record: MakeRecord, pin: str, part: str, field: str, reason: str
) -> None:
    records = {
        "a.json": make_record("HF", **{part: {field: A}}),
        "b.json": make_record("HF", defense="rift", **{part: {field: B}}),
    }
    assert dict(admit(board(**{pin: A}), records).reasons) == {"b.json": reason}
    with pytest.raises(RobenchError, match=r"a\.json and b\.json differ in"):
        admit(board(), records)


@pytest.mark.parametrize(
    ("pin", "part", "field", "value", "other", "reason"),
    [
        (
            "language_model",
            "surface",
            "language_model",
            f"masked:{A}:fp32",
            "none",
            "its language model is 'none', the board's 'masked:aaaaaaaaaaaa…:fp32'",
        ),
        (
            "training_precision",
            "victim",
            "precision",
            "fp32",
            "bf16",
            "its precision of training is 'bf16', the board's 'fp32'",
        ),
        (
            "search_precision",
            "search",
            "precision",
            "fp32",
            "bf16",
            "its precision of the search is 'bf16', the board's 'fp32'",
        ),
    ],
)
def test_a_board_may_pin_the_language_model_and_the_precisions(
    make_record: MakeRecord, pin: str, part: str, field: str, value: str, other: str, reason: str
) -> None:
    records = {
        name: make_record("HF", **{part: {field: found}})
        for name, found in (("a.json", value), ("b.json", other))
    }
    found = admit(board(**{pin: value}), records)
    assert list(found.records) == ["a.json"]
    assert dict(found.reasons) == {"b.json": reason}
    assert list(admit(board(), {"b.json": records["b.json"]}).records) == ["b.json"]


def test_a_changed_protocol_of_the_same_name_is_refused(make_record: MakeRecord) -> None:
    record = make_record("HF")
    changed = record.model_copy(
        update={
            "protocol": type(record.protocol)(**{**_fields(record.protocol), "lm_threshold": 6.0})
        }
    )
    assert (
        "differs from the protocol of that name"
        in admit(board(), {"a.json": changed}).reasons["a.json"]
    )


def _fields(protocol: Any) -> dict[str, Any]:
    return {name: getattr(protocol, name) for name in protocol.__slots__}


def test_two_records_of_one_cell_are_both_refused(make_record: MakeRecord) -> None:
    found = admit(
        board(),
        {
            "a.json": make_record("HF"),
            "b.json": make_record("FF"),
            "c.json": make_record("HF", seed=1),
        },
    )
    assert list(found.records) == ["c.json"]
    assert (
        found.reasons["a.json"]
        == "also claimed by b.json: standard under genetic, seed 0; keep one"
    )


def test_a_record_with_errors_is_kept_apart(make_record: MakeRecord) -> None:
    found = admit(board(), {"a.json": make_record("HE")})
    assert not found.records
    assert list(found.failed) == ["a.json"]
    assert found.reasons["a.json"] == "1 of 2 examples ended in an error"


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (
            {"attack_options": {"n": 1}},
            {"attack_options": {"n": 2}, "defense": "rift"},
            "the options of attack genetic",
        ),
        (
            {"options": {"n": 1}},
            {"options": {"n": 2}, "seed": 1},
            "the options of defense standard",
        ),
        (
            {"victim": {"sha256": A}},
            {"victim": {"sha256": B}, "attack": "pwws"},
            "the victim of standard, seed 0",
        ),
        ({"version": "0.1.0"}, {"version": "0.2.0", "defense": "rift"}, "the version of robench"),
        (
            {"search": {"precision": "fp32"}},
            {"search": {"precision": "bf16"}, "defense": "rift"},
            "the precision of the search",
        ),
        ({"attack_code": A}, {"attack_code": B, "defense": "rift"}, "the code of attack genetic"),
        ({"code": A}, {"code": B, "seed": 1}, "the code of defense standard"),
        (
            {"victim": {"precision": "fp32"}},
            {"victim": {"precision": "bf16"}, "seed": 1},
            "the precision of training standard",
        ),
        (
            {"surface": {"language_model": "x"}},
            {"surface": {"language_model": "y"}, "defense": "rift"},
            "the language model",
        ),
    ],
)
def test_records_that_disagree_cannot_share_a_table(
    make_record: MakeRecord, first: dict[str, Any], second: dict[str, Any], what: str
) -> None:
    with pytest.raises(RobenchError, match=f"differ in {what}:"):
        admit(
            board(), {"a.json": make_record("HF", **first), "b.json": make_record("HF", **second)}
        )


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "board.toml"
    path.write_text(text)
    return path


GOOD = """\
title = "T"
task = "toy"
encoder = "tiny"
protocol = "rift2021"
attacks = ["genetic"]
records = "r"
"""


def test_a_board_is_read_from_toml(tmp_path: Path) -> None:
    assert load_board(write(tmp_path, GOOD)).attacks == ("genetic",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title = ", "not valid TOML"),
        (GOOD + "colour = 1\n", "'colour': a board has no such field."),
        (GOOD.replace("attacks =", "atacks ="), "'atacks': a board has no such field. Did you"),
        (GOOD.replace('["genetic"]', "[]"), "'attacks': it is empty."),
        (GOOD.replace('["genetic"]', '["a", "b", "a"]'), "'attacks': it names 'a' twice."),
        (GOOD + 'defenses = ["a", "a"]\n', "'defenses': it names 'a' twice."),
        (GOOD.replace('"genetic"', ""), "'attacks'"),
        (GOOD.replace('task = "toy"\n', ""), "'task': this field is missing."),
        (
            GOOD + 'search_precision = "fp16"\n',
            "'search_precision': input should be 'fp32' or 'bf16'",
        ),
        (GOOD + 'surface = "584b"\n', "'surface': '584b' is not a hash of 64 hexadecimal digits."),
        (GOOD.replace("rift2021", "rift2022"), "Did you mean 'rift2021'"),
        (
            GOOD + 'about = "There, rift has 69.0 % under attack."\n',
            "'about': it holds the number '69.0 %', but a board's numbers come from its records",
        ),
        (GOOD.replace('title = "', 'title = "70 percent of '), "'title': it holds the number '70"),
    ],
)
def test_a_wrong_board_file_gives_a_usage_error(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_board(write(tmp_path, text))


def test_a_missing_board_file_gives_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot read the board"):
        load_board(tmp_path / "none.toml")


def test_a_given_victim_needs_its_row_on_the_board(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("HF"),
        "b.json": make_record("HH", given="mine"),
        "c.json": make_record("HH", victim={"name": "saved"}),
    }
    found = admit(board(), records)
    assert list(found.records) == ["a.json"]
    assert found.reasons["b.json"] == (
        "its victim 'mine (given)' was given by name; list that name under 'defenses' in the "
        "board's TOML file"
    )
    assert "'saved' was given by name" in found.reasons["c.json"]
    listed = board(
        defenses=["mine (given)", "saved"],
        encoder_sha256=sha("tiny"),
        training_precision="fp32",
    )
    assert admit(listed, records).records == records


def test_a_given_victim_must_fit_the_rest_of_the_board(make_record: MakeRecord) -> None:
    found = admit(
        board(defenses=["mine (given)"]),
        {"a.json": make_record("HF", given="mine", protocol="subword")},
    )
    assert found.reasons["a.json"] == "its protocol is 'subword', the board's 'rift2021'"


def test_the_file_of_reported_numbers_is_no_board(tmp_path: Path) -> None:
    path = tmp_path / "reported.toml"
    path.write_text("")
    with pytest.raises(UsageError, match="is no board: it holds numbers that papers report"):
        load_board(path)
