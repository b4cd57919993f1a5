"""The oracle interfaces that searches query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robench.text.space import Choice


class BudgetSpent(Exception):
    """Raised by the oracle when the query budget of this example is spent.

    Searches let it pass. A query that exceeds the budget is cut: its first rows are computed,
    and a text among them that fools the victim counts as found. The search never sees these
    answers. So a search with large queries gets its whole budget, and a larger budget never
    finds less.
    """


class Oracle(Protocol):
    """The queries that a search may make; each is counted and charged to the budget here only.

    Calls block, and the engine answers them together with those of other searches. Every method
    raises BudgetSpent. If a search returns nothing, or its result is rejected, the core judges
    the first queried texts of the space that fooled the victim.
    """

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return the victim's logits, ``(batch, words) -> (batch, classes)``."""

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return the softmax of ``logits``, ``(batch, words) -> (batch, classes)``.

        Rows sum to 1.
        """

    def logits_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return logits of ``choice`` with one word replaced by the unknown token.

        Row i is the answer for the word at ``positions[i]``: ``(len(positions), classes)``. These
        are the saliency probes of PWWS (Ren et al. 2019, Eq. 5). They lie outside the space, so a
        search can learn from them but never return them.
        """

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the softmax of ``logits_without``, ``(len(positions), classes)``."""


class TextOracle(Protocol):
    """The queries that an attack outside the surface may make.

    They are counted, answered from memory and pooled as those of ``Oracle`` are.
    """

    @property
    def budget(self) -> int | None:
        """Number of texts that may be queried, repeats included; None for no bound.

        A query that exceeds it raises BudgetSpent.
        """

    def probs(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities of texts of the attackable field, ``(texts, classes)``.

        The other fields stay as they are. ``[UNK]`` in a text is the victim's unknown token.
        """
