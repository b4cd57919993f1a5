"""Tests of the rule that decides which bf16 answers are computed again."""

from __future__ import annotations

import numpy as np
import pytest

from robench.search.precision import CLEAR_MARGIN, doubtful

ROWS = np.array(
    [[2.0, 0.0, 1.0], [1.0, 1.4, 0.9], [1.0, 0.9, 1.4], [0.0, 9.0, 0.0]], dtype=np.float32
)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        # The margins are 1, -0.4, -0.4 and -9. All answers without a clear margin are doubtful.
        (0, [False, True, True, True]),
        (1, [True, True, True, False]),
        # The margins are 1, 0.4, 0.4 and 9.
        (None, [False, True, True, False]),
    ],
)
def test_answers_without_a_clear_margin_are_doubtful(
    label: int | None, expected: list[bool]
) -> None:
    assert CLEAR_MARGIN == 0.5
    assert doubtful(ROWS, label).tolist() == expected


def test_a_margin_equal_to_the_bound_is_clear() -> None:
    assert doubtful(np.array([[0.5, 0.0], [0.49, 0.0]], dtype=np.float32), 0).tolist() == [
        False,
        True,
    ]


def test_the_logits_are_not_changed() -> None:
    before = ROWS.copy()
    doubtful(ROWS, 2)
    np.testing.assert_array_equal(ROWS, before)
