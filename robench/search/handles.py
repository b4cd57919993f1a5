"""What a search holds in its hand: oracles that can be asked and nothing else.

A search runs in a greenlet of its own. A handle passes each query to the core as plain data, by a
switch to the core's greenlet, and the core passes plain data back. A handle has no reference to
the oracle that answers, so a search finds no counter, budget or memory to change.

Whatever a plugin's objects do when they are read (``__array__``, ``__iter__``, ``__str__``) they do
here, before the core sees the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NoReturn, cast

import numpy as np
from greenlet import getcurrent, greenlet
from numpy.typing import NDArray

from robench.models.hull_query import HullObjective
from robench.text.space import Choice


class _Handle:
    """Base of the handles; it belongs to the greenlet in which it was made.

    Attributes:
        _own: the greenlet of the search. Whoever changes it cuts this handle off.
    """

    __slots__ = ("__weakref__", "_own")

    def __init__(self) -> None:
        object.__setattr__(self, "_own", getcurrent())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an oracle can only be asked: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an oracle can only be asked: {name!r} cannot be deleted")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an oracle answers inside its own search only, so it cannot be copied")

    def _ask(self, *query: Any) -> Any:
        """Pass a query to the core and return its answer.

        Raises:
            RuntimeError: the call comes from a thread, a greenlet or an example that is not this
                search's own, or the search has ended.
            Exception: whatever the core refuses the query with.
        """
        own: greenlet = object.__getattribute__(self, "_own")
        if getcurrent() is not own or own.parent is None:
            raise RuntimeError(
                "an oracle answers inside its own search only: not after it, not for another "
                "example, and not in another thread or greenlet"
            )
        answer = own.parent.switch(query)
        if not isinstance(answer, BaseException):
            return answer
        # A raised exception refers to this frame. Without this reference back, both are freed now
        # instead of by the garbage collector.
        try:
            raise answer
        finally:
            del answer


class SearchOracle(_Handle):
    """``robench.Oracle`` as a search holds it."""

    __slots__ = ()

    def logits(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return logits; see ``robench.Oracle``."""
        return cast("NDArray[np.float32]", self._ask("logits", np.asarray(choices)))

    def probs(self, choices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return probabilities; see ``robench.Oracle``."""
        return cast("NDArray[np.float32]", self._ask("probs", np.asarray(choices)))

    def logits_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return logits with one word left out; see ``robench.Oracle``."""
        query = np.asarray(choice), np.asarray(positions, dtype=np.intp)
        return cast("NDArray[np.float32]", self._ask("logits_without", *query))

    def probs_without(self, choice: Choice, positions: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return probabilities with one word left out; see ``robench.Oracle``."""
        query = np.asarray(choice), np.asarray(positions, dtype=np.intp)
        return cast("NDArray[np.float32]", self._ask("probs_without", *query))


class WhiteBoxSearchOracle(SearchOracle):
    """``WhiteBoxOracle`` as a search holds it."""

    __slots__ = ()

    def hull(
        self,
        rng: np.random.Generator,
        steps: int,
        learning_rate: float,
        objective: HullObjective = "margin",
    ) -> NDArray[np.float32]:
        """Return the options' weights; see ``WhiteBoxOracle``."""
        seed = int(rng.integers(2**63))
        query = seed, index(steps), float(learning_rate), plain_text(objective)
        return cast("NDArray[np.float32]", self._ask("hull_from", *query))

    def gradient_norms(self, choice: Choice) -> NDArray[np.float64]:
        """Return the steepness at each word; see ``WhiteBoxOracle``."""
        return cast("NDArray[np.float64]", self._ask("gradient_norms", np.asarray(choice)))


class TextSearchOracle(_Handle):
    """``robench.TextOracle`` as a search holds it.

    Args:
        budget: what ``budget`` says. The core keeps its own.
    """

    __slots__ = ("_budget",)

    def __init__(self, budget: int | None) -> None:
        super().__init__()
        object.__setattr__(self, "_budget", budget)

    @property
    def budget(self) -> int | None:
        """See ``robench.TextOracle``."""
        return cast("int | None", object.__getattribute__(self, "_budget"))

    def probs(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return probabilities; see ``robench.TextOracle``."""
        return cast("NDArray[np.float32]", self._ask("probs", [plain_text(text) for text in texts]))


def plain_text(text: object) -> str:
    """Return a text as a ``str`` of no subclass.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is a str, got {type(text).__name__}")
    return str.__getitem__(text, slice(None))
