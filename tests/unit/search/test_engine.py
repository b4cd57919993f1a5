"""Tests of the engine: the verdicts of correct and of faulty searches."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, product

import numpy as np
import pytest
from engine_cases import (
    SUBSTITUTES,
    Everything,
    FunctionAttack,
    attack_one,
    choice_of,
    victim_that_dislikes,
)
from fake_victims import FakeVictim, linear_jobs, load_linear, make_job

from robench import Attack, BudgetSpent, Choice, Oracle, SearchSpace, Verdict
from robench.search.engine import run
from robench.text.encoding import EncodedText


def test_a_text_that_fools_the_victim_is_reported_with_its_changes_and_counts() -> None:
    trial = attack_one(
        lambda space, oracle, label, rng: (
            choice_of(0, 2, 0) if len(oracle.logits(choice_of(0, 2, 0)[None])) else None
        ),
        victim_that_dislikes("nice"),
    )
    assert (trial.verdict, trial.prediction, trial.adversarial_prediction) == (Verdict.FOOLED, 0, 1)
    assert [(change.position, change.original, change.substitute) for change in trial.changes] == [
        (1, "good", "nice")
    ]
    assert (trial.asked, trial.forwarded, trial.problem) == (1, 1, None)
    assert trial.seconds > 0


def test_a_trial_says_after_how_many_queries_the_victim_was_fooled() -> None:
    def search(_: SearchSpace, oracle: Oracle, *others: object) -> Choice:
        oracle.logits(np.stack([choice_of(0, 1, 0), choice_of(0, 2, 0), choice_of(0, 1, 1)]))
        # The search goes on, which changes nothing.
        oracle.logits(choice_of(0, 2, 1)[None])
        return choice_of(0, 2, 1)

    trial = attack_one(search, victim_that_dislikes("nice"))
    assert (trial.verdict, trial.asked, trial.asked_at_success) == (Verdict.FOOLED, 4, 2)


def test_a_text_that_the_search_did_not_query_counts_after_all_its_queries() -> None:
    def search(_: SearchSpace, oracle: Oracle, *others: object) -> Choice:
        oracle.logits(np.stack([choice_of(0, 0, 0), choice_of(0, 1, 0)]))
        return choice_of(0, 2, 0)

    trial = attack_one(search, victim_that_dislikes("nice"))
    assert (trial.verdict, trial.asked, trial.asked_at_success) == (Verdict.FOOLED, 2, 2)


@pytest.mark.parametrize("victim", [victim_that_dislikes(), victim_that_dislikes("a")])
def test_a_trial_without_a_success_has_no_number_of_queries_for_it(victim: FakeVictim) -> None:
    def search(_: SearchSpace, oracle: Oracle, *others: object) -> None:
        oracle.logits(choice_of(0, 1, 0)[None])

    trial = attack_one(search, victim)
    assert trial.verdict in {Verdict.HELD, Verdict.WRONG}
    assert trial.asked_at_success is None


def test_wrong_on_the_clean_text_is_never_attacked() -> None:
    def search(*_: object) -> None:
        raise AssertionError("attacked")

    trial = attack_one(search, victim_that_dislikes("a"))
    assert (trial.verdict, trial.prediction, trial.asked, trial.problem) == (
        Verdict.WRONG,
        1,
        0,
        None,
    )


def test_a_search_that_returns_nothing_is_held() -> None:
    assert attack_one(lambda *_: None).verdict == Verdict.HELD


def test_a_space_that_is_queried_completely_is_proved() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        Everything().search(space, oracle, label, rng)
        raise AssertionError("there was nothing left to look for")

    trial = attack_one(search)
    assert (trial.verdict, trial.asked, trial.forwarded, trial.problem) == (
        Verdict.HELD_PROVED,
        6,
        6,
        None,
    )


def test_catching_all_exceptions_does_not_hide_that_the_space_is_exhausted() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        for row in product(range(1), range(3), range(2)):
            try:
                oracle.logits(choice_of(*row)[None])
            except Exception:
                return choice_of(0, 1, 0)
        return None

    assert attack_one(search).verdict == Verdict.HELD_PROVED


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (choice_of(0, 3, 0), "outside the space"),
        (choice_of(1, 0, 0), "outside the space"),
        (choice_of(0, -1, 0), "outside the space"),
        (choice_of(0, 1), "outside the space"),
        (choice_of(0, 1, 0)[None], "outside the space"),
        (np.array([0.0, 1.0, 0.0]), "instead of a choice of integers"),
        ("a nice film", "instead of a choice of integers"),
        ([[0], [0, 1]], "not a choice"),
        (object(), "instead of a choice of integers"),
    ],
)
def test_an_invalid_result_is_an_error(returned: object, sentence: str) -> None:
    trial = attack_one(lambda *_: returned, victim_that_dislikes("nice", "fine", "movie"))
    assert trial.verdict == Verdict.ERROR
    assert sentence in str(trial.problem)


def test_a_mistaken_success_is_held_with_a_problem() -> None:
    trial = attack_one(lambda *_: choice_of(0, 1, 0))
    assert (trial.verdict, trial.adversarial_prediction, trial.disbelieved) == (
        Verdict.HELD,
        0,
        True,
    )
    assert "right on the returned text" in str(trial.problem)


def test_the_unchanged_text_is_not_a_success() -> None:
    trial = attack_one(lambda *_: choice_of(0, 0, 0))
    assert (trial.verdict, trial.changes, trial.disbelieved) == (Verdict.HELD, (), True)
    assert "unchanged" in str(trial.problem)


@pytest.mark.parametrize(
    "error", [ValueError("lost my way"), RecursionError("lost my way"), MemoryError("lost my way")]
)
def test_a_search_that_fails_is_an_error_and_the_others_continue(error: BaseException) -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        oracle.logits(space.original()[None])
        if space.words[0] == "good":
            raise error
        return None

    jobs = [
        make_job(text, SUBSTITUTES, number=number)
        for number, text in enumerate(["a good film", "good film", "good a", "film good"])
    ]
    trials = {
        trial.id: trial
        for trial in run(victim_that_dislikes(), FunctionAttack(search), "doing", jobs)
    }
    assert [trials[job.example.id].verdict for job in jobs] == ["held", "error", "error", "held"]
    assert trials["fake/0001"].problem == f"{type(error).__name__}: lost my way"
    assert (trials["fake/0001"].asked, trials["fake/0001"].prediction) == (1, 0)


class SilentError(Exception):
    """An error whose message cannot be made."""

    def __str__(self) -> str:
        raise ValueError("mute")


def test_an_error_without_a_message_is_named_by_its_type() -> None:
    def search(*_: object) -> None:
        raise SilentError

    trial = attack_one(search)
    assert (trial.verdict, trial.problem) == (Verdict.ERROR, "SilentError")


class EndlessAttack(Attack):
    """Repeats the same queries for ever and ignores all exceptions."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        for row in cycle(range(int(space.sizes[1]))):
            try:
                oracle.logits(choice_of(0, row, 0)[None])
            except Exception:
                continue
        return None


