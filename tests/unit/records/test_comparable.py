"""Which records may share a table, and which of several is the newest."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest

from robench.records import comparable
from robench.records.comparable import (
    attack_labels,
    comparable_groups,
    find_disagreement,
    newest_that_agree,
)
from robench.records.record import Record

MakeRecord = Callable[..., Record]
LATER = datetime(2026, 3, 1, tzinfo=UTC)
CHANGED = {"sha256": "0" * 64}


@pytest.mark.parametrize(
    ("difference", "title"),
    [
        ({"task": {"name": "other"}}, "other, encoder tiny, protocol rift2021"),
        ({"task": {"test_name": "jia"}}, "toy, encoder tiny, protocol rift2021, test examples jia"),
        ({"task": {"test_name": "frozen-2"}}, "toy, encoder tiny, protocol rift2021 (2)"),
        (
            {"task": {"test_name": "frozen-9"}},
            "toy, encoder tiny, protocol rift2021, test examples frozen-9",
        ),
        ({"encoder": {"name": "mini"}}, "toy, encoder mini, protocol rift2021"),
        ({"protocol": "subword"}, "toy, encoder tiny, protocol subword"),
        (
            {"search": {"budget": 50}},
            "toy, encoder tiny, protocol rift2021, at most 50 queries per example",
        ),
        (
            {"search": {"precision": "bf16"}},
            "toy, encoder tiny, protocol rift2021, searched in bf16",
        ),
        (
            {"limit": 2, "examples": 9},
            "toy, encoder tiny, protocol rift2021, only 2 of 9 examples "
            "(a limited run, not for a board)",
        ),
        ({"surface": {"key": "0" * 64}}, "toy, encoder tiny, protocol rift2021 (2)"),
        ({"task": {"digest": "0" * 64}}, "toy, encoder tiny, protocol rift2021 (2)"),
    ],
)
def test_records_that_do_not_compare_are_in_separate_groups(
    make_record: MakeRecord, difference: dict[str, Any], title: str
) -> None:
    groups = comparable_groups(
        {"a.json": make_record("HF"), "b.json": make_record("HF", **difference)}
    )
    assert groups["toy, encoder tiny, protocol rift2021"].keys() == {"a.json"}
    assert groups[title].keys() == {"b.json"}


def test_groups_with_the_same_title_are_numbered(make_record: MakeRecord) -> None:
    records = {f"{digit}.json": make_record("HF", surface={"key": digit * 64}) for digit in "012"}
    assert [title[-3:] for title in comparable_groups(records)] == ["021", "(2)", "(3)"]


def test_the_newest_record_of_a_cell_counts(make_record: MakeRecord) -> None:
    found = newest_that_agree(
        {"new.json": make_record("HF", created=LATER), "old.json": make_record("FF")}
    )
    assert list(found.records) == ["new.json"]
    assert found.reasons["old.json"] == "replaced by the newer new.json"


def test_a_record_of_an_older_victim_is_stale(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("HF", victim={"sha256": "0" * 64}),
        "b.json": make_record("HF", attack="pwws", created=LATER),
        "c.json": make_record("HF", defense="rift"),
    }
    found = newest_that_agree(records)
    assert list(found.records) == ["b.json", "c.json"]
    assert found.reasons["a.json"].startswith(
        "stale: b.json and a.json differ in the victim of standard, seed 0"
    )


def test_a_given_victim_with_other_labels_is_another_victim(make_record: MakeRecord) -> None:
    """Its files are the same, and its configuration holds how the labels are matched."""
    records = {
        "a.json": make_record("HF", given="mine", victim={"configuration": "0" * 64}),
        "b.json": make_record("WH", given="mine", attack="pwws", created=LATER),
    }
    found = newest_that_agree(records)
    assert list(found.records) == ["b.json"]
    assert found.reasons["a.json"] == (
        "stale: b.json and a.json differ in the victim of mine (given), seed 0"
    )


def test_a_trained_victim_is_its_weights(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("HF", victim={"configuration": "0" * 64}),
        "b.json": make_record("HF", attack="pwws"),
    }
    assert find_disagreement(records) is None


@pytest.mark.parametrize(
    ("part", "name", "words"),
    [
        ("search", "code_sha256", "robench's code of the search"),
        ("victim", "training_code_sha256", "robench's code of training"),
    ],
)
@pytest.mark.parametrize("older", [None, "0" * 64])
def test_a_record_of_other_core_code_is_stale(
    make_record: MakeRecord, part: str, name: str, words: str, older: str | None
) -> None:
    """An unknown code hash is not a wildcard: it agrees only with other unknown ones."""
    old = {part: {name: older}}
    records = {
        "a.json": make_record("HF", **old),
        "b.json": make_record("HF", defense="rift", created=LATER),
    }
    found = newest_that_agree(records)
    assert list(found.records) == ["b.json"]
    assert found.reasons["a.json"] == f"stale: b.json and a.json differ in {words}"
    assert (
        find_disagreement(
            {"a.json": make_record("HF", **old), "c.json": make_record("HF", defense="rift", **old)}
        )
        is None
    )


def test_a_record_with_errors_is_kept_apart(make_record: MakeRecord) -> None:
    found = newest_that_agree({"a.json": make_record("HE")})
    assert list(found.failed) == ["a.json"]
    assert found.reasons["a.json"] == "1 of 2 examples ended in an error"


def test_attack_labels_are_sorted_and_distinct(make_record: MakeRecord) -> None:
    assert attack_labels([make_record("H", attack="pwws"), make_record("H"), make_record("H")]) == [
        "genetic",
        "pwws",
    ]


def test_a_given_victim_joins_every_group_that_agrees_otherwise(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("HF", given="mine"),
        "b.json": make_record("HF"),
        "c.json": make_record("HF", encoder={"name": "mini"}),
        "d.json": make_record("HF", task={"train_pool": "small"}),
        "e.json": make_record("HF", given="theirs", surface={"key": "0" * 64}),
    }
    found = {title: list(members) for title, members in comparable_groups(records).items()}
    assert found == {
        "toy, encoder mini, protocol rift2021": ["a.json", "c.json"],
        "toy, encoder tiny, protocol rift2021": ["a.json", "b.json"],
        "toy, encoder tiny, protocol rift2021 (2)": ["a.json", "d.json"],
        "toy, given victims, protocol rift2021": ["e.json"],
    }


def test_what_is_about_training_is_not_asked_of_a_given_victim(make_record: MakeRecord) -> None:
    records = {"a.json": make_record("HF", given="mine"), "b.json": make_record("HF")}
    assert find_disagreement(records) is None
    assert list(newest_that_agree(records).records) == ["a.json", "b.json"]
    other = {**records, "c.json": make_record("FF", given="mine", attack="pwws", victim=CHANGED)}
    assert find_disagreement(other) == (
        "a.json and c.json differ in the victim of mine (given), seed 0"
    )


def test_the_title_names_another_test_set(make_record: MakeRecord) -> None:
    records = {"a.json": make_record("HF", task={"test_name": "imdb:x", "other_test": "imdb"})}
    (title,) = comparable_groups(records)
    assert title == "toy judged on imdb, encoder tiny, protocol rift2021, test examples x"


def test_attacks_on_other_substitutions_share_the_table(make_record: MakeRecord) -> None:
    own = make_record("WFHH", attack="pwws", surface={"key": "0" * 64})
    other = make_record("WHHH", attack="pwws@x", surface={"key": "1" * 64, "own_key": "0" * 64})
    records = {"own.json": own, "other.json": other}
    assert len(comparable_groups(records)) == 1
    assert find_disagreement(records) is None


def test_one_attack_has_one_surface(make_record: MakeRecord) -> None:
    surface = {"key": "1" * 64, "own_key": "0" * 64}
    first = make_record("WFHH", attack="pwws@x", surface=surface)
    second = make_record(
        "WFHH", attack="pwws@x", defense="rift", surface=surface | {"key": "2" * 64}
    )
    records = {"a.json": first, "b.json": second}
    assert find_disagreement(records) == (
        "a.json and b.json differ in the substitutions of attack pwws@x"
    )
    alone = make_record("WFHH", attack="pwws@x", surface={"key": "1" * 64})
    assert len(comparable_groups({"a.json": first, "b.json": alone})) == 2


def test_agreement_is_that_of_all_pairs(make_record: MakeRecord) -> None:
    draw = random.Random(0)
    for _ in range(60):
        records = {
            f"{number}.json": make_record(
                "HP",
                defense=draw.choice(("standard", "rift")),
                attack=draw.choice(("pwws", "genetic")),
                seed=draw.choice((0, 1)),
                victim={"sha256": draw.choice("ab") * 64},
                attack_code=draw.choice("aaab") * 64,
            )
            for number in range(4)
        }
        pairs = [
            find_disagreement({first: records[first], second: records[second]})
            for first, second in combinations(records, 2)
        ]
        found = find_disagreement(records)
        assert (found is None) == (set(pairs) == {None})
        assert found is None or found in pairs


def test_the_work_grows_with_the_number_of_records_only(
    make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    def value(record: Record) -> object:
        nonlocal looked
        looked += 1
        return record.task.digest

    monkeypatch.setattr(comparable, "_RULES", (comparable._Rule("the digest", value),))
    records = {f"{seed}.json": make_record("HP", seed=seed) for seed in range(50)}
    assert len(newest_that_agree(records).records) == 50
    assert looked == 50
