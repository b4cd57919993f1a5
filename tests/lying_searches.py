"""Searches that try to decide their own verdict (pytest puts tests/ on the path).

Each is a function ``(space, oracle, label, rng)``. Most of them fail on the way; the others lie.
"""

from __future__ import annotations

import copy
import operator
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet

from robench import BudgetSpent
from robench.search.conversation import Ending
from robench.search.oracle import SpaceExhausted, StopIgnored

Lie = Callable[[Any, Any, int, np.random.Generator], object]
LIES: dict[str, Lie] = {}
ATTRIBUTES = (
    "exhausted",
    "budget",
    "asked",
    "forwarded",
    "successes",
    "asked_at_successes",
    "_over",
    "_fooled",
    "_inside",
    "_own",
    "logits",
)


def lie(search: Lie) -> Lie:
    """Add a search to ``LIES``."""
    LIES[search.__name__] = search
    return search


def quietly(act: Callable[..., Any], *arguments: Any) -> Any:
    """Do something and swallow whatever happens."""
    try:
        return act(*arguments)
    except BaseException:
        return None


def row(space: Any, *options: int) -> np.ndarray:
    """Return one choice, ``(1, words)``, with some options at the first positions."""
    choice = np.zeros((1, len(space.words)), dtype=np.int16)
    choice[0, : len(options)] = options
    return choice


# What an oracle has.


@lie
def says_that_the_space_is_exhausted(space: Any, oracle: Any, *_: Any) -> object:
    oracle.exhausted = True
    return None


@lie
def sets_every_attribute_in_every_way(space: Any, oracle: Any, *_: Any) -> object:
    for name in ATTRIBUTES:
        quietly(setattr, oracle, name, True)
        quietly(object.__setattr__, oracle, name, True)
        quietly(lambda: vars(oracle).update(exhausted=True))
        quietly(delattr, oracle, name)
        quietly(object.__delattr__, oracle, name)
    return None


@lie
def lifts_the_budget(space: Any, oracle: Any, *_: Any) -> object:
    quietly(lambda: setattr(oracle, "budget", None))
    quietly(lambda: object.__setattr__(oracle, "_budget", None))
    for _turn in range(50):
        quietly(lambda: oracle.logits(row(space)))
    return None


@lie
def gives_its_oracle_another_class(space: Any, oracle: Any, *_: Any) -> object:
    class Free:
        __slots__ = ("__weakref__", "_own")
        exhausted = True
        asked = 0

    oracle.__class__ = Free
    return None


@lie
def looks_behind_the_methods(space: Any, oracle: Any, *_: Any) -> object:
    for name in ("logits", "probs", "_ask"):
        method = getattr(oracle, name)
        cells = getattr(method.__func__, "__closure__", None) or ()
        for thing in (method.__self__, *(cell.cell_contents for cell in cells)):
            for attribute in ATTRIBUTES:
                quietly(object.__setattr__, thing, attribute, True)
    return None


@lie
def copies_and_pickles_the_oracle(space: Any, oracle: Any, *_: Any) -> object:
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        twin = quietly(make, oracle)
        quietly(getattr(twin, "logits", repr), row(space))
    return None


# What a space has.


@lie
def says_that_the_space_has_one_text(space: Any, oracle: Any, *_: Any) -> object:
    space.__dict__["cardinality"] = 1
    return None


@lie
def changes_the_space(space: Any, oracle: Any, *_: Any) -> object:
    object.__setattr__(space, "cardinality", 1)
    object.__setattr__(space, "options", tuple((word,) for word in space.words))
    object.__setattr__(space, "sizes", np.ones(len(space.words), dtype=np.int16))
    object.__setattr__(space, "positions", np.array([], dtype=np.intp))
    return None


@lie
def makes_the_sizes_writable(space: Any, oracle: Any, *_: Any) -> object:
    quietly(lambda: space.sizes.setflags(write=True))
    quietly(lambda: space.sizes.__setitem__(0, 99))
    quietly(lambda: operator.setitem(space.sizes.base, 0, 99))
    quietly(lambda: setattr(space.sizes, "shape", (1, len(space.words))))
    quietly(lambda: setattr(space.sizes, "dtype", np.uint8))
    return row(space, 2, 2, 2, 2)[0]


@lie
def appends_options(space: Any, oracle: Any, *_: Any) -> object:
    object.__setattr__(space, "options", tuple((word, "awful", "bad") for word in space.words))
    object.__setattr__(space, "sizes", np.full(len(space.words), 3, dtype=np.int16))
    return np.full(len(space.words), 2, dtype=np.int16)


# What comes back and what goes in.


@lie
def changes_the_answers(space: Any, oracle: Any, *_: Any) -> object:
    for _turn in range(2):
        answers = oracle.logits(row(space))
        answers[:] = -answers
        base = answers.base
        if base is not None:
            base[:] = 0
    return None


