"""The table of accuracy by label, and the sentence about a constant answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

import robench
from robench.records.columns import board_columns, run_columns
from robench.records.comparable import Admitted
from robench.records.frames import LABEL_COLUMNS
from robench.records.label_tables import constant_notes, label_rows
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.render import section
from robench.records.rows import build_rows
from robench.records.run_folder import RunFolder
from robench.records.terminal import terminal_table

MakeRecord = Callable[..., Record]
LEANING = {"neg": (4, 7, 4, 4), "pos": (6, 3, 3, 1)}
EVEN = {"neg": (4, 5, 3, 2), "pos": (6, 5, 4, 3)}


def both(make_record: MakeRecord) -> list[Record]:
    """A row that leans towards `neg` and one that does not, with the same accuracies."""
    return [
        make_record("WWWFFHHHHH", defense="leans", by_label=LEANING),
        make_record("WWWFFHHHHH", defense="even", by_label=EVEN),
    ]


def test_shares_by_hand(make_record: MakeRecord) -> None:
    even_neg, even_pos, neg, pos = label_rows(both(make_record))
    assert (neg.row, neg.label, neg.examples, neg.answered) == ("leans", "neg", 4, 0.7)
    assert (neg.clean, dict(neg.under)) == (1.0, {"genetic": 1.0})
    assert pos.clean == 0.5
    assert dict(pos.under) == {"genetic": pytest.approx(1 / 6)}
    assert (even_neg.answered, even_pos.answered) == (0.5, 0.5)


def test_shares_are_means_over_the_seeds(make_record: MakeRecord) -> None:
    other = {"neg": (4, 3, 2, 1), "pos": (6, 7, 5, 4)}
    neg, _ = label_rows(
        [
            make_record("WWWFFHHHHH", by_label=LEANING),
            make_record("WWWFFHHHHH", by_label=other, seed=1),
        ]
    )
    assert neg.answered == pytest.approx(0.5)
    assert neg.clean == pytest.approx(0.75)
    assert neg.under["genetic"] == pytest.approx((1 + 0.25) / 2)


def test_an_attack_without_a_record_of_each_seed_is_left_out(make_record: MakeRecord) -> None:
    records = [
        make_record("WWWFFHHHHH", by_label=LEANING),
        make_record("WWWFFHHHHH", by_label=LEANING, seed=1),
        make_record("WWWFFHHHHH", by_label=LEANING, attack="pwws"),
        make_record("WWWHHHHHHH", by_label={"neg": (4, 7, 4, 4), "pos": (6, 3, 3, 3)},
                    attack="none", searches=False),
    ]  # fmt: skip
    assert [list(each.under) for each in label_rows(records)] == [["genetic"], ["genetic"]]


def test_a_row_with_an_older_record_or_an_error_is_left_out(make_record: MakeRecord) -> None:
    old = make_record("WWWFFHHHHH", seed=1)
    failed = make_record("WWWFFHHHHE", attack="pwws",
                         by_label={"neg": (4, 7, 4, 4), "pos": (6, 3, 3, 0)})  # fmt: skip
    for other in (old, failed):
        assert label_rows([make_record("WWWFFHHHHH", by_label=LEANING), other]) == []
    assert label_rows([]) == []


def test_records_of_other_labels_are_no_row(make_record: MakeRecord) -> None:
    """Such records are no result of robench, and they must not end in a traceback."""
    first = make_record("WWWFFHHHHH", by_label=LEANING)
    for other in (
        {"neg": (10, 10, 7, 5)},
        {"pos": (6, 3, 3, 1), "neg": (4, 7, 4, 4)},
        {"neg": (5, 7, 4, 4), "pos": (5, 3, 3, 1)},
    ):
        assert label_rows([first, make_record("WWWFFHHHHH", by_label=other, seed=1)]) == []


def test_a_label_without_examples_has_no_share(make_record: MakeRecord) -> None:
    found = label_rows([make_record("FH", by_label={"a": (2, 2, 2, 1), "b": (0, 0, 0, 0)})])
    assert [(each.clean, each.under["genetic"]) for each in found] == [(1.0, 0.5), (None, None)]


def notes(*records: Record) -> list[str]:
    return constant_notes(build_rows(records, ["genetic"]), records)


def test_a_constant_answer_that_beats_a_row(make_record: MakeRecord) -> None:
    """Six of ten examples are `pos`; both rows hold five, and seven are right."""
    assert notes(*both(make_record)) == [
        "Always answering 'pos' would be right on 6 of 10 examples (60.0 %), under every attack. "
        "That is at least as much as the worst case of every row."
    ]
    strong = make_record("WWWHHHHHHH", defense="strong")
    assert notes(*both(make_record), strong) == [
        "Always answering 'pos' would be right on 6 of 10 examples (60.0 %), under every attack. "
        "That is at least as much as the worst case of even and leans."
    ]


def test_a_row_without_a_worst_case_is_not_among_every_row(make_record: MakeRecord) -> None:
    """It has no number that could be below; the same holds for an expected row."""
    records = [*both(make_record), make_record("H" * 10, defense="other", attack="pwws")]
    for found in (
        constant_notes(build_rows(records, ["genetic", "pwws"], (), ["genetic"]), records),
        constant_notes(build_rows(both(make_record), ["genetic"], ["missing"]), records),
    ):
        assert [each.rpartition(". ")[2] for each in found] == [
            "That is at least as much as the worst case of even and leans."
        ]


def test_equal_numbers_are_no_more(make_record: MakeRecord) -> None:
    """The mean of three seeds is 42 of 60 examples, and as a float it lies below 42 / 60."""
    assert fmean(right / 60 for right in (38, 44, 44)) < 42 / 60
    records = [make_record("H" * 43 + "W" * 17, defense="more")]
    for seed, right in enumerate((38, 44, 44)):
        neg = min(right, 42)
        counts = {"neg": (42, 42, neg, neg), "pos": (18, 18, right - neg, right - neg)}
        outcomes = "H" * right + "W" * (60 - right)
        records.append(make_record(outcomes, seed=seed, by_label=counts))
    (said,) = notes(*records)
    assert said.endswith(
        "That is at least as much as the worst case of standard and the clean accuracy of standard."
    )


def test_a_constant_answer_is_told_as_one(make_record: MakeRecord) -> None:
    always = make_record("HHHHHHWWWW", by_label={"neg": (4, 0, 0, 0), "pos": (6, 10, 6, 6)})
    (said,) = notes(always)
    assert said.startswith("Always answering 'pos' would be right on 6 of 10 examples")


def test_a_row_below_the_constant_answer_without_an_attack(make_record: MakeRecord) -> None:
    poor = make_record("WWWWWHHHHH", by_label={"neg": (4, 8, 3, 3), "pos": (6, 2, 2, 2)})
    (said,) = notes(poor)
    assert said.endswith(
        "That is at least as much as the worst case of standard and the clean accuracy of standard."
    )


def test_nothing_is_said_where_every_row_has_more(make_record: MakeRecord) -> None:
    more = make_record("WWWHHHHHHH", by_label={"neg": (4, 5, 3, 3), "pos": (6, 5, 4, 4)})
    assert notes(more) == []
    # Older records do not say how many examples a label has.
    assert notes(make_record("FFFFFFFFHH")) == []


def test_a_board_shows_the_table_and_the_sentence(make_record: MakeRecord) -> None:
    records = {each.row: each for each in both(make_record)}
    columns = board_columns(["genetic"], records.values())
    text = "\n".join(section(columns, Admitted(records, {}, {})))
    assert "Always answering 'pos' would be right on 6 of 10" in text
    part = text[text.index("## By label") : text.index("## Clean accuracy")]
    assert "The same accuracies for the examples of each label" in part
    cells = [
        [each.strip() for each in line.strip("|").split("|")]
        for line in part.splitlines()
        if line.startswith("|")
    ]
    assert cells[0] == [
        "defense", "label", "examples", "answered", "clean accuracy", "genetic",
    ]  # fmt: skip
    assert cells[2:] == [
        ["even", "neg", "4", "50.0", "75.0", "50.0"],
        ["even", "pos", "6", "50.0", "66.7", "50.0"],
        ["leans", "neg", "4", "70.0", "100.0", "100.0"],
        ["leans", "pos", "6", "30.0", "50.0", "16.7"],
    ]


def test_a_board_names_the_rows_that_are_not_counted(make_record: MakeRecord) -> None:
    """Otherwise a row whose counts somebody took out would not be missed."""
    records = {each.row: each for each in both(make_record)}
    records["old"] = make_record("WWWFFHHHHH", defense="old")
    columns = board_columns(["genetic"], records.values())
    text = "\n".join(section(columns, Admitted(records, {}, {})))
    assert (
        "Not counted by label: old. A record of such a row has an error, an older robench" in text
    )
    # Without any counts there is no such part at all.
    old = {"old": records["old"]}
    assert "by label" not in "\n".join(section(columns, Admitted(old, {}, {}))).lower()


def test_the_name_of_a_label_cannot_write_into_a_page(make_record: MakeRecord) -> None:
    evil = "<img src=x>|**pos**"
    made = make_record("FFFFHHHH", by_label={evil: (8, 8, 8, 4), "b": (0, 0, 0, 0)})
    columns = board_columns(["genetic"], [made])
    text = "\n".join(section(columns, Admitted({"a": made}, {}, {})))
    assert "<img" not in text
    assert "**pos**" not in text


def test_a_terminal_says_it_too(make_record: MakeRecord) -> None:
    records = {each.row: each for each in both(make_record)}
    columns = run_columns(records.values())
    text = terminal_table(columns, Admitted(records, {}, {}))
    assert "Always answering 'pos' would be right on 6 of 10" in text


def test_the_counts_as_a_frame(tmp_path: Path, make_record: MakeRecord) -> None:
    for name, record in zip("ab", both(make_record), strict=True):
        write_record(RunFolder(tmp_path).records / f"{name}.json", record)
    write_record(RunFolder(tmp_path).records / "c.json", make_record("W" * 10, defense="old"))
    frame = robench.results(tmp_path).by_label
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == dict(LABEL_COLUMNS)
    assert list(frame["record"]) == ["a.json", "a.json", "b.json", "b.json"]
    assert frame.iloc[1].drop("left_out").to_dict() == {
        "task": "toy", "row": "leans", "attack": "genetic", "seed": 0, "label": "pos",
        "examples": 6, "answered": 3, "right": 3, "robust": 1, "record": "a.json",
    }  # fmt: skip
