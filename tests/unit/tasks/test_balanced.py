"""Tests of the examples of a run with ``--limit``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench import Example
from robench._base.errors import UsageError
from robench.tasks.balanced import balanced_prefix


def examples(labels: list[int]) -> list[Example]:
    return [
        Example(f"t/{index:03}", {"text": str(index)}, label) for index, label in enumerate(labels)
    ]


def test_a_prefix_takes_the_labels_in_turn() -> None:
    picked = balanced_prefix(examples([0, 0, 0, 0, 1, 1]), 4)
    assert [(each.id, each.label) for each in picked] == [
        ("t/000", 0),
        ("t/001", 0),
        ("t/004", 1),
        ("t/005", 1),
    ]


def test_an_odd_number_gives_the_first_label_one_more() -> None:
    assert [each.label for each in balanced_prefix(examples([1, 0, 1, 0]), 3)] == [1, 0, 0]


def test_a_label_without_more_examples_is_skipped() -> None:
    assert len(balanced_prefix(examples([0, 1, 1, 1, 1]), 4)) == 4


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.data())
def test_prefixes_are_nested_and_sorted_and_do_not_depend_on_the_order(
    labels: list[int], data: st.DataObject
) -> None:
    every = examples(labels)
    small, large = sorted(data.draw(st.lists(st.integers(1, len(labels)), min_size=2, max_size=2)))
    shuffled = data.draw(st.permutations(every))
    first, second = balanced_prefix(every, small), balanced_prefix(shuffled, large)
    ids = [each.id for each in second]
    assert len(first) == small
    assert ids == sorted(ids)
    assert {each.id for each in first} <= set(ids)


@pytest.mark.parametrize("size", [0, -1])
def test_a_prefix_of_no_examples_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match="--limit must be at least 1"):
        balanced_prefix(examples([0, 1]), size)
