"""Victims' folders of strangers: cards and logs with values that robench never writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from robench._base.bounded_reading import Missing, Unreadable
from robench._base.errors import RobenchError
from robench.models.card_form import REQUIRED
from robench.models.training_log import read_training_log
from robench.models.victim_folder import read_card

CARD: dict[str, Any] = {
    "schema": 2,
    "name": "none",
    "task": "imdb",
    "labels": ["negative", "positive"],
    "attackable": "text",
    "fields": ["text"],
    "max_tokens": 64,
    "protocol": "default",
    "hidden": 128,
    "sha256": "0" * 64,
    "files": {"config.json": "0" * 64},
}
LOG: dict[str, Any] = {
    "key": "0" * 64,
    "epochs": [{"epoch": 1, "training_seconds": 1.5, "dev_seconds": 2, "distance": 0.1}],
}


def test_the_card_of_these_tests_is_read(tmp_path: Path) -> None:
    (tmp_path / "victim.json").write_text(json.dumps(CARD))
    assert read_card(tmp_path) == CARD
    assert REQUIRED | {"schema"} == CARD.keys()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 5),
        ("labels", "negative"),
        ("labels", []),
        ("labels", [1, 2]),
        ("labels", ["x" * 100_000, "y"]),
        ("fields", {"text": 1}),
        ("max_tokens", True),
        ("max_tokens", "64"),
        ("max_tokens", 64.0),
        ("max_tokens", -1),
        ("max_tokens", 10**30),
        ("hidden", 10**12),
        ("files", ["config.json"]),
        ("files", {"config.json": None}),
        ("files", {"../config.json": "0" * 64}),
        ("files", {"/etc/passwd": "0" * 64}),
        ("ingredients", []),
        ("seed", "0"),
        ("selection", "dev"),
        ("dev_accuracy", 1.5),
        ("encoder", 7),
        ("schema", True),
        ("schema", 2.5),
    ],
)
def test_a_card_with_a_wrong_value_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    (tmp_path / "victim.json").write_text(json.dumps({**CARD, key: value}))
    with pytest.raises(RobenchError) as caught:
        read_card(tmp_path, "Choose another.")
    assert str(tmp_path / "victim.json") in str(caught.value)
    assert str(caught.value).endswith(" Choose another.")
    assert len(str(caught.value)) < 600


def test_a_card_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "victim.json")
    with pytest.raises(RobenchError, match=r"is damaged \(it is a pipe"):
        read_card(tmp_path)
    (tmp_path / "victim.json").unlink()
    (tmp_path / "victim.json").symlink_to("/dev/zero")
    with pytest.raises(RobenchError, match=r"is damaged \(it is a device"):
        read_card(tmp_path)


def test_a_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(json.dumps(LOG))
    assert read_training_log(tmp_path / "training.json") == LOG
    with pytest.raises(Missing):
        read_training_log(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training_seconds", -1),
        ("training_seconds", 1e300),
        ("training_seconds", "1.5"),
        ("dev_seconds", True),
        ("epoch", 1.5),
        ("epoch", 10**20),
        ("distance", "far"),
        ("distance", 1e16),
        ("dev_accuracy", 2),
        ("dev_hull_accuracy", [0.5]),
    ],
)
def test_a_log_with_a_wrong_value_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    epoch = {**LOG["epochs"][0], key: value}
    (tmp_path / "training.json").write_text(json.dumps({**LOG, "epochs": [epoch]}))
    with pytest.raises(Unreadable):
        read_training_log(tmp_path / "training.json")


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"epochs": []}', '{"epochs": {}}'])
def test_what_is_no_log_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(Unreadable):
        read_training_log(tmp_path / "training.json")
