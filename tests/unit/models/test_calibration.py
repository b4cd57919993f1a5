"""The temperature of a victim, on logits whose right temperature is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from robench.models.calibration import fit_temperature
from robench.models.probabilities import exact_softmax


def drawn(
    classes: int, texts: int = 4000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return logits, and labels that are drawn with their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(texts, classes))
    shares = exact_softmax(logits).cumsum(axis=1)
    labels = (rng.random(texts)[:, None] > shares).sum(axis=1)
    return logits, labels.clip(max=classes - 1).astype(np.int64)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("temperature", [1e-6, 0.1, 1.0, 3.0, 100.0])
def test_the_temperature_that_made_the_logits_is_found(classes: int, temperature: float) -> None:
    logits, labels = drawn(classes)
    found = fit_temperature((temperature * logits).astype(np.float32), labels)
    assert found == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 3.0, 30.0, 100.0])
def test_the_temperature_grows_with_the_logits(scale: float) -> None:
    logits, labels = drawn(3, texts=200)
    plain = fit_temperature(logits.astype(np.float32), labels)
    scaled = fit_temperature((scale * logits).astype(np.float32), labels)
    assert scaled == pytest.approx(scale * plain, rel=1e-4)


def test_one_temperature_by_hand() -> None:
    """Four texts of log-odds 3, one of them wrong.

    The label counts as 5/6, so the best probability is (3 x 5/6 + 1/6) / 4 = 2/3. Its log-odds are
    ln 2, and the temperature is 3 / ln 2.
    """
    logits = np.tile([3.0, 0.0], (4, 1))
    labels = np.array([0, 0, 0, 1])
    assert fit_temperature(logits, labels) == pytest.approx(3 / np.log(2), rel=1e-3)


def test_a_victim_that_is_always_right_gets_a_temperature_above_zero() -> None:
    """The label of 100 texts counts as 101/102, whose log-odds are ln 101."""
    logits = np.tile([2.0, 0.0], (100, 1))
    found = fit_temperature(logits, np.zeros(100, dtype=np.int64))
    assert found == pytest.approx(2 / np.log(101), rel=1e-3)


def test_a_constant_victim_has_the_temperature_one() -> None:
    assert fit_temperature(np.ones((6, 3), dtype=np.float32), np.array([0, 1, 2] * 2)) == 1.0


def test_a_guessing_victim_gets_a_high_but_finite_temperature() -> None:
    logits = np.tile([2.0, 0.0], (10, 1))
    found = fit_temperature(logits, np.array([0, 1] * 5))
    assert 100 < found < np.inf


def test_logits_far_from_zero_do_not_overflow() -> None:
    logits = np.array([[1e4, 0.0], [0.0, 1e4], [1e4, 0.0]], dtype=np.float32)
    assert np.isfinite(fit_temperature(logits, np.array([0, 1, 1])))
