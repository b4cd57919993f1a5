"""Randomised victims under attack: the same trials for any packing, and an honest cost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_cases import Listening, trials_of

from robench.evaluation.run import build_request, evaluate
from robench.models.victim import Victim
from robench.records.record import Record
from robench.records.record_files import read_record, write_record

pytestmark = pytest.mark.slow
DRAWS = 3
DEFENSES = ("ranmask", "safer", "dne")


def attack(toy: dict[str, Any], out: Path, **changes: Any) -> list[Record]:
    options = {
        "defense.epochs": "1",
        "defense.learning_rate": "0.01",
        "defense.batch_size": "8",
        "defense.draws": str(DRAWS),
    }
    settings = {**toy, "defenses": DEFENSES, "attacks": ("pwws",), "options": options, **changes}
    request = build_request(**{**settings, "out": out})
    return evaluate(request, Listening())


@pytest.fixture(scope="module")
def first(toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("randomised")
    return out, attack(toy, out, limit=12, workers=1)


def comparable(out: Path) -> dict[str, Any]:
    return {
        key: {name: value for name, value in trial.items() if name != "seconds"}
        for key, trial in trials_of(out).items()
    }


def test_the_record_says_how_the_victim_answers_and_what_it_cost(first: Any) -> None:
    out, records = first
    kinds = {record.row_name: record.victim.smoothing for record in records}
    assert {name: (each or {})["kind"] for name, each in kinds.items()} == {
        "ranmask": "masking",
        "safer": "substitution",
        "dne": "hull",
    }
    for record in records:
        assert (record.victim.smoothing or {})["draws"] == DRAWS
        trials = [trial for key, trial in trials_of(out).items() if f"-{record.row_name}-" in key]
        assert record.cost.forwarded == DRAWS * sum(trial["forwarded"] for trial in trials)
        assert record.cost.asked == sum(trial["asked"] for trial in trials)
        fresh = record.fresh_draws
        assert (fresh is not None) == (record.counts.fooled > 0)
        if fresh is not None:
            assert (fresh.texts, fresh.seeds) == (record.counts.fooled, 10)
        path = out / "copy.json"
        write_record(path, record)
        assert read_record(path) == record


def test_workers_and_an_interruption_change_no_trial(
    first: Any, toy: dict[str, Any], tmp_path: Path
) -> None:
    out, _ = first
    shutil.copytree(out / "victims", tmp_path / "victims")
    # Half of the examples first; the rest continues, in two processes.
    attack(toy, tmp_path, limit=5, workers=1)
    attack(toy, tmp_path, limit=12, workers=2)
    assert comparable(tmp_path) == comparable(out)


def test_every_success_is_one_of_the_victim_from_its_folder(first: Any) -> None:
    out, _ = first
    fooled = 0
    for folder in (out / "victims").iterdir():
        if not (folder / "victim.json").is_file():
            continue
        victim = Victim.load(folder)
        assert victim.smoothing is not None
        texts = [{"text": "the good film number 3 of test"}, {"text": "the bad dull plot"}]
        np.testing.assert_array_equal(victim.probs_of_texts(texts), victim.probs_of_texts(texts))
        fooled += 1
    assert fooled == len(DEFENSES)
