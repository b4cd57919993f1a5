from __future__ import annotations

from collections.abc import Callable

import pytest

from robench.results.comparable import Admitted
from robench.results.paired import Versus, against_best
from robench.results.record import Record
from robench.results.render import section
from robench.results.rows import build_rows
from robench.results.statistics import Paired

MakeRecord = Callable[..., Record]
ATTACKS = ("genetic", "pwws")


def versus(*records: Record) -> list[Versus]:
    return against_best(build_rows(records, ATTACKS), records, ATTACKS)


def both(
    make_record: MakeRecord, defense: str, genetic: str, pwws: str, seed: int = 0
) -> list[Record]:
    return [
        make_record(letters, defense=defense, attack=attack, seed=seed)
        for attack, letters in (("genetic", genetic), ("pwws", pwws))
    ]


def test_by_hand(make_record: MakeRecord) -> None:
    """Worst cases HHHHHHHF and HFFFFFFH: six robust under the best only, one under the other. P = 2 (C(7,0) + C(7,1)) / 2^7 = 16 / 128."""
    found = versus(
        *both(make_record, "standard", "HFFFHHHH", "HHHHFFFH"),
        *both(make_record, "rift", "HHHHHHHH", "HHHHHHHF"),
    )
    assert found == [Versus("rift", "standard", 0, Paired(6, 1, pytest.approx(0.125)))]  # type: ignore[arg-type]


def test_each_seed_that_both_have_is_compared_by_itself(make_record: MakeRecord) -> None:
    records = [
        record for seed in (0, 2) for record in both(make_record, "rift", "HHH", "HHH", seed)
    ]
    records += [
        record
        for seed in (0, 1, 2)
        for record in both(make_record, "standard", "HHF", "HFH" if seed else "HHH", seed)
    ]
    found = versus(*records)
    assert [(each.other, each.seed, each.result.only_first) for each in found] == [
        ("standard", 0, 1),
        ("standard", 2, 2),
    ]


def test_a_row_without_a_worst_case_is_not_compared(make_record: MakeRecord) -> None:
    rift, standard = (
        both(make_record, "rift", "HH", "HH"),
        both(make_record, "standard", "HF", "HE"),
    )
    assert versus(*rift, *standard) == []
    assert versus(*rift, make_record("HF", defense="mixout")) == []
    assert versus(*rift) == versus() == []


def test_how_it_stands_on_a_board(make_record: MakeRecord) -> None:
    """All of 11 discordant examples on one side: p = 2 / 2^11, shown as what it is below; of 3: p = 2 / 2^3."""
    good, bad = (
        both(make_record, "rift", "H" * 11, "H" * 11),
        both(make_record, "standard", "F" * 11, "F" * 11),
    )
    fair = both(make_record, "mixout", "H" * 8 + "FFF", "H" * 11)
    records = {f"{number}.json": record for number, record in enumerate([*good, *bad, *fair])}
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in section(ATTACKS, Admitted(records))
        if line.count("|") == 7
    ]
    assert [line for line in lines if line[0] == "rift"][-2:] == [
        ["rift", "mixout", "0", "3", "0", "0.250"],
        ["rift", "standard", "0", "11", "0", "< 0.001"],
    ]
