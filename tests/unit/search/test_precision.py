"""Which bf16 answers are asked again."""

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
        (
            0,
            [False, True, True, True],
        ),  # margins 1, -0.4, -0.4, -9: whatever is not right by a clear margin
        (1, [True, True, True, False]),
        (None, [False, True, True, False]),  # margins 1, 0.4, 0.4, 9
    ],
)
def test_by_hand(label: int | None, expected: list[bool]) -> None:
    assert CLEAR_MARGIN == 0.5
    assert doubtful(ROWS, label).tolist() == expected


def test_the_bound_itself_is_clear() -> None:
    assert doubtful(np.array([[0.5, 0.0], [0.49, 0.0]], dtype=np.float32), 0).tolist() == [
        False,
        True,
    ]


def test_the_logits_stay_as_they_are() -> None:
    before = ROWS.copy()
    doubtful(ROWS, 2)
    np.testing.assert_array_equal(ROWS, before)
