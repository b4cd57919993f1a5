"""What a record says of a training follows from the victim's card."""

from __future__ import annotations

from typing import Any

import pytest

from robench.evaluation.training_surface import trained_on
from robench.records.trained_on import TrainedOnPart, TrainingAttackPart
from robench.search.registry import ATTACKS

SHA = "0" * 64


def card(defense: str, **code: Any) -> dict[str, Any]:
    ingredients = {"defense": defense, "substitutions_sha256": SHA, "code": code}
    return {"substitutions": "mini", "ingredients": ingredients}


@pytest.mark.parametrize("defense", ["rift", "ascc", "ascc+mixout"])
def test_a_defense_that_reads_substitutes_trained_on_the_set(defense: str) -> None:
    assert trained_on(card(defense)) == TrainedOnPart(
        substitutions="mini", substitutions_sha256=SHA
    )


@pytest.mark.parametrize("defense", ["standard", "mixout", "freelb"])
def test_other_defenses_trained_on_no_set(defense: str) -> None:
    assert trained_on(card(defense)) == TrainedOnPart()


def test_an_attack_made_texts_of_the_set_with_its_default_options() -> None:
    found = trained_on(card("augmentation", attacks={"pwws": "hash"}))
    options = ATTACKS.get("pwws").Options().model_dump(mode="json")
    assert found == TrainedOnPart(
        substitutions="mini",
        substitutions_sha256=SHA,
        attacks=(TrainingAttackPart(name="pwws", options=options),),
    )


def test_what_a_missing_plugin_or_another_toolkit_trained_on_is_unknown() -> None:
    assert trained_on({}) is None
    assert trained_on(card("not-installed")) is None
    assert trained_on(card("augmentation", attacks={"not-installed": "hash"})) is None
