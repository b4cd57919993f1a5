"""The engine: verdicts of searches that behave and of searches that do not, and nothing finished is lost."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle, product
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, linear_jobs, load_linear, load_rough, make_job

from robench import Attack, BudgetSpent, Choice, Oracle, SearchSpace, Trial, Verdict
from robench.search.engine import BATCH, Job, example_rng, run
from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes
from robench.search.victim_protocol import SearchVictim
from robench.text.encoding import EncodedText

SUBSTITUTES = {"good": ["fine", "nice"], "film": ["movie"]}
JOB = make_job("a good film", SUBSTITUTES)


def victim_that_dislikes(*words: str) -> FakeVictim:
    known = ["a", "good", "film", "fine", "nice", "movie"]
    return FakeVictim({word: [0, 10 if word in words else 0] for word in known}, bias=(4, 0))


class Doing(Attack):
    """Searches with a function given."""

    def __init__(
        self, search: Callable[[SearchSpace, Oracle, int, np.random.Generator], object]
    ) -> None:
        super().__init__()
        self._search = search

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        return self._search(space, oracle, label, rng)  # type: ignore[return-value]


class Everything(Attack):
    """Asks about the whole space, row by row."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        for row in product(*(range(size) for size in space.sizes.tolist())):
            choice = np.array([row], dtype=np.int16)
            if oracle.logits(choice).argmax() != label:
                return np.array(choice[0])
        return None


def attack_one(
    search: Callable[..., object],
    victim: SearchVictim | None = None,
    job: Job = JOB,
    **settings: Any,
) -> Trial:
    own = {name: settings.pop(name) for name in ("budget", "precision") if name in settings}
    victim = victim or victim_that_dislikes()
    trials = list(run(victim, Doing(search), "doing", [job], SearchSettings(**own), **settings))
    assert len(trials) == 1
    return trials[0]


def choice_of(*row: int) -> Choice:
    return np.array(row, dtype=np.int16)


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


def test_giving_up_is_held() -> None:
    assert attack_one(lambda *_: None).verdict == Verdict.HELD


def test_a_space_asked_to_the_end_is_proved_whatever_the_search_would_have_said() -> None:
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
def test_an_unfair_answer_is_an_error_and_never_counted(returned: object, sentence: str) -> None:
    trial = attack_one(lambda *_: returned, victim_that_dislikes("nice", "fine", "movie"))
    assert trial.verdict == Verdict.ERROR
    assert sentence in str(trial.problem)


def test_a_mistaken_success_is_held_with_a_note() -> None:
    trial = attack_one(lambda *_: choice_of(0, 1, 0))
    assert (trial.verdict, trial.adversarial_prediction, trial.disbelieved) == (
        Verdict.HELD,
        0,
        True,
    )
    assert "right on the returned text" in str(trial.problem)


def test_the_unchanged_text_is_no_success() -> None:
    trial = attack_one(lambda *_: choice_of(0, 0, 0))
    assert (trial.verdict, trial.changes, trial.disbelieved) == (Verdict.HELD, (), True)
    assert "unchanged" in str(trial.problem)


@pytest.mark.parametrize(
    "error", [ValueError("lost my way"), RecursionError("lost my way"), MemoryError("lost my way")]
)
def test_a_search_that_breaks_is_an_error_and_the_others_go_on(error: BaseException) -> None:
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
        trial.id: trial for trial in run(victim_that_dislikes(), Doing(search), "doing", jobs)
    }
    assert [trials[job.example.id].verdict for job in jobs] == ["held", "error", "error", "held"]
    assert trials["fake/0001"].problem == f"{type(error).__name__}: lost my way"
    assert (trials["fake/0001"].asked, trials["fake/0001"].prediction) == (1, 0)


