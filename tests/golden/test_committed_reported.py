"""The committed numbers of papers: checked against sums that were taken from the papers' text.

The sums were computed from the text of the papers and not from ``reported.toml``. A digit that was
copied wrongly changes a sum.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robench import ATTACKS, DEFENSES, TASKS
from robench.records.generated import check_pages
from robench.records.orderings import orderings, paper_scores
from robench.records.reported import REPORTED, Reported, load_reported

PATH = Path(__file__).parents[2] / "leaderboards" / REPORTED

# Table -> rows, and for each column the sum of the values and the sum of what stands behind ±.
SUMS: dict[str, tuple[int, list[tuple[float, float]]]] = {
    "Table 1 (a)": (5, [(339.4, 4.8), (317.0, 3.2)]),
    "Table 1 (b)": (5, [(325.8, 6.5), (303.5, 6.1)]),
    "Table 2 (a)": (5, [(344.8, 3.9), (312.4, 3.2)]),
    "Table 2 (b)": (5, [(373.3, 4.3), (340.9, 3.1)]),
    "Table 3 (a), BERT": (2, [(153.3, 0), (139.5, 0)]),
    "Table 3 (a), RoBERTa": (2, [(145.5, 0), (131.6, 0)]),
    "Table 3 (b), BERT": (2, [(154.1, 0), (146.4, 0)]),
    "Table 3 (b), RoBERTa": (2, [(166.0, 0), (160.5, 0)]),
    "Table 4 (a)": (4, [(313.1, 0), (304.7, 0), (277.1, 0)]),
    "Table 4 (b)": (4, [(320.4, 0), (307.4, 0), (294.2, 0)]),
    "Table 5 (a)": (5, [(400.4, 0)]),
    "Table 5 (b)": (5, [(418.9, 0)]),
    "Table 6 (a)": (5, [(406.8, 0)]),
    "Table 6 (b)": (5, [(439.3, 0)]),
}
# The last row of each table and the row in which two tables could be mixed up, as printed.
LAST_ROWS = {
    "Table 1 (a)": ("RIFT", ("77.2 ± 0.8", "70.1 ± 0.5")),
    "Table 1 (b)": ("RIFT", ("73.5 ± 0.8", "66.3 ± 0.7")),
    "Table 2 (a)": ("RIFT", ("77.5 ± 0.9", "74.3 ± 1.1")),
    "Table 2 (b)": ("RIFT", ("83.5 ± 0.8", "81.1 ± 0.4")),
    "Table 4 (a)": ("α = 0.30", ("78.3", "76.2", "69.5")),
    "Table 4 (b)": ("α = 1.00", ("80.6", "77.3", "73.2")),
    "Table 5 (a)": ("RIFT", ("78.3",)),
    "Table 6 (b)": ("RIFT", ("87.9",)),
}


@pytest.fixture(scope="module")
def committed() -> Reported:
    return load_reported(PATH)


def test_every_table_of_the_paper_is_there(committed: Reported) -> None:
    assert [table.source for table in committed.tables] == list(SUMS)
    assert len(list(committed.numbers())) == 100


@pytest.mark.parametrize("source", SUMS)
def test_a_table_has_the_sums_of_the_papers_text(committed: Reported, source: str) -> None:
    rows, sums = SUMS[source]
    numbers = [number for number in committed.numbers() if number.table.source == source]
    columns = numbers[0].table.columns
    assert len(numbers) == rows * len(columns)
    for column, (value, spread) in zip(columns, sums, strict=True):
        mine = [number for number in numbers if number.column == column]
        assert sum(number.value for number in mine) == pytest.approx(value)
        assert sum(number.spread or 0 for number in mine) == pytest.approx(spread)
        assert len({number.spread is None for number in mine}) == 1


@pytest.mark.parametrize("source", LAST_ROWS)
def test_the_last_row_of_a_table(committed: Reported, source: str) -> None:
    (table,) = [table for table in committed.tables if table.source == source]
    assert (table.rows[-1].printed, table.rows[-1].values) == LAST_ROWS[source]


def test_every_name_is_one_of_robench(committed: Reported) -> None:
    for number in committed.numbers():
        assert number.table.task in TASKS.names()
        assert number.column.attack in ATTACKS.names()
        for member in (number.row.defense or "standard").split("+"):
            assert member in DEFENSES.names()
    assert set(committed.stand_ins) | set(committed.stand_ins.values()) <= set(TASKS.names())


def test_attacked_examples_are_counted_and_clean_ones_are_not_said(committed: Reported) -> None:
    for number in committed.numbers():
        assert number.column.examples == (None if number.column.attack == "none" else 1000)


def test_what_the_notes_say_of_the_numbers_is_so(committed: Reported) -> None:
    """Two notes say where the paper disagrees with itself. The numbers must show it."""
    found = {number.source: number.value for number in committed.numbers()}
    clean = found["RIFT, Table 5 (a), row Adv-Base, column Vanilla Accuracy"]
    attacked = found["RIFT, Table 1 (a), row Adv-Base, column Genetic"]
    assert (clean, attacked) == (74.6, 74.8)
    assert found["RIFT, Table 4 (a), row α = 0.00, column Vanilla"] == 78.1
    assert found["RIFT, Table 4 (a), row α = 0.00, column Genetic"] == attacked
    assert found["RIFT, Table 6 (a), row RIFT, column Vanilla Accuracy"] == 80.5
    assert found["RIFT, Table 4 (b), row α = 0.70, column Vanilla"] == 80.4


def test_the_same_row_has_the_same_number_in_two_tables(committed: Reported) -> None:
    """Tables 3 and 4 repeat numbers of Tables 1 and 2. Only clean accuracies differ (see notes)."""
    found = {number.source: number.value for number in committed.numbers()}
    for part, alpha in (("a", "0.10"), ("b", "0.70")):
        for column in ("Genetic", "PWWS"):
            first, third, fourth = (
                found[f"RIFT, Table {1 if part == 'a' else 2} (a), row RIFT, column {column}"],
                found[f"RIFT, Table 3 ({part}), BERT, row I(S; T|Y), column {column}"],
                found[f"RIFT, Table 4 ({part}), row α = {alpha}, column {column}"],
            )
            assert first == third == fourth


def test_the_papers_claim_is_among_the_orderings(committed: Reported) -> None:
    """RIFT is above every other method under both attacks, on both tasks, with both encoders."""
    for scores in paper_scores(committed):
        found, _ = orderings(scores)
        for attack in ("genetic", "pwws"):
            below = {
                each.lower.printed
                for each in found
                if each.attack == attack and each.higher.printed == "RIFT"
            }
            assert below == {"Standard", "Adv-Base", "Adv-PTWD", "Adv-Mixout", "I(S; T)"}
            assert all(each.lower.printed != "RIFT" for each in found if each.attack == attack)


def test_the_committed_pages_are_what_the_file_and_the_records_give() -> None:
    pages = check_pages(PATH)
    assert [page.name for page in pages] == ["reported.md", "reproducing.md"]
    assert [lines for lines in pages.values() if lines] == [], "run 'robench leaderboard'"


def test_the_page_says_first_that_nothing_of_it_was_measured_here() -> None:
    text = PATH.with_suffix(".md").read_text(encoding="utf-8")
    before, after = text.split("> **Copied from papers, not measured by robench.**")
    assert not re.search(r"\d+\.\d", before)
    assert "no table" in after.split("\n")[0].lower()


def test_no_table_of_the_page_mixes_reported_and_measured_accuracies() -> None:
    """A measured accuracy has an interval, which no paper prints."""
    interval = re.compile(r"\d \[\d+\.\d, \d+\.\d\]")
    assert not interval.search(PATH.with_suffix(".md").read_text(encoding="utf-8"))
    page = (PATH.parent.parent / "docs" / "reproducing.md").read_text(encoding="utf-8")
    tables = [block for block in page.split("\n\n") if block.startswith("|")]
    measured = [table for table in tables if interval.search(table)]
    assert measured
    for table in measured:
        assert "bert" not in table.split("\n")[0]
