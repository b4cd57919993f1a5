"""Clean accuracy beside the worst case."""

from __future__ import annotations

from collections.abc import Callable

from robench.records.columns import board_columns, run_columns
from robench.records.comparable import Admitted
from robench.records.record import Record
from robench.records.render import section
from robench.records.rows import build_rows
from robench.records.terminal import terminal_table
from robench.records.trade_off import TradeOff, weigh

MakeRecord = Callable[..., Record]


def rows_of(*records: Record) -> list[TradeOff]:
    return weigh(build_rows(records, ["genetic"]))


def four(make_record: MakeRecord) -> list[Record]:
    """A costly row, a cheap row, one that is below both, and one that equals the cheap one."""
    return [
        make_record("WWWHHHHHHF", defense="costly"),
        make_record("WHHHHHFFFF", defense="cheap"),
        make_record("WWWWHHHHFF", defense="poor"),
        make_record("FFFFHHHHHW", defense="twin"),
    ]


def test_the_loss_is_counted_from_the_row_with_the_most_clean_accuracy(
    make_record: MakeRecord,
) -> None:
    found = {each.row: each for each in rows_of(*four(make_record))}
    assert {row: round(each.lost, 6) for row, each in found.items()} == {
        "costly": 0.2,
        "cheap": 0,
        "twin": 0,
        "poor": 0.3,
    }
    assert {each.best_clean for each in found.values()} == {"cheap"}


def test_a_row_that_another_one_beats_is_named(make_record: MakeRecord) -> None:
    found = {each.row: each.below for each in rows_of(*four(make_record))}
    # Rows that are equal in both numbers do not stand below each other.
    assert found == {"costly": None, "cheap": None, "twin": None, "poor": "costly"}


def test_one_row_or_rows_without_a_number_have_no_trade_off(make_record: MakeRecord) -> None:
    assert rows_of(make_record("WFHH")) == []
    assert rows_of(make_record("WFHH"), make_record("WFHE", defense="broken")) == []


def test_the_section_shows_the_price_of_the_first_row(make_record: MakeRecord) -> None:
    records = {f"{r.row}.json": r for r in four(make_record)}
    lines = section(board_columns(["genetic"]), Admitted(records))
    start = lines.index("## Clean accuracy and worst case")
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in lines[start:] if "|" in line]
    assert cells[2:6] == [
        ["costly", "70.0", "20.0", "60.0", ""],
        ["cheap", "90.0", "0.0", "50.0", ""],
        ["twin", "90.0", "0.0", "50.0", ""],
        ["poor", "60.0", "30.0", "40.0", "costly"],
    ]


def test_the_terminal_says_it_in_two_sentences(make_record: MakeRecord) -> None:
    records = {f"{r.row}.json": r for r in four(make_record)}
    text = terminal_table(run_columns(records.values()), Admitted(records))
    assert (
        "Points of clean accuracy below cheap, which has the most: costly 20.0, poor 30.0." in text
    )
    assert (
        "Not higher in clean accuracy or worst case, and lower in at least one of them: poor (than "
        "costly)."
    ) in text


def test_a_row_with_one_equal_number_is_not_called_lower_in_both(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("WWWHHHHHHF", defense="safer"),
        "b.json": make_record("WWWHHHHFFF", defense="ranmask"),
    }
    text = terminal_table(run_columns(records.values()), Admitted(records))
    assert "lower in at least one of them: ranmask (than safer)." in text
    lines = "\n".join(section(board_columns(["genetic"]), Admitted(records)))
    assert "not better than" in lines
    assert "in both" not in f"{text}{lines}".lower()