class Mute(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise ValueError("mute")


def test_an_error_that_cannot_be_told_is_named() -> None:
    def search(*_: object) -> None:
        raise Mute

    trial = attack_one(search)
    assert (trial.verdict, trial.problem) == (Verdict.ERROR, "Mute")


class Deaf(Attack):
    """Asks the same questions for ever, whatever it is told."""

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
def test_a_search_that_goes_on_after_its_budget_is_ended_and_counts_for_what_it_saw(
    disliked: str, verdict: Verdict
) -> None:
    trial = attack_one(Deaf().search, victim_that_dislikes(disliked), budget=5)
    assert (trial.verdict, trial.asked) == (verdict, 5)
    assert trial.problem == ("the budget of 5 rows was spent" if verdict == Verdict.HELD else None)


def test_a_search_that_goes_on_after_the_victim_broke_is_an_error() -> None:
    victim = load_linear()
    job = make_job("w1 w2 w3", {"w2": ["w2b"]})
    broken = victim.table.numbers["w2b"]

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (ids == broken).any():
            raise RuntimeError("out of memory")
        return logits

    victim.twist = twist
    victim.bias = np.array([100, 0], dtype=np.float32)
    trial = attack_one(Deaf().search, victim, job)
    assert trial.verdict == Verdict.ERROR
    assert "out of memory" in str(trial.problem)


def test_asking_outside_the_space_is_an_error() -> None:
    trial = attack_one(lambda space, oracle, label, rng: oracle.logits(choice_of(0, 7, 0)[None]))
    assert trial.verdict == Verdict.ERROR
    assert "outside the space" in str(trial.problem)


def test_a_spent_budget_is_held_with_a_note() -> None:
    trial = attack_one(Everything().search, budget=4)
    assert (trial.verdict, trial.asked, trial.disbelieved) == (Verdict.HELD, 4, False)
    assert "budget of 4" in str(trial.problem)


class AtOnce(Attack):
    """Asks about the whole space in one question, the last option first, and never looks at the answers."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        oracle.logits(
            np.array(
                list(product(*(range(size) for size in space.sizes.tolist()))), dtype=np.int16
            )[::-1]
        )
        return None


@pytest.mark.parametrize(
    ("budget", "changed"), [(1, None), (2, None), (3, 1), (5, 1), (6, 1), (None, 1)]
)
def test_a_success_within_the_budget_counts_though_the_question_exceeds_it(
    budget: int | None, changed: int | None
) -> None:
    trial = attack_one(
        AtOnce().search, victim_that_dislikes("fine"), budget=budget
    )  # the third row from the end is the first with "fine"
    assert (trial.verdict == Verdict.FOOLED) == (changed is not None)
    assert [change.position for change in trial.changes][:1] == (
        [] if changed is None else [changed]
    )
    assert trial.asked == min(budget or 6, 6)


def test_a_success_that_the_search_lost_counts() -> None:
    trial = attack_one(AtOnce().search, victim_that_dislikes("nice"))
    assert (trial.verdict, trial.problem) == (Verdict.FOOLED, None)
    assert [change.substitute for change in trial.changes] == ["nice", "movie"]


def test_what_the_search_returns_goes_before_what_it_saw() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        AtOnce().search(space, oracle, label, rng)
        return choice_of(0, 2, 0)

    assert [
        change.substitute for change in attack_one(search, victim_that_dislikes("nice")).changes
    ] == ["nice"]


def test_a_mistaken_success_does_not_cost_one_that_was_seen() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        AtOnce().search(space, oracle, label, rng)
        return choice_of(0, 1, 0)

    assert attack_one(search, victim_that_dislikes("nice")).verdict == Verdict.FOOLED


def right_on_strings_with(
    victim: FakeVictim, monkeypatch: pytest.MonkeyPatch, *words: str
) -> list[str]:
    """The victim is right on a string that holds one of ``words``, whatever it says to their token ids; the list takes the texts of every question."""
    asked: list[str] = []
    honest = victim.read

    def read(fields: Mapping[str, str]) -> EncodedText:
        asked.append(fields["text"])
        return honest(
            {**fields, "text": "a"} if any(word in fields["text"] for word in words) else fields
        )

    monkeypatch.setattr(victim, "read", read)
    return asked


@pytest.mark.parametrize("claimed", [None, 2])
def test_a_success_that_is_not_believed_hides_no_later_one(
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


def test_of_successes_that_are_all_not_believed_the_first_is_told(
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


def test_a_search_that_breaks_is_an_error_whatever_it_saw() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        AtOnce().search(space, oracle, label, rng)
        raise ValueError("lost my way")

    assert attack_one(search, victim_that_dislikes("nice")).verdict == Verdict.ERROR


def test_a_search_may_make_the_best_of_a_spent_budget() -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        try:
            Everything().search(space, oracle, label, rng)
        except BudgetSpent:
            return choice_of(0, 2, 1)
        return None

    assert attack_one(search, victim_that_dislikes("nice"), budget=2).verdict == Verdict.FOOLED


def test_the_victim_may_break_on_one_example() -> None:
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


def test_the_victim_may_break_on_a_clean_text() -> None:
    victim = load_linear()

    def twist(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (ids == victim.table.numbers["w3"]).any():
            return logits * np.nan
        return logits

    victim.twist = twist
    jobs = linear_jobs(20, words=4)
    trials = {trial.id: trial for trial in run(victim, Doing(lambda *_: None), "doing", jobs)}
    for job in jobs:
        trial = trials[job.example.id]
        assert (trial.verdict == Verdict.ERROR) == ("w3" in job.space.words)
        assert (trial.prediction is None) == ("w3" in job.space.words)


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_comes_through_after_the_finished_trials(
    end: type[BaseException],
) -> None:
    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        oracle.logits(space.original()[None])
        if label == 0 and space.words == ("good",):
            raise end
        return None

    jobs = [make_job("a film", SUBSTITUTES, number=number) for number in range(5)] + [
        make_job("good", SUBSTITUTES, number=9)
    ]
    trials = run(victim_that_dislikes(), Doing(search), "doing", jobs)
    finished: list[Trial] = []
    with pytest.raises(end):
        finished.extend(trials)
    assert sorted(trial.id for trial in finished) == [f"fake/{number:04d}" for number in range(5)]


@pytest.mark.parametrize("good", [0, 1, 16, BATCH, BATCH + 1, 2 * BATCH])
def test_an_error_in_the_jobs_comes_through_after_the_finished_trials(good: int) -> None:
    def jobs() -> Iterator[Job]:
        yield from (make_job("a film", SUBSTITUTES, number=number) for number in range(good))
        raise RuntimeError("no more surface")

    finished: list[Trial] = []
    with pytest.raises(RuntimeError, match="no more surface"):
        finished.extend(run(victim_that_dislikes(), Doing(lambda *_: None), "doing", jobs()))
    assert len(finished) == good


def test_closing_the_run_ends_every_search() -> None:
    ended = []

    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        try:
            for row in product(*(range(size) for size in space.sizes.tolist())):
                oracle.logits(choice_of(*row)[None])
        finally:
            ended.append(space.words)
        return None

    jobs = [make_job("a film good", SUBSTITUTES, number=number) for number in range(200)]
    trials = run(victim_that_dislikes(), Doing(search), "doing", jobs, max_running=50)
    next(trials)
    trials.close()  # type: ignore[attr-defined]
    assert len(ended) >= 50


def test_jobs_are_taken_only_when_there_is_room() -> None:
    taken = []

    def jobs() -> Iterator[Job]:
        for number in range(500):
            taken.append(number)
            yield make_job("a film good", SUBSTITUTES, number=number)

    trials = run(victim_that_dislikes(), Everything(), "all", jobs(), max_running=8)
    next(trials)
    assert len(taken) < 100


@pytest.mark.parametrize("disliked", ["nice", "nothing"])
def test_a_finished_search_leaves_nothing_in_memory(disliked: str) -> None:
    """Without the garbage collector's help: answers of a search are megabytes on long texts."""
    oracles: list[weakref.ref[Any]] = []

    def search(space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator) -> object:
        oracles.append(weakref.ref(oracle))
        return Everything().search(space, oracle, label, rng)

    jobs = [make_job("a film good", SUBSTITUTES, number=number) for number in range(300)]
    gc.collect()
    gc.disable()
    try:
        trials = list(run(victim_that_dislikes(disliked), Doing(search), "doing", jobs))
        alive = sum(oracle() is not None for oracle in oracles)
    finally:
        gc.enable()
    assert len(trials) == len(oracles) == 300
    assert alive <= 1


def test_questions_of_many_searches_share_forwards() -> None:
    victim = victim_that_dislikes()
    jobs = [make_job("a film good", SUBSTITUTES, number=number) for number in range(256)]
    list(run(victim, Everything(), "all", jobs))
    full = [rows for rows, _ in victim.forwards if rows == Shapes().most]
    assert sum(full) >= 0.8 * 256 * 6


def test_clean_texts_and_verdicts_of_many_examples_share_forwards() -> None:
    def search(space: SearchSpace, oracle: Oracle, *_: object) -> Choice:
        oracle.logits(choice_of(0, 2, 0)[None])
        return choice_of(0, 2, 0)

    victim = victim_that_dislikes("nice")
    jobs = [make_job("a good film", SUBSTITUTES, number=number) for number in range(160)]
    assert {trial.verdict for trial in run(victim, Doing(search), "doing", jobs)} == {
        Verdict.FOOLED
    }
    assert sum(rows for rows, _ in victim.forwards) <= 3 * 160 + 64
    assert len(victim.forwards) <= 3 * 160 / BATCH


def test_few_examples_at_a_time_wait_for_their_clean_prediction() -> None:
    """Texts of a length each: they share nothing, and a worker that takes them all leaves none to the others."""
    taken = []

    def jobs() -> Iterator[Job]:
        for number in range(4 * BATCH):
            taken.append(number)
            yield make_job(" ".join(["a"] * (number + 1)), SUBSTITUTES, number=number)

    next(run(victim_that_dislikes(), Doing(lambda *_: None), "doing", jobs()))
    assert len(taken) <= 2 * BATCH


def test_a_search_is_begun_before_another_goes_on_with_half_a_forward() -> None:
    """So that forwards are full: the half ones wait for company."""
    victim = victim_that_dislikes()

    def search(space: SearchSpace, oracle: Oracle, *_: object) -> None:
        oracle.logits(
            np.repeat(space.original()[None], 3, axis=0)
            + np.arange(3, dtype=np.int16)[:, None] * (space.sizes == 3)
        )

    shapes = Shapes(tokens=1000, most=6, floor=1)
    jobs = [
        make_job(f"{'film ' * (number % 4)}good", {"good": ["fine", "nice"]}, number=number)
        for number in range(64)
    ]
    list(run(victim, Doing(search), "doing", jobs, shapes=shapes))
    searched = [rows for rows, _ in victim.forwards if rows > 1]
    assert sum(rows == 6 for rows in searched) >= 0.8 * 64 * 3 / 6


def test_every_trial_comes_once() -> None:
    jobs = linear_jobs(70, words=3)
    trials = list(run(load_linear(), Everything(), "all", jobs))
    assert sorted(trial.id for trial in trials) == sorted(job.example.id for job in jobs)
    assert list(run(victim_that_dislikes(), Everything(), "all", [])) == []


def test_proved_and_fooled_agree_with_looking_at_the_whole_space() -> None:
    jobs = linear_jobs(70, words=4)
    victim = load_linear()
    for trial in run(victim, Everything(), "all", jobs):
        job = next(job for job in jobs if job.example.id == trial.id)
        rows = np.array(
            list(product(*(range(size) for size in job.space.sizes.tolist()))), dtype=np.int16
        )
        wrong = (
            victim.logits(
                *victim.encoder_fields.candidates(job.words, job.space).encode(rows)
            ).argmax(axis=1)
            != 0
        )
        assert trial.verdict == (
            Verdict.WRONG if wrong[0] else Verdict.FOOLED if wrong.any() else Verdict.HELD_PROVED
        )


def wrong_in_bf16(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """bf16 that sees every text as class 1."""
    return np.asarray(logits - np.array([100, 0], dtype=np.float32))


def test_a_success_in_bf16_only_is_never_seen() -> None:
    victim = victim_that_dislikes()
    victim.rough = wrong_in_bf16
    trial = attack_one(Everything().search, victim, precision="bf16")
    assert (trial.verdict, trial.disbelieved, trial.forwarded) == (Verdict.HELD, False, 6)
    assert {"bf16", "fp32"} == set(victim.precisions)


def test_bf16_answers_prove_nothing() -> None:
    trial = attack_one(Everything().search, precision="bf16")
    assert trial.verdict == Verdict.HELD
    assert "proves nothing" in str(trial.problem)
    assert attack_one(Everything().search, precision="fp32").verdict == Verdict.HELD_PROVED
    alone = attack_one(lambda *_: None, job=make_job("a", {}), precision="bf16")
    assert (
        alone.verdict == Verdict.HELD_PROVED
    )  # nothing was searched: the clean prediction is fp32


def test_a_search_in_bf16_finds_what_one_in_fp32_finds() -> None:
    """Where bf16 is off by less than the bound, it is right about every success that it sees, and sees every one in the space."""
    jobs = linear_jobs(60, words=4)
    exact = {trial.id: trial for trial in run(load_rough(), Everything(), "all", jobs)}
    victim = load_rough()
    rough = {
        trial.id: trial
        for trial in run(victim, Everything(), "all", jobs, SearchSettings(precision="bf16"))
    }
    assert {trial.verdict for trial in exact.values()} >= {Verdict.FOOLED, Verdict.HELD_PROVED}
    for example, trial in rough.items():
        assert (trial.verdict == Verdict.FOOLED) == (exact[example].verdict == Verdict.FOOLED)
        assert trial.changes == exact[example].changes
        assert not trial.disbelieved
    confirmed = sum(
        rows
        for (rows, _), precision in zip(victim.forwards, victim.precisions, strict=True)
        if precision == "fp32"
    )
    assert 0 < confirmed < sum(trial.forwarded for trial in rough.values())


@pytest.mark.parametrize(("precision", "forwards"), [("fp32", 3), ("bf16", 5)])
def test_a_verdict_asks_about_the_words_only_where_the_search_did_not_in_fp32(
    precision: str, forwards: int
) -> None:
    def asks_first(space: SearchSpace, oracle: Oracle, *_: object) -> Choice:
        choice = choice_of(1, 0)
        oracle.logits(choice[None])
        return choice

    job = make_job("good film", {"good": ["nice"]})
    victim = victim_that_dislikes("nice")
    trial = attack_one(asks_first, victim, job, precision=precision)
    assert (trial.verdict, trial.forwarded) == (Verdict.FOOLED, 1)
    assert (
        len(victim.forwards) == forwards
    )  # the clean text, the question (in bf16 a success is asked again), the string; and the words
    unasked = victim_that_dislikes("nice")
    assert attack_one(lambda *_: choice_of(1, 0), unasked, job).verdict == Verdict.FOOLED
    assert len(unasked.forwards) == 3


def test_the_random_stream_is_a_function_of_seed_attack_and_example() -> None:
    draws = {
        (seed, attack, example): example_rng(seed, attack, example).integers(1 << 60)
        for seed in (0, 1)
        for attack in ("a", "b")
        for example in ("x", "y")
    }
    assert len(set(draws.values())) == 8
    assert all(example_rng(*key).integers(1 << 60) == draw for key, draw in draws.items())
    assert example_rng(1, "0", "x").integers(1 << 60) != example_rng(10, "", "x").integers(1 << 60)


def test_the_random_stream_never_changes() -> None:
    assert example_rng(0, "genetic", "imdb/0123456789abcdef").integers(
        1 << 32, size=3
    ).tolist() == [
        2290333055,
        3252217126,
        3067103401,
    ]
