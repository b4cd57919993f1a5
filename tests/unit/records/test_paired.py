"""The comparison of the rows of a table, over seeds and examples."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from robench.records.columns import board_columns
from robench.records.comparable import Admitted
from robench.records.paired import ComparedTable, compare_rows
from robench.records.paired_notes import detectable_sentence, group_notes, group_sentence
from robench.records.record import Record
from robench.records.render import section
from robench.records.rows import build_rows
from robench.records.statistics import holm, tango
from robench.records.statistics_groups import detectable
from robench.records.terminal import terminal_table

MakeRecord = Callable[..., Record]
ATTACKS = ("genetic", "pwws")


def compared(*records: Record) -> ComparedTable:
    return compare_rows(build_rows(records, ATTACKS))


def both(
    make_record: MakeRecord, defense: str, genetic: str, pwws: str, seed: int = 0
) -> list[Record]:
    return [
        make_record(letters, defense=defense, attack=attack, seed=seed)
        for attack, letters in (("genetic", genetic), ("pwws", pwws))
    ]


def test_one_comparison_by_hand(make_record: MakeRecord) -> None:
    """Check the test of the worst cases HHHHHHHF and HFFFFFFH.

    Six examples are robust in the first row only, one in the other row only.
    p = 2 (C(7,0) + C(7,1)) / 2^7 = 16 / 128.
    """
    found = compared(
        *both(make_record, "standard", "HFFFHHHH", "HHHHFFFH"),
        *both(make_record, "rift", "HHHHHHHH", "HHHHHHHF"),
    )
    (one,) = found.comparisons
    assert (one.first, one.other, one.seeds) == ("rift", "standard", (1, 1))
    assert one.worst.p_value == one.corrected == pytest.approx(0.125)
    assert one.worst.difference == pytest.approx(5 / 8)
    assert one.worst.interval == tango(6, 1, 8)
    assert one.clean.difference == 0
    assert not one.told_apart
    assert found.groups == {"rift": "a", "standard": "a"}
    assert (found.tests, found.seeds, found.examples) == (1, (1, 1), 8)


def test_p_values_are_corrected_over_all_pairs_of_rows(make_record: MakeRecord) -> None:
    """Three pairs with 5, 4 and 1 examples on one side: p = 2 / 2^5, 2 / 2^4 and 1.

    Holm: the smallest times 3, the next times 2, and never descending.
    """
    found = compared(
        *both(make_record, "rift", "H" * 8, "H" * 8),
        *both(make_record, "mixout", "FFFFHHHH", "H" * 8),
        *both(make_record, "standard", "FFFFFHHH", "H" * 8),
    )
    assert [(each.other, each.worst.p_value) for each in found.comparisons] == [
        ("mixout", 0.125),
        ("standard", 0.0625),
    ]
    assert [each.corrected for each in found.comparisons] == [2 * 0.125, 3 * 0.0625]
    assert found.tests == 3


def test_several_seeds_give_one_comparison(make_record: MakeRecord) -> None:
    """The mean over the seeds is tested, and not each seed by itself."""
    records = []
    for seed, (ours, theirs) in enumerate((("H" * 60, "H" * 30 + "F" * 30),) * 3):
        records += both(make_record, "rift", ours, ours, seed)
        records += both(make_record, "standard", theirs, theirs, seed)
    found = compared(*records)
    (one,) = found.comparisons
    assert one.seeds == (3, 3)
    assert one.worst.difference == pytest.approx(0.5)
    low, high = one.worst.interval
    assert 0.35 < low < 0.5 < high < 0.65
    assert one.told_apart
    assert found.groups == {"rift": "a", "standard": "b"}
    assert found.seeds == (3, 3)


def test_rows_with_different_seeds_are_compared(make_record: MakeRecord) -> None:
    """A row of two seeds and one of another seed: trainings are no partners of each other."""
    found = compared(
        *both(make_record, "rift", "HHHHHHHH", "HHHHHHHH", 0),
        *both(make_record, "rift", "HHHHHHHF", "HHHHHHHH", 1),
        *both(make_record, "standard", "HHHHFFFF", "HHHHHHHH", 5),
    )
    (one,) = found.comparisons
    assert one.seeds == (2, 1)
    assert one.worst.difference == pytest.approx(15 / 16 - 1 / 2)
    assert found.seeds == (1, 2)


@pytest.mark.slow
def test_ten_equal_rows_seldom_show_a_difference(
    make_record: MakeRecord, request: pytest.FixtureRequest
) -> None:
    """The best row is chosen by the numbers that are tested, and the correction knows it.

    A correction for the nine comparisons that are shown would be wrong more than twice as often as
    it says.
    """
    rng = np.random.default_rng(1)
    repetitions, alarms, too_few = 200, 0, 0
    # statsmodels collects garbage at each call: a second each, beside the objects of all tests.
    gc.freeze()
    request.addfinalizer(gc.unfreeze)
    for _ in range(repetitions):
        records = [
            make_record("".join(rng.choice(["F", "H"], 200)), defense=f"row{k}", attack="pwws")
            for k in range(10)
        ]
        found = compare_rows(build_rows(records, ("pwws",)))
        assert len(found.comparisons) == 9
        alarms += any(each.told_apart for each in found.comparisons)
        too_few += min(holm([each.worst.p_value for each in found.comparisons])) <= 0.05
    assert alarms / repetitions <= 0.05 < 0.08 <= too_few / repetitions


def test_lost_clean_accuracy_stands_beside_the_test(make_record: MakeRecord) -> None:
    found = compared(
        *both(make_record, "rift", "WWWHHHHHHH", "WWWHHHHHHH"),
        *both(make_record, "standard", "WFFFFFFFFF", "WFFFFFFFFF"),
    )
    assert found.comparisons[0].clean.difference == pytest.approx(-0.2)
    assert found.comparisons[0].clean.interval == tango(0, 2, 10)


def test_a_row_without_a_worst_case_is_not_compared(make_record: MakeRecord) -> None:
    rift, standard = (
        both(make_record, "rift", "HH", "HH"),
        both(make_record, "standard", "HF", "HE"),
    )
    nothing = ComparedTable()
    assert compared(*rift, *standard) == nothing
    assert compared(*rift, make_record("HF", defense="mixout")) == nothing
    assert compared(*rift) == compared() == nothing
    assert group_notes(nothing) == []


def test_the_sentences_name_the_correction_and_what_can_be_told(make_record: MakeRecord) -> None:
    """The middle of the three pairs differs by 4 examples of 8.

    Its standard error is sqrt((4/8 - 1/4) / 8 + 1/64) = 0.2165, and a test at 0.05 / 3 with a
    chance of 80 % needs 2.394 + 0.842 of them.
    """
    found = compared(
        *both(make_record, "rift", "H" * 8, "H" * 8),
        *both(make_record, "mixout", "FFFFHHHH", "H" * 8),
        *both(make_record, "standard", "HHFFFFFF", "H" * 8),
    )
    assert found.detectable == pytest.approx(0.2165 * (2.394 + 0.842), rel=1e-3)
    assert detectable_sentence(found) == (
        "With n = 8, 1 seed and 3 pairs of rows, this table finds a true difference of 70.1 points "
        "between two worst cases with a chance of 80 % or more for at least half of the pairs. "
        "Other pairs may need a larger one."
    )
    assert (
        "for these trainings only, corrected by Holm for all 3 pairs of rows."
        in (group_notes(found)[0])
    )
    assert group_sentence(found) == (
        "Groups of rows that are not told apart by the worst case (5 %, over examples, for these "
        "trainings only, corrected by Holm for all 3 pairs of rows): a: rift, mixout, standard."
    )


def test_few_seeds_need_a_larger_difference(make_record: MakeRecord) -> None:
    """Student's t with few degrees of freedom shows less than a normal test of the same error."""
    half = "F" * 500 + "H" * 500
    records = [
        record
        for seed, right in enumerate((700, 800, 900))
        for record in (
            *both(make_record, "rift", "H" * right + "F" * (1000 - right), "H" * 1000, seed),
            *both(make_record, "standard", half, half, seed),
        )
    ]
    found = compared(*records)
    (one,) = found.comparisons
    freedom = one.worst.degrees_of_freedom
    assert 2 <= freedom < 4
    assert found.detectable is not None
    # 4.26 standard errors for three degrees of freedom, 5.65 for two, and 2.80 without end.
    assert 3.7 < found.detectable / one.worst.standard_error < 5.66
    assert found.detectable == detectable([one.worst.standard_error], [freedom])


