"""What a record says of a training follows from the victim's card."""

from __future__ import annotations

from typing import Any, cast

import pytest

from robench._base.errors import UsageError
from robench.evaluation.training_surface import trained_on
from robench.protocol import get_protocol
from robench.records.trained_on import TrainedOnPart, TrainingAttackPart
from robench.search.registry import ATTACKS
from robench.tasks.base import Splits
from robench.training.registry import DEFENSES
from robench.training.request import FitRequest

SHA = "0" * 64
BUILT_IN = [name for name in DEFENSES.names() if "+" not in name]
JOINS = ["safer+weight-decay", "dne+mixout", "ranmask+weight-decay", "augmentation+r3f"]


def card(defense: str, **code: Any) -> dict[str, Any]:
    ingredients = {"defense": defense, "substitutions_sha256": SHA, "code": code}
    return {"substitutions": "mini", "ingredients": ingredients}


@pytest.mark.parametrize("defense", ["rift", "ascc", "ascc+mixout"])
def test_a_defense_that_reads_substitutes_trained_on_the_set(defense: str) -> None:
    assert trained_on(card(defense)) == TrainedOnPart(
        substitutions="mini", substitutions_sha256=SHA
    )


@pytest.mark.parametrize("defense", ["safer", "dne", "safer+weight-decay"])
def test_a_defense_whose_victim_draws_substitutes_trained_on_the_set(defense: str) -> None:
    assert trained_on(written_card(defense)) == TrainedOnPart(
        substitutions="mini", substitutions_sha256=SHA
    )


def written_card(defense: str) -> dict[str, Any]:
    """Return what a victim of ``defense`` with its default options has on its card."""
    built = DEFENSES.get(defense)()
    code = {"attacks": dict.fromkeys(built.attacks, "hash")} if built.attacks else {}
    smoothing = {} if built.smoothing is None else {"smoothing": built.smoothing.to_card()}
    return card(defense, **code) | smoothing


@pytest.mark.parametrize("defense", [*BUILT_IN, *JOINS])
def test_every_defense_trained_on_the_set_without_which_it_is_refused(defense: str) -> None:
    splits, protocol = cast("Splits", None), get_protocol("rift2021")
    request = FitRequest(defense, "mini-reviews", splits, "tiny", protocol, None)
    found = trained_on(written_card(defense))
    assert found is not None
    if found.substitutions is None:
        request.build()
    else:
        with pytest.raises(UsageError, match="trains on substitutions, and none were given"):
            request.build()


@pytest.mark.parametrize("defense", ["standard", "mixout", "freelb", "ranmask"])
def test_other_defenses_trained_on_no_set(defense: str) -> None:
    assert trained_on(written_card(defense)) == TrainedOnPart()


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
