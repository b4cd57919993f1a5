"""What every built-in attack owes, whatever its method: through the registry, against victims whose weakness is known."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, linear_jobs, load_linear, make_job
from hypothesis import given, settings
from hypothesis import strategies as st

from robench import ATTACKS, Attack, Trial, Verdict
from robench.search.batching import Shapes
from robench.search.engine import Job, run
from robench.search.port import SearchVictim

BUILT_IN = [entry.name for entry in ATTACKS.entries() if entry.origin == "built-in"]
WORDS = [f"w{number}" for number in range(30)]
SUBSTITUTES = {word: [f"{word}a", f"{word}b"] for word in WORDS}
EVERY_WORD = [*WORDS, *(substitute for pair in SUBSTITUTES.values() for substitute in pair), "trigger"]

pytestmark = pytest.mark.parametrize("name", BUILT_IN)


def make_attack(name: str) -> Attack:
    return ATTACKS.get(name)()


def attack_all(name: str, victim: SearchVictim, jobs: list[Job], **settings: Any) -> dict[str, Trial]:
    trials = list(run(victim, make_attack(name), name, jobs, seed=0, **settings))
    assert sorted(trial.id for trial in trials) == sorted(job.example.id for job in jobs)
    return {trial.id: trial for trial in trials}


def comparable(trials: dict[str, Trial]) -> dict[str, Trial]:
    return {example: trial.model_copy(update={"seconds": 0.0}) for example, trial in trials.items()}


def trigger_jobs(count: int, words: int = 20) -> list[Job]:
    """Texts in which exactly one word can become the trigger, at any place."""
    rng = random.Random(1)
    jobs = []
    for number in range(count):
        text = rng.sample(WORDS, words)
        jobs.append(make_job(" ".join(text), SUBSTITUTES | {rng.choice(text): ["trigger"]}, number=number))
    return jobs


def test_it_says_what_it_is(name: str) -> None:
    cls = ATTACKS.get(name)
    assert len(cls.paper) > 20
    assert cls.__doc__
    assert cls.access in ("probabilities", "labels", "gradients")
    assert all(deviation.endswith(".") for deviation in cls.deviations)
    for field in cls.Options.model_fields.values():
        assert field.description
    cls.Options()


def test_a_planted_trigger_word_is_always_found(name: str) -> None:
    victim = FakeVictim({"trigger": [0, 9]}, words=EVERY_WORD, bias=(4, 0))
    trials = attack_all(name, victim, trigger_jobs(40))
    assert {trial.verdict for trial in trials.values()} == {Verdict.FOOLED}
    assert all("trigger" in {change.substitute for change in trial.changes} for trial in trials.values())


def test_a_planted_trigger_is_found_among_three_classes(name: str) -> None:
    victim = FakeVictim({"trigger": [0, 0, 9]}, words=EVERY_WORD, bias=(4, 0, 0))
    assert {trial.verdict for trial in attack_all(name, victim, trigger_jobs(20)).values()} == {Verdict.FOOLED}


def test_a_victim_that_does_not_read_the_attackable_field_is_never_fooled(name: str) -> None:
    victim = FakeVictim({"yes": [9, 0], "no": [0, 9]}, words=EVERY_WORD)
    jobs = [
        make_job(job.example.fields["text"], SUBSTITUTES, label=number % 2, number=number, premise=("yes", "no")[number % 2])
        for number, job in enumerate(linear_jobs(20))
    ]
    trials = attack_all(name, victim, jobs)
    assert {trial.verdict for trial in trials.values()} <= {Verdict.HELD, Verdict.HELD_PROVED}
    assert all(trial.problem is None and trial.changes == () for trial in trials.values())


def test_only_words_inside_space_and_window_change(name: str) -> None:
    victim = FakeVictim({f"{word}b": [0, 2] for word in WORDS}, words=EVERY_WORD, bias=(5, 0), max_tokens=12)
    jobs = [make_job(" ".join(random.Random(number).choices(WORDS, k=30)), SUBSTITUTES, number=number, visible=10) for number in range(20)]
    trials = attack_all(name, victim, jobs)
    assert Verdict.FOOLED in {trial.verdict for trial in trials.values()}
    for job in jobs:
        for change in trials[job.example.id].changes:
            assert change.position < 10
            assert change.original == job.space.words[change.position]
            assert change.substitute in SUBSTITUTES[change.original]


def test_what_it_returns_really_fools(name: str) -> None:
    jobs = linear_jobs(40)
    victim = load_linear()
    trials = attack_all(name, victim, jobs)
    fooled = [trial for trial in trials.values() if trial.verdict == Verdict.FOOLED]
    assert len(fooled) > 10
    assert all(trial.problem is None for trial in trials.values())
    for job in jobs:
        trial = trials[job.example.id]
        if trial.verdict == Verdict.FOOLED:
            words = list(job.space.words)
            for change in trial.changes:
                words[change.position] = change.substitute
            assert victim.probs_of_texts([{"text": " ".join(words)}]).argmax() != job.example.label


@pytest.mark.parametrize(
    ("shapes", "most_live", "order"),
    [
        (Shapes(tokens=64, most=4, floor=1), 256, 1),
        (Shapes(tokens=10**6, most=1000), 3, 2),
        (Shapes(tokens=300, most=16, floor=16, fixed=True), 256, 3),
        (Shapes(), 1, 4),
    ],
)
def test_the_same_trials_whatever_the_packing_and_the_order(name: str, shapes: Shapes, most_live: int, order: int) -> None:
    jobs = linear_jobs(40)
    usual = attack_all(name, load_linear(), jobs)
    shuffled = random.Random(order).sample(jobs, len(jobs))
    other = attack_all(name, load_linear(), shuffled, shapes=shapes, most_live=most_live)
    assert comparable(other) == comparable(usual)


def test_an_example_alone_has_the_trial_that_it_has_in_company(name: str) -> None:
    jobs = linear_jobs(12)
    together = attack_all(name, load_linear(), jobs)
    alone = {job.example.id: attack_all(name, load_linear(), [job])[job.example.id] for job in jobs}
    assert comparable(alone) == comparable(together)


@pytest.mark.parametrize(
    ("text", "visible"),
    [("", None), ("w3", None), ("w3", 0), ("nothing here changes", None), (" ".join(WORDS * 100), 298), ("w1 " * 30, None)],
    ids=["empty", "one word", "one word outside the window", "no substitutes", "3,000 words", "one word over and over"],
)
def test_texts_of_odd_shapes(name: str, text: str, visible: int | None) -> None:
    victim = FakeVictim({}, words=[*EVERY_WORD, "nothing", "here", "changes"], bias=(4, 0))
    job = make_job(text, SUBSTITUTES, visible=visible)
    trial = attack_all(name, victim, [job], budget=4000)[job.example.id]
    assert trial.verdict == (Verdict.HELD if job.space.cardinality > 3 else trial.verdict)
    assert trial.verdict in (Verdict.HELD, Verdict.HELD_PROVED)
    if job.space.cardinality == 1:
        assert (trial.verdict, trial.asked) == (Verdict.HELD_PROVED, 0)


def test_equal_texts_are_separate_examples(name: str) -> None:
    jobs = [make_job("w1 w2 w3 w4", SUBSTITUTES, number=number) for number in range(6)]
    victim = FakeVictim({"w2b": [0, 9]}, words=EVERY_WORD, bias=(4, 0))
    trials = attack_all(name, victim, jobs)
    assert {trial.verdict for trial in trials.values()} == {Verdict.FOOLED}


def test_no_more_is_asked_than_the_budget_and_more_budget_never_fools_less(name: str) -> None:
    jobs = linear_jobs(30)
    fooled: list[set[str]] = []
    for budget in (1, 40, 400, 4000, None):
        trials = attack_all(name, load_linear(), jobs, budget=budget)
        assert budget is None or all(trial.asked <= budget for trial in trials.values())
        assert all(trial.forwarded <= trial.asked for trial in trials.values())
        fooled.append({trial.id for trial in trials.values() if trial.verdict == Verdict.FOOLED})
    assert all(less <= more for less, more in pairwise(fooled))
    assert len(fooled[-1]) > len(fooled[0])


def test_the_label_that_is_attacked_is_the_examples(name: str) -> None:
    victim = FakeVictim({"trigger": [9, 0]}, words=EVERY_WORD, bias=(0, 4))
    jobs = [make_job(" ".join(job.space.words), {word: ["trigger"] for word in job.space.words[:3]}, label=1) for job in trigger_jobs(1)]
    (trial,) = attack_all(name, victim, jobs).values()
    assert (trial.verdict, trial.prediction, trial.adversarial_prediction) == (Verdict.FOOLED, 1, 0)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_verdicts_never_contradict_the_whole_space(name: str, data: st.DataObject) -> None:
    """Fooled only where some text fools, proved only where none does."""
    count = data.draw(st.integers(0, 5))
    text = [data.draw(st.sampled_from(WORDS[:6])) for _ in range(count)]
    options = {word: data.draw(st.lists(st.sampled_from([f"{other}a" for other in WORDS[:6]]), max_size=3, unique=True)) for word in WORDS[:6]}
    weights = {word: [0.0, float(data.draw(st.integers(-2, 3)))] for word in [*WORDS[:6], *(f"{other}a" for other in WORDS[:6])]}
    victim = FakeVictim(weights, bias=(4.5, 0))
    job = make_job(" ".join(text), options)
    (trial,) = attack_all(name, victim, [job]).values()
    best = sum(max(weights[option][1] for option in choice) for choice in job.space.options)
    clean = sum(weights[word][1] for word in text)
    if clean > 4.5:
        assert trial.verdict == Verdict.WRONG
    elif best > 4.5:
        assert trial.verdict in (Verdict.FOOLED, Verdict.HELD)
    else:
        assert trial.verdict in (Verdict.HELD, Verdict.HELD_PROVED)
    assert trial.problem is None


def test_it_draws_from_its_stream_only(name: str) -> None:
    """Global random state neither matters nor is touched."""
    jobs = linear_jobs(6)
    np.random.seed(1)
    before = attack_all(name, load_linear(), jobs)
    untouched = np.random.random()
    np.random.seed(2)
    assert comparable(attack_all(name, load_linear(), jobs)) == comparable(before)
    np.random.seed(1)
    assert np.random.random() == untouched
