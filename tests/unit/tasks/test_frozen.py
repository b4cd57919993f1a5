"""The frozen examples: ids by content, the balanced pick, cleaned texts and digests."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robench._base.errors import UsageError
from robench.tasks.example import Example
from robench.tasks.frozen import (
    RawRow,
    clean,
    digest,
    identify,
    make_examples,
    normal_form,
    pick_balanced,
    without,
)

texts = st.text(alphabet=st.sampled_from("ab \n\t<br />\xa0é"), max_size=12)
row_lists = st.lists(
    st.tuples(st.fixed_dictionaries({"text": texts}), st.integers(0, 2)), max_size=30
)


def rows_of(count: int, classes: int = 2) -> list[RawRow]:
    return [({"text": f"text {number}"}, number % classes) for number in range(count)]


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("A fine<br />film.", "A fine film."),
        ("one<br /><br />two", "one two"),
        ("  first\r\nsecond\tthird \n", "first second third"),
        ("wide\xa0space\x85next\u2028line", "wide space next line"),
        ("<br />\n", ""),
        # White space is collapsed first.
        ("<br\n/>kept apart", "kept apart"),
        # No other spelling occurs in IMDB.
        ("a <br> b <BR /> c", "a <br> b <BR /> c"),
    ],
)
def test_line_breaks_and_white_space_become_one_space(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(texts)
def test_cleaning_depends_on_the_normal_form_only_and_is_idempotent(text: str) -> None:
    assert clean(normal_form(text)) == clean(text)
    assert clean(clean(text)) == clean(text) or "<br />" in clean(text)


def test_the_id_is_what_the_rule_says() -> None:
    """Compare with a hash computed outside Python.

    ``printf '["imdb",{"text":"A fine<br />film."}]' | sha256sum`` begins with f0610263b98748d5.
    """
    assert identify("imdb", [({"text": " A  fine<br />film.\n"}, 1)]) == ["imdb/f0610263b98748d5"]
    # The JSON text is in ASCII and its keys are sorted.
    pair = {"premise": "Café dogs.", "hypothesis": "A dog sleeps."}
    assert identify("snli", [(pair, 0)]) == ["snli/1677d8e265f94a9b"]
    assert identify("snli", [(dict(reversed(pair.items())), 2)]) == ["snli/1677d8e265f94a9b"]


def test_task_field_and_text_are_part_of_the_id() -> None:
    cases = [("a", "f", "x"), ("b", "f", "x"), ("a", "g", "x"), ("a", "f", "X")]
    ids = [identify(task, [({field: text}, 0)])[0].split("/")[1] for task, field, text in cases]
    assert len(set(ids)) == 4


def test_repetitions_are_counted_by_label_then_in_order() -> None:
    rows: list[RawRow] = [
        ({"text": "x"}, 1),
        ({"text": "y"}, 0),
        ({"text": " x "}, 0),
        ({"text": "x"}, 0),
    ]
    base = identify("t", rows[:1])[0]
    assert identify("t", rows) == [f"{base}-2", identify("t", rows[1:2])[0], base, f"{base}-1"]


@given(row_lists, st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(rows: list[RawRow], rng: random.Random) -> None:
    examples = make_examples("t", rows)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert make_examples("t", shuffled) == examples
    assert digest(make_examples("t", shuffled)) == digest(examples)


@given(row_lists)
def test_every_row_becomes_one_example_with_an_id_of_its_own(rows: list[RawRow]) -> None:
    examples = make_examples("t", rows)
    assert len({example.id for example in examples}) == len(rows)
    assert [example.id for example in examples] == sorted(example.id for example in examples)
    assert Counter((example.fields["text"], example.label) for example in examples) == Counter(
        (clean(fields["text"]), label) for fields, label in rows
    )
    assert sorted(identify("t", rows)) == [example.id for example in examples]


@given(row_lists)
def test_every_text_has_exactly_one_uncounted_id(rows: list[RawRow]) -> None:
    uncounted = [identity for identity in identify("t", rows) if "-" not in identity]
    assert len(uncounted) == len({normal_form(fields["text"]) for fields, _ in rows})


@given(st.integers(2, 4), st.integers(1, 30), st.integers(0, 2**31))
def test_the_pick_is_balanced_smallest_and_sorted(classes: int, total: int, seed: int) -> None:
    examples = make_examples("t", rows_of(40 * classes, classes))
    random.Random(seed).shuffle(examples)
    picked = pick_balanced(examples, total, classes)
    counts = [sum(example.label == label for example in picked) for label in range(classes)]
    assert sum(counts) == total
    assert max(counts) - min(counts) <= 1
    # What cannot be divided equally goes to the first labels.
    assert counts == sorted(counts, reverse=True)
    assert [example.id for example in picked] == sorted(example.id for example in picked)
    for label in range(classes):
        mine = sorted(example.id for example in examples if example.label == label)
        assert [example.id for example in picked if example.label == label] == mine[: counts[label]]


def test_a_thousand_over_three_classes_is_334_333_333() -> None:
    picked = pick_balanced(make_examples("t", rows_of(1200, 3)), 1000, 3)
    assert Counter(example.label for example in picked) == {0: 334, 1: 333, 2: 333}


def test_a_repetition_is_never_picked() -> None:
    examples = make_examples("a-task", rows_of(10) + rows_of(10) + rows_of(6))
    picked = pick_balanced(examples, 10, 2)
    assert len({example.fields["text"] for example in picked}) == 10
    with pytest.raises(
        UsageError,
        match=r"6 examples of label 0 are needed for 12 balanced ones, but the data hold only 5",
    ):
        pick_balanced(examples, 12, 2)


def test_without_folds_case_and_white_space_and_ignores_labels() -> None:
    examples = make_examples(
        "t", [({"text": text}, 0) for text in ("One  film", "two films", "three")]
    )
    others = make_examples("t", [({"text": "ONE film "}, 1)])
    assert {example.fields["text"] for example in without(examples, others, [])} == {
        "two films",
        "three",
    }
    assert without(examples) == examples


def test_pairs_are_equal_only_if_both_fields_are() -> None:
    a, b = make_examples(
        "t", [({"premise": "x", "hypothesis": "y"}, 0), ({"premise": "y", "hypothesis": "x"}, 0)]
    )
    assert without([a], [b]) == [a]


def test_the_digest_sees_ids_labels_texts_and_order() -> None:
    one, two = make_examples("t", rows_of(2))
    changed = [
        [two, one],
        [one],
        [Example(one.id + "0", one.fields, one.label), two],
        [Example(one.id, one.fields, 1 - one.label), two],
        [Example(one.id, {"text": "other"}, one.label), two],
        [Example(one.id, {"other": one.fields["text"]}, one.label), two],
    ]
    digests = {digest(examples) for examples in changed} | {digest([one, two])}
    assert len(digests) == len(changed) + 1