class _Shifting(np.ndarray):
    """An array whose every operation says what its reader wants to hear."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.array([0, 1, 0, 0], dtype=np.int16)

    def __eq__(self, other: object) -> bool:
        return True

    def __lt__(self, other: object) -> Any:
        return np.zeros(self.shape, dtype=bool)

    __ge__ = __lt__
    __hash__ = None


@lie
def asks_with_an_array_that_lies(space: Any, oracle: Any, *_: Any) -> object:
    choice = np.full((1, len(space.words)), 99, dtype=np.int16).view(_Shifting)
    quietly(lambda: oracle.logits(choice))
    return choice[0]


class _Twofaced:
    """Is another array each time it is read."""

    def __init__(self, words: int) -> None:
        self._arrays = cycle([np.zeros(words, dtype=np.int16), np.full(words, 99, dtype=np.int16)])

    def __array__(self, *_: Any, **__: Any) -> Any:
        return next(self._arrays)


@lie
def returns_what_changes_between_two_looks(space: Any, oracle: Any, *_: Any) -> object:
    return _Twofaced(len(space.words))


@lie
def asks_with_numbers_that_wrap_around(space: Any, oracle: Any, *_: Any) -> object:
    choice = np.full((1, len(space.words)), 2**16, dtype=np.int64)
    quietly(lambda: oracle.logits(choice))
    return choice[0]


@lie
def asks_a_thousand_million_rows(space: Any, oracle: Any, *_: Any) -> object:
    oracle.logits(np.broadcast_to(row(space), (10**9, len(space.words))))
    return None


@lie
def changes_the_rows_while_it_waits(space: Any, oracle: Any, *_: Any) -> object:
    choice, stop = row(space), threading.Event()

    def flip() -> None:
        while not stop.is_set():
            choice[0, 1] = 1 - choice[0, 1]

    thread = threading.Thread(target=flip, daemon=True)
    thread.start()
    try:
        for _turn in range(3):
            oracle.logits(choice)
    finally:
        stop.set()
        thread.join()
    return None


# Greenlets, threads and frames.


@lie
def sends_rubbish_to_the_core(space: Any, oracle: Any, *_: Any) -> object:
    core = getcurrent().parent
    for message in (
        (),
        None,
        "exhausted",
        ("close",),
        ("successes",),
        ("_inspect", np.zeros((1, 4), np.int16), np.zeros((1, 2), np.float32), [0]),
        ("charge", -1000),
        ("__setattr__", "exhausted", True),
        ("hull_from", 0, -(10**6), 1.0, "margin"),
        ("logits", np.array([object()])),
        ("logits", [[0, 0, 0, 0]]),
        ("logits", np.zeros(4, np.int16).view(_Shifting)),
        Ending("exhausted"),
        SpaceExhausted(),
        StopIgnored(BudgetSpent("")),
    ):
        core.switch(message)
    return None


@lie
def throws_into_the_core(space: Any, oracle: Any, *_: Any) -> object:
    getcurrent().parent.throw(SpaceExhausted())
    return None


@lie
def ends_the_core(space: Any, oracle: Any, *_: Any) -> object:
    getcurrent().parent.throw(GreenletExit)
    return None


@lie
def switches_to_the_engine(space: Any, oracle: Any, *_: Any) -> object:
    getcurrent().parent.parent.switch("done")
    return None


@lie
def throws_into_the_engine(space: Any, oracle: Any, *_: Any) -> object:
    getcurrent().parent.parent.throw(SystemExit(0))
    return None


@lie
def gives_itself_another_parent(space: Any, oracle: Any, *_: Any) -> object:
    getcurrent().parent = getcurrent().parent.parent
    return None


@lie
def asks_in_another_greenlet(space: Any, oracle: Any, *_: Any) -> object:
    return greenlet(lambda: oracle.logits(row(space))).switch()


@lie
def asks_in_a_thread(space: Any, oracle: Any, *_: Any) -> object:
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(oracle.logits(row(space)))
        except RuntimeError as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    raise answers[0]  # type: ignore[misc]


@lie
def looks_through_frames_and_tracebacks(space: Any, oracle: Any, *_: Any) -> object:
    found: list[Any] = []
    frame: Any = sys._getframe()
    while frame is not None:
        found += frame.f_locals.values()
        frame = frame.f_back
    for query in (np.full((1, 1), 7), np.zeros((0, len(space.words)), np.int16)):
        try:
            oracle.logits(query)
        except ValueError as error:
            trace = error.__traceback__
            found += [error.__cause__, error.__context__]
            while trace is not None:
                found += trace.tb_frame.f_locals.values()
                trace = trace.tb_next
    for thing in found:
        for name in ATTRIBUTES:
            if quietly(hasattr, thing, name):
                quietly(object.__setattr__, thing, name, True)
    return None


# Ends.


@lie
def swallows_everything_for_ever(space: Any, oracle: Any, *_: Any) -> object:
    while True:
        quietly(lambda: oracle.logits(row(space)))


@lie
def raises_the_end_of_the_space(*_: Any) -> object:
    raise SpaceExhausted


@lie
def raises_the_stop(*_: Any) -> object:
    raise StopIgnored(SpaceExhausted())


@lie
def raises_an_end_of_its_own_class(*_: Any) -> object:
    class Mine(SpaceExhausted):
        pass

    raise Mine


@lie
def exits(*_: Any) -> object:
    sys.exit(0)


@lie
def interrupts(*_: Any) -> object:
    raise KeyboardInterrupt


@lie
def ends_its_greenlet(*_: Any) -> object:
    raise GreenletExit


@lie
def recurses(space: Any, oracle: Any, *_: Any) -> object:
    return recurses(space, oracle, 0, np.random.default_rng(0))


@lie
def asks_where_the_stack_ends(space: Any, oracle: Any, *_: Any) -> object:
    def deeper() -> object:
        try:
            return deeper()
        except RecursionError:
            return oracle.logits(row(space, 0, 1))

    return quietly(deeper) and None


@lie
def complains_at_length(*_: Any) -> object:
    raise ValueError("\x1b[31m\ud800" + "x" * 5_000_000)


class _Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


@lie
def raises_what_has_no_message(*_: Any) -> object:
    raise _Mute


class _Named(type):
    @property
    def __name__(cls) -> Any:  # type: ignore[override]
        return 7


class _Odd(Exception, metaclass=_Named):
    pass


@lie
def raises_what_has_no_name(*_: Any) -> object:
    raise _Odd("odd")


@lie
def is_a_generator(space: Any, oracle: Any, *_: Any) -> Iterator[object]:
    yield oracle.logits(row(space))
