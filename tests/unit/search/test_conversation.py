"""Tests of the talk between a search and the core, without an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim
from greenlet import GreenletExit, getcurrent
from oracle_cases import JOB, WEIGHTS, choices, make_oracle

from robench import Attack, BudgetSpent, Choice, FreeAttack, Oracle, SearchSpace, TextOracle
from robench.search import conversation
from robench.search.access import Access
from robench.search.conversation import Ending, search_space, search_texts
from robench.search.handles import SearchOracle, TextSearchOracle, plain_text
from robench.search.oracle import MAX_REFUSALS, MAX_ROWS, PooledOracle, SpaceExhausted
from robench.search.texts import PooledTextOracle
from robench.search.whitebox import PooledWhiteBoxOracle, white_box

RNG = np.random.default_rng


class Doing(Attack):
    def __init__(self, do: Callable[[Any, Any], object]) -> None:
        super().__init__()
        self._do = do

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        return self._do(space, oracle)  # type: ignore[return-value]


def talk(
    do: Callable[[Any, Any], object],
    *,
    access: Access = "probabilities",
    budget: int | None = None,
    victim: FakeVictim | None = None,
) -> tuple[Ending, PooledOracle]:
    """Run a search on the job of ``oracle_cases``."""
    victim = victim or FakeVictim(WEIGHTS)
    if access == "gradients":
        candidates = victim.encoder_fields.candidates(JOB.words, JOB.space, JOB.example.fields)
        oracle: PooledOracle = PooledWhiteBoxOracle(
            victim,
            JOB.space,
            candidates,
            0,
            lambda of, ids, lengths: victim.logits(ids, lengths),
            budget,
            aligned=True,
            longest=300,
        )
    else:
        oracle, _ = make_oracle(victim, budget=budget)
    return search_space(Doing(do), JOB.space, oracle, access, 0, RNG(0)), oracle


def test_answers_are_those_of_the_oracle_and_what_is_returned_is_the_claim() -> None:
    answers = []

    def do(space: SearchSpace, oracle: Oracle) -> object:
        rows = choices([0, 0, 0], [1, 0, 1])
        answers.append((oracle.logits(rows), oracle.probs(rows)))
        answers.append(
            (
                oracle.logits_without(rows[0], np.array([1])),
                oracle.probs_without(rows[0], np.array([1])),
            )
        )
        return rows[1]

    ending, oracle = talk(do)
    other, _ = make_oracle(FakeVictim(WEIGHTS))
    rows = choices([0, 0, 0], [1, 0, 1])
    assert answers[0][0].tolist() == other.logits(rows).tolist()
    assert answers[0][1].tolist() == other.probs(rows).tolist()
    assert answers[1][0].tolist() == other.logits_without(rows[0], np.array([1])).tolist()
    assert answers[1][1].tolist() == other.probs_without(rows[0], np.array([1])).tolist()
    assert ending.reason == "returned"
    assert ending.claim is not None
    assert np.asarray(ending.claim.value).tolist() == [1, 0, 1]
    assert (oracle.asked, oracle.forwarded) == (6, 3)


def test_lists_are_choices_too() -> None:
    ending, oracle = talk(lambda space, oracle: oracle.logits([[0, 0, 0]]) is None)
    assert oracle.asked == 1
    assert ending.claim is not None
    assert ending.claim.problem is not None


def test_the_space_that_a_search_holds_is_equal_and_its_own() -> None:
    spaces: list[SearchSpace] = []
    talk(lambda space, oracle: spaces.append(space))
    assert spaces == [JOB.space]
    assert spaces[0] is not JOB.space
    assert spaces[0].sizes is not JOB.space.sizes


@pytest.mark.parametrize("method", ["logits", "probs"])
def test_with_labels_the_core_sends_labels(method: str) -> None:
    def do(space: SearchSpace, oracle: Oracle) -> object:
        answers.append(getattr(oracle, method)(choices([0, 0, 0], [1, 0, 1])).tolist())
        # Past the handle it is the same.
        answers.append(getcurrent().parent.switch((method, choices([0, 0, 0]))).tolist())
        return None

    answers: list[Any] = []
    talk(do, access="labels")
    assert answers == [[[1, 0], [0, 1]], [[1, 0]]]


@pytest.mark.parametrize("access", ["probabilities", "labels"])
def test_gradients_are_answered_only_where_they_were_declared(access: Access) -> None:
    def do(space: SearchSpace, oracle: Oracle) -> object:
        with pytest.raises(TypeError, match="must declare access = 'gradients'"):
            white_box(oracle)
        core = getcurrent().parent
        answers.append(core.switch(("hull_from", 0, 1, 1.0, "margin")))
        answers.append(core.switch(("gradient_norms", np.zeros(3, np.int16))))
        return None

    answers: list[Any] = []
    ending, oracle = talk(do, access=access)
    assert ending.reason == "returned"
    assert [type(answer) for answer in answers] == [ValueError, ValueError]
    assert oracle.asked == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((-(10**6), 1.0), "1 to 1,000,000 steps"),
        ((0, 1.0), "1 to 1,000,000 steps"),
        ((10**9, 1.0), "1 to 1,000,000 steps"),
        ((1, float("nan")), "a learning rate is a positive number"),
        ((1, float("inf")), "a learning rate is a positive number"),
        ((1, -1.0), "a learning rate is a positive number"),
        ((1, 1.0, "nonsense" * 1000), "an objective is margin or cross-entropy"),
    ],
)
def test_a_hull_that_makes_no_sense_is_refused_and_charges_nothing(
    arguments: tuple[Any, ...], sentence: str
) -> None:
    """Negative steps would give queries back."""

    def do(space: SearchSpace, oracle: Any) -> object:
        oracle.logits(choices([0, 0, 0]))
        return oracle.hull(RNG(0), *arguments)

    ending, oracle = talk(do, access="gradients")
    assert ending.reason == "failed"
    assert sentence in (ending.problem or "")
    assert oracle.asked == 1


def test_a_query_of_too_many_rows_is_refused_before_it_is_copied() -> None:
    many = np.broadcast_to(np.zeros((1, 3), np.int16), (10**9, 3))
    places = np.broadcast_to(np.intp(0), (10**8,))
    for do in (
        lambda space, oracle: oracle.logits(many),
        lambda space, oracle: getcurrent().parent.switch(("logits", many)) and None,
        lambda space, oracle: oracle.logits_without(many[0], places),
    ):
        ending, oracle = talk(do)
        assert oracle.asked == 0
        assert ending.reason == "returned" or f"at most {MAX_ROWS:,}" in (ending.problem or "")


def test_the_end_of_the_budget_and_of_the_space() -> None:
    def do(space: SearchSpace, oracle: Oracle) -> object:
        for first in range(3):
            for last in range(2):
                oracle.logits(choices([first, 0, last]))
        return None

    ending, _ = talk(do, budget=2)
    assert ending == Ending("budget")
    robust = FakeVictim(WEIGHTS, bias=(100, 0))
    ending, oracle = talk(do, victim=robust)
    assert (ending, oracle.exhausted) == (Ending("exhausted"), True)


def test_a_search_may_return_after_its_budget() -> None:
    def do(space: SearchSpace, oracle: Oracle) -> object:
        try:
            while True:
                oracle.logits(choices([1, 0, 0]))
        except BudgetSpent:
            return choices([1, 0, 1])[0]

    ending, oracle = talk(do, budget=3)
    assert (ending.reason, oracle.asked) == ("returned", 3)
    assert ending.claim is not None
    assert np.asarray(ending.claim.value).tolist() == [1, 0, 1]


def test_a_search_that_swallows_its_end_is_told_so_a_hundred_times_and_left() -> None:
    heard = []

    def do(space: SearchSpace, oracle: Oracle) -> object:
        while True:
            try:
                oracle.logits(choices([1, 0, 0]))
            except BaseException as error:
                heard.append(type(error).__name__)

    ending, oracle = talk(do, budget=1)
    assert (ending, oracle.asked) == (Ending("budget"), 1)
    assert heard[:-4] == ["BudgetSpent"] * (1 + MAX_REFUSALS)
    # In the end it is told to go, three times, and then left standing.
    assert heard[-4:] == ["StopIgnored", *["GreenletExit"] * 3]
    assert len(conversation._left_standing) >= 1


def test_the_clean_up_of_a_search_that_is_ended_runs() -> None:
    cleaned = []

    def do(space: SearchSpace, oracle: Oracle) -> object:
        try:
            while True:
                try:
                    oracle.logits(choices([1, 0, 0]))
                except Exception:
                    continue
        finally:
            cleaned.append(True)

    talk(do, budget=1)
    assert cleaned == [True]


def test_exceptions_of_the_oracle_lead_to_no_frame_of_the_core() -> None:
    files = set()

    def do(space: SearchSpace, oracle: Oracle) -> object:
        for rows in (choices([9, 0, 0]), np.zeros((1, 9), np.int16), choices([0, 0, 0])):
            try:
                oracle.logits(rows)
            except Exception as error:
                trace = error.__traceback__
                while trace is not None:
                    files.add(trace.tb_frame.f_code.co_filename.rpartition("/")[2])
                    trace = trace.tb_next
                assert error.__cause__ is None  # noqa: PT017
                assert error.__context__ is None  # noqa: PT017
        return None

    def fails(*_: object) -> np.ndarray:
        raise MemoryError("too long")

    victim = FakeVictim(WEIGHTS)
    victim.logits = fails  # type: ignore[method-assign,assignment]
    talk(do, victim=victim)
    assert files == {"test_conversation.py", "handles.py"}


@pytest.mark.parametrize(
    "error", [ValueError("lost"), SystemExit(0), GreenletExit(), SpaceExhausted]
)
def test_what_a_search_raises_is_its_end(error: Any) -> None:
    def do(space: SearchSpace, oracle: Oracle) -> object:
        raise error

    ending, oracle = talk(do)
    assert ending.reason == ("exhausted" if error is SpaceExhausted else "failed")
    assert not oracle.exhausted


class Rewriting(FreeAttack):
    def __init__(self, do: Callable[[TextOracle], object]) -> None:
        super().__init__()
        self._do = do

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        return self._do(oracle)  # type: ignore[return-value]


def write(do: Callable[[Any], object], budget: int | None = 7) -> tuple[Ending, PooledTextOracle]:
    victim = FakeVictim(WEIGHTS)
    oracle = PooledTextOracle(
        victim, JOB, lambda of, ids, lengths: victim.logits(ids, lengths), budget
    )
    return search_texts(Rewriting(do), "a b c", oracle, budget, 0, RNG(0)), oracle


def test_texts_are_answered_and_the_budget_is_shown() -> None:
    seen = []

    def do(oracle: TextOracle) -> object:
        seen.append((oracle.budget, oracle.probs(("a1 b", "c")).shape))
        return "a1"

    ending, oracle = write(do)
    assert seen == [(7, (2, 2))]
    assert ending.claim is not None
    assert (ending.claim.value, oracle.asked) == ("a1", 2)


def test_the_budget_that_is_shown_decides_nothing() -> None:
    def do(oracle: Any) -> object:
        object.__setattr__(oracle, "_budget", None)
        assert oracle.budget is None
        for _ in range(9):
            oracle.probs(["a1"])
        return None

    ending, oracle = write(do)
    assert (ending, oracle.asked) == (Ending("budget"), 7)


class _Text(str):
    """Is another text each time it is encoded."""

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"something else"

    def __str__(self) -> str:
        return "something else"


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["x" * 20_001], "a text of 20,001 characters; at most 20,000 are accepted"),
        (["half \ud800"], "half of a surrogate pair"),
        ([b"bytes"], "a text is a str, got bytes"),
        ([7], "a text is a str, got int"),
        ([], "a query without rows"),
        (None, "NoneType"),
    ],
)
def test_texts_that_cannot_be_asked_are_refused_and_not_charged(texts: Any, sentence: str) -> None:
    ending, oracle = write(lambda oracle: oracle.probs(texts))
    assert (ending.reason, oracle.asked) == ("failed", 0)
    assert sentence in (ending.problem or "")


def test_a_text_of_a_subclass_is_read_once() -> None:
    assert plain_text(_Text("a1")) == "a1"
    assert type(plain_text(_Text("a1"))) is str
    answers = []
    write(lambda oracle: answers.append(oracle.probs([_Text("a1"), "a1"]).tolist()))
    assert answers[0][0] == answers[0][1]


@pytest.mark.parametrize("message", [("probs", [_Text("a")]), ("probs", "a"), ("logits", ["a"])])
def test_the_core_takes_plain_texts_only(message: object) -> None:
    answers: list[Any] = []
    _, oracle = write(lambda _: answers.append(getcurrent().parent.switch(message)))
    assert type(answers[0]) is ValueError
    assert oracle.asked == 0


def test_a_handle_outside_a_search_answers_nothing() -> None:
    cases: list[tuple[Any, Any]] = [(SearchOracle(), [[0]]), (TextSearchOracle(3), ["a"])]
    for handle, query in cases:
        with pytest.raises(RuntimeError, match="inside its own search only"):
            handle.probs(query)
