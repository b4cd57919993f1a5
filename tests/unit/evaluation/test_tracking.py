"""The result of a cell in a tracker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from robench._base.reporting import Silent
from robench.evaluation.request import EvaluationRequest
from robench.evaluation.tracking import track_cell
from robench.records.record import Record


@pytest.mark.parametrize("outcomes", ["WFHHH", "WFEEH"])
def test_a_cell_is_one_summary(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_record: Callable[..., Record],
    outcomes: str,
) -> None:
    path = tmp_path / "lines.jsonl"
    monkeypatch.setenv("OWN_TRACKER", str(path))
    record = make_record(outcomes)
    request = EvaluationRequest(
        defenses=("standard",), trackers=("own_tracker:Lines",), out=tmp_path
    )
    track_cell(request, record, Silent())
    _, config, summary, _ = map(json.loads, path.read_text().splitlines())
    assert config["config"]["victim"] == record.row
    values = summary["values"]
    assert values["queries"] == record.cost.asked
    assert values["examples"] == 5
    if "E" in outcomes:
        assert "accuracy_under_attack" not in values
    else:
        assert values["accuracy_under_attack"] == 0.6
        assert values["clean_accuracy"] == 0.8


def test_nothing_is_sent_unless_a_tracker_is_named(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    track_cell(EvaluationRequest(out=tmp_path), make_record("WFHHH"), Silent())
    assert list(tmp_path.iterdir()) == []
