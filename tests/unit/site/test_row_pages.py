"""What the page of a row shows, from records made by hand."""

from __future__ import annotations

from pathlib import Path

from site_cases import cell, write_toy_board

from robench.records.record import Record
from robench.site.build import Site, SiteRequest, build
from robench.site.row_pages import RowPage, row_page
from robench.site.tables import Table, board_table


def table_of(folder: Path, records: dict[str, Record]) -> Table:
    write_toy_board(folder, records)
    return board_table(folder / "toy.toml")


def page_of(table: Table, label: str) -> RowPage:
    return row_page(table, next(row for row in table.rows if row.defense == label))


def site_of(folder: Path, records: dict[str, Record]) -> Site:
    write_toy_board(folder, records)
    return build(SiteRequest(folder))


def with_options() -> dict[str, Record]:
    options = {"alpha": 0.1, "negatives": "teachers", "limit": None}
    return {
        "a.json": cell("HHHHHHHHFF", "rift", "pwws", options=options),
        "b.json": cell("HHHHHHHHFF", "rift", "pwws", 1, options=options),
        "c.json": cell(
            "HHHHHHHHFF", "rift", "genetic", options=options, attack_options={"population": 60}
        ),
        "d.json": cell("HHHHHHHHFF", "plain", "pwws"),
    }


def test_all_options_of_the_defense_and_of_each_attack_stand_once(tmp_path: Path) -> None:
    page = page_of(table_of(tmp_path, with_options()), "rift")
    assert sorted(map(list, page.options)) == [
        ["genetic", "population = 60"],
        ["rift", 'alpha = 0.1, negatives = "teachers", limit = null'],
    ]


def test_a_page_without_options_has_no_empty_table(tmp_path: Path) -> None:
    site = site_of(tmp_path, with_options())
    assert "All options" in site.files["run-toy-rift.html"]
    assert "All options" not in site.files["run-toy-plain.html"]


def test_records_stand_by_attack_and_seed(tmp_path: Path) -> None:
    page = page_of(table_of(tmp_path, with_options()), "rift")
    shown = [(line[0], line[1], line[-1]) for line in page.records]
    assert shown == [("genetic", "0", "c.json"), ("pwws", "0", "a.json"), ("pwws", "1", "b.json")]


def test_a_row_without_a_record_says_so(tmp_path: Path) -> None:
    page = page_of(table_of(tmp_path, with_options()), "missing")
    assert page.remarks == ["There is no record of this row yet."]
    assert (page.records, page.options, page.curves) == ([], [], [])


def test_the_names_of_a_table_are_aligned_left_by_its_class(tmp_path: Path) -> None:
    """The style sheet knows how many leading columns hold names."""
    site = site_of(tmp_path, with_options())
    page, style = site.files["run-toy-rift.html"], site.files["assets/site.css"]
    for names in (1, 3):
        assert f'class="numbers names-{names}"' in page
    assert ".numbers.names-3" in style
