"""The comparison of the most robust row with the others."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from robench.records.columns import board_columns
from robench.records.comparable import Admitted
from robench.records.paired import Comparison, compare_with_best
from robench.records.record import Record
from robench.records.render import section
from robench.records.rows import build_rows
from robench.records.statistics import PairedTest, holm

MakeRecord = Callable[..., Record]
ATTACKS = ("genetic", "pwws")


def comparisons(*records: Record) -> list[Comparison]:
    return compare_with_best(build_rows(records, ATTACKS), records, ATTACKS)


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
    found = comparisons(
        *both(make_record, "standard", "HFFFHHHH", "HHHHFFFH"),
        *both(make_record, "rift", "HHHHHHHH", "HHHHHHHF"),
    )
    p_value: float = pytest.approx(0.125)  # type: ignore[assignment]
    expected = Comparison("rift", "standard", 0, PairedTest(6, 1, p_value), p_value, clean=0.0)
    assert found == [expected]


def test_p_values_are_corrected_over_rows_and_seeds(make_record: MakeRecord) -> None:
    """Three comparisons with 3, 5 and 4 examples on one side: p = 2 / 2^3, 2 / 2^5 and 2 / 2^4.

    The fourth test is that of the two other rows, with 1 example on one side: p = 1.
    Holm: the smallest times 4, the next times 3, then times 2, and never descending.
    """
    found = comparisons(
        *both(make_record, "rift", "H" * 8, "H" * 8),
        *both(make_record, "rift", "H" * 8, "H" * 8, seed=1),
        *both(make_record, "mixout", "FFFHHHHH", "H" * 8),
        *both(make_record, "mixout", "FFFFFHHH", "H" * 8, seed=1),
        *both(make_record, "standard", "FFFFHHHH", "H" * 8),
    )
    assert [(each.other, each.seed, each.result.p_value) for each in found] == [
        ("mixout", 0, 0.25),
        ("mixout", 1, 0.0625),
        ("standard", 0, 0.125),
    ]
    assert [each.corrected for each in found] == [2 * 0.25, 4 * 0.0625, 3 * 0.125]


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
        found = compare_with_best(build_rows(records, ("pwws",)), records, ("pwws",))
        assert len(found) == 9
        alarms += any(each.corrected <= 0.05 for each in found)
        too_few += min(holm([each.result.p_value for each in found])) <= 0.05
    assert alarms / repetitions <= 0.05 < 0.08 <= too_few / repetitions


def test_lost_clean_accuracy_stands_beside_the_test(make_record: MakeRecord) -> None:
    found = comparisons(
        *both(make_record, "rift", "WWWHHHHHHH", "WWWHHHHHHH"),
        *both(make_record, "standard", "WFFFFFFFFF", "WFFFFFFFFF"),
    )
    assert found[0].clean == pytest.approx(-0.2)


def test_each_common_seed_is_compared_separately(make_record: MakeRecord) -> None:
    records = [
        record for seed in (0, 2) for record in both(make_record, "rift", "HHH", "HHH", seed)
    ]
    records += [
        record
        for seed in (0, 1, 2)
        for record in both(make_record, "standard", "HHF", "HFH" if seed else "HHH", seed)
    ]
    found = comparisons(*records)
    assert [(each.other, each.seed, each.result.only_first) for each in found] == [
        ("standard", 0, 1),
        ("standard", 2, 2),
    ]


def test_a_row_without_a_worst_case_is_not_compared(make_record: MakeRecord) -> None:
    rift, standard = (
        both(make_record, "rift", "HH", "HH"),
        both(make_record, "standard", "HF", "HE"),
    )
    assert comparisons(*rift, *standard) == []
    assert comparisons(*rift, make_record("HF", defense="mixout")) == []
    assert comparisons(*rift) == comparisons() == []


def test_the_table_of_comparisons_on_a_board(make_record: MakeRecord) -> None:
    """Check the printed p-values.

    If all of 11 discordant examples are on one side, p = 2 / 2^11, and Holm multiplies it by the
    three pairs of rows. If all of 3 are, p = 2 / 2^3, which is the largest of them and stays.
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
        if line.count("|") == 8
    ]
    assert [line for line in lines if line[0] == "rift"][-2:] == [
        ["rift", "mixout", "0", "0.0", "3", "0", "0.250"],
        ["rift", "standard", "0", "0.0", "11", "0", "0.003"],
    ]
