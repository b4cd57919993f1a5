"""The table that a run prints, and how it fits the terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robench.records.leaderboard import results_table
from robench.records.record import Record

MakeRecord = Callable[..., Record]


def grid(make_record: MakeRecord, label: str = "rift") -> list[Record]:
    return [
        make_record("WFHHH", defense="rift", label=label, attack=attack)
        for attack in ("genetic", "pwws")
    ]


def test_a_wide_terminal_shows_the_full_table(make_record: MakeRecord) -> None:
    records = grid(make_record)
    assert results_table(records, 160).splitlines()[:5] == results_table(records).splitlines()[:5]


@pytest.mark.parametrize(
    "label", ["rift", "rift(alpha=0.5, dev_examples=20, epochs=3, train_examples=128)"]
)
def test_a_narrow_terminal_shows_intervals_below_their_rates(
    make_record: MakeRecord, label: str
) -> None:
    shown = results_table(grid(make_record, label), 100)
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert "80.0 │" in shown
    assert "[37.6, 96.4] │" in shown
    assert "Accuracy in % of all n examples" in shown


def test_three_seeds_on_a_thousand_examples_by_hand(make_record: MakeRecord) -> None:
    """Check the mean, the deviation and the interval.

    The rates 0.65, 0.66 and 0.70 have mean 0.67 and deviations -0.02, -0.01 and 0.03, so
    sd = sqrt(0.0014 / 2) = 0.026. The examples alone would give [0.640, 0.698]. The standard error
    of the seeds, 0.026 / sqrt(3) = 0.015, is as large as that of the examples.
    """
    records = [
        make_record("H" * held + "F" * (1000 - held), seed=seed)
        for seed, held in enumerate((650, 660, 700))
    ]
    shown = results_table(records)
    assert "│       3 │ 1000 │ 100.0 ± 0.0 [99.6, 100.0] │ 67.0 ± 2.6 [63.0, 71.2] │" in shown
    assert (
        "Several seeds: mean ± standard deviation over the seeds [interval of a bootstrap over "
        "seeds and examples]."
    ) in shown
    assert "Several seeds" not in results_table(records[:1])


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_with_many_attacks_is_split_and_never_wider_than_the_terminal(
    make_record: MakeRecord, width: int
) -> None:
    """Check that each part names its rows, and that every column is there once."""
    label = "rift(alpha=0.5, dev_examples=20, epochs=3, train_examples=128)"
    attacks = ["exhaustive", "genetic(iterations=3, population=6)", "greedy", "pwws", "random"]
    records = [
        make_record("WFHHH", label=row, attack=attack, surface={"constrained": attack != "pwws"})
        for row in (label, "standard")
        for attack in attacks
    ]
    shown = results_table(records, width)
    assert max(map(len, shown.splitlines())) <= width
    parts = shown.count("╭")
    assert parts > 1
    assert shown.count("│ standard ") == parts
    for heading in (" exhaustive ", "population=6) ", " greedy ", " pwws* ", " worst "):
        headings = [line for line in shown.splitlines() if line.startswith("│")]
        assert sum(heading in line for line in headings) == 1


def test_a_column_that_is_wider_than_the_terminal_stays_whole(make_record: MakeRecord) -> None:
    shown = results_table(grid(make_record), 20)
    assert "[37.6, 96.4] │" in shown
    assert shown.count("╭") == 6
