"""How far attacks stay above the truth, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robench.results.comparable import Admitted
from robench.results.leaderboard import results_table
from robench.results.record import Record
from robench.results.render import section
from robench.results.truth import Excess, excesses, is_reference

MakeRecord = Callable[..., Record]
BOUND, FREE = {"constrained": True}, {"constrained": False}


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [("WFPP", True), ("PH", True), ("PHH", False), ("WFHH", False), ("WF", False)],
)
def test_a_reference_proved_most_of_what_it_held(
    make_record: MakeRecord, outcomes: str, expected: bool
) -> None:
    assert is_reference(make_record(outcomes)) is expected


def test_the_truth_lies_between_what_is_proved_and_what_nobody_fools(
    make_record: MakeRecord,
) -> None:
    # Example by example: wrong, fooled by both, by the whole search only, by genetic only, three proved, one unknown, two proved.
    whole = make_record("WFFHPPPHPP", attack="whole", surface=BOUND)
    genetic = make_record("WFHFHHHHHP", attack="genetic", surface=BOUND)
    (excess,) = excesses([whole, genetic])
    assert excess == Excess("standard", "genetic", 0, under=0.7, proved=0.5, unfooled=0.6)
    assert excess.bounds == pytest.approx((0.1, 0.2))


def test_nothing_is_said_without_a_reference_or_beside_an_error(make_record: MakeRecord) -> None:
    held = [
        make_record("WFHH", surface=BOUND),
        make_record("WHHP", attack="pwws", surface=BOUND),
        make_record("FHHP", attack="third", surface=BOUND),
    ]
    assert excesses(held) == []
    assert excesses([held[0], make_record("WPPE", attack="whole", surface=BOUND)]) == []


def test_only_who_proved_most_has_no_line_of_its_own(make_record: MakeRecord) -> None:
    whole = make_record("FPPPPHH", attack="whole", surface=BOUND)
    almost = make_record(
        "FPPPHHF", attack="almost", surface=BOUND
    )  # a reference itself, but the other one proved more
    (excess,) = excesses([whole, almost])
    assert (excess.attack, excess.proved, excess.unfooled) == ("almost", 4 / 7, 5 / 7)
    assert excesses([whole, make_record("FPPPPHH", attack="twin", surface=BOUND)]) == []


def test_each_defense_and_seed_has_its_own_truth(make_record: MakeRecord) -> None:
    records = [
        make_record("FPPP", attack="whole", defense="b", surface=BOUND),
        make_record("HHHH", defense="b", surface=BOUND),
        make_record("HHHH", defense="a", surface=BOUND),
        make_record("FFPP", attack="whole", seed=1, defense="b", surface=BOUND),
        make_record("HHHH", seed=1, defense="b", surface=BOUND),
    ]
    assert [(excess.defense, excess.seed, excess.proved) for excess in excesses(records)] == [
        ("b", 0, 0.75),
        ("b", 1, 0.5),
    ]


def test_a_proof_on_the_wide_surface_holds_on_the_narrow_one_and_not_the_other_way(
    make_record: MakeRecord,
) -> None:
    wide, narrow = (
        make_record("FPPH", attack="wide", surface=FREE),
        make_record("HHHH", attack="narrow", surface=BOUND),
    )
    # What the wide search fooled may be robust on the narrow surface: nobody knows.
    assert excesses([wide, narrow]) == [Excess("standard", "narrow", 0, 1.0, 0.5, 1.0)]
    wide, narrow = (
        make_record("HHHH", attack="wide", surface=FREE),
        make_record("FPPH", attack="narrow", surface=BOUND),
    )
    assert excesses([wide, narrow]) == []


def test_who_is_fooled_on_the_narrow_surface_is_fooled_on_the_wide_one(
    make_record: MakeRecord,
) -> None:
    records = [
        make_record("HPPF", attack="wide", surface=FREE),
        make_record("HHHH", attack="other", surface=FREE),
        make_record("FHHH", surface=BOUND),
    ]
    by_attack = {excess.attack: excess for excess in excesses(records)}
    assert by_attack["other"] == Excess("standard", "other", 0, 1.0, 0.5, 0.5)
    assert by_attack["genetic"] == Excess("standard", "genetic", 0, 0.75, 0.5, 0.75)


def shown(records: list[Record]) -> list[str]:
    return section(
        ["genetic", "whole"],
        Admitted({str(number): record for number, record in enumerate(records)}),
    )


def test_the_board_has_a_table_where_there_is_a_truth(make_record: MakeRecord) -> None:
    lines = shown(
        [
            make_record("WFHHHHHHPP", attack="whole", surface=BOUND),
            make_record("WHHHHHHHHH", surface=BOUND),
        ]
    )
    assert "## Above the truth" not in lines  # two of eight are proved
    lines = shown(
        [
            make_record("WFFHPPPHPP", attack="whole", surface=BOUND),
            make_record("WFHFHHHHHP", surface=BOUND),
        ]
    )
    start = lines.index("## Above the truth")
    assert lines[start + 2].startswith("Some attack searched most of the spaces whole")
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[start + 4 : start + 7]
    ]
    assert table[0] == ["defense", "attack", "seed", "under attack", "truth", "above the truth"]
    assert table[2] == ["standard", "genetic", "0", "70.0", "50.0 to 60.0", "10.0 to 20.0"]


def test_where_all_is_known_one_number_is_enough(make_record: MakeRecord) -> None:
    lines = shown(
        [
            make_record("WFFPPPPPPP", attack="whole", surface=BOUND),
            make_record("WFHHHHHHHH", surface=BOUND),
        ]
    )
    assert any(line.replace(" ", "").endswith("|80.0|70.0|10.0|") for line in lines)


def test_the_printed_table_says_it_in_a_line(make_record: MakeRecord) -> None:
    records = [
        make_record("WFFHPPPHPP", attack="whole", surface=BOUND),
        make_record("WFHFHHHHHP", surface=BOUND),
    ]
    assert "standard under genetic, seed 0: 10.0 to 20.0 points above the truth." in results_table(
        records
    )
    assert "the truth" not in results_table(records[1:])
