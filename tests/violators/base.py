"""Base of the defenses that break one promise each, and the list of them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from robench import DEFENSES, Batch, Defense
from robench.models.classifier import TextClassifier

VIOLATORS: list[tuple[str, str, str]] = []
"""Name of a defense, the check that it fails and what the check must say."""

Made = type[Defense]


def breaks(check: str, sentence: str) -> Callable[[Made], Made]:
    """Register a defense that must fail at ``check``."""

    def decorate(cls: Made) -> Made:
        name = f"kit-{cls.__name__.lower()}"
        VIOLATORS.append((name, check, sentence))
        return DEFENSES.register(name)(cls)

    return decorate


def logits_of(model: TextClassifier, batch: Batch) -> Tensor:
    return model(batch.input_ids, batch.attention_mask, batch.token_type_ids)  # type: ignore[no-any-return]


@DEFENSES.register("kit-sound")
class Sound(Defense):
    """Plain fine-tuning."""

    paper = "none: a defense for the tests of the kit"