@pytest.mark.parametrize(
    ("disliked", "verdict"), [("nothing", Verdict.HELD), ("nice", Verdict.FOOLED)]
)
def test_a_search_that_ignores_its_spent_budget_is_stopped_and_its_successes_count(
    disliked: str, verdict: Verdict
) -> None:
    trial = attack_one(EndlessAttack().search, victim_that_dislikes(disliked), budget=5)
    assert (trial.verdict, trial.asked) == (verdict, 5)
    assert trial.problem == ("the budget of 5 rows was spent" if verdict == Verdict.HELD else None)


def test_a_search_that_ignores_a_failed_victim_is_an_error() -> None:
    victim = load_linear()
    job = make_job("w1 w2 w3", {"w2": ["w2b"]})
    broken = victim.table.numbers["w2b"]

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (ids == broken).any():
            raise RuntimeError("out of memory")
        return logits

    victim.twist = twist
    victim.bias = np.array([100, 0], dtype=np.float32)
    trial = attack_one(EndlessAttack().search, victim, job)
    assert trial.verdict == Verdict.ERROR
    assert "out of memory" in str(trial.problem)


def test_a_query_outside_the_space_is_an_error() -> None:
    trial = attack_one(lambda space, oracle, label, rng: oracle.logits(choice_of(0, 7, 0)[None]))
    assert trial.verdict == Verdict.ERROR
    assert "outside the space" in str(trial.problem)


def test_a_spent_budget_is_held_with_a_problem() -> None:
    trial = attack_one(Everything().search, budget=4)
    assert (trial.verdict, trial.asked, trial.disbelieved) == (Verdict.HELD, 4, False)
    assert "budget of 4" in str(trial.problem)


