"""The record's part about unknown words, and the sentences about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from robench.records.columns import board_columns
from robench.records.comparable import Admitted
from robench.records.frames import COLUMNS
from robench.records.notes import conditions
from robench.records.record import Record
from robench.records.record_files import read_record, write_record
from robench.records.render import section
from robench.records.terminal import terminal_table
from robench.records.unknown_notes import space_sentence, unknown_lines
from robench.records.unknown_part import PAIRS, UnknownPart

MakeRecord = Callable[..., Record]
COUNTS = {
    "words": 200,
    "words_unknown": 7,
    "substitutes": 1000,
    "substitutes_unknown": 209,
    "positions": 90,
    "positions_unknown": 53,
    "successes": 2,
    "successes_unknown": 1,
}
SENTENCE = (
    "the victim reads 3.5 % of the words and 20.9 % of the substitutes as its unknown token, and "
    "a swap can turn 58.9 % of the replaceable words into it."
)
FUNCTION = {"missing": dict.fromkeys(PAIRS, "a function does not say which words it knows")}


def test_shares_are_derived_from_counts() -> None:
    part = UnknownPart(**COUNTS)
    assert part.share("substitutes") == 0.209
    assert part.share("successes") == 0.5
    assert UnknownPart(**COUNTS | {"successes": 0, "successes_unknown": 0}).share("successes") is (
        None
    )
    assert UnknownPart(**FUNCTION).share("words") is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (COUNTS | {"words": None}, "both be counted"),
        (COUNTS | {"words": None, "words_unknown": None}, "'missing' must say"),
        (COUNTS | {"missing": {"words": "a reason"}}, "both be counted"),
        (COUNTS | {"words_unknown": 201}, "201 of 200 words cannot be unknown"),
        (COUNTS | {"missing": {"letters": "a reason"}}, "may only name"),
        ({}, "'missing' must say"),
    ],
)
def test_counts_that_do_not_go_together_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        UnknownPart(**values)


def test_a_record_refuses_other_successes_than_fooled_examples(make_record: MakeRecord) -> None:
    assert make_record("HFF", unknown=COUNTS).unknown == UnknownPart(**COUNTS)
    with pytest.raises(ValidationError, match="2 successes and 1 fooled"):
        make_record("HHF", unknown=COUNTS)


def test_a_record_keeps_its_counts_in_a_file(make_record: MakeRecord, tmp_path: Any) -> None:
    record = make_record("HFF", unknown=COUNTS)
    write_record(tmp_path / "record.json", record)
    assert read_record(tmp_path / "record.json") == record


def test_one_sentence_if_all_cells_agree(make_record: MakeRecord) -> None:
    records = [make_record("HFF", unknown=COUNTS), make_record("HFF", seed=1, unknown=COUNTS)]
    assert (
        unknown_lines(records)
        == [
            "Fooled examples whose swaps use an unknown word: 2 of 4 under genetic (50.0 %).",
            f"Unknown words: {SENTENCE}",
        ][::-1]
    )
    assert all(line in conditions(records) for line in unknown_lines(records))


def test_one_sentence_for_each_group_of_cells(make_record: MakeRecord) -> None:
    bound = COUNTS | {"substitutes": 500, "substitutes_unknown": 10, "positions_unknown": 9}
    by_attack = [
        make_record("HFF", unknown=bound),
        make_record("HFF", attack="pwws", unknown=COUNTS),
    ]
    assert [line.partition(": ")[0] for line in unknown_lines(by_attack)] == [
        "Unknown words under genetic",
        "Unknown words under pwws",
        "Fooled examples whose swaps use an unknown word",
    ]
    by_row = [
        make_record("HFF", unknown=COUNTS),
        make_record("HFF", given="f", unknown=FUNCTION),
    ]
    assert (
        "Unknown words of f (given): not counted, because a function does not say which words it "
        "knows."
    ) in unknown_lines(by_row)
    mixed = [*by_attack, make_record("HFF", defense="rift", attack="pwws", unknown=bound)]
    assert [line.partition(": ")[0] for line in unknown_lines(mixed)[:2]] == [
        "Unknown words of rift under pwws, standard under genetic",
        "Unknown words of standard under pwws",
    ]


def test_removed_substitutes_are_not_said_to_be_within_reach(make_record: MakeRecord) -> None:
    counts = COUNTS | {"successes_unknown": 0}
    record = make_record("HFF", unknown=counts, protocol="rift2021(unknown=forbidden)")
    (line, _) = unknown_lines([record])
    assert line == (
        "Unknown words: the victim reads 3.5 % of the words as its unknown token. 20.9 % of the "
        "substitutes are removed, because it reads them as that token: 791 of 1,000 remain."
    )


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"substitutes_unknown": 0, "positions_unknown": 0}, "It knows all 1,000 substitutes"),
        (dict.fromkeys(COUNTS, 0), "There are no substitutes."),
    ],
)
def test_nothing_to_remove_is_said(counts: dict[str, int], sentence: str) -> None:
    assert sentence in space_sentence(UnknownPart(**COUNTS | counts), removed=True)
    # An attack outside the surface searches no substitutes.
    outside = UnknownPart(words=9, words_unknown=3, missing=dict.fromkeys(PAIRS[1:], "no set"))
    assert space_sentence(outside, removed=True) == space_sentence(outside, removed=False)


def test_no_sentence_without_counts(make_record: MakeRecord) -> None:
    assert unknown_lines([make_record("HFF")]) == []
    none = COUNTS | {"successes": 0, "successes_unknown": 0}
    assert unknown_lines([make_record("HHH", unknown=none)]) == [f"Unknown words: {SENTENCE}"]


def cells_of(text: str, attack: str) -> list[str]:
    """Return the cells of one line of the table of every cell."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return next(line for line in lines if line[:2] == ["standard", attack])


