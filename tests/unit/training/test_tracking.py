"""Trackers: Accelerate's and a user's own, and one that fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate import tracking as of_accelerate

from robench._base.errors import UsageError
from robench.training.tracking import RUN_NAME_ARGUMENT, Tracking, check_trackers


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "lines.jsonl"
    monkeypatch.setenv("OWN_TRACKER", str(path))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def start(names: list[str], folder: Path, said: list[str]) -> Tracking:
    return Tracking(names, folder / "cell", {"task": "toy", "seed": 1}, said.append)


def test_a_tracker_of_the_users_own_gets_everything(tmp_path: Path, written: Path) -> None:
    said: list[str] = []
    tracking = start(["own_tracker:Lines"], tmp_path, said)
    tracking.log({"loss": 0.5}, step=1)
    tracking.finish()
    tracking.finish()
    assert lines(written) == [
        {"start": "robench"},
        {"config": {"task": "toy", "seed": 1}},
        {"values": {"loss": 0.5}, "step": 1},
        {"finish": True},
    ]
    assert said == []


def test_a_tracker_that_is_registered_with_accelerate_has_a_name(
    tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from own_tracker import Lines

    monkeypatch.setitem(of_accelerate.LOGGER_TYPE_TO_CLASS, "lines", Lines)
    start(["lines"], tmp_path, []).finish()
    assert lines(written)[0] == {"start": "robench"}


@pytest.mark.parametrize(
    ("cls", "error", "left"),
    [
        ("Broken", "ConnectionError: the server is gone", 2),
        ("Refusing", "RuntimeError: no key was given", 0),
    ],
)
def test_a_failing_tracker_is_named_once_and_left_out(
    tmp_path: Path, written: Path, cls: str, error: str, left: int
) -> None:
    said: list[str] = []
    name = f"own_tracker:{cls}"
    tracking = start([name, "own_tracker:Lines"], tmp_path, said)
    for step in (1, 2):
        tracking.log({"loss": 0.5}, step=step)
    tracking.finish()
    assert said == [
        f"The tracker '{name}' failed ({error}). It gets nothing more from here; the run continues."
    ]
    assert sum("values" in line for line in lines(written)) == 2
    assert len(lines(written)) == left + 5


def test_tensorboard_writes_into_the_folder_of_the_run(tmp_path: Path) -> None:
    events_of = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    said: list[str] = []
    tracking = start(["tensorboard"], tmp_path, said)
    tracking.log({"accuracy_under_attack": 0.25, "queries": 40}, step=0)
    tracking.finish()
    events = events_of.EventAccumulator(str(tmp_path / "cell"))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["accuracy_under_attack", "queries"]
    assert events.Scalars("accuracy_under_attack")[0].value == 0.25
    assert said == []


def test_every_tracker_of_accelerate_is_known() -> None:
    """Those that are not installed are refused with the command that installs them."""
    available = [str(each) for each in of_accelerate.get_available_trackers()]
    for name in of_accelerate.LOGGER_TYPE_TO_CLASS:
        if name in available:
            check_trackers([name])
        else:
            with pytest.raises(UsageError, match=rf"missing: pip install {name}\.$"):
                check_trackers([name])


def test_the_arguments_belong_to_trackers_of_accelerate() -> None:
    assert set(RUN_NAME_ARGUMENT) <= set(of_accelerate.LOGGER_TYPE_TO_CLASS)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("wandbb", r"^There is no tracker 'wandbb'\. Did you mean 'wandb'\? Accelerate knows aim,"),
        ("no_such:Tracker", r"'Tracker' cannot be imported from 'no_such' \(No module named"),
        ("own_tracker:Nothing", r"'Nothing' cannot be imported from 'own_tracker'"),
        ("json:JSONDecoder", r"'JSONDecoder' is no class of accelerate\.tracking\.GeneralTracker"),
    ],
)
def test_a_wrong_name_is_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_trackers([name])


def test_without_a_tracker_nothing_is_imported_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate.tracking", None)
    tracking = start([], tmp_path, [])
    tracking.log({"loss": 1.0}, step=1)
    tracking.finish()
    assert list(tmp_path.iterdir()) == []
