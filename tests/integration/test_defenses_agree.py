"""Defenses whose options make them the same method train the same weights, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from victim_cases import encoder_folder, planted_splits, request

from robench import DEFENSES
from robench.training.loop import fit

WHOLE = {"upper": 1.0, "beta2": 0.999, "max_gradient_norm": None}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[float, Path]:
    return {
        dropout: encoder_folder(tmp_path_factory.mktemp("encoder") / str(dropout), dropout)
        for dropout in (0.0, 0.1)
    }


@pytest.mark.parametrize(
    ("one", "options", "other", "dropout"),
    [
        ("rift", {"alpha": 0.0}, "ascc", 0.1),
        ("mixout", {"probability": 0.0}, "standard", 0.1),
        ("weight-decay", {"strength": 0.0}, "standard", 0.1),
        ("augmentation", {"share": 0.0, "epochs": 3}, "standard", 0.1),
        ("mixada", {"share": 0.5, "weight": 0.0, "epochs": 3}, "augmentation", 0.1),
        ("rose-second", WHOLE, "standard", 0.1),
        # Without dropout, because ROSE's two passes draw from the same generator.
        ("rose-first", WHOLE, "standard", 0.0),
        ("rose-ensemble", WHOLE, "standard", 0.0),
        ("rose-ensemble", {"gamma": 1.0}, "rose-first", 0.1),
        ("rose-ensemble", {"gamma": 0.0}, "rose-second", 0.0),
    ],
)
def test_the_same_method_under_two_names_trains_the_same_weights(
    encoders: Mapping[float, Path],
    tmp_path: Path,
    one: str,
    options: Mapping[str, Any],
    other: str,
    dropout: float,
) -> None:
    shared = {"epochs": 1, "dev_examples": 4}
    known = [DEFENSES.get(name).Options.model_fields for name in (one, other)]
    ours, theirs = (
        {name: value for name, value in {"upper": 0.6, "share": 0.5}.items() if name in fields}
        for fields in known
    )
    shared["epochs"] = options.get("epochs", 1)
    splits = planted_splits(48, 8)
    first = fit(
        request(encoders[dropout], one, splits, options={**shared, **ours, **options}),
        tmp_path / "one",
    )
    second = fit(
        request(encoders[dropout], other, splits, options={**shared, **theirs}), tmp_path / "other"
    )
    assert first.sha256 == second.sha256
