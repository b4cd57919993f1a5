"""Sentences that follow from the numbers of a table."""

from __future__ import annotations

from pathlib import Path

from site_cases import cell, cells, write_toy_board

from robench.records.record import Record
from robench.site.findings import findings
from robench.site.tables import board_table, row_views


def said(folder: Path, records: dict[str, Record]) -> list[str]:
    return findings(board_table(write_toy_board(folder, records)))


def test_the_best_row_is_named_with_its_interval_and_its_equals(tmp_path: Path) -> None:
    found = said(tmp_path, cells())
    assert found[0].startswith("Most robust by the worst case: rift with 60.0 [")
    assert found[0].endswith("] % (2 trainings).")
    assert found[1].startswith("Health checks have a finding on rift: seed 0: saturated")
    assert found[2] == "The paired test does not tell it apart from standard and mixout."
    assert found[3].startswith("Most accurate without an attack: standard with 100.0 [")


def test_the_most_accurate_row_may_lack_a_worst_case(tmp_path: Path) -> None:
    records = {
        f"{name}-{attack}.json": cell(letters, name, attack)
        for name, letters in (("a", "HHHHHHHHHW"), ("b", "HHHHHHHFFW"))
        for attack in ("pwws", "genetic")
    }
    records["dne-pwws.json"] = cell("HHHHHHHHFF", "dne", "pwws")
    found = said(tmp_path, records)
    assert found[0].startswith("Most robust by the worst case: a with 90.0 [")
    assert found[2] == "dne has no worst case, so no test compares it with other rows."
    assert found[3].startswith("Most accurate without an attack: dne with 100.0 [")


def test_what_one_answer_would_get_stands_beside_the_best_row(tmp_path: Path) -> None:
    """Otherwise a card praises a row that a constant answer would beat."""
    counts = {"neg": (4, 7, 4, 3), "pos": (6, 3, 3, 2)}
    found = said(
        tmp_path,
        {
            f"a-{attack}.json": cell("WWWFFHHHHH", "a", attack, by_label=counts)
            for attack in ("pwws", "genetic")
        },
    )
    assert found[0].endswith("] % (one training).")
    assert found[1] == (
        "Always answering 'pos' would be right on 6 of 10 examples (60.0 %), under every attack. "
        "That is at least as much as the worst case of a."
    )


def test_what_one_answer_would_get_stands_on_a_table_without_a_search(tmp_path: Path) -> None:
    counts = {"neg": (4, 7, 4, 4), "pos": (6, 3, 3, 3)}
    none = cell("WWWHHHHHHH", "a", "none", searches=False, by_label=counts)
    other = cell("WWWWWHHHHH", "b", "none", searches=False)
    board = write_toy_board(tmp_path, {"a-none.json": none, "b-none.json": other})
    board.write_text(board.read_text().replace('["pwws", "genetic"]', '["none"]'))
    found = findings(board_table(board))
    assert any(each.endswith("at least as much as the clean accuracy of b.") for each in found)


def test_a_row_that_robench_did_not_train_has_seeds_of_the_search(tmp_path: Path) -> None:
    records = {
        f"{attack}-{seed}.json": cell("HHHHHHHFFF", "x", attack, seed, given="mine")
        for attack in ("pwws", "genetic")
        for seed in (0, 1)
    }
    board = write_toy_board(tmp_path, records)
    board.write_text(board.read_text().replace('["standard", "missing"]', '["mine (given)"]'))
    assert findings(board_table(board))[0].endswith("] % (2 seeds of the search).")


def test_a_clear_difference_is_said(tmp_path: Path) -> None:
    records = {}
    for attack in ("pwws", "genetic"):
        records[f"good-{attack}.json"] = cell("H" * 40, "good", attack)
        records[f"bad-{attack}.json"] = cell("F" * 40, "bad", attack)
    found = said(tmp_path, records)
    assert found[0].startswith("Most robust by the worst case: good with 100.0")
    assert found[1] == "The paired test tells it apart from every other row."


