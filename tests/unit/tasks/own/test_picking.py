"""The pick of test and dev examples from the user's data."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from robench.tasks.frozen import content_key, make_examples
from robench.tasks.own.picking import (
    count_unclear,
    fair_shares,
    one_per_text,
    pick,
)

limit_lists = st.lists(st.integers(0, 50), min_size=1, max_size=6)


@given(limit_lists, st.integers(0, 150))
def test_shares_are_equal_as_far_as_the_limits_allow(limits: list[int], total: int) -> None:
    shares = fair_shares(limits, total)
    assert sum(shares) == min(total, sum(limits))
    assert all(share <= limit for share, limit in zip(shares, limits, strict=True))
    # A label has fewer than another one only because of its limit; or one fewer, as a remainder.
    most = max(shares)
    assert all(
        share == limit or share >= most - 1 for share, limit in zip(shares, limits, strict=True)
    )


def test_a_remainder_goes_to_the_first_labels() -> None:
    assert fair_shares([9, 9, 9], 10) == [4, 3, 3]
    assert fair_shares([1, 9, 9], 10) == [1, 5, 4]
    assert fair_shares([500, 20_000, 3], 1000) == [499, 498, 3]


rows = st.lists(
    st.tuples(
        st.fixed_dictionaries({"text": st.sampled_from("abcdefgABCDEFG")}), st.integers(0, 2)
    ),
    max_size=40,
)


@given(rows, st.randoms(use_true_random=False))
def test_one_example_per_text_whatever_the_order(
    rows: list[tuple[dict[str, str], int]], rng: random.Random
) -> None:
    kept = one_per_text(make_examples("t", rows))
    keys = [content_key(example) for example in kept]
    assert len(set(keys)) == len(keys)
    labels = {
        key: {e.label for e in make_examples("t", rows) if content_key(e) == key} for key in keys
    }
    assert all(len(found) == 1 for found in labels.values())
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert one_per_text(make_examples("t", shuffled)) == kept
    texts = {content_key(example) for example in make_examples("t", rows)}
    assert count_unclear(make_examples("t", rows)) == len(texts) - len(keys)


def test_a_share_of_each_label_is_picked_and_at_least_one() -> None:
    rows = [({"text": f"{n}"}, 0 if n < 100 else 1 if n < 120 else 2) for n in range(123)]
    picked = pick(make_examples("t", rows), 3, 1000, 5)
    assert Counter(example.label for example in picked) == {0: 20, 1: 4, 2: 1}
    assert [example.id for example in picked] == sorted(example.id for example in picked)
    smallest = sorted(e.id for e in make_examples("t", rows) if e.label == 0)[:20]
    assert [example.id for example in picked if example.label == 0] == smallest
    assert Counter(e.label for e in pick(make_examples("t", rows), 3, 9, 5)) == {0: 4, 1: 4, 2: 1}


def test_a_label_without_examples_is_left_out() -> None:
    picked = pick(make_examples("t", [({"text": f"{n}"}, 2) for n in range(10)]), 3, 1000)
    assert Counter(example.label for example in picked) == {2: 10}
