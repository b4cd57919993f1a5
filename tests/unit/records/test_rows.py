"""The rows of a table, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench._base.errors import RobenchError
from robench.records.record import Record
from robench.records.rows import Gap, build_rows
from robench.records.statistics import Score
from robench.records.statistics_seeds import resample

MakeRecord = Callable[..., Record]
COLUMNS = ("genetic", "pwws")


def test_one_defense_by_hand(make_record: MakeRecord) -> None:
    (row,) = build_rows(
        [make_record("WFHHH", attack="genetic"), make_record("WHFHH", attack="pwws")], COLUMNS
    )
    assert row.clean == Score((0.8,), 5)
    assert row.under == {"genetic": Score((0.6,), 5), "pwws": Score((0.6,), 5)}
    assert row.worst == Score((0.4,), 5)
    assert (row.seeds, row.examples) == ((0,), 5)


def test_a_missing_attack_leaves_a_gap_and_no_worst_case(make_record: MakeRecord) -> None:
    (row,) = build_rows([make_record("WFHHH")], COLUMNS)
    assert row.under["pwws"] == Gap("absent", 0, 1)
    assert row.worst == Gap("absent", 0, 1)
    assert row.clean == Score((0.8,), 5)


def test_an_error_is_a_gap_and_not_a_number(make_record: MakeRecord) -> None:
    (row,) = build_rows([make_record("WFHHH"), make_record("WHFHE", attack="pwws")], COLUMNS)
    assert row.under["pwws"] == Gap("error", 0, 1)
    assert row.worst == Gap("error", 0, 1)
    # The clean accuracy is known from the attack without errors.
    assert row.clean == Score((0.8,), 5)


def test_a_defense_with_errors_only_has_gaps_only(make_record: MakeRecord) -> None:
    (row,) = build_rows([make_record("EEE")], COLUMNS)
    assert row.clean == row.under["genetic"] == row.worst == Gap("error", 0, 1)
    assert row.under["pwws"] == Gap("absent", 0, 1)


def test_seeds_are_averaged_only_if_all_have_a_record(make_record: MakeRecord) -> None:
    records = [
        make_record("HHHH", seed=0),
        make_record("HHFF", seed=1),
        make_record("HHHF", seed=1, attack="pwws"),
    ]
    (row,) = build_rows(records, COLUMNS)
    (drawn,) = resample([["HHHH", "HHFF"]])
    assert row.under["genetic"] == Score((1.0, 0.5), 4, drawn.interval)
    assert row.under["pwws"] == Gap("absent", 1, 2)
    assert row.worst == Gap("absent", 1, 2)
    assert row.seeds == (0, 1)


def test_an_expected_defense_has_a_row_without_a_record(make_record: MakeRecord) -> None:
    rows = build_rows([make_record("HH")], ("genetic",), expected=("standard", "rift"))
    assert [row.defense for row in rows] == ["standard", "rift"]
    assert rows[1].clean == rows[1].worst == Gap("absent", 0, 0)
    assert (rows[1].seeds, rows[1].examples) == ((), None)


def test_the_most_robust_row_is_first_and_gaps_are_last(make_record: MakeRecord) -> None:
    records = [
        make_record("FFHH", defense="b"),
        make_record("WFHH", defense="c"),
        make_record("HHHH", defense="d"),
        make_record("FFHH", defense="a"),
        make_record("HHHE", defense="e"),
    ]
    assert [row.defense for row in build_rows(records, ("genetic",))] == ["d", "a", "b", "c", "e"]


def test_attacks_on_different_victims_are_an_error_that_names_the_defense(
    make_record: MakeRecord,
) -> None:
    with pytest.raises(RobenchError, match="'standard' do not go together"):
        build_rows([make_record("WH"), make_record("HH", attack="pwws")], COLUMNS)


@given(st.permutations(range(6)))
def test_the_order_of_the_records_does_not_matter(order: list[int]) -> None:
    from records import make_record

    records = [make_record("HHFW", defense=d, attack=a) for d in ("x", "y", "z") for a in COLUMNS]
    assert build_rows([records[i] for i in order], COLUMNS) == build_rows(records, COLUMNS)
