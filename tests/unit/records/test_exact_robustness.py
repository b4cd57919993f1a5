"""How far the accuracy under an attack lies above the exact robustness, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robench.records.columns import board_columns
from robench.records.comparable import Admitted
from robench.records.exact_robustness import Overestimate, is_reference, overestimates
from robench.records.leaderboard import results_table
from robench.records.record import Record
from robench.records.render import section

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


def test_exact_robustness_lies_between_the_proved_and_the_unfooled_share(
    make_record: MakeRecord,
) -> None:
    # Example by example: wrong, fooled by both, fooled by the whole search only, fooled by genetic
    # only, three proved, one unknown, two proved.
    whole = make_record("WFFHPPPHPP", attack="whole", surface=BOUND)
    genetic = make_record("WFHFHHHHHP", attack="genetic", surface=BOUND)
    (found,) = overestimates([whole, genetic])
    assert found == Overestimate("standard", "genetic", 0, under=0.7, proved=0.5, unfooled=0.6)
    assert found.bounds == pytest.approx((0.1, 0.2))


def test_without_a_reference_or_with_an_error_there_is_no_overestimate(
    make_record: MakeRecord,
) -> None:
    held = [
        make_record("WFHH", surface=BOUND),
        make_record("WHHP", attack="pwws", surface=BOUND),
        make_record("FHHP", attack="third", surface=BOUND),
    ]
    assert overestimates(held) == []
    assert overestimates([held[0], make_record("WPPE", attack="whole", surface=BOUND)]) == []


def test_the_attack_that_proved_most_has_no_overestimate(make_record: MakeRecord) -> None:
    whole = make_record("FPPPPHH", attack="whole", surface=BOUND)
    # This one is a reference itself, but the other one proved more.
    almost = make_record("FPPPHHF", attack="almost", surface=BOUND)
    (found,) = overestimates([whole, almost])
    assert (found.attack, found.proved, found.unfooled) == ("almost", 4 / 7, 5 / 7)
    assert overestimates([whole, make_record("FPPPPHH", attack="twin", surface=BOUND)]) == []


def test_each_defense_and_seed_has_its_own_exact_robustness(make_record: MakeRecord) -> None:
    records = [
        make_record("FPPP", attack="whole", defense="b", surface=BOUND),
        make_record("HHHH", defense="b", surface=BOUND),
        make_record("HHHH", defense="a", surface=BOUND),
        make_record("FFPP", attack="whole", seed=1, defense="b", surface=BOUND),
        make_record("HHHH", seed=1, defense="b", surface=BOUND),
    ]
    assert [(each.defense, each.seed, each.proved) for each in overestimates(records)] == [
        ("b", 0, 0.75),
        ("b", 1, 0.5),
    ]


def test_a_proof_without_the_constraint_holds_with_it_but_not_the_reverse(
    make_record: MakeRecord,
) -> None:
    wide, narrow = (
        make_record("FPPH", attack="wide", surface=FREE),
        make_record("HHHH", attack="narrow", surface=BOUND),
    )
    # An example that the free search fooled may be robust under the constraint.
    assert overestimates([wide, narrow]) == [Overestimate("standard", "narrow", 0, 1.0, 0.5, 1.0)]
    wide, narrow = (
        make_record("HHHH", attack="wide", surface=FREE),
        make_record("FPPH", attack="narrow", surface=BOUND),
    )
    assert overestimates([wide, narrow]) == []


def test_an_example_fooled_under_the_constraint_is_fooled_without_it(
    make_record: MakeRecord,
) -> None:
    records = [
        make_record("HPPF", attack="wide", surface=FREE),
        make_record("HHHH", attack="other", surface=FREE),
        make_record("FHHH", surface=BOUND),
    ]
    by_attack = {each.attack: each for each in overestimates(records)}
    assert by_attack["other"] == Overestimate("standard", "other", 0, 1.0, 0.5, 0.5)
    assert by_attack["genetic"] == Overestimate("standard", "genetic", 0, 0.75, 0.5, 0.75)


def shown(records: list[Record]) -> list[str]:
    return section(
        board_columns(["genetic", "whole"]),
        Admitted({str(number): record for number, record in enumerate(records)}),
    )


def test_a_board_shows_exact_robustness_only_with_a_reference(make_record: MakeRecord) -> None:
    lines = shown(
        [
            make_record("WFHHHHHHPP", attack="whole", surface=BOUND),
            make_record("WHHHHHHHHH", surface=BOUND),
        ]
    )
    # Only two of the eight that held are proved.
    assert "## Above exact robustness" not in lines
    lines = shown(
        [
            make_record("WFFHPPPHPP", attack="whole", surface=BOUND),
            make_record("WFHFHHHHHP", surface=BOUND),
        ]
    )
    start = lines.index("## Above exact robustness")
    assert lines[start + 2].startswith("Some attack searched most of the spaces completely.")
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[start + 4 : start + 7]
    ]
    assert table[0] == [
        "defense",
        "attack",
        "seed",
        "under attack",
        "exact robustness",
        "above exact robustness",
    ]
    assert table[2] == ["standard", "genetic", "0", "70.0", "50.0 to 60.0", "10.0 to 20.0"]


def test_equal_bounds_print_as_one_number(make_record: MakeRecord) -> None:
    lines = shown(
        [
            make_record("WFFPPPPPPP", attack="whole", surface=BOUND),
            make_record("WFHHHHHHHH", surface=BOUND),
        ]
    )
    assert any(line.replace(" ", "").endswith("|80.0|70.0|10.0|") for line in lines)


def test_the_terminal_table_has_a_line_per_overestimate(make_record: MakeRecord) -> None:
    records = [
        make_record("WFFHPPPHPP", attack="whole", surface=BOUND),
        make_record("WFHFHHHHHP", surface=BOUND),
    ]
    assert (
        "standard under genetic, seed 0: 10.0 to 20.0 points above exact robustness."
        in results_table(records)
    )
    assert "exact robustness" not in results_table(records[1:])


def test_attacks_in_two_spaces_say_nothing_of_each_other(make_record: MakeRecord) -> None:
    whole = make_record("FPPP", attack="whole@other", surface=BOUND | {"key": "0" * 64})
    genetic = make_record("HHHH", attack="genetic", surface=BOUND)
    assert overestimates([whole, genetic]) == []
    inside = make_record("HHHH", attack="genetic@other", surface=BOUND | {"key": "0" * 64})
    assert [each.attack for each in overestimates([whole, genetic, inside])] == ["genetic@other"]