def test_many_equals_are_counted(tmp_path: Path) -> None:
    records = {
        f"{name}-{attack}.json": cell("HHHHHHHHHF", name, attack)
        for name in "abcdef"
        for attack in ("pwws", "genetic")
    }
    assert "from b, c, d and 2 more." in said(tmp_path, records)[1]


def test_contradictions_are_counted(tmp_path: Path) -> None:
    records = {
        "a-pwws.json": cell("PPPPPPPPPP", "a", "pwws"),
        "a-genetic.json": cell("FFHHHHHHHH", "a", "genetic"),
    }
    assert said(tmp_path, records)[-1].startswith("One result contradicts another one.")


def test_what_health_checks_found_on_the_best_row_is_said(tmp_path: Path) -> None:
    best = cell("HHHHHHHHHF", "a", "pwws")
    best = best.model_copy(
        update={"victim": best.victim.model_copy(update={"findings": ("chance: no better.",)})}
    )
    records = {"a-pwws.json": best, "b-pwws.json": cell("FFFFHHHHHF", "b", "pwws")}
    for name in "ab":
        other = cell("HHHHHHHHHF" if name == "a" else "FFFFHHHHHF", name, "genetic")
        records[f"{name}-genetic.json"] = other
    assert any("a finding on a: seed 0: chance" in each for each in said(tmp_path, records))


def with_findings(record: Record, *found: str) -> Record:
    victim = record.victim.model_copy(update={"findings": found})
    return record.model_copy(update={"victim": victim})


def test_findings_on_other_rows_are_counted(tmp_path: Path) -> None:
    records = {}
    for attack in ("pwws", "genetic"):
        good, bad = cell("H" * 40, "good", attack), cell("F" * 40, "bad", attack)
        records[f"good-{attack}.json"] = good
        records[f"bad-{attack}.json"] = with_findings(bad, "chance: guesses.", "saturated: all.")
    assert said(tmp_path, records)[-1] == (
        "Health checks have 2 findings on the rows of this table. Read them first."
    )
    records["good-pwws.json"] = with_findings(records["good-pwws.json"], "first-epoch: yes.")
    found = said(tmp_path, records)
    assert found[1] == "Health checks have a finding on good: seed 0: first-epoch: yes."
    assert found[-1] == "Health checks have 3 findings on the rows of this table. Read them first."


def test_findings_are_counted_where_nothing_searches(tmp_path: Path) -> None:
    calm = with_findings(cell("WHHHHHHHHH", "a", "calm", searches=False), "first-epoch: yes.")
    path = write_toy_board(tmp_path, {"a.json": calm})
    path.write_text(path.read_text().replace('["pwws", "genetic"]', '["calm"]'))
    assert findings(board_table(path))[-1] == (
        "Health checks have 1 finding on the rows of this table. Read them first."
    )


def test_nothing_is_said_of_nothing(tmp_path: Path) -> None:
    assert said(tmp_path, {}) == ["No row has a worst case yet."]


def test_a_table_in_which_nothing_searches_says_so(tmp_path: Path) -> None:
    records = {
        f"{name}.json": cell(letters, name, "calm", searches=False)
        for name, letters in (("a", "WHHHHHHHHH"), ("b", "WWHHHHHHHH"))
    }
    path = write_toy_board(tmp_path, records)
    path.write_text(path.read_text().replace('["pwws", "genetic"]', '["calm"]'))
    table = board_table(path)
    assert findings(table) == [
        "No attack of this table searches for texts, so there is no worst case.",
        "The rows are right on 80.0 to 90.0 % of the examples. No test of this table compares "
        "them; 'robench compare' makes one for two rows.",
    ]
    # A worst case that cannot be is no gap of seeds.
    assert {row.cells[-1].detail for row in row_views(table)} == {""}
