"""A function is asked in batches, once a text, and its answers are checked."""

from __future__ import annotations

import gc
import re
import signal
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from given_cases import make_job

from robench import ATTACKS, Example
from robench._base.errors import RobenchError, UsageError
from robench.models.given import answers, function_texts
from robench.models.given.function import FunctionVictim
from robench.models.health_checks import check_victim
from robench.search.attack import Verdict
from robench.search.engine import run
from robench.search.packing import choose_shapes
from robench.search.settings import SearchSettings
from robench.search.texts import pooled_probs
from robench.search.whitebox import check_access

LABELS = ("negative", "positive")
ONE = np.ones(1, dtype=np.int32)


class Counting:
    """Says positive where a text has more good words than bad ones, and notes its calls."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []

    def __call__(self, texts: list[Any]) -> list[list[float]]:
        self.calls.append(list(texts))
        return [self.one(text if isinstance(text, str) else text[1]) for text in texts]

    def one(self, text: str) -> list[float]:
        words = text.lower().split()
        score = sum(word in ("good", "great") for word in words)
        score -= sum(word in ("bad", "awful", "nice") for word in words)
        positive = 1 / (1 + np.exp(-score - 0.5))
        return [1 - positive, positive]

    @property
    def texts(self) -> list[Any]:
        return [text for call in self.calls for text in call]


def victim(predict: Callable[[list[Any]], Any], **rest: Any) -> FunctionVictim:
    fields = rest.pop("fields", ("text",))
    return FunctionVictim(predict, LABELS, fields, "text", "mine", **rest)


def trials(asked: FunctionVictim, jobs: Sequence[Any], attack: str = "pwws", **rest: Any) -> Any:
    chosen = ATTACKS.get(attack)
    return list(run(asked, chosen(chosen.Options()), attack, jobs, SearchSettings(**rest)))


def test_texts_and_pairs_arrive_as_they_are() -> None:
    single, both = Counting(), Counting()
    text = 'A  "good" film,\nisn\'t it?'
    probs = victim(single).probs_of_texts([{"text": text}])
    assert single.calls == [[text]]
    np.testing.assert_allclose(probs, [single.one(text)], rtol=1e-6)
    victim(both, fields=("premise", "text")).probs_of_texts([{"text": "b", "premise": "a"}])
    assert both.calls == [[("a", "b")]]


def test_a_search_finds_what_fools_the_function_and_asks_each_text_once() -> None:
    predict = Counting()
    jobs = [make_job({"text": f"A good film , number {n}"}, "text", 1, number=n) for n in range(20)]
    found = trials(victim(predict), jobs)
    assert {trial.verdict for trial in found} == {Verdict.FOOLED}
    assert found[0].changes[0].substitute == "nice"
    assert len(predict.texts) == len(set(predict.texts))
    assert max(map(len, predict.calls)) <= 64
    # Only texts of the examples are asked, and no row that fills a batch.
    assert all(re.search(r"number \d+$|\[UNK\]", text) for text in predict.texts)


def test_a_genetic_search_and_pairs_work() -> None:
    predict = Counting()
    texts = {"premise": "bad bad", "text": "The good film"}
    (trial,) = trials(
        victim(predict, fields=("premise", "text")), [make_job(texts, "text", 1)], "genetic"
    )
    assert trial.verdict == Verdict.FOOLED
    assert {first for first, _ in predict.texts} == {"bad bad"}


def test_columns_are_put_into_the_order_of_the_tasks_labels() -> None:
    three, texts = ("a", "b", "c"), [{"text": "one"}, {"text": "two"}]

    def predict(texts: list[Any]) -> list[list[float]]:
        return [[0.5, 0.3, 0.2]] * len(texts)

    ordered = FunctionVictim(predict, three, ("text",), "text", "mine", order=(2, 0, 1))
    assert ordered.order == (2, 0, 1)
    np.testing.assert_allclose(ordered.probs_of_texts(texts), [[0.2, 0.5, 0.3]] * 2, rtol=1e-6)
    row = ordered.read(texts[0])
    logits = ordered.logits(row.ids[None], ONE)
    np.testing.assert_allclose(np.exp(logits), [[0.2, 0.5, 0.3]], rtol=1e-6)
    assert victim(Counting()).order == (0, 1)


def test_a_wrong_shape_names_the_labels_in_the_order_of_the_columns() -> None:
    turned = victim(lambda texts: [0.5] * len(texts), order=(1, 0))
    with pytest.raises(RobenchError, match=r"a column for each of positive, negative, but"):
        turned.probs_of_texts([{"text": "one"}])


def test_calls_have_at_most_batch_size_texts() -> None:
    predict = Counting()
    texts = [{"text": f"film {number}"} for number in range(7)]
    assert victim(predict, batch_size=3).probs_of_texts(texts).shape == (7, 2)
    assert list(map(len, predict.calls)) == [3, 3, 1]
    assert victim(predict).probs_of_texts([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            [[0.5, 0.3, 0.2]],
            "an array of shape (1, 2): a row for each text, a column for each of negative, "
            "positive, but it returned shape (1, 3)",
        ),
        ([0.5], "an array of shape (1, 2): a row for each text, a column for each of negative, "
                "positive, but it returned shape (1,)"),
        ([[0.5, float("nan")]], "finite numbers, but it returned NaN or infinite numbers"),
        ([[1.5, -0.5]], "probabilities, but it returned the negative number -0.5"),
        ([[0.2, 0.2]], "probabilities that sum to 1, but it returned a row with the sum 0.4"),
        ("positive", "an array of shape (1, 2), but it returned str, which is no array"),
        (None, "an array of shape (1, 2): a row for each text, a column for each of negative, "
               "positive, but it returned shape ()"),
    ],
)  # fmt: skip
def test_wrong_answers_are_named(answer: object, sentence: str) -> None:
    expected = f"The function 'mine' must return {sentence}."
    with pytest.raises(RobenchError, match=f"^{re.escape(expected)}$"):
        victim(lambda texts: answer).probs_of_texts([{"text": "a"}])


def test_a_zero_is_a_probability_and_a_sum_may_be_rounded() -> None:
    found = victim(lambda texts: [[0.0, 1.0005]]).probs_of_texts([{"text": "a"}])
    np.testing.assert_allclose(found, [[0, 1]], atol=1e-12)
    single = victim(lambda texts: np.array([[0, 1]], dtype=np.float16))
    assert np.isfinite(single.logits(single.read({"text": "a"}).ids[None], ONE)).all()


def test_two_answers_for_one_text_are_found_in_spite_of_the_memory() -> None:
    draw = np.random.default_rng(0)

    def drawn(texts: list[str]) -> Any:
        share = draw.uniform(0.1, 0.9, size=(len(texts), 1))
        return np.hstack([share, 1 - share])

    examples = [Example(f"t/{n}", {"text": f"film {n}"}, n % 2) for n in range(4)]
    with pytest.raises(RobenchError, match=r"probabilities when asked twice\. Take sampling"):
        check_victim(victim(drawn), examples)
    flags = check_victim(victim(Counting()), examples)
    assert [flag.name for flag in flags] == ["chance", "one-class"]


def test_the_answers_of_the_check_are_kept_for_the_search() -> None:
    predict = Counting()
    asked = victim(predict, batch_size=2)
    texts = [{"text": text} for text in ("good", "bad", "good film")]
    first = asked.probs_of_texts(texts)
    assert (asked.probs_of_texts(texts) == first).all()
    assert len(predict.texts) == 6
    found = np.concatenate([asked.logits(asked.read(text).ids[None], ONE) for text in texts])
    np.testing.assert_allclose(np.exp(found), first, rtol=1e-6)
    assert len(predict.texts) == 6


def test_the_memory_is_bounded_after_a_check_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MEMORY_LIMIT", 2)
    predict = Counting()
    asked = victim(predict, batch_size=1)
    assert asked.probs_of_texts([{"text": text} for text in "abcd"]).shape == (4, 2)
    for text in "da":
        asked.logits(asked.read({"text": text}).ids[None], ONE)
    assert predict.texts == [*"abcd", "a"]


def test_an_exception_costs_only_its_examples() -> None:
    predict = Counting()

    def failing(texts: list[str]) -> Any:
        if any("number 3" in text for text in texts):
            raise OSError("no connection")
        return predict(texts)

    jobs = [make_job({"text": f"A good film number {n}"}, "text", 1, number=n) for n in range(6)]
    found = {trial.id: trial for trial in trials(victim(failing), jobs)}
    bad = found.pop("given/3")
    assert bad.verdict == Verdict.ERROR
    assert bad.problem == (
        "the victim failed on the clean text: RobenchError: "
        "The function 'mine' failed: OSError: no connection"
    )
    assert {trial.verdict for trial in found.values()} == {Verdict.FOOLED}


def test_ctrl_c_ends_the_run() -> None:
    def interrupted(texts: list[str]) -> Any:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trials(victim(interrupted), [make_job({"text": "good"}, "text", 1)])


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_function_that_wants_to_exit_ends_no_run(end: type[BaseException]) -> None:
    def exiting(texts: list[str]) -> Any:
        raise end(0)

    (trial,) = trials(victim(exiting), [make_job({"text": "good"}, "text", 1)])
    assert trial.verdict == Verdict.ERROR
    assert f"{end.__name__}: 0" in str(trial.problem)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MEMORY_LIMIT", 3)
    predict = Counting()
    asked = victim(predict)

    for text in ("a", "b", "c", "a", "d", "a", "b"):
        asked.logits(asked.read({"text": text}).ids[None], ONE)
    # "b" was the oldest when "d" came.
    assert predict.texts == ["a", "b", "c", "d", "b"]


def test_texts_are_forgotten_with_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_texts, "RECENT", 1)
    asked = victim(Counting())
    row = asked.read({"text": "a"})
    assert asked.read({"text": "a"}).ids.tolist() == row.ids.tolist()
    number = int(row.ids[0])
    assert asked.logits(np.array([[number]]), ONE).shape == (1, 2)
    del row
    asked.read({"text": "b"})
    gc.collect()
    with pytest.raises(KeyError):
        asked.logits(np.array([[number]]), ONE)


def test_shapes_are_chosen_without_a_call() -> None:
    predict = Counting()
    asked = victim(predict)
    shapes, remark = choose_shapes(asked, "fp32", asked.vocabulary)
    assert (shapes.exact, remark, predict.calls) == (True, None, [])


def test_single_texts_can_be_asked_as_in_a_search() -> None:
    predict = Counting()
    found = pooled_probs(victim(predict), [{"text": "good [UNK]  film"}, {"text": "bad"}])
    np.testing.assert_allclose(found, [predict.one("good"), predict.one("bad")], rtol=1e-6)
    assert sorted(predict.texts) == ["bad", "good [UNK]  film"]


def test_gradients_and_workers_are_refused() -> None:
    asked = victim(Counting())
    with pytest.raises(UsageError, match="needs the victim's gradients, which robench has only"):
        check_access(ATTACKS.get("convex-hull")(), "convex-hull", asked)
    assert not asked.portable


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"predict": 3}, "'mine' is int, which cannot be called."),
        ({"labels": ["a"]}, "The labels of function 'mine' must be a list of at least two"),
        ({"labels": "ab"}, "The labels of function 'mine' must be a list of at least two"),
        ({"attackable": "other"}, "The function 'mine' gets the fields text, and the attackable"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0."),
        ({"order": (0,)}, "The order of the columns of function 'mine' must hold each of the"),
        ({"order": (1, 1)}, "The order of the columns of function 'mine' must hold each of the"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {
        "predict": Counting(),
        "labels": LABELS,
        "fields": ("text",),
        "attackable": "text",
        "name": "mine",
    }
    with pytest.raises(UsageError, match=f"^{re.escape(sentence)}"):
        FunctionVictim(**given | change)


def test_the_identity_makes_the_hash() -> None:
    one, other = (victim(Counting(), identity=name) for name in ("v1", "v2"))
    assert one.sha256 != other.sha256
    assert victim(Counting(), identity="v1").sha256 == one.sha256
    assert victim(Counting()).sha256 == ""


def drawn_answers(seed: int = 0) -> Callable[[list[str]], Any]:
    """Return a function that gives a text another answer each time."""
    draw = np.random.default_rng(seed)

    def drawn(texts: list[str]) -> Any:
        share = draw.uniform(0.1, 0.9, size=(len(texts), 1))
        return np.hstack([share, 1 - share])

    return drawn


def test_a_random_function_is_judged_by_the_mean_of_its_draws() -> None:
    asked = victim(drawn_answers(), draws=3, batch_size=2)
    texts = [{"text": f"film {number}"} for number in range(5)]
    found = asked.probs_of_texts(texts)
    # Each part of two texts is asked three times before the next one.
    draw, expected = np.random.default_rng(0), []
    for size in (2, 2, 1):
        expected.append(np.mean([draw.uniform(0.1, 0.9, size=size) for _ in range(3)], axis=0))
    np.testing.assert_allclose(found[:, 0], np.concatenate(expected), rtol=1e-6)
    assert asked.answers.asked == 15
    # A text keeps its answer, so that search and verdict agree.
    assert (asked.probs_of_texts(texts) == found).all()
    again = np.concatenate([asked.logits(asked.read(text).ids[None], ONE) for text in texts])
    np.testing.assert_allclose(np.exp(again), found, rtol=1e-6)
    assert asked.answers.asked == 15
    assert (asked.draws, asked.forwards_per_row, asked.row_cost(texts)) == (3, 3, 3.0)


def test_the_check_accepts_a_random_function_with_draws() -> None:
    examples = [Example(f"t/{n}", {"text": f"film {n}"}, n % 2) for n in range(40)]
    flags = check_victim(victim(drawn_answers(), draws=4), examples)
    assert "chance" in [flag.name for flag in flags]


def test_no_draws_are_refused() -> None:
    with pytest.raises(UsageError, match="draws must be at least 1"):
        victim(drawn_answers(), draws=0)