class AtOnce(Attack):
    """Queries the whole space at once, the last option first, and ignores the answers."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        rows = list(product(*(range(size) for size in space.sizes.tolist())))
        oracle.logits(np.array(rows, dtype=np.int16)[::-1])
        return None


@pytest.mark.parametrize(
    ("budget", "changed"), [(1, None), (2, None), (3, 1), (5, 1), (6, 1), (None, 1)]
)
def test_a_success_within_the_budget_counts_in_a_query_that_exceeds_it(
    budget: int | None, changed: int | None
) -> None:
    # The third row from the end is the first one with "fine".
    trial = attack_one(AtOnce().search, victim_that_dislikes("fine"), budget=budget)
    assert (trial.verdict == Verdict.FOOLED) == (changed is not None)
    assert [change.position for change in trial.changes][:1] == (
        [] if changed is None else [changed]
    )
    assert trial.asked == min(budget or 6, 6)


def test_a_success_that_the_search_overlooked_counts() -> None:
    trial = attack_one(AtOnce().search, victim_that_dislikes("nice"))
    assert (trial.verdict, trial.problem) == (Verdict.FOOLED, None)
    assert [change.substitute for change in trial.changes] == ["nice", "movie"]


def test_the_returned_choice_goes_before_other_successes() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        AtOnce().search(space, oracle, label, rng)
        return choice_of(0, 2, 0)

    assert [
        change.substitute for change in attack_one(search, victim_that_dislikes("nice")).changes
    ] == ["nice"]


def test_a_mistaken_success_does_not_hide_a_real_one() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        AtOnce().search(space, oracle, label, rng)
        return choice_of(0, 1, 0)

    assert attack_one(search, victim_that_dislikes("nice")).verdict == Verdict.FOOLED


def right_on_strings_with(
    victim: FakeVictim, monkeypatch: pytest.MonkeyPatch, *words: str
) -> list[str]:
    """Make the victim right on strings that hold one of ``words``.

    Its answers to token ids stay the same. The returned list receives the text of every query.
    """
    asked: list[str] = []
    honest = victim.read

    def read(fields: Mapping[str, str]) -> EncodedText:
        asked.append(fields["text"])
        if any(word in fields["text"] for word in words):
            return honest({**fields, "text": "a"})
        return honest(fields)

    monkeypatch.setattr(victim, "read", read)
    return asked


@pytest.mark.parametrize("claimed", [None, 2])
def test_a_rejected_success_hides_no_later_one(
    claimed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        AtOnce().search(space, oracle, label, rng)
        return None if claimed is None else choice_of(0, claimed, 0)

    victim = victim_that_dislikes("nice", "fine")
    right_on_strings_with(victim, monkeypatch, "nice")
    trial = attack_one(search, victim)
    assert (trial.verdict, [change.substitute for change in trial.changes], trial.problem) == (
        Verdict.FOOLED,
        ["fine", "movie"],
        None,
    )


def test_of_several_rejected_successes_the_first_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = victim_that_dislikes("nice")
    asked = right_on_strings_with(victim, monkeypatch, "nice")
    trial = attack_one(AtOnce().search, victim)
    assert (trial.verdict, trial.disbelieved, [change.substitute for change in trial.changes]) == (
        Verdict.HELD,
        True,
        ["nice", "movie"],
    )
    assert "wrong on the substituted words but right on the text" in str(trial.problem)
    assert asked == ["a good film", "a nice movie", "a nice film"]


def test_a_search_that_fails_is_an_error_despite_its_successes() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        AtOnce().search(space, oracle, label, rng)
        raise ValueError("lost my way")

    assert attack_one(search, victim_that_dislikes("nice")).verdict == Verdict.ERROR


def test_a_search_may_return_a_choice_after_its_budget() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        try:
            Everything().search(space, oracle, label, rng)
        except BudgetSpent:
            return choice_of(0, 2, 1)
        return None

    assert attack_one(search, victim_that_dislikes("nice"), budget=2).verdict == Verdict.FOOLED


def test_a_victim_that_fails_on_some_texts_affects_their_examples_only() -> None:
    victim = load_linear()
    cursed = victim.table.numbers["w3b"]

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (ids == cursed).any():
            raise RuntimeError("out of memory")
        return logits

    sound = {
        trial.id: trial
        for trial in run(load_linear(), Everything(), "all", linear_jobs(20, words=4))
    }
    victim.twist = twist
    jobs = linear_jobs(20, words=4)
    broken = {trial.id: trial for trial in run(victim, Everything(), "all", jobs)}
    assert set(broken) == set(sound)
    errors = {example for example, trial in broken.items() if trial.verdict == Verdict.ERROR}
    assert errors
    assert errors <= {job.example.id for job in jobs if "w3" in job.space.words}
    assert all("out of memory" in str(broken[example].problem) for example in errors)
    assert all(broken[example].verdict == sound[example].verdict for example in set(sound) - errors)


def test_a_victim_that_fails_on_a_clean_text_is_an_error() -> None:
    victim = load_linear()

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (ids == victim.table.numbers["w3"]).any():
            return logits * np.nan
        return logits

    victim.twist = twist
    jobs = linear_jobs(20, words=4)
    trials = {
        trial.id: trial for trial in run(victim, FunctionAttack(lambda *_: None), "doing", jobs)
    }
    for job in jobs:
        trial = trials[job.example.id]
        assert (trial.verdict == Verdict.ERROR) == ("w3" in job.space.words)
        assert (trial.prediction is None) == ("w3" in job.space.words)
