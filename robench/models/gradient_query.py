"""GradientQuery: ask for the gradient of the margin with respect to a text's word embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GradientQuery:
    """The gradient of one text's margin, the logit of ``label`` minus the largest other logit.

    The margin does not saturate as a loss does: a sure victim has a gradient too.

    Attributes:
        ids, types: ``(tokens,)`` of the text, special tokens included.
        label: the class whose margin it is.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    label: int
