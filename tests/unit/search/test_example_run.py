"""One example's way, asked directly: which questions are put for what, in which order, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job

from robench import Attack, Choice, FreeAttack, Oracle, SearchSpace, TextOracle, Trial, Verdict
from robench.search.batching import Purpose
from robench.search.example_run import ExampleRun, Search, example_rng
from robench.search.settings import SearchSettings
from robench.search.victim_protocol import Job, TokenTypes

WORDS = ["good", "nice", "fine", "film", "the"]
JOB = make_job("good film", {"good": ["nice", "fine"]}, premise="the film")
Ids = np.ndarray[Any, np.dtype[np.int32]]


def choice_of(*row: int) -> Choice:
    return np.array(row, dtype=np.int16)


class Searching(Attack):
    """Searches with a function given."""

    def __init__(self, search: Callable[[Oracle], object]) -> None:
        super().__init__()
        self._search = search

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        return self._search(oracle)  # type: ignore[return-value]


class Writing(FreeAttack):
    """Asks about some texts and returns another."""

    def __init__(self, answer: str | None, questions: Sequence[str] = ()) -> None:
        super().__init__()
        self.answer, self.questions = answer, questions

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        if self.questions:
            oracle.probs(self.questions)
        return self.answer


class Court:
    """A victim that dislikes some words, and all that it was asked, purpose and words; it breaks on the words of ``breaks``, for the purpose given."""

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
        self, attack: Attack, job: Job = JOB, budget: int | None = None, precision: Any = "fp32"
    ) -> Trial:
        settings = SearchSettings(budget=budget, precision=precision)
        return ExampleRun(Search(self.victim, attack, "some", settings), job, self.ask).trial()


def test_a_text_that_is_wrong_already_is_asked_about_once() -> None:
    court = Court("good")
    trial = court.trial(Searching(lambda oracle: pytest.fail("attacked")))
    assert (trial.verdict, trial.prediction, trial.asked) == (Verdict.WRONG, 1, 0)
    assert court.asked == [("clean", ["the film good film"])]


def test_a_success_is_asked_about_again_as_a_string() -> None:
    court = Court("nice")

    def search(oracle: Oracle) -> Choice:
        oracle.logits(np.array([choice_of(0, 0), choice_of(1, 0)]))
        return choice_of(1, 0)

    trial = court.trial(Searching(search))
    assert (trial.verdict, trial.adversarial_prediction, trial.asked, trial.forwarded) == (
        Verdict.FOOLED,
        1,
        2,
        2,
    )
    assert court.asked == [
        ("clean", ["the film good film"]),
        ("search", ["the film nice film"]),  # the clean text's answer is known, though it counts
        ("verdict", ["the film nice film"]),  # the words' answer is known
    ]


def test_words_that_the_search_did_not_ask_about_are_asked_for_the_verdict() -> None:
    court = Court("nice")
    assert court.trial(Searching(lambda oracle: choice_of(1, 0))).verdict == Verdict.FOOLED
    assert court.asked[1:] == [
        ("verdict", ["the film nice film"]),
        ("verdict", ["the film nice film"]),
    ]


def test_what_was_asked_in_bf16_is_asked_again_for_the_verdict() -> None:
    court = Court("nice")

    def search(oracle: Oracle) -> Choice:
        oracle.logits(choice_of(1, 0)[None])
        return choice_of(1, 0)

    assert court.trial(Searching(search), precision="bf16").verdict == Verdict.FOOLED
    assert [purpose for purpose, _ in court.asked] == ["clean", "search", "verdict", "verdict"]


def test_a_search_in_bf16_does_not_take_the_clean_text_for_known() -> None:
    court = Court()

    def search(oracle: Oracle) -> None:
        oracle.logits(choice_of(0, 0)[None])

    court.trial(Searching(search), precision="bf16")
    assert [purpose for purpose, _ in court.asked] == ["clean", "search"]


def test_where_string_and_words_are_different_rows_the_clean_text_is_asked_by_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    court = Court()
    honest = court.victim.read
    monkeypatch.setattr(
        court.victim, "read", lambda fields: honest({**fields, "text": "the " + fields["text"]})
    )

    def search(oracle: Oracle) -> None:
        oracle.logits(choice_of(0, 0)[None])

    court.trial(Searching(search))
    assert court.asked == [
        ("clean", ["the film the good film"]),
        ("search", ["the film good film"]),
    ]


def test_where_nothing_is_claimed_nothing_more_is_asked() -> None:
    court = Court()
    trial = court.trial(Searching(lambda oracle: None))
    assert (trial.verdict, trial.problem, len(court.asked)) == (Verdict.HELD, None, 1)


def test_a_space_of_one_text_is_proved_by_its_clean_prediction() -> None:
    court = Court()
    trial = court.trial(Searching(lambda oracle: None), job=make_job("good film", {}))
    assert (trial.verdict, len(court.asked)) == (Verdict.HELD_PROVED, 1)


@pytest.mark.parametrize(
    ("purpose", "problem", "prediction"),
    [
        ("clean", "the victim failed on the clean text: MemoryError: too long", None),
        ("search", "RuntimeError: the victim failed: MemoryError: too long", 0),
        ("verdict", "the victim failed on the returned text: MemoryError: too long", 0),
    ],
)
def test_a_victim_that_breaks_is_an_error_that_says_where(
    purpose: Purpose, problem: str, prediction: int | None
) -> None:
    court = Court("nice", breaks={purpose: "film"})

    def search(oracle: Oracle) -> Choice:
        oracle.logits(choice_of(1, 0)[None])
        return choice_of(1, 0)

    trial = court.trial(Searching(search))
    assert (trial.verdict, trial.problem, trial.prediction) == (Verdict.ERROR, problem, prediction)


def test_a_victim_that_cannot_read_the_clean_text_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    court = Court()
    monkeypatch.setattr(
        court.victim, "read", lambda fields: (_ for _ in ()).throw(UnicodeError("no such letters"))
    )
    trial = court.trial(Searching(lambda oracle: None))
    assert (trial.verdict, trial.problem) == (
        Verdict.ERROR,
        "the victim failed on the clean text: UnicodeError: no such letters",
    )
    assert court.asked == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_comes_through(end: type[BaseException]) -> None:
    def search(oracle: Oracle) -> None:
        raise end

    with pytest.raises(end):
        Court().trial(Searching(search))


def test_an_attack_outside_the_surface_is_judged_by_the_text_that_it_returns() -> None:
    court = Court("nice")
    trial = court.trial(Writing("nice nice", ["fine film", "the fine film"]))
    assert (trial.verdict, trial.text, trial.asked) == (Verdict.FOOLED, "nice nice", 2)
    assert court.asked == [
        ("clean", ["the film good film"]),
        ("search", ["the film fine film", "the film the fine film"]),
        ("verdict", ["the film nice nice"]),
    ]


def test_outside_the_surface_nothing_is_proved_and_nothing_seen_is_believed() -> None:
    assert Court().trial(Writing(None), job=make_job("good film", {})).verdict == Verdict.HELD
    assert Court("nice").trial(Writing(None, ["nice film"])).verdict == Verdict.HELD


def test_the_budget_counts_neither_the_clean_text_nor_the_verdict() -> None:
    def search(oracle: Oracle) -> Choice:
        oracle.logits(choice_of(1, 0)[None])
        return choice_of(1, 0)

    trial = Court("nice").trial(Searching(search), budget=1)
    assert (trial.verdict, trial.asked, trial.problem) == (Verdict.FOOLED, 1, None)


def test_each_example_draws_from_a_stream_of_its_own() -> None:
    class Drawing(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            drawn.append(int(rng.integers(1 << 60)))
            return None

    drawn: list[int] = []
    for number in (1, 2, 1):
        Court().trial(Drawing(), job=make_job("good film", {"good": ["nice"]}, number=number))
    assert drawn[0] == drawn[2] != drawn[1]
    assert drawn[0] == example_rng(0, "some", "fake/0001").integers(1 << 60)
