"""The check of splits after loading: one sentence a fault, and nothing said of good data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from robench import TASKS, DataSource, Example, Splits, Task, UsageError, make_examples
from robench.tasks.checks import check_splits
from robench.tasks.frozen import digest
from robench.testing import opinions  # noqa: F401


class Films(Task):
    labels = ("bad", "good")
    attackable = "text"
    max_tokens = 16

    def load(self, source: DataSource, **_: Any) -> Splits:
        raise NotImplementedError


class Pairs(Films):
    fields = ("premise", "hypothesis")
    attackable = "hypothesis"


def part(name: str, size: int = 6) -> list[Example]:
    return make_examples("films", [({"text": f"{name} {n}"}, n % 2) for n in range(size)])


def digest_of(examples: list[Example]) -> str:
    """Return the digest; examples of wrong types have none."""
    try:
        return digest(examples)
    except TypeError:
        return "d"


def splits_of(**parts: list[Example]) -> Splits:
    made = {name: part(name) for name in ("train", "dev", "test")} | parts
    return Splits(
        train=made["train"],
        dev=made["dev"],
        test=made["test"],
        train_pool="train",
        test_name="t",
        digest=digest_of(made["test"]),
        origin="o",
    )


def fault(splits: Splits, task: type[Task] = Films, *, training: bool = True) -> str:
    with pytest.raises(UsageError) as error:
        check_splits("films", task, splits, training=training)
    sentence = str(error.value)
    assert sentence.startswith("The data of task 'films' cannot be used. ")
    return sentence


def changed(name: str, **values: Any) -> dict[str, list[Example]]:
    """Return the part ``name`` with its second example changed."""
    first, second, *rest = part(name)
    return {name: [first, replace(second, **values), *rest]}


@pytest.mark.parametrize("name", ["mini-reviews", "toy-opinions", "toy-pairs"])
def test_a_task_that_ships_with_robench_has_no_fault(name: str) -> None:
    task = TASKS.get(name)
    check_splits(name, task, task().load(DataSource(hub=False)))


def test_good_splits_have_no_fault() -> None:
    check_splits("films", Films, splits_of())


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (None, "that is no whole number (int) (the first: {id}: None)"),
        ("good", "that is no whole number (int) (the first: {id}: 'good')"),
        (True, "that is no whole number (int) (the first: {id}: True)"),
        (1.0, "that is no whole number (int) (the first: {id}: 1.0)"),
        ([1], "that is no whole number (int) (the first: {id}: [1])"),
        (-1, "outside 0 … 1 (the first: {id}: -1). Label -1 often means 'no label'"),
        (7, "outside 0 … 1 (the first: {id}: 7). A label is an index"),
    ],
)
@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_a_wrong_label_is_named_with_its_example(name: str, label: Any, said: str) -> None:
    parts = changed(name, label=label)
    expected = f"1 {name} example has a label {said.format(id=parts[name][1].id)}"
    assert expected in fault(splits_of(**parts))


def test_labels_from_one_are_recognised() -> None:
    shifted = [replace(example, label=example.label + 1) for example in part("test")]
    sentence = fault(splits_of(test=shifted))
    assert "3 test examples have a label outside 0 … 1" in sentence
    assert "begin at 1: subtract 1." in sentence


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ((), "It has 0 labels (none); at least two are needed."),
        (("good",), "It has 1 label (good)"),
        (("good", "good"), "the name 'good' twice"),
        (("good", 1), "must be texts"),
    ],
)
def test_the_names_of_labels_are_checked(labels: Any, said: str) -> None:
    task = type("Bad", (Films,), {"labels": labels})
    assert said in fault(splits_of(), task)


def test_training_needs_two_labels_and_every_judged_one() -> None:
    one = [example for example in part("train") if example.label == 0]
    assert "All training examples have the same label" in fault(splits_of(train=one))
    three = type("Three", (Films,), {"labels": ("bad", "good", "odd")})
    odd = changed("test", label=2)
    assert "Label 'odd' has 1 test example and no training example." in fault(
        splits_of(**odd), three
    )
    check_splits("films", three, splits_of(**odd), training=False)


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_an_empty_split_that_is_needed_is_refused(name: str) -> None:
    assert f"The split '{name}' is empty." in fault(splits_of(**{name: []}))


def test_without_training_only_the_test_examples_are_needed() -> None:
    check_splits("films", Films, splits_of(train=[], dev=[]), training=False)
    assert "The split 'test' is empty." in fault(splits_of(test=[]), training=False)


def test_repeated_ids_are_named_within_and_across_splits() -> None:
    test = part("test")
    assert f"'{test[0].id}', in test)" in fault(splits_of(test=[test[0], *test]))
    leaked = changed("train", id=test[0].id)
    sentence = fault(splits_of(**leaked))
    assert f"1 ids occur more than once, also across splits (the first: '{test[0].id}'" in sentence
    assert "in train and test" in sentence


@pytest.mark.parametrize("identity", [None, "", 3])
def test_an_id_is_a_text(identity: Any) -> None:
    assert "1 ids are no texts or empty" in fault(splits_of(**changed("dev", id=identity)))


def test_an_unsorted_test_split_is_refused() -> None:
    first, second, *rest = part("test")
    assert f"not sorted by id (the first: '{first.id}')" in fault(
        splits_of(test=[second, first, *rest])
    )
    # The order of the other splits makes no difference.
    check_splits("films", Films, splits_of(train=part("train")[::-1]))


@pytest.mark.parametrize("name", ["train", "dev"])
def test_a_test_text_in_training_data_is_refused_whatever_its_case(name: str) -> None:
    text = part("test")[0].fields["text"].upper()
    parts = changed(name, fields={"text": text})
    said = f"1 {name} example has a text that is also a test text (the first: {parts[name][1].id})"
    assert said in fault(splits_of(**parts))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"body": "x"}, "other fields than text (in this order) (the first: {id}: body)"),
        ({"text": "x", "title": "y"}, "other fields than text"),
        ({}, "other fields than text (in this order) (the first: {id}: none)"),
        ({"text": None}, "a field that is no text (str) (the first: {id}: text = None)"),
        ({"text": 5}, "a field that is no text (str)"),
        ({"text": "half \ud83d of one"}, "no valid Unicode"),
    ],
)
@pytest.mark.parametrize("name", ["train", "test"])
def test_wrong_fields_are_named(name: str, fields: Mapping[str, Any], said: str) -> None:
    parts = changed(name, fields=fields)
    assert said.format(id=parts[name][1].id) in fault(splits_of(**parts))


def test_declared_fields_must_all_be_there_in_order() -> None:
    def pairs(make: Callable[[int], dict[str, str]]) -> Splits:
        return splits_of(
            **{
                name: make_examples(name, [(make(n) | {}, n % 2) for n in range(base, base + 4)])
                for name, base in (("train", 0), ("dev", 10), ("test", 20))
            }
        )

    check_splits("films", Pairs, pairs(lambda n: {"premise": f"p{n}", "hypothesis": f"h{n}"}))
    turned = pairs(lambda n: {"hypothesis": f"h{n}", "premise": f"p{n}"})
    assert "4 test examples have other fields than premise, hypothesis" in fault(turned, Pairs)
    assert "other fields than premise, hypothesis" in fault(splits_of(), Pairs)


def test_the_attackable_field_must_be_there_even_if_no_field_is_declared() -> None:
    task = type("Other", (Films,), {"attackable": "body"})
    assert "other fields than text, body" in fault(splits_of(), task)


def test_several_faults_give_a_sentence_each() -> None:
    sentence = fault(splits_of(dev=[], **changed("train", label=9), **changed("test", label=None)))
    assert "The split 'dev' is empty." in sentence
    assert "1 train example has a label outside" in sentence
    assert "1 test example has a label that is no whole number" in sentence


@pytest.mark.slow
def test_half_a_million_pairs_take_seconds_only() -> None:
    rows = [({"premise": f"A man {n}.", "hypothesis": f"Some é {n}."}, n % 2) for n in range(1000)]
    few = make_examples("films", rows)
    many = [replace(few[n % 1000], id=f"films/{n}") for n in range(550_000)]
    other = [
        replace(each, fields={name: f"other {text}" for name, text in each.fields.items()})
        for each in few
    ]
    renamed = [replace(each, id=f"test/{each.id}") for each in other]
    dev = [replace(each, id=f"dev/{each.id}") for each in few]
    start = time.perf_counter()
    check_splits("films", Pairs, splits_of(train=many, dev=dev, test=renamed))
    assert time.perf_counter() - start < 10


def test_the_digest_must_be_that_of_the_test_examples() -> None:
    assert "Its 'digest' is not that of its test examples" in fault(
        replace(splits_of(), digest="0" * 64)
    )
