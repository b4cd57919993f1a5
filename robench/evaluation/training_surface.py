"""What a victim's training used of what attacks use, from the card that its training wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from robench._base.errors import RobenchError
from robench.models.smoothing import Smoothing
from robench.records.trained_on import TrainedOnPart, TrainingAttackPart
from robench.search.registry import ATTACKS
from robench.training.registry import DEFENSES


def trained_on(card: Mapping[str, Any]) -> TrainedOnPart | None:
    """Return what the record says of a victim's training.

    None means that it is unknown: robench did not train the victim, or a plugin that trained it is
    not installed here.

    Args:
        card: ``Obtained.card``.
    """
    if not card:
        return None
    ingredients = card["ingredients"]
    try:
        substitutes = DEFENSES.get(ingredients["defense"]).substitutes
        attacks = tuple(_attacks(ingredients["code"].get("attacks", ())))
    except RobenchError:
        return None
    # An attack inside the surface searches the substitutes of the task's own set, and a randomised
    # victim may draw its training texts from it.
    used = substitutes or _draws_substitutes(card) or any(not each.outside for each in attacks)
    if not used:
        return TrainedOnPart(attacks=attacks)
    return TrainedOnPart(
        substitutions=card["substitutions"],
        substitutions_sha256=ingredients["substitutions_sha256"],
        attacks=attacks,
    )


def _draws_substitutes(card: Mapping[str, Any]) -> bool:
    """Return whether the victim is randomised, and draws its variants from the substitution set."""
    smoothing = card.get("smoothing")
    return smoothing is not None and Smoothing.from_card(smoothing).needs_substitutions


def _attacks(names: Iterable[str]) -> Iterable[TrainingAttackPart]:
    """Yield the attacks, which make training texts with their default options."""
    for name in sorted(names):
        cls = ATTACKS.get(name)
        options = cls.Options().model_dump(mode="json")
        yield TrainingAttackPart(name=name, options=options, outside=cls.outside)
