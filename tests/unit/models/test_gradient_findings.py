"""The finding about gradients that are zero or not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from victim_cases import CARD, classifier, planted, tokenizer

from robench.models.gradient_findings import TEXTS, gradient_findings
from robench.models.gradient_query import GradientQuery
from robench.models.victim import Victim


class Read:
    """What a victim reads."""

    ids, token_types = np.arange(3, dtype=np.int32), np.zeros(3, dtype=np.int8)


class Fake:
    """A victim whose gradients are given, one for each call."""

    name = "fake"

    def __init__(self, *gradients: float) -> None:
        self.gradients, self.asked = list(gradients), list[GradientQuery]()

    def read(self, fields: Any) -> Read:
        return Read()

    def gradient(self, query: GradientQuery) -> Any:
        self.asked.append(query)
        return np.full((3, 2), self.gradients[len(self.asked) - 1], dtype=np.float32)


EXAMPLES = planted("dev", 32, 2)


def found(*gradients: float) -> list[str]:
    victim: Any = Fake(*gradients)
    return [flag.message for flag in gradient_findings(victim, EXAMPLES[: len(gradients)])]


def test_a_victim_with_gradients_has_no_finding() -> None:
    victim: Any = Fake(*[0.5] * TEXTS)
    assert gradient_findings(victim, EXAMPLES) == []
    assert len(victim.asked) == TEXTS
    assert [query.label for query in victim.asked] == [e.label for e in EXAMPLES[:TEXTS]]


def test_zero_gradients_on_most_texts_are_a_finding() -> None:
    assert found(0, 0, 0, 1) == [
        "the gradient of 'fake' is zero on 3 of 4 dev texts. Attacks that follow gradients fail "
        "for this reason alone."
    ]
    # Half of the texts is not most of them.
    assert found(0, 0, 1, 1) == []


def test_gradients_that_are_not_finite_count_with_them() -> None:
    (message,) = found(0, np.nan, np.inf, 1)
    assert "is zero on 1 and not finite on 2 of 4 dev texts" in message


def test_a_victim_without_gradients_has_no_finding() -> None:
    assert gradient_findings(object(), EXAMPLES) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("dead", [False, True])
def test_a_real_victim_whose_head_ignores_the_text(dead: bool) -> None:
    model = classifier().eval()
    if dead:
        head: Any = model.head[-1]
        head.weight.data.zero_()
    victim = Victim(model, tokenizer(), CARD)
    names = [flag.name for flag in gradient_findings(victim, EXAMPLES)]
    assert names == (["zero-gradient"] if dead else [])
