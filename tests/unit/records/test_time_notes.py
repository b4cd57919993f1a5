"""The time of the trainings and searches of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robench.records.notes import conditions
from robench.records.record import Record
from robench.records.time_notes import time_lines

MakeRecord = Callable[..., Record]
END = ", added up over all processes. Other work may have shared the machine."


def cost(training: float | None, attack: float | None) -> dict[str, Any]:
    missing = {
        name: "not measured"
        for name, seconds in (("training_seconds", training), ("attack_seconds", attack))
        if seconds is None
    }
    return {"training_seconds": training, "attack_seconds": attack, "missing": missing}


def test_a_training_counts_once_and_every_attack(make_record: MakeRecord) -> None:
    records = [
        make_record("HH", cost=cost(90, 30)),
        make_record("HH", cost=cost(90, 3570), attack="pwws"),
        make_record("HH", cost=cost(60, 10), seed=1),
        make_record("HH", cost=cost(30, 20), defense="rift"),
    ]
    assert time_lines(records) == [f"Time: 3 trainings 3 min 0 s, 4 attacks 1 h 0 min{END}"]
    assert time_lines(records)[0] in conditions(records)


def test_what_was_not_measured_is_not_counted(make_record: MakeRecord) -> None:
    given = make_record("HH", given="mine", cost=cost(None, 12))
    assert time_lines([given]) == [f"Time: 1 attack 12 s{END}"]
    unmeasured = make_record("HH", cost=cost(45, None))
    assert time_lines([unmeasured]) == [f"Time: 1 training 45 s{END}"]
    assert time_lines([make_record("HH", given="mine", cost=cost(None, None))]) == []


def test_an_attack_that_searches_for_nothing_takes_no_time(make_record: MakeRecord) -> None:
    none = make_record("HH", attack="none", searches=False, cost=cost(None, 5))
    assert time_lines([none]) == []
