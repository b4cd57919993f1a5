"""Victims whose answers depend on the texts that are asked beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from victim_cases import CARD, classifier, planted, tokenizer

from robench.evaluation.company import TEXTS, company_findings
from robench.models.victim import Victim

EXAMPLES = planted("dev", 80, 2)
Twist = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]


class Twisted(Victim):
    """A victim whose logits a function changes; it sees all of a forward pass."""

    def __init__(self, twist: Twist) -> None:
        super().__init__(classifier("bert", classes=2), tokenizer(), CARD)
        self.twist, self.rows = twist, 0

    def logits(self, ids: Any, *rest: Any) -> NDArray[np.float32]:
        self.rows += len(ids)
        return self.twist(super().logits(ids, *rest), np.asarray(ids)).astype(np.float32)


def found(twist: Twist) -> list[str]:
    return [flag.message for flag in company_findings(Twisted(twist), EXAMPLES)]


def test_a_sound_victim_has_no_finding() -> None:
    victim = Twisted(lambda logits, ids: logits)
    assert company_findings(victim, EXAMPLES) == []
    # A bound on the cost: it counts every row of every forward pass.
    assert victim.rows <= 8 * TEXTS


@pytest.mark.parametrize(
    "twist",
    [
        pytest.param(
            lambda logits, ids: logits + (len(ids) > 8) * np.array([[1.0, 0.0]]), id="large"
        ),
        pytest.param(
            lambda logits, ids: logits + (len(ids) == 1) * np.array([[1.0, 0.0]]), id="alone"
        ),
        pytest.param(lambda logits, ids: logits - logits.mean(0), id="normalised"),
        pytest.param(lambda logits, ids: np.repeat(logits[:1], len(ids), 0), id="first-counts"),
        pytest.param(
            lambda logits, ids: logits + np.arange(len(ids))[:, None] * np.array([[0.1, 0.0]]),
            id="place",
        ),
    ],
)
def test_an_answer_that_depends_on_company_is_found(twist: Twist) -> None:
    (message,) = found(twist)
    assert message.startswith("'standard' answers about a text by what is asked beside it: on 64")


def test_rounding_is_no_finding() -> None:
    draw = np.random.default_rng(0)

    def rounded(logits: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return (logits + draw.normal(size=logits.shape) * 1e-6).astype(np.float32)

    assert found(rounded) == []


def test_the_finding_has_a_stable_name() -> None:
    (flag,) = company_findings(Twisted(lambda logits, ids: logits - logits.mean(0)), EXAMPLES)
    assert flag.name == "depends-on-company"


def test_a_function_is_not_asked() -> None:
    class Function:
        kind = "function"

    victim: Any = Function()
    assert company_findings(victim, EXAMPLES) == []
