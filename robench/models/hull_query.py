"""HullQuery: the query of a search that needs the victim's gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

HullObjective = Literal["margin", "cross-entropy"]
"""What a white-box search maximises; see ``robench.models.convex_hull``."""


@dataclass(frozen=True)
class HullQuery:
    """Mislead the victim about ``label`` over the convex hull of one text's slots.

    The source is ASCC (Dong et al. ICLR 2021).

    Attributes:
        ids, types: ``(tokens,)`` of the original text.
        slots: ``(tokens, slots)`` token ids that may be mixed. Slot 0 is the text's own token;
            unused slots repeat it.
        allowed: ``(tokens, slots)``, which slots may be mixed; slot 0 always may.
        steps, learning_rate: of the ascent on the logits of the mixture weights.
        seed: of the initial logits.
        objective: what the ascent maximises: the loss of margin as a share of the clean margin, in
            which the scale of the logits cancels, or the published cross-entropy.
        temperature: the logits are divided by it (> 0).
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    slots: NDArray[np.int32]
    allowed: NDArray[np.bool_]
    label: int
    steps: int
    learning_rate: float
    seed: int
    objective: HullObjective = "margin"
    temperature: float = 1.0
