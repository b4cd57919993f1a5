from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch

from robench.models.objectives import divergence_from, margin_lost, margins, objective_of


def test_the_margin_lost_is_a_share_of_the_clean_margin() -> None:
    """Clean margins 2 and -1; with other logits 0.5 and -3: the loss is -(0.5 / 2) + 3 / 1."""
    labels = torch.tensor([0, 1])
    clean = torch.tensor([[3.0, 1.0, 0.0], [0.0, -1.0, -5.0]])
    other = torch.tensor([[0.5, 0.0, -1.0], [2.0, -1.0, 0.0]])
    for scale in (1.0, 1e-6, 100.0):
        found = margin_lost(labels, scale * clean)(scale * other)
        assert float(found) == pytest.approx(-0.25 + 3.0, rel=1e-5)


def test_a_clean_tie_leaves_the_margin_as_it_is() -> None:
    found = margin_lost(torch.tensor([0]), torch.tensor([[1.0, 1.0]]))(torch.tensor([[1.0, 3.0]]))
    assert float(found) == 2.0


def test_the_divergence_is_kl_from_clean_to_adversarial() -> None:
    """KL(p || q) = sum p log(p / q), with p clean = (3/4, 1/4) and q adversarial = (1/2, 1/2).

    This gives 0.75 ln 1.5 + 0.25 ln 0.5. In the other direction it is another number.
    """
    clean, adversarial = torch.tensor([[log(3.0), 0.0]]), torch.zeros(1, 2)
    assert float(divergence_from(clean)(adversarial)) == pytest.approx(
        0.75 * log(1.5) + 0.25 * log(0.5)
    )
    assert float(divergence_from(adversarial)(clean)) == pytest.approx(
        0.5 * log(2 / 3) + 0.5 * log(2)
    )


def test_the_divergence_is_a_sum_over_the_batch() -> None:
    clean, adversarial = torch.tensor([[log(3.0), 0.0]]), torch.zeros(1, 2)
    assert float(divergence_from(clean.repeat(3, 1))(adversarial.repeat(3, 1))) == pytest.approx(
        3 * (0.75 * log(1.5) + 0.25 * log(0.5))
    )


def test_margins_equal_hand_computed_values_and_their_gradients_too() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 4.0, 4.5]], requires_grad=True)
    found = margins(logits, torch.tensor([1, 2]))
    assert found.tolist() == [1.0, -0.5]
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("name", "asked"), [("cross-entropy", 0), ("margin", 1), ("divergence", 1)]
)
def test_an_objective_asks_for_the_clean_logits_only_where_it_compares(
    name: Any, asked: int
) -> None:
    clean, labels = torch.tensor([[3.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 1])
    calls = 0

    def compute() -> torch.Tensor:
        nonlocal calls
        calls += 1
        return clean

    gain_of = objective_of(name, labels, compute)
    worse = torch.tensor([[1.0, 3.0], [2.0, 0.0]])
    assert gain_of(worse) > gain_of(clean)
    assert calls == asked
