"""Tables of boards as the pages show them."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_cases import cell, cells, write_toy_board

from robench.records.columns import Columns
from robench.records.rows import Gap
from robench.records.statistics import Score
from robench.site.tables import Table, board_table, cell_of, row_views, score_columns, slug


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return board_table(write_toy_board(tmp_path_factory.mktemp("boards")))


def test_the_rows_are_those_of_the_board_in_its_order(table: Table) -> None:
    assert [row.label for row in row_views(table)] == ["rift", "standard", "mixout", "missing"]
    assert table.name == "toy"
    assert str(table.about) == "Made by `hand`."


def test_a_cell_says_mean_spread_and_interval(table: Table) -> None:
    rift = row_views(table)[0]
    assert (rift.seeds, rift.examples) == (2, 10)
    clean = rift.cells[0]
    assert clean.text == "85.0"
    assert clean.detail.startswith("± 7.1 [")
    assert clean.sort == pytest.approx(0.85)


def test_rows_that_no_test_tells_apart_share_a_letter(table: Table) -> None:
    assert [row.group for row in row_views(table)] == ["a", "a", "a", "—"]


def test_a_row_without_records_has_gaps_and_no_mark(table: Table) -> None:
    missing = row_views(table)[-1]
    assert [each.text for each in missing.cells] == ["—"] * 4
    assert [each.sort for each in missing.cells] == [None] * 4
    assert (missing.seeds, missing.examples, missing.checked) == (0, None, "—")


def test_verified_rows_are_marked_and_say_what_was_checked(table: Table) -> None:
    assert [row.checked for row in row_views(table)] == ["claimed", "verified", "claimed", "—"]
    assert set(table.checked) == {"standard-genetic.json", "standard-pwws.json"}


def test_the_parts_of_the_markdown_are_there(table: Table) -> None:
    titles = [each.title for each in table.split.sections]
    assert titles[0] == "Health checks"
    assert {"Conditions", "Certified beside attacked", "What the columns mean"} <= set(titles)
    assert "Every cell" not in titles


def test_a_certificate_stands_beside_the_attacks(table: Table) -> None:
    (sandwich,) = table.sandwiches
    assert (sandwich.certified, sandwich.clean) == (4, 10)


def test_the_keys_of_columns_are_distinct() -> None:
    columns = Columns(("pwws", "clean", "row"), ("pwws",), ("pwws*", "clean", "row"))
    found = score_columns(columns)
    assert [each.key for each in found] == [
        "clean",
        "pwws",
        "clean (attack)",
        "row (attack)",
        "worst",
    ]
    assert found[1].heading == "pwws*"


def test_an_error_and_a_gap_look_different() -> None:
    assert cell_of(Gap("error", 1, 2)).text == "error"
    assert cell_of(Gap("error", 1, 2)).detail == "1 of 2 seeds"
    assert cell_of(Gap("absent", 0, 1)).text == "—"
    assert cell_of(Score((0.5,), 100), "†").text == "50.0 †"


def test_a_failed_record_is_shown_as_an_error(tmp_path: Path) -> None:
    records = cells() | {"third-pwws.json": cell("WWWFFFHHHE", "mixout", "pwws")}
    table = board_table(write_toy_board(tmp_path, records))
    mixout = next(row for row in row_views(table) if row.label == "mixout")
    assert [each.text for each in mixout.cells][1] == "error"
    assert "third-pwws.json" in table.of_row("mixout")


@pytest.mark.parametrize(
    ("text", "name"),
    [("rift", "rift"), ("mini-reviews", "mini-reviews"), ("", "e3b0c4")],
)
def test_a_plain_name_is_its_own_slug(text: str, name: str) -> None:
    assert slug(text) == name


def test_two_names_never_share_a_slug() -> None:
    names = ["rift", "Rift", "rift ", "rift/", "../rift", "r-i-f-t", "x" * 60, "x" * 61]
    found = [slug(name) for name in names]
    assert len(set(found)) == len(names)
    assert all(set(each) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for each in found)
    assert max(map(len, found)) <= 47
