from __future__ import annotations

import numpy as np

from robench.models.probabilities import softmax


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