def test_a_table_of_three_examples_can_tell_nothing(make_record: MakeRecord) -> None:
    found = compared(
        *both(make_record, "rift", "HHH", "HHH"), *both(make_record, "standard", "HHF", "HHH")
    )
    assert detectable_sentence(found) == (
        "With n = 3, 1 seed and 1 pair of rows, this table can hardly tell any two rows apart."
    )


def test_the_tables_of_a_board_and_of_a_terminal(make_record: MakeRecord) -> None:
    """Check the printed p-values and groups.

    If all of 11 discordant examples are on one side, p = 2 / 2^11, and Holm multiplies it by the
    three pairs of rows. If all of 3 are, p = 2 / 2^3, which is the largest of them and stays. For 8
    of 8, p = 2 / 2^8, which Holm doubles.
    """
    good, bad = (
        both(make_record, "rift", "H" * 11, "H" * 11),
        both(make_record, "standard", "F" * 11, "F" * 11),
    )
    fair = both(make_record, "mixout", "H" * 8 + "FFF", "H" * 11)
    records = {f"{number}.json": record for number, record in enumerate([*good, *bad, *fair])}
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in section(board_columns(ATTACKS), Admitted(records))
        if line.startswith("| ")
    ]
    assert [(line[0], line[-2]) for line in lines[1:4]] == [
        ("rift", "a"),
        ("mixout", "a"),
        ("standard", "b"),
    ]
    shown = [line for line in lines if line[0] == "rift" and line[-1] in ("yes", "no")]
    assert [(line[1], line[2], *line[5:]) for line in shown] == [
        ("mixout", "1", "0.250", "no"),
        ("standard", "1", "0.003", "yes"),
    ]
    low, high = (f"{100 * bound:+.1f}" for bound in tango(3, 0, 11))
    assert shown[0][4] == f"+27.3 [{low}, {high}]"
    text = terminal_table(board_columns(ATTACKS), Admitted(records))
    assert "a: rift, mixout; b: standard." in text
