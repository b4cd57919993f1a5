"""The memory of answers: every key once, in the order in which the keys came."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robench.search.answer_memory import AnswerMemory

KEYS = st.lists(st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e"]), max_size=6), max_size=5)


def answer(memory: AnswerMemory, keys: list[bytes]) -> tuple[list[float], list[int]]:
    """Look a query up; the answer of a key is its first byte."""
    places, fresh = memory.places(keys)
    if fresh:
        values = [[keys[number][0]] for number in fresh]
        memory.store(np.array(values, dtype=np.float32))
    return memory.read(places)[:, 0].tolist() if len(keys) else [], fresh


@given(KEYS)
def test_every_key_has_its_own_answer_and_is_new_once(queries: list[list[bytes]]) -> None:
    memory, known = AnswerMemory(), set[bytes]()
    for keys in queries:
        answers, fresh = answer(memory, keys)
        assert answers == [key[0] for key in keys]
        expected = [
            number
            for number, key in enumerate(keys)
            if key not in known and key not in keys[:number]
        ]
        assert fresh == expected
        known |= set(keys)
        assert len(memory) == len(known)


def test_a_query_of_new_keys_only_takes_places_in_order() -> None:
    memory = AnswerMemory()
    assert answer(memory, [b"x", b"y"])[1] == [0, 1]
    places, fresh = memory.places([b"c", b"a", b"b"])
    assert (places.tolist(), fresh) == ([2, 3, 4], [0, 1, 2])


def test_a_key_that_is_twice_in_a_query_is_new_once() -> None:
    places, fresh = AnswerMemory().places([b"a", b"b", b"a"])
    assert (places.tolist(), fresh) == ([0, 1, 0], [0, 1])


def test_a_key_without_an_answer_has_none() -> None:
    memory = AnswerMemory()
    memory.places([b"a", b"b"])
    assert memory.get(b"a") is None
    memory.store(np.array([[1.0], [2.0]], dtype=np.float32))
    assert memory.get(b"b") == np.array([2.0], dtype=np.float32)
    assert memory.get(b"c") is None
