"""The page about the paper's full tables: made from rates and records, and up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from scripts import scaling
from scripts.scaling import Costs, Count, longest, read_counts, shipped

RATES = json.loads(scaling.RATES.read_text())
COUNTS = {
    "pwws": {"imdb": Count((500.0, 600.0), (400.0, 550.0)), "snli": Count((13.0,), (12.0,))},
    "genetic": {"mini-reviews": Count((7000.0, 9000.0), (150.0, 200.0))},
}
REMEDY = "Run 'python -m scripts.scaling --write'."


@pytest.fixture
def costs() -> Costs:
    return Costs(RATES, COUNTS)


def test_the_page_holds_what_the_script_prints() -> None:
    printed = CliRunner().invoke(scaling.main).output
    assert f"{scaling.BEGIN}\n\n{printed}\n{scaling.END}" in scaling.PAGE.read_text(), REMEDY


def test_the_shipped_counts_are_those_of_the_records() -> None:
    assert scaling.COUNTS.read_text() == scaling.made()[1], REMEDY


def test_writing_changes_only_what_is_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, counts = tmp_path / "scaling.md", tmp_path / "counts.json"
    page.write_text(f"before\n{scaling.BEGIN}\nold\n{scaling.END}\nafter\n")
    monkeypatch.setattr(scaling, "PAGE", page)
    monkeypatch.setattr(scaling, "COUNTS", counts)
    assert CliRunner().invoke(scaling.main, ["--write"]).exit_code == 0
    text = page.read_text()
    assert text.startswith(f"before\n{scaling.BEGIN}\n\n### Rates\n")
    assert text.endswith(f"{scaling.END}\nafter\n")
    assert "old" not in text
    assert json.loads(counts.read_text())["attacks"]["pwws"]
    with pytest.raises(ValueError, match="lacks the marks"):
        scaling.page("no marks", "x")


def test_measured_rates_are_taken_as_they_are(costs: Costs) -> None:
    rates = costs.rows_per_second("imdb"), costs.step_seconds("imdb")
    assert [each.value for each in rates] == [4007, 0.456]
    assert all(each.how.startswith("measured") for each in rates)


def test_derived_rates_say_so_and_lie_between_their_bounds(costs: Costs) -> None:
    rows = costs.rows_per_second("snli")
    small = RATES["rows_per_second"][0]
    # Slower than the small encoder's search, and than the passes of the large encoder alone.
    assert rows.value < min(small["engine"], small["forwards"] / 8)
    step = costs.step_seconds("snli")
    assert step.value == pytest.approx(0.456 * 120 * 26.5 / 9600, rel=0.01)
    assert rows.how.startswith("derived")
    assert step.how.startswith("derived")


def test_the_time_of_a_row_is_its_share_of_rift(costs: Costs) -> None:
    assert costs.over_rift("rift", "imdb").value == 1
    assert costs.over_rift("standard", "imdb").value == pytest.approx(97 / 300)
    joint = costs.over_rift("ascc+mixout", "snli")
    assert joint.value == pytest.approx(240 / 260)
    assert "is not counted" in joint.how
    assert costs.steps("imdb") == 20 * 747
    assert costs.training("standard", "imdb") == pytest.approx(20 * 747 * 0.456 * 97 / 300)


def test_the_record_with_the_most_rows_counts(costs: Costs) -> None:
    pwws = costs.rows("pwws", "imdb")
    assert (pwws.value, pwws.how) == (
        550_000,
        "the most of 2 records of imdb, with a small encoder",
    )
    assert "1 record of snli" in costs.rows("pwws", "snli").how
    assert costs.attack("pwws", "imdb") == pytest.approx(550_000 / 4007)


def test_without_a_record_of_the_task_all_queries_of_another_count(costs: Costs) -> None:
    genetic = costs.rows("genetic", "imdb")
    assert genetic.value == 9_000_000
    assert genetic.how == (
        "derived: all queries of the record of mini-reviews with the most; no record of imdb"
    )


@pytest.mark.parametrize(
    ("jobs", "cards", "hours"),
    [([1, 1, 1], 1, 3), ([3, 1, 1, 1], 2, 3), ([2, 2, 2], 2, 4), ([5, 1], 64, 5)],
)
def test_jobs_go_to_the_first_free_card(jobs: list[float], cards: int, hours: float) -> None:
    assert longest(jobs, cards) == hours


def test_no_number_of_cards_does_less_work_or_beats_the_longest_job(costs: Costs) -> None:
    jobs = [costs.victim(row, "imdb") for row in scaling.ROWS for _ in range(6)]
    times = [longest(jobs, cards) for cards in (1, 8, 64)]
    assert times[0] == pytest.approx(sum(jobs))
    assert times[0] > times[1] > times[2] == max(jobs)
    assert times[1] >= sum(jobs) / 8


def record(**changed: Any) -> dict[str, Any]:
    usual = {
        "attack": {"name": "pwws", "label": "pwws"},
        "task": {"name": "imdb"},
        "counts": {"wrong": 50, "fooled": 30, "held": 20},
        "search": {"budget": None},
        "cost": {"asked": 1000, "forwarded": 500},
        "limit": None,
        "victim": {"smoothing": None},
    }
    return {**usual, **changed}


def test_records_count_for_each_judged_example(tmp_path: Path) -> None:
    others = {
        "a": record(),
        "b": record(cost={"asked": 3000, "forwarded": 2000}),
        "limited": record(limit=100),
        "budget": record(search={"budget": 10}),
        "options": record(attack={"name": "pwws", "label": "pwws(x=1)"}),
        "randomised": record(victim={"smoothing": {"draws": 16}}),
        "no-record": {"verified": []},
    }
    (tmp_path / "board").mkdir()
    for name, content in others.items():
        (tmp_path / "board" / f"{name}.json").write_text(json.dumps(content))
    # The same record on a second board.
    (tmp_path / "exact").mkdir()
    (tmp_path / "exact" / "a.json").write_text(json.dumps(others["a"]))
    counts = read_counts(tmp_path)
    assert counts == {"pwws": {"imdb": Count((10.0, 30.0), (5.0, 20.0))}}
    (entry,) = shipped(counts, RATES["texts"])["attacks"]["pwws"]
    assert entry == {
        "task": "imdb",
        "asked": [10.0, 30.0],
        "forwarded": [5.0, 20.0],
        "changes": 484.8,
        "records": 2,
    }


def test_a_task_whose_texts_were_not_measured_is_shipped_without_changes() -> None:
    (entry,) = shipped({"none": {"sst2": Count((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))}}, {})["attacks"][
        "none"
    ]
    assert (entry["changes"], entry["records"]) == (0.0, 3)
