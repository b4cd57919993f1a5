"""Planted synonyms: half of each group's words occur in training only as substitutes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from victim_cases import BAD, GOOD, encoder_folder, planted_splits, read_json, request

from robench.models.health_checks import check_victim
from robench.models.victim import Victim
from robench.training.loop import fit


def accuracies(victim: Victim) -> tuple[float, float]:
    """Return clean accuracy, on seen words only, and accuracy under an exact search.

    The search tries every word of each group.
    """
    examples = planted_splits(test=40).test
    clean, robust = [], []
    for example in examples:
        words = example.fields["text"].split()
        groups = [
            next((group for group in (GOOD, BAD) if word in group), (word,)) for word in words
        ]
        texts = [{"text": " ".join(choice)} for choice in product(*groups)]
        right = victim.predict(texts) == example.label
        clean.append(right[texts.index({"text": example.fields["text"]})])
        robust.append(right.all())
    return float(np.mean(clean)), float(np.mean(robust))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_folder(tmp_path_factory.mktemp("encoder") / "small", dropout=0.0)


DEFENDED: dict[str, dict[str, Any]] = {
    "ascc": {},
    "rift": {},
    "augmentation": {"share": 1.0},
    "mixada": {"share": 1.0},
    "safer": {},
    "dne": {},
}


def test_standard_learns_seen_words_and_defenses_their_synonyms_too(
    encoder: Path, tmp_path: Path
) -> None:
    found = {}
    for defense, own in {"standard": {}, **DEFENDED}.items():
        options = {"epochs": 12, "learning_rate": 3e-3, "dev_examples": 24, **own}
        victim = fit(
            request(encoder, defense, splits=planted_splits(train=192), options=options),
            tmp_path / defense,
        )
        flags = {flag.name for flag in check_victim(victim, planted_splits().dev)}
        # Of equally good epochs the first is kept, and after few steps the logits are still small.
        assert flags <= {"underconfident"}, (defense, flags)
        found[defense] = accuracies(victim)
    seen = {name: victim_on_seen(Victim.load(tmp_path / name)) for name in found}
    assert min(seen.values()) >= 0.95, (seen, found)
    assert min(found[name][1] for name in DEFENDED) >= 0.95, found
    assert found["standard"][1] <= 0.65, found
    for name in ("augmentation", "mixada"):
        epochs = read_json(tmp_path / name / "training.json")["epochs"]
        assert epochs[-1]["added_examples"] > 0
        assert epochs[-1]["loss"] < 0.6 * epochs[0]["loss"]


def history(encoder: Path, folder: Path, defense: str, **own: Any) -> list[dict[str, Any]]:
    """Train a defense as above and return its epochs."""
    options = {"epochs": 12, "learning_rate": 3e-3, "dev_examples": 24, **own}
    fit(request(encoder, defense, splits=planted_splits(train=192), options=options), folder)
    epochs: list[dict[str, Any]] = read_json(folder / "training.json")["epochs"]
    return epochs


@pytest.mark.slow
@pytest.mark.parametrize("own", [{}, {"temperature": 20, "undivided": True}])
def test_a_temperature_learns_the_seen_words(
    encoder: Path, tmp_path: Path, own: dict[str, Any]
) -> None:
    epochs = history(encoder, tmp_path / "victim", "temperature", **own)
    assert epochs[-1]["dev_accuracy"] >= 0.95
    assert epochs[-1]["loss"] < 0.1 * epochs[0]["loss"]


@pytest.mark.slow
def test_flooding_keeps_the_loss_at_its_level_and_learns(encoder: Path, tmp_path: Path) -> None:
    epochs = history(encoder, tmp_path / "flooded", "flooding-x", level=0.2)
    assert epochs[-1]["dev_accuracy"] >= 0.95
    assert [epoch["loss_flood_level"] for epoch in epochs] == pytest.approx([0.2] * 12)
    assert epochs[-1]["loss_task"] == pytest.approx(0.2, abs=0.05)


@pytest.mark.slow
def test_until_the_level_is_set_flooding_is_plain_fine_tuning(
    encoder: Path, tmp_path: Path
) -> None:
    """Measuring draws no random number and changes no weight."""
    plain = history(encoder, tmp_path / "plain", "standard", epochs=5)
    flooded = history(encoder, tmp_path / "flooded", "flooding-x", epochs=5, latest=5)
    assert [epoch["loss"] for epoch in flooded] == [epoch["loss"] for epoch in plain]
    assert all(-1 <= epoch["loss_accordance"] <= 1 for epoch in flooded)
    assert not any("loss_flood_level" in epoch for epoch in flooded)


def test_the_level_is_the_loss_of_the_epoch_that_the_criterion_finds(
    encoder: Path, tmp_path: Path
) -> None:
    """No accordance is above 1, so with this bound the criterion finds the first epoch."""
    first, *others = history(encoder, tmp_path / "flooded", "flooding-x", epochs=3, accordance=1)
    assert "loss_flood_level" not in first
    levels = [epoch["loss_flood_level"] for epoch in others]
    assert levels == pytest.approx([first["loss_task"]] * 2)
    assert not any("loss_accordance" in epoch for epoch in others)


def victim_on_seen(victim: Victim) -> float:
    """Return the accuracy on new texts that use only words of training."""
    examples = planted_splits(dev=80).dev
    return float(
        np.mean(
            victim.predict([example.fields for example in examples])
            == [example.label for example in examples]
        )
    )
