from __future__ import annotations

import numpy as np
import pytest

from robench.models.probabilities import exact_softmax, log_odds, log_softmax, softmax


def test_softmax_equals_hand_computed_values() -> None:
    found = softmax(
        np.array([[np.log(3), 0.0], [1000.0, 0.0], [1e4, 0.0], [0.0, 0.0]], dtype=np.float32)
    )
    np.testing.assert_allclose(
        found, np.array([[0.75, 0.25], [1, 0], [1, 0], [0.5, 0.5]]), atol=1e-7
    )
    assert found.dtype == np.float32


def test_softmax_is_computed_in_double_precision() -> None:
    """The result 1 / (1 + 2^-23) is below 1, but the sum 1 + 2^-23 computed in fp32 is 1."""
    logits = np.array([0.0, -24 * np.log(2), -24 * np.log(2)], dtype=np.float32)
    assert softmax(logits)[0] < np.float32(1)


def test_log_softmax_is_the_logarithm_of_the_softmax_and_stays_finite() -> None:
    logits = np.array([[1.0, 3.0, 2.0], [5.0, 4.0, 4.5]], dtype=np.float32)
    np.testing.assert_allclose(log_softmax(logits), np.log(exact_softmax(logits)), rtol=1e-14)
    assert log_softmax(np.array([[2000.0, 0.0]])).tolist() == [[0.0, -2000.0]]
    assert log_softmax(logits).dtype == np.float64


def test_log_odds_are_the_own_logit_minus_the_best_other() -> None:
    logits = np.array([[1.0, 3.0, 2.0], [5.0, 4.0, 4.5]], dtype=np.float32)
    assert log_odds(logits, 1).tolist() == [1.0, -1.0]
    assert log_odds(logits, 0).tolist() == [-2.0, 0.5]
    assert log_odds(logits, np.array([1, 0])).tolist() == [1.0, 0.5]
    assert logits.tolist() == [[1.0, 3.0, 2.0], [5.0, 4.0, 4.5]]


def test_log_odds_of_two_classes_are_those_of_the_probability() -> None:
    logits = np.array([[2.0, 0.5], [-1.0, 3.0]], dtype=np.float32)
    probs = softmax(logits).astype(np.float64)
    assert log_odds(logits, 0) == pytest.approx(np.log(probs[:, 0] / probs[:, 1]), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 3.0, 100.0])
def test_log_odds_grow_with_the_logits(scale: float) -> None:
    logits = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    scaled = (logits * np.float32(scale)).astype(np.float32)
    assert log_odds(scaled, 1) == pytest.approx(scale * log_odds(logits, 1), rel=1e-4)


def test_log_odds_do_not_saturate() -> None:
    """Both probabilities round to 1 in fp32, but the log-odds tell the texts apart."""
    logits = np.array([[40.0, 0.0], [90.0, 0.0]], dtype=np.float32)
    assert softmax(logits)[:, 0].tolist() == [1.0, 1.0]
    assert log_odds(logits, 0).tolist() == [40.0, 90.0]
