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
    sd = sqrt(0.0014 / 2). The interval is that of 670 of 1000, not of 2010 of 3000.
    """
    records = [
        make_record("H" * held + "F" * (1000 - held), seed=seed)
        for seed, held in enumerate((650, 660, 700))
    ]
    shown = results_table(records)
    assert "│       3 │ 1000 │ 100.0 ± 0.0 [99.6, 100.0] │ 67.0 ± 2.6 [64.0, 69.8] │" in shown
    assert (
        "Several seeds: mean ± standard deviation over the seeds [interval at the mean for n "
        "examples, not for other trainings]."
    ) in shown
    assert "Several seeds" not in results_table(records[:1])
