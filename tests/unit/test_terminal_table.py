"""The table that a run ends with fits the terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robench.results.leaderboard import results_table
from robench.results.record import Record

MakeRecord = Callable[..., Record]


def grid(make_record: MakeRecord, label: str = "rift") -> list[Record]:
    return [make_record("WFHHH", defense="rift", label=label, attack=attack) for attack in ("genetic", "pwws")]


def test_where_there_is_room_nothing_changes(make_record: MakeRecord) -> None:
    records = grid(make_record)
    assert results_table(records, 160).splitlines()[:5] == results_table(records).splitlines()[:5]


@pytest.mark.parametrize("label", ["rift", "rift(alpha=0.5, dev_examples=20, epochs=3, train_examples=128)"])
def test_in_a_narrow_terminal_intervals_stand_under_their_rates(make_record: MakeRecord, label: str) -> None:
    shown = results_table(grid(make_record, label), 100)
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert "80.0 │" in shown
    assert "[37.6, 96.4] │" in shown
    assert "Accuracy in % of all n examples" in shown
