"""Tests of what a search returned, made plain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robench.search.claims import OUTSIDE, Claim, claimed_choice, claimed_text


def test_nothing_is_no_claim() -> None:
    assert claimed_choice(None, 2) is None
    assert claimed_text(None, 100) is None


@pytest.mark.parametrize("returned", [[1, 0], (1, 0), np.array([1, 0]), np.array([1, 0], np.uint8)])
def test_a_choice_is_a_copy_of_no_subclass(returned: Any) -> None:
    claim = claimed_choice(returned, 2)
    assert claim is not None
    assert type(claim.value) is np.ndarray
    assert claim.value.tolist() == [1, 0]
    assert claim.value is not returned
    assert not np.shares_memory(claim.value, np.asarray(returned))


class _Kind(np.ndarray):
    pass


def test_a_subclass_of_an_array_becomes_a_plain_one() -> None:
    claim = claimed_choice(np.array([1, 0]).view(_Kind), 2)
    assert claim is not None
    assert type(claim.value) is np.ndarray


class _Explodes:
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise ValueError("x" * 5_000_000)


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (np.array([1.0, 0.0]), "the attack returned ndarray of float64 instead of a choice of"),
        ([True, False], "the attack returned list of bool instead of a choice of integers"),
        ("film", "the attack returned str of <U4 instead of a choice of integers"),
        (object(), "the attack returned object of object instead of a choice of integers"),
        ([[0], [0, 1]], "the attack returned something that is not a choice (ValueError: "),
        (_Explodes(), "the attack returned something that is not a choice (ValueError: xxx"),
        (np.array([0, 1, 0]), OUTSIDE),
        (np.broadcast_to(np.int16(0), (10**9, 10**6)), OUTSIDE),
        (np.int64(3), OUTSIDE),
    ],
)
def test_other_objects_are_named(returned: Any, problem: str) -> None:
    claim = claimed_choice(returned, 2)
    assert claim is not None
    assert claim.value is None
    assert str(claim.problem).startswith(problem)
    assert len(str(claim.problem)) <= 500


class _Text(str):
    def __str__(self) -> str:
        return "another text"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


def test_a_text_of_a_subclass_becomes_a_plain_one() -> None:
    claim = claimed_text(_Text("a film"), 100)
    assert claim == Claim("a film")
    assert claim is not None
    assert type(claim.value) is str


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (7, "the attack returned int instead of a text"),
        (b"film", "the attack returned bytes instead of a text"),
        ("x" * 101, "the attack returned a text of 101 characters; at most 100 are accepted"),
        ("a \ud800", "the attack returned a text with half of a surrogate pair"),
    ],
)
def test_what_is_no_usable_text_is_named(returned: object, problem: str) -> None:
    claim = claimed_text(returned, 100)
    assert claim is not None
    assert claim.value is None
    assert str(claim.problem).startswith(problem)
