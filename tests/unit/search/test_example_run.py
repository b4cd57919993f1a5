"""Tests of one example's run without the engine.

They check which queries are made for which purpose, in which order, and the resulting trial.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job
from greenlet import GreenletExit

from robench import Attack, Choice, FreeAttack, Oracle, SearchSpace, TextOracle, Trial, Verdict
from robench._base.signals import watching_signals
from robench.search.batching import Purpose
from robench.search.example_run import ExampleRun, SearchSetup, example_rng
from robench.search.jobs import Job
from robench.search.settings import SearchSettings
from robench.search.victim_protocol import TokenTypes

WORDS = ["good", "nice", "fine", "film", "the"]
JOB = make_job("good film", {"good": ["nice", "fine"]}, premise="the film")
Ids = np.ndarray[Any, np.dtype[np.int32]]


def choice_of(*row: int) -> Choice:
    return np.array(row, dtype=np.int16)


class Searching(Attack):
    """An attack that searches with a given function."""

    def __init__(self, search: Callable[[Oracle], object]) -> None:
        super().__init__()
        self._search = search

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        return self._search(oracle)  # type: ignore[return-value]


class Writing(FreeAttack):
    """Queries some texts and returns another one."""

    def __init__(self, answer: str | None, queries: Sequence[str] = ()) -> None:
        super().__init__()
        self.answer, self.queries = answer, queries

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        if self.queries:
            oracle.probs(self.queries)
        return self.answer


class FakeEngine:
    """A victim that dislikes some words and records the purpose and words of every query.

    It fails on the words of ``breaks`` for the given purpose.
    """

    def __init__(self, *disliked: str, breaks: Mapping[Purpose, str] | None = None) -> None:
        self.victim = FakeVictim(
            {word: [0, 9 if word in disliked else 0] for word in WORDS}, bias=(4, 0)
        )
        self.asked: list[tuple[Purpose, list[str]]] = []
        self._breaks = dict(breaks or {})

    def ask(
        self, purpose: Purpose, types: TokenTypes, ids: Ids, lengths: Ids
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        assert types.types(int(lengths[0])).shape == (lengths[0],)
        words = {number: word for word, number in self.victim.table.numbers.items()}
        texts = [
            " ".join(words.get(number, "?") for number in row[1 : length - 1])
            for row, length in zip(ids.tolist(), lengths.tolist(), strict=True)
        ]
        self.asked.append((purpose, texts))
        if any(self._breaks.get(purpose, "nothing") in text for text in texts):
            raise MemoryError("too long")
        return self.victim.logits(ids, lengths)

    def trial(
        self,
        attack: Attack,
        job: Job = JOB,
        budget: int | None = None,
        precision: Any = "fp32",
        at: float = 1.0,
    ) -> Trial:
        settings = SearchSettings(budget=budget, precision=precision, temperature=at)
        return ExampleRun(SearchSetup(self.victim, attack, "some", settings), job, self.ask).trial()


def test_a_search_sees_the_logits_divided_by_the_temperature() -> None:
    """Clean text, substitutes and probes alike; the trial's probabilities are the victim's own."""
    engine, seen = FakeEngine("nice"), []

    def search(oracle: Oracle) -> Choice:
        seen.append(oracle.logits(np.array([choice_of(0, 0), choice_of(1, 0)])))
        seen.append(oracle.logits_without(choice_of(0, 0), np.array([0])))
        return choice_of(1, 0)

    plain, divided = engine.trial(Searching(search)), engine.trial(Searching(search), at=8.0)
    assert divided.model_dump(exclude={"seconds"}) == plain.model_dump(exclude={"seconds"})
    assert divided.verdict == Verdict.FOOLED
    assert [each.tolist() for each in seen[2:]] == [(each / 8).tolist() for each in seen[:2]]
    assert seen[0].tolist() == [[4, 0], [4, 9]]


def test_an_attack_outside_the_surface_sees_them_divided_too() -> None:
    found = []
    for temperature in (1.0, 4.0):

        class Asking(FreeAttack):
            def rewrite(
                self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
            ) -> str | None:
                found.append(oracle.probs(["good film"])[0, 0])
                return None

        FakeEngine().trial(Asking(), at=temperature)
    assert found == pytest.approx([1 / (1 + np.exp(-4)), 1 / (1 + np.exp(-1))])


def test_a_misclassified_clean_text_is_queried_once() -> None:
    engine = FakeEngine("good")
    trial = engine.trial(Searching(lambda oracle: pytest.fail("attacked")))
    assert (trial.verdict, trial.prediction, trial.asked) == (Verdict.WRONG, 1, 0)
    assert engine.asked == [("clean", ["the film good film"])]


def test_a_success_is_queried_again_as_a_string() -> None:
    engine = FakeEngine("nice")

    def search(oracle: Oracle) -> Choice:
        oracle.logits(np.array([choice_of(0, 0), choice_of(1, 0)]))
        return choice_of(1, 0)

    trial = engine.trial(Searching(search))
    assert (trial.verdict, trial.adversarial_prediction, trial.asked, trial.forwarded) == (
        Verdict.FOOLED,
        1,
        2,
        2,
    )
    assert engine.asked == [
        ("clean", ["the film good film"]),
        # The clean text's answer is known, but it counts.
        ("search", ["the film nice film"]),
        # The words' answer is known.
        ("verdict", ["the film nice film"]),
    ]


def test_the_verdict_queries_words_that_the_search_did_not() -> None:
    engine = FakeEngine("nice")
    assert engine.trial(Searching(lambda oracle: choice_of(1, 0))).verdict == Verdict.FOOLED
    assert engine.asked[1:] == [
        ("verdict", ["the film nice film"]),
        ("verdict", ["the film nice film"]),
    ]


def test_the_verdict_queries_again_what_the_search_queried_in_bf16() -> None:
    engine = FakeEngine("nice")

    def search(oracle: Oracle) -> Choice:
        oracle.logits(choice_of(1, 0)[None])
        return choice_of(1, 0)

    assert engine.trial(Searching(search), precision="bf16").verdict == Verdict.FOOLED
    assert [purpose for purpose, _ in engine.asked] == ["clean", "search", "verdict", "verdict"]


def test_a_bf16_search_does_not_reuse_the_clean_answer() -> None:
    engine = FakeEngine()

    def search(oracle: Oracle) -> None:
        oracle.logits(choice_of(0, 0)[None])

    engine.trial(Searching(search), precision="bf16")
    assert [purpose for purpose, _ in engine.asked] == ["clean", "search"]


def test_the_clean_text_is_queried_by_its_words_if_its_string_gives_another_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine()
    honest = engine.victim.read
    monkeypatch.setattr(
        engine.victim, "read", lambda fields: honest({**fields, "text": "the " + fields["text"]})
    )

    def search(oracle: Oracle) -> None:
        oracle.logits(choice_of(0, 0)[None])

    engine.trial(Searching(search))
    assert engine.asked == [
        ("clean", ["the film the good film"]),
        ("search", ["the film good film"]),
    ]


def test_without_a_claim_there_is_no_further_query() -> None:
    engine = FakeEngine()
    trial = engine.trial(Searching(lambda oracle: None))
    assert (trial.verdict, trial.problem, len(engine.asked)) == (Verdict.HELD, None, 1)


def test_a_space_of_one_text_is_proved_by_its_clean_prediction() -> None:
    engine = FakeEngine()
    trial = engine.trial(Searching(lambda oracle: None), job=make_job("good film", {}))
    assert (trial.verdict, len(engine.asked)) == (Verdict.HELD_PROVED, 1)


@pytest.mark.parametrize(
    ("purpose", "problem", "prediction"),
    [
        ("clean", "the victim failed on the clean text: MemoryError: too long", None),
        ("search", "RuntimeError: the victim failed: MemoryError: too long", 0),
        ("verdict", "the victim failed on the returned text: MemoryError: too long", 0),
    ],
)
def test_a_victim_that_fails_is_an_error_that_names_the_stage(
    purpose: Purpose, problem: str, prediction: int | None
) -> None:
    engine = FakeEngine("nice", breaks={purpose: "film"})

    def search(oracle: Oracle) -> Choice:
        oracle.logits(choice_of(1, 0)[None])
        return choice_of(1, 0)

    trial = engine.trial(Searching(search))
    assert (trial.verdict, trial.problem, trial.prediction) == (Verdict.ERROR, problem, prediction)


def test_a_victim_that_cannot_read_the_clean_text_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(
        engine.victim, "read", lambda fields: (_ for _ in ()).throw(UnicodeError("no such letters"))
    )
    trial = engine.trial(Searching(lambda oracle: None))
    assert (trial.verdict, trial.problem) == (
        Verdict.ERROR,
        "the victim failed on the clean text: UnicodeError: no such letters",
    )
    assert engine.asked == []


@pytest.mark.parametrize(
    "end", [KeyboardInterrupt, SystemExit, GeneratorExit, GreenletExit, asyncio.CancelledError]
)
def test_exceptions_that_end_a_process_are_errors_of_the_attack_that_raises_them(
    end: type[BaseException],
) -> None:
    def search(oracle: Oracle) -> None:
        raise end("enough")

    trial = FakeEngine().trial(Searching(search))
    assert (trial.verdict, trial.problem) == (Verdict.ERROR, f"{end.__name__}: enough")


def test_what_a_signal_handler_raises_propagates() -> None:
    def search(oracle: Oracle) -> None:
        signal.raise_signal(signal.SIGINT)

    with watching_signals(), pytest.raises(KeyboardInterrupt):
        FakeEngine().trial(Searching(search))


def test_a_search_cannot_swallow_what_a_signal_handler_raises() -> None:
    heard = []

    def search(oracle: Oracle) -> Choice | None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            heard.append(True)
        return choice_of(1, 0)

    with watching_signals(), pytest.raises(KeyboardInterrupt):
        FakeEngine().trial(Searching(search))
    assert heard


def test_an_attack_outside_the_surface_is_judged_by_the_text_that_it_returns() -> None:
    engine = FakeEngine("nice")
    trial = engine.trial(Writing("nice nice", ["fine film", "the fine film"]))
    assert (trial.verdict, trial.text, trial.asked) == (Verdict.FOOLED, "nice nice", 2)
    assert engine.asked == [
        ("clean", ["the film good film"]),
        ("search", ["the film fine film", "the film the fine film"]),
        ("verdict", ["the film nice nice"]),
    ]


def test_outside_the_surface_nothing_is_proved_and_queried_texts_do_not_count() -> None:
    assert FakeEngine().trial(Writing(None), job=make_job("good film", {})).verdict == Verdict.HELD
    assert FakeEngine("nice").trial(Writing(None, ["nice film"])).verdict == Verdict.HELD


def test_the_budget_counts_neither_the_clean_text_nor_the_verdict() -> None:
    def search(oracle: Oracle) -> Choice:
        oracle.logits(choice_of(1, 0)[None])
        return choice_of(1, 0)

    trial = FakeEngine("nice").trial(Searching(search), budget=1)
    assert (trial.verdict, trial.asked, trial.problem) == (Verdict.FOOLED, 1, None)


class Doubting(FakeEngine):
    """A victim that dislikes "nice" in the search only, and "fine" in the verdict too."""

    def __init__(self) -> None:
        super().__init__("nice", "fine")
        self._sure = FakeEngine("fine")

    def ask(
        self, purpose: Purpose, types: TokenTypes, ids: Ids, lengths: Ids
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        answers = super().ask(purpose, types, ids, lengths)
        return self._sure.victim.logits(ids, lengths) if purpose == "verdict" else answers


@pytest.mark.parametrize(
    ("engine", "returned", "needed"),
    [
        # The verdict rejects "nice", the second row, and accepts "fine", the third one.
        (Doubting, choice_of(1, 0), 3),
        (Doubting, choice_of(2, 0), 3),
        (Doubting, None, 3),
        # It accepts both, so the second row would have been enough.
        (lambda: FakeEngine("nice", "fine"), choice_of(1, 0), 2),
        (lambda: FakeEngine("nice", "fine"), choice_of(2, 0), 2),
        (lambda: FakeEngine("nice", "fine"), None, 2),
        # The search never queried a text that the verdict accepts.
        (lambda: FakeEngine("film"), choice_of(0, 1), 4),
    ],
)
def test_the_number_of_queries_at_the_success_is_the_smallest_budget_that_is_enough(
    engine: Callable[[], FakeEngine], returned: Choice | None, needed: int
) -> None:
    def search(oracle: Oracle) -> Choice | None:
        for row in (choice_of(0, 0), choice_of(1, 0), choice_of(2, 0), choice_of(0, 0)):
            oracle.logits(row[None])
        return returned

    job = make_job("good film", {"good": ["nice", "fine"], "film": ["the"]})
    if needed == 4:
        job = make_job("good the", {"good": ["nice", "fine"], "the": ["film"]})
    assert engine().trial(Searching(search), job=job).asked_at_success == needed
    for budget in range(1, 5):
        trial = engine().trial(Searching(search), job=job, budget=budget)
        assert (trial.verdict == Verdict.FOOLED) == (budget >= needed)


def test_each_example_has_its_own_random_stream() -> None:
    class Drawing(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            drawn.append(int(rng.integers(1 << 60)))
            return None

    drawn: list[int] = []
    for number in (1, 2, 1):
        FakeEngine().trial(Drawing(), job=make_job("good film", {"good": ["nice"]}, number=number))
    assert drawn[0] == drawn[2] != drawn[1]
    assert drawn[0] == example_rng(0, "some", "fake/0001").integers(1 << 60)


def test_the_trial_holds_the_probabilities_of_both_texts() -> None:
    trial = FakeEngine("nice").trial(Searching(lambda oracle: choice_of(1, 0)))
    # Logits (4, 0) on the clean text and (4, 9) on the changed one.
    assert trial.probs == (0.982014, 0.017986)
    assert trial.adversarial_probs == (0.006693, 0.993307)


def test_a_misclassified_clean_text_has_probabilities_too() -> None:
    trial = FakeEngine("good").trial(Searching(lambda oracle: None))
    assert (trial.probs, trial.adversarial_probs) == ((0.006693, 0.993307), None)


def test_a_rejected_claim_has_the_probabilities_of_its_text() -> None:
    trial = FakeEngine().trial(Searching(lambda oracle: choice_of(1, 0)))
    assert (trial.verdict, trial.disbelieved) == (Verdict.HELD, True)
    assert trial.adversarial_probs == (0.982014, 0.017986)


def test_the_unchanged_text_as_a_claim_has_no_probabilities() -> None:
    trial = FakeEngine().trial(Searching(lambda oracle: choice_of(0, 0)))
    assert (trial.adversarial_prediction, trial.adversarial_probs) == (0, None)


def test_the_probabilities_do_not_depend_on_the_precision_of_the_search() -> None:
    trials = [
        FakeEngine("nice").trial(Searching(lambda oracle: choice_of(1, 0)), precision=precision)
        for precision in ("fp32", "bf16")
    ]
    assert trials[0].adversarial_probs == trials[1].adversarial_probs
    assert trials[0].probs == trials[1].probs


def test_answers_that_are_no_numbers_give_no_probabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(
        engine.victim, "logits", lambda ids, lengths: np.full((len(ids), 2), np.nan, np.float32)
    )
    assert engine.trial(Searching(lambda oracle: None)).probs is None


def test_the_text_of_a_free_attack_has_probabilities() -> None:
    trial = FakeEngine("nice").trial(Writing("nice film"))
    assert trial.adversarial_probs == (0.006693, 0.993307)