def test_tables_show_the_sentence_and_the_count(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("HFF", unknown=COUNTS),
        "b.json": make_record("HFF", attack="old"),
    }
    columns, admitted = board_columns(["genetic", "old"], records.values()), Admitted(records)
    text = "\n".join(section(columns, admitted))
    assert SENTENCE in text
    row = cells_of(text, "genetic")
    other = cells_of(text, "old")
    assert row[-1] == "1"
    assert other[-1] == "—"
    assert SENTENCE in terminal_table(columns, admitted)
    old = {"b.json": records["b.json"]}
    assert "unknown word" not in "\n".join(section(columns, Admitted(old)))


def test_frames_have_the_shares(make_record: MakeRecord) -> None:
    known, old = make_record("HFF", unknown=COUNTS), make_record("HFF")
    value = COLUMNS["unknown_substitutes"].value
    assert value is not None
    assert (value(known), value(old)) == (0.209, None)


def test_a_line_says_how_much_of_a_held_out_set_looks_like_the_own_one(
    make_record: MakeRecord,
) -> None:
    held_out = COUNTS | {"like_own": 360, "like_own_known": 79}
    allowed = make_record("FFHH", attack="pwws@held-out", unknown=held_out)
    forbidden = make_record(
        "FFHH",
        attack="pwws@held-out",
        unknown=held_out,
        protocol="rift2021(unknown=forbidden)",
    )
    start = (
        "Held-out substitutes that look to the victim like the own set, because a word is unknown: "
    )
    assert f"{start}36.0 % under pwws@held-out." in unknown_lines([allowed])
    # 209 unknown ones are removed: 79 of 791 are left.
    assert f"{start}10.0 % under pwws@held-out." in unknown_lines([forbidden])
    none = make_record("FFHH", unknown=COUNTS | {"like_own": 0, "like_own_known": 0})
    for record in (none, make_record("FFHH", unknown=COUNTS)):
        assert not any("Held-out" in line for line in unknown_lines([record]))


def test_no_success_with_an_unknown_word_is_one_word(make_record: MakeRecord) -> None:
    none = COUNTS | {"successes_unknown": 0}
    records = [
        make_record("HFF", unknown=none),
        make_record("HFF", attack="pwws", unknown=none),
    ]
    line = "Fooled examples whose swaps use an unknown word: none."
    assert line in unknown_lines(records)
    some = [*records, make_record("HFF", attack="beam", unknown=COUNTS)]
    assert unknown_lines(some)[-1] == line.removesuffix("none.") + (
        "1 of 2 under beam (50.0 %); none under genetic, pwws."
    )
