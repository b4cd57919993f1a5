"""Decide which bf16 answers of a search are reliable.

A search could stop at a bf16 success that the fp32 verdict then rejects, and the victim would look
robust. So every answer that is not right by a clear margin is computed again in fp32 before the
search sees it. The pool does this for all attacks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import log_odds

CLEAR_MARGIN: Final = 0.5
"""Smallest margin (logits) at which a bf16 answer is not computed again.

Margins in bf16 and fp32 were compared on a CPU, for ``tiny`` trained by ``standard``, over 4,020
texts of mini-reviews, clean and with random words. They differed by 0.01 on average and by at most
0.20; where the fp32 margin was below 1, by at most 0.07. The bound is 2.5 times the largest
difference. Other encoders and GPUs were not measured. A bound that is too small would make a search
miss texts that fool in fp32. It would not make it report a false success.
"""


def doubtful(
    logits: NDArray[np.float32], label: int | NDArray[np.intp] | None
) -> NDArray[np.bool_]:
    """Return which bf16 answers must be computed again in fp32.

    Args:
        logits: ``(batch, classes)``.
        label: the class that a reliable answer must favour, or one for each row. A search passes
            the true class, so every success is confirmed. None accepts any class.

    Returns:
        ``(batch,)``: whether the margin between that class (or the likeliest one) and the best
        other class is below ``CLEAR_MARGIN``.
    """
    favoured = logits.argmax(axis=1) if label is None else label
    return np.asarray(log_odds(logits, favoured) < CLEAR_MARGIN)
