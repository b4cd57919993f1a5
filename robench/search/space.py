"""All that a search sees: the space of one example (``robench.text.space``) and the questions it may ask the victim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robench.text.space import Choice, SearchSpace

__all__ = ["BudgetSpent", "Choice", "Oracle", "SearchSpace", "TextOracle"]


class BudgetSpent(Exception):
    """Raised by the oracle when the query budget of this example is used up; searches let it pass.

    A question that exceeds the budget is cut, not refused: its first rows are asked, and a text among them that fools the victim counts as found,
    though the search never sees the answers. So a search whose questions are large is not cheated of what it could afford, and more budget never
    finds less.
    """


class Oracle(Protocol):
    """What a search may ask; every question is counted and charged to the budget here and nowhere else.

    Calls block: the engine answers them together with those of other searches. Any of them raises BudgetSpent. A text of the space that was answered
    and fools the victim is not lost: where what a search returned is not believed, or nothing was, the core judges the first such texts in turn.
    """

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """The victim's logits, ``(batch, words) -> (batch, classes)``."""

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Softmax of ``logits``, ``(batch, words) -> (batch, classes)``; rows sum to 1."""

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """``choice`` with the word at each one of ``positions`` replaced by the unknown token, ``-> (len(positions), classes)``.

        PWWS's saliency probes (Ren et al. 2019, Eq. 5). They lie outside the space: a search can learn from them, never return them.
        """


class TextOracle(Protocol):
    """What an attack outside the surface may ask; counted, answered from memory and parked as ``Oracle`` does."""

    @property
    def budget(self) -> int | None:
        """How many texts may be asked about, repeats included; None for no bound. One that is exceeded raises BudgetSpent."""

    def probs(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The attackable field's texts, the other fields as they are, ``-> (texts, classes)``; ``[UNK]`` in a text is the victim's unknown token."""
