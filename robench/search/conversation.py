"""Run one search in a greenlet of its own, and answer its queries.

The search's greenlet holds a handle and what ``Attack.search`` receives. Everything that decides a
verdict stays in the core's greenlet. Between the two pass plain data only: tuples of arrays and
numbers one way, arrays and fresh exceptions the other way. So no exception leads a search to the
frames of the core, and nothing that a search does later changes what the core has read.

A search that does not end when it must is left where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet
from numpy.typing import NDArray

from robench._base.signals import raise_if_signalled
from robench.search.access import Access, restrict
from robench.search.attack import Attack, FreeAttack
from robench.search.claims import Claim, claimed_choice, claimed_text
from robench.search.handles import SearchOracle, TextSearchOracle, WhiteBoxSearchOracle
from robench.search.oracle import PooledOracle, SpaceExhausted, StopIgnored
from robench.search.oracle_interface import BudgetSpent
from robench.search.problems import bounded, describe_error
from robench.search.texts import PooledTextOracle, longest_text
from robench.text.space import SearchSpace

Reason = Literal["returned", "budget", "exhausted", "failed"]
"""How a search ended: it returned, the oracle ended it, or it raised an exception of its own."""

Answer = NDArray[Any]
NO_QUERY = "this is no query that the attack may make"
THROWS = 3
"""How often a search is told to end before it is left where it stands."""
QUERIES: dict[str, tuple[type, ...]] = {
    "logits": (np.ndarray,),
    "probs": (np.ndarray,),
    "logits_without": (np.ndarray, np.ndarray),
    "probs_without": (np.ndarray, np.ndarray),
    "hull_from": (int, int, float, str),
    "gradient_norms": (np.ndarray,),
}
"""The queries about a space: the method of the oracle, and the types of its arguments."""
WHITE_BOX_QUERIES = ("hull_from", "gradient_norms")
TEXTS: tuple[type, ...] = (list,)
TEXT_QUERIES: dict[str, tuple[type, ...]] = {"probs": TEXTS}
"""The queries of an attack outside the surface."""

_left_standing: list[greenlet] = []
"""Searches that did not end. Kept, because Python would run them once more to collect them."""


@dataclass(frozen=True)
class Ending:
    """How a search ended, as plain data.

    Attributes:
        claim: what it returned, if it returned.
        problem: the exception that it raised, as text; None for another reason.
    """

    reason: Reason
    claim: Claim | None = None
    problem: str | None = None


def converse(
    search: Callable[[], object],
    oracle: object,
    queries: dict[str, tuple[type, ...]],
    as_claim: Callable[[object], Claim | None],
) -> Ending:
    """Run ``search`` to its end and answer its queries from ``oracle``.

    Args:
        search: makes its handle and calls the plugin. It must refer to nothing of the core.
        queries: those that it may make, see ``QUERIES``.
        as_claim: makes plain data of what the search returned, in the search's greenlet.

    Raises:
        BaseException: that of a signal that came during the search, which may have swallowed it.
    """
    own = greenlet(_search_side)
    reply: object = None
    stopped: Ending | None = None
    try:
        message = own.switch(search, as_claim)
        while True:
            raise_if_signalled()
            if own.dead:
                return message if type(message) is Ending else Ending("failed", problem=NO_QUERY)
            if stopped is not None:
                return stopped
            reply = _answer(oracle, queries, message)
            if isinstance(reply, StopIgnored):
                stopped = _ending_of(reply)
            message = own.switch(reply)
    finally:
        _end(own)


def search_space(
    attack: Attack,
    space: SearchSpace,
    oracle: PooledOracle,
    access: Access,
    label: int,
    rng: np.random.Generator,
) -> Ending:
    """Run one search of ``space``, which sees of ``oracle`` what its access allows."""
    handle = WhiteBoxSearchOracle if access == "gradients" else SearchOracle
    queries = QUERIES
    if access != "gradients":
        queries = {name: types for name, types in QUERIES.items() if name not in WHITE_BOX_QUERIES}
    find = partial(_find, attack, space.for_search(), handle, label, rng)
    as_choice = partial(claimed_choice, words=len(space.words))
    return converse(find, restrict(oracle, access), queries, as_choice)


def search_texts(
    attack: FreeAttack,
    text: str,
    oracle: PooledTextOracle,
    budget: int | None,
    label: int,
    rng: np.random.Generator,
) -> Ending:
    """Run one attack outside the surface on ``text``."""
    write = partial(_rewrite, attack, text, budget, label, rng)
    return converse(write, oracle, TEXT_QUERIES, partial(claimed_text, longest=longest_text(text)))


def _find(
    attack: Attack,
    space: SearchSpace,
    handle: Callable[[], SearchOracle],
    label: int,
    rng: np.random.Generator,
) -> object:
    """Call the plugin's search, in the search's greenlet; nothing of the core is in reach.

    Each example gets a copy of the attack, so that an attribute set for one is not seen by another.
    """
    return copy(attack).search(space, handle(), label, rng)


def _rewrite(
    attack: FreeAttack, text: str, budget: int | None, label: int, rng: np.random.Generator
) -> object:
    """Do the same with an attack that writes texts of its own."""
    return copy(attack).rewrite(text, TextSearchOracle(budget), label, rng)


def _search_side(
    search: Callable[[], object], as_claim: Callable[[object], Claim | None]
) -> Ending:
    """Run the search; whatever it raises, an ``Ending`` comes back."""
    try:
        return Ending("returned", as_claim(search()))
    except BaseException as error:
        return _ending_of(error)


def _ending_of(error: BaseException) -> Ending:
    reason = error.reason if type(error) is StopIgnored else error
    if type(reason) is BudgetSpent:
        return Ending("budget")
    if type(reason) is SpaceExhausted:
        return Ending("exhausted")
    return Ending("failed", problem=describe_error(reason))


def _answer(oracle: object, queries: dict[str, tuple[type, ...]], message: object) -> object:
    """Return the answer to a message, or a fresh exception that the search is to raise."""
    try:
        name, arguments = _checked(queries, message)
        return getattr(oracle, name)(*arguments)
    except StopIgnored as error:
        return StopIgnored(_fresh(error.reason))
    except (Exception, SpaceExhausted) as error:
        return _fresh(error)


def _checked(
    queries: dict[str, tuple[type, ...]], message: object
) -> tuple[str, tuple[object, ...]]:
    """Return a message as the name of a query and its arguments.

    A search can send anything. The types are exact, so that no code of a plugin runs here.

    Raises:
        ValueError: it is no query.
    """
    if type(message) is not tuple or not message or type(message[0]) is not str:
        raise ValueError(NO_QUERY)
    arguments = message[1:]
    types = queries.get(message[0])
    if types is None or tuple(map(type, arguments)) != types:
        raise ValueError(NO_QUERY)
    if types is TEXTS and any(type(text) is not str for text in arguments[0]):
        raise ValueError(NO_QUERY)
    return message[0], arguments


def _fresh(error: BaseException) -> BaseException:
    """Return an exception of the same kind without the frames of the one that was raised."""
    if isinstance(error, SpaceExhausted):
        return SpaceExhausted()
    text = str(error)
    for kind in (BudgetSpent, ValueError, RuntimeError):
        if type(error) is kind:
            return kind(text)
    return RuntimeError(bounded(f"the victim failed: {describe_error(error)}"))


def _end(own: greenlet) -> None:
    """End a search that has not ended, so that its ``finally`` blocks run."""
    for _ in range(THROWS):
        if own.dead:
            return
        # The search may have set another parent, to which its end would return.
        own.parent = getcurrent()
        own.throw(GreenletExit)
    if not own.dead:
        _left_standing.append(own)
