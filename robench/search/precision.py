"""Searching in bf16: which answers may be believed as they are.

A search that believes a bf16 success ends on a text that the fp32 verdict denies, and its victim looks robust. So every answer that is not right by a
clear margin is asked once more in fp32 before the search sees it. The pool does that, for all attacks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from robench.methods.moves import margins_of

CLEAR_MARGIN: Final = 0.5
"""Least margin (logits) of a bf16 answer that is not asked again.

Margins in bf16 and fp32 differed by 0.01 on the mean and by 0.20 at most over 4,020 texts of mini-reviews (clean ones and ones with random words)
and ``tiny`` trained by ``standard``, on a CPU; by 0.07 at most where the fp32 margin was below 1. The bound is 2.5 times the largest. Other
encoders and GPUs were not measured. Were it too small there, texts that fool in fp32 would be passed over, but none would be taken for a success
that is none.
"""


def doubtful(logits: NDArray[np.float32], label: int | None) -> NDArray[np.bool_]:
    """Which bf16 answers have to be asked again in fp32.

    Args:
        logits: ``(batch, classes)``.
        label: the class on whose side an answer has to be clear (the true one: every success is confirmed); None: on any side.

    Returns:
        ``(batch,)``: whether the margin between that class (or the likeliest) and the best other one is below ``CLEAR_MARGIN``.
    """
    return np.asarray(
        margins_of(logits, logits.argmax(axis=1) if label is None else label) < CLEAR_MARGIN
    )
