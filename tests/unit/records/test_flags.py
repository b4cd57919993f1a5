"""Flags: results of several attacks on one victim that do not fit together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robench.commands.results_data import evaluation_data
from robench.records.columns import board_columns, run_columns
from robench.records.comparable import Admitted
from robench.records.flags import LEVEL, find_flags
from robench.records.frames import results
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.render import section
from robench.records.run_folder import RunFolder
from robench.records.terminal import terminal_table

MakeRecord = Callable[..., Record]
FREE, BOUND = {"constrained": False}, {"constrained": True}


@pytest.fixture
def cell(make_record: MakeRecord) -> MakeRecord:
    """Make a record in the free space, unless the test says otherwise."""

    def make(outcomes: str, attack: str, access: str | None, **others: Any) -> Record:
        return make_record(outcomes, attack=attack, access=access, **{"surface": FREE, **others})

    return make


def kinds(*records: Record) -> list[tuple[str, str, str]]:
    return [(flag.kind, flag.suspect, flag.stronger) for flag in find_flags(records)]


# -- White-box and black-box --


def test_gradients_that_fool_fewer_than_scores_are_flagged(cell: MakeRecord) -> None:
    """Check 8 discordant examples on one side: p = 2 / 2^8."""
    hull = cell("W" + "H" * 9, "hull", "gradients")
    (flag,) = find_flags([hull, cell("W" + "F" * 8 + "H", "scores", "probabilities")])
    assert (flag.kind, flag.suspect, flag.stronger) == ("white-box-weaker", "hull", "scores")
    assert (flag.only_suspect, flag.only_stronger, flag.p_value) == (0, 8, 2 / 2**8)
    assert flag.sentence == (
        "standard, seed 0: hull sees gradients and fooled fewer examples than scores, which sees "
        "probabilities (8 only by scores, 0 only by hull, exact McNemar with Holm p = 0.008). The "
        "gradients may mislead it, so the accuracy under hull may be too high."
    )


def test_a_difference_within_the_noise_is_no_flag(cell: MakeRecord) -> None:
    """With 5 discordant examples on one side, p = 2 / 2^5 is above the level."""
    assert LEVEL < 2 / 2**5
    hull = cell("H" * 10, "hull", "gradients")
    assert kinds(hull, cell("F" * 5 + "H" * 5, "scores", "probabilities")) == []
    # The counts differ much, but the attacks fool different examples.
    assert (
        kinds(
            cell("F" * 9 + "H" * 11, "hull", "gradients"),
            cell("H" * 8 + "F" * 12, "scores", "probabilities"),
        )
        == []
    )


def test_the_p_values_are_corrected_over_the_tests_of_the_table(cell: MakeRecord) -> None:
    """One test of 6 discordant examples has p = 2 / 2^6, which two tests double."""
    pair = [
        cell("H" * 10, "hull", "gradients"),
        cell("F" * 6 + "H" * 4, "scores", "probabilities"),
    ]
    assert kinds(*pair) == [("white-box-weaker", "hull", "scores")]
    other = [
        cell("H" * 10, "hull", "gradients", defense="rift"),
        cell("F" * 6 + "H" * 4, "scores", "probabilities", defense="rift"),
    ]
    assert kinds(*pair, *other) == []


@pytest.mark.parametrize("outcomes", ["H" * 10, "F" * 6 + "H" * 4])
def test_the_pairs_that_were_not_picked_count_too(cell: MakeRecord, outcomes: str) -> None:
    """The strongest attack without gradients is picked by its result, so its rivals are counted.

    A pair that shows nothing, or that shows the other direction, counts like the one that is shown.
    """
    hull = cell("H" * 10, "hull", "gradients")
    strong = cell("F" * 6 + "H" * 4, "strong", "probabilities")
    assert kinds(hull, strong) == [("white-box-weaker", "hull", "strong")]
    assert kinds(hull, strong, cell("H" * 10, "weak", "probabilities")) == []
    rift = {"defense": "rift"}
    other = [
        cell(outcomes, "hull", "gradients", **rift),
        cell("H" * 10, "strong", "probabilities", **rift),
    ]
    assert kinds(hull, strong, *other) == []


def test_pairs_that_cannot_be_compared_do_not_count(cell: MakeRecord) -> None:
    hull = cell("H" * 10, "hull", "gradients")
    strong = cell("F" * 6 + "H" * 4, "strong", "probabilities")
    others = [
        cell("H" * 10, "older", None),
        cell("H" * 10, "a-hull", "gradients", surface={"constrained": False, "key": "0" * 64}),
        cell("H" * 10, "scores", "probabilities", seed=1),
    ]
    assert kinds(hull, strong, *others) == [("white-box-weaker", "hull", "strong")]


def test_only_the_strongest_attacks_stand_for_their_kind(cell: MakeRecord) -> None:
    strong = cell("F" * 9 + "H", "strong-hull", "gradients")
    weak = cell("H" * 10, "weak-hull", "gradients")
    assert kinds(strong, weak, cell("F" * 9 + "H", "scores", "probabilities")) == []


# -- Labels --


def test_labels_that_fool_more_than_scores_are_flagged(cell: MakeRecord) -> None:
    records = [
        cell("H" * 10, "scores", "probabilities"),
        cell("H" * 9 + "F", "hull", "gradients"),
        cell("F" * 10, "blind", "labels"),
    ]
    # The attack with labels is stronger than every better informed one, which hull stands for.
    assert kinds(*records) == [
        ("labels-stronger", "hull", "blind"),
        ("white-box-weaker", "hull", "blind"),
    ]
    assert "blind sees labels only and fooled more" in find_flags(records)[0].sentence


def test_labels_that_fool_fewer_are_what_one_expects(cell: MakeRecord) -> None:
    assert kinds(cell("F" * 10, "scores", "probabilities"), cell("H" * 10, "blind", "labels")) == []


# -- Spaces, victims and what is left out --


@pytest.mark.parametrize(
    "others",
    [
        {"surface": {"constrained": False, "key": "0" * 64}},
        {"surface": {"constrained": False, "outside": True}},
        {"defense": "rift"},
        {"seed": 1},
        {"victim": {"sha256": "1" * 64}},
        {"searches": False},
        {"protocol": "subword"},
    ],
)
def test_other_spaces_and_victims_are_not_compared(
    cell: MakeRecord, others: dict[str, Any]
) -> None:
    hull = cell("H" * 10, "hull", "gradients")
    assert kinds(hull, cell("F" * 10, "scores", "probabilities", **others)) == []


def test_a_part_of_the_space_is_enough_for_a_flag_and_a_larger_space_is_not(
    cell: MakeRecord,
) -> None:
    def pair(hull: dict[str, bool], scores: dict[str, bool]) -> list[tuple[str, str, str]]:
        return kinds(
            cell("H" * 10, "hull", "gradients", surface=hull),
            cell("F" * 10, "scores", "probabilities", surface=scores),
        )

    assert len(pair(FREE, BOUND)) == 1
    assert pair(BOUND, FREE) == []


def test_older_records_and_errors_give_no_doubtful_flag(cell: MakeRecord) -> None:
    assert kinds(cell("H" * 10, "hull", None), cell("F" * 10, "scores", "probabilities")) == []
    assert (
        kinds(cell("H" * 10, "hull", "gradients"), cell("F" * 9 + "E", "scores", "probabilities"))
        == []
    )


# -- Attacks that try whole spaces --


def test_a_proof_that_another_attack_contradicts_is_an_alarm(cell: MakeRecord) -> None:
    whole = cell("WPPPPH", "whole", None)
    records = [whole, cell("WFHFHH", "scores", None)]
    (flag,) = find_flags(records)
    assert (flag.kind, flag.only_stronger, flag.p_value) == ("proof-contradicted", 2, None)
    assert flag.sentence.startswith(
        "ALARM. standard, seed 0: whole proved 2 examples robust that scores fooled in the same "
    )
    # A proof in the space that the language model binds says nothing about the free one.
    bound = cell("WPPPPH", "whole", None, surface=BOUND)
    assert kinds(bound, cell("WFHFHH", "scores", None)) == []
    assert kinds(whole, cell("WFHFHH", "scores", None, surface=BOUND)) != []


def test_a_whole_search_that_reached_its_bound_is_a_hint(cell: MakeRecord) -> None:
    whole = cell("WFPPPHH", "whole", "probabilities")
    (flag,) = find_flags([whole, cell("WFHHHFF", "scores", "probabilities")])
    assert (flag.kind, flag.only_suspect, flag.only_stronger) == ("search-incomplete", 0, 2)
    assert "scores fooled 2 examples that it left undecided" in flag.sentence
    # It fooled as many, so nothing is odd.
    assert kinds(whole, cell("WHHHHFH", "scores", "probabilities")) == []


def test_an_attack_that_proves_little_promises_nothing(cell: MakeRecord) -> None:
    partial = cell("WFPHHHH", "partial", "probabilities")
    assert kinds(partial, cell("WFHHHFF", "scores", "probabilities")) == []


def test_a_whole_search_does_not_stand_for_the_score_searches(cell: MakeRecord) -> None:
    """It is strong without scores, so it says nothing about gradients beside another search."""
    records = [
        cell("F" * 2 + "H" * 8, "hull", "gradients"),
        cell("F" * 9 + "P", "whole", "probabilities"),
        cell("F" * 3 + "H" * 7, "scores", "probabilities"),
    ]
    assert kinds(*records) == []


# -- Where they are shown --


@pytest.fixture
def odd(cell: MakeRecord) -> dict[str, Record]:
    found = [cell("H" * 10, "hull", "gradients"), cell("F" * 10, "scores", "probabilities")]
    return {record.file_name: record for record in found}


def test_flags_are_shown_under_boards_and_run_tables(odd: dict[str, Record]) -> None:
    sentence = find_flags(odd.values())[0].sentence
    lines = section(board_columns(["hull", "scores"]), Admitted(odd))
    assert lines[lines.index("## Flags") :][4] == f"- {sentence}"
    text = terminal_table(run_columns(odd.values()), Admitted(odd))
    assert f"Flag: {sentence}" in text


def test_flags_are_in_the_data_and_the_frames(odd: dict[str, Record], tmp_path: Path) -> None:
    data = evaluation_data(list(odd.values()), tmp_path)
    assert [flag.kind for flag in data["flags"]] == ["white-box-weaker"]
    for name, record in odd.items():
        write_record(RunFolder(tmp_path).records / name, record)
    frame = results(tmp_path).flags
    assert frame[["kind", "suspect", "stronger", "only_stronger"]].values.tolist() == [
        ["white-box-weaker", "hull", "scores", 10]
    ]


def test_a_run_without_flags_has_an_empty_frame(cell: MakeRecord, tmp_path: Path) -> None:
    write_record(RunFolder(tmp_path).records / "a.json", cell("HF", "hull", "gradients"))
    frame = results(tmp_path).flags
    assert len(frame) == 0
    assert "sentence" in frame.columns
