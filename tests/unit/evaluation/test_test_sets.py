"""Test sets: the task's own, other tasks, and files; which of them fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from evaluation_cases import Listening
from victim_cases import planted, planted_splits

from robench import TASKS, DataSource, Example, Splits, Task
from robench._base.errors import UsageError
from robench._base.reporting import Silent
from robench.evaluation.request import build_request
from robench.evaluation.resolved import ResolvedTest
from robench.evaluation.resolved_victims import ResolvedVictim
from robench.evaluation.test_sets import (
    max_words,
    resolve_tests,
    select_examples,
    without_known_texts,
)
from robench.tasks.frozen import digest


class Own(Task):
    """The task whose victims are judged."""

    labels = ("negative", "positive")
    attackable = "text"
    max_tokens = 16
    substitutions = "mini"

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        return planted_splits()


class Turned(Own):
    """The same labels in another order, and synthetic."""

    labels = ("positive", "negative")
    synthetic = True


class Marks(Own):
    """Other labels. Its data are never read."""

    labels = ("bad", "good")

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        raise AssertionError("a test set with other labels was read")


class Renamed(Own):
    """Another field."""

    attackable = "body"

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        test = [Example(each.id, {"body": each.fields["text"]}, each.label) for each in TEST]
        return Splits([], [], test, "train", "frozen-24", digest(test), "made up")


TEST = planted("test", 24, 4)


@pytest.fixture(autouse=True)
def tasks() -> Iterator[None]:
    with (
        TASKS.temporarily("own", Own),
        TASKS.temporarily("turned", Turned),
        TASKS.temporarily("marks", Marks),
        TASKS.temporarily("renamed", Renamed),
    ):
        yield


def victim(window: int | None, train_pool: str | None = "train") -> ResolvedVictim:
    return cast("ResolvedVictim", SimpleNamespace(max_tokens=window, train_pool=train_pool))


def resolve(
    *tests: str,
    report: Listening | None = None,
    pools: Sequence[str | None] = ("train",),
    **values: Any,
) -> list[ResolvedTest]:
    request = build_request(defenses=("standard",), tasks=("own",), tests=tests, **values)
    victims = [victim(16, pool) for pool in pools]
    return resolve_tests(request, "own", Own, planted_splits(), victims, report or Silent())


def test_the_own_test_set_is_judged_where_none_is_named() -> None:
    (own,) = resolve()
    assert (own.title, own.other, own.test_name, own.limit) == ("own", None, "planted", None)
    assert (own.digest, own.total, own.file_part) == (planted_splits().digest, 24, "own")
    assert list(own.examples) == list(planted_splits().test)


def test_another_test_set_has_the_labels_of_the_task() -> None:
    own, turned = resolve("own", "turned")
    assert own.other is None
    assert (turned.other, turned.test_name, turned.synthetic) == ("turned", "turned:planted", True)
    assert (turned.title, turned.file_part) == ("own on turned", "own-on-turned")
    assert [each.label for each in turned.examples] == [1 - each.label for each in own.examples]
    assert turned.digest != own.digest


def test_a_test_set_may_be_a_file_with_fewer_labels(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("review,label\na good film,positive\none more,positive\n")
    report = Listening()
    (test,) = resolve(str(path), report=report, text_column="review")
    assert (test.other, test.total) == ("other.csv", 2)
    assert [each.label for each in test.examples] == [1, 1]
    assert {each.fields["text"] for each in test.examples} == {"a good film", "one more"}
    assert test.substitutions.name == "mini"
    assert report.phases == ["data"]


def write(path: Path, examples: Iterable[Example]) -> str:
    rows = [f"{each.fields['text'].upper()}\t{Own.labels[each.label]}" for each in examples]
    path.write_text("\n".join(["text\tlabel", *rows]) + "\n")
    return str(path)


def test_texts_that_trained_a_victim_are_left_out(tmp_path: Path) -> None:
    splits, report = planted_splits(), Listening()
    leak = write(tmp_path / "leak.tsv", [*splits.train[:6], *splits.dev[:2], *TEST[:4]])
    (test,) = resolve(leak, report=report, pools=(None, "train"))
    texts = {each.fields["text"] for each in test.examples}
    assert texts == {each.fields["text"].upper() for each in TEST[:4]}
    assert (test.total, list(test.whole), test.digest) == (
        4,
        list(test.examples),
        digest(test.whole),
    )
    assert test.test_name == "leak.tsv:frozen-4"
    assert report.messages[-1] == (
        "8 of the 12 test examples of leak.tsv are left out, because their texts are in the train "
        "or dev set of own."
    )


def test_only_victims_of_robench_leave_texts_out(tmp_path: Path) -> None:
    report = Listening()
    leak = write(tmp_path / "leak.tsv", [*planted_splits().train[:6], *TEST[:4]])
    (test,) = resolve(leak, report=report, pools=(None,))
    assert test.total == 10
    assert not any("left out" in message for message in report.messages)


def test_a_test_set_of_training_texts_is_refused(tmp_path: Path) -> None:
    leak = write(tmp_path / "leak.tsv", planted_splits().train[:6])
    sentence = r"^--test leak.tsv: every text is also in the train or dev set of 'own', with which"
    with pytest.raises(UsageError, match=sentence):
        resolve(leak)


def test_a_training_pair_is_known_in_any_order_of_its_fields() -> None:
    def pairs(*names: str) -> list[Example]:
        fields = {"a": "One two", "b": "three"}
        return [Example("x/1", {name: fields[name] for name in names}, 0)]

    own = Splits(pairs("a", "b"), [], pairs("a", "b"), "train", "x", "0" * 64, "made up")
    other = replace(own, train=[], test=pairs("b", "a"))
    with pytest.raises(UsageError, match="every text is also in the train or dev set"):
        without_known_texts("own", own, "other", other, Silent())


def test_a_limit_holds_for_every_test_set() -> None:
    tests = resolve("own", "turned", limit=4)
    assert [(len(each.examples), each.limit, each.total) for each in tests] == [(4, 4, 24)] * 2
    report = Listening()
    assert select_examples("x", TEST, 24, report) == (TEST, None)
    assert report.messages == ["x has 24 test examples, so --limit 24 has no effect."]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "marks",
            "--test marks: its labels (bad, good) are not those of 'own' (negative, positive).",
        ),
        ("renamed", "--test renamed: its fields (body) are not those of 'own' (text)."),
    ],
)
def test_a_test_set_that_does_not_fit_is_refused_with_both_lists(name: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name)
    assert sentence in str(caught.value)


def test_ids_belong_to_the_own_test_set(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("x")
    with pytest.raises(UsageError, match="--ids names test examples of 'own', which --test leaves"):
        resolve("turned", ids=tmp_path / "ids.txt")
    assert len(resolve("own", "turned", ids=tmp_path / "ids.txt")) == 2


def test_words_that_only_a_given_model_reads_have_substitutes() -> None:
    """The longest text has 9 words, and the task's window is 16 tokens."""
    short = [Example("t/1", {"text": " ".join("a" * 9)}, 0)]
    long = [Example("t/1", {"text": " ".join("a" * 40)}, 0), *short]
    for windows in ([16], [8, 16], []):
        assert max_words(Own, long, list(map(victim, windows))) == 16
    # A text that ends inside the task's window does not change the surface.
    assert max_words(Own, short, [victim(512), victim(16)]) == 16
    assert max_words(Own, long, [victim(512), victim(16)]) == 40
    assert max_words(Own, long, [victim(30)]) == 30
    assert max_words(Own, long, [victim(None)]) == 40
