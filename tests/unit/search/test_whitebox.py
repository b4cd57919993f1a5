"""Tests of the queries that need gradients.

They check what the victim gets, what the attack gets back, what it costs, and who is refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_victims import (
    Closed,
    FakeVictim,
    PieceTable,
    linear_jobs,
    load_closed,
    load_linear,
    make_job,
)
from torch.nn.functional import cross_entropy
from victim_cases import CARD, classifier, tokenizer

from robench import ATTACKS, BudgetSpent, SearchSpace, Verdict
from robench._base.errors import RobenchError, UsageError
from robench.models.gradient_query import GradientQuery
from robench.models.hull_query import HullQuery
from robench.models.victim import Victim
from robench.plugins.options import build_options
from robench.search.engine import run
from robench.search.jobs import Job
from robench.search.oracle import PooledOracle
from robench.search.settings import SearchSettings
from robench.search.whitebox import PooledWhiteBoxOracle, check_access, hull_slots, white_box
from robench.search.workers import WorkerPlan, run_workers
from robench.testing import Subject

JOB = make_job("a b c", {"a": ["a1", "a2"], "c": ["c1", "unheard", "of"]})
WORDS = ["a", "a1", "a2", "b", "c", "c1"]


def make_oracle(
    victim: Any, kind: Any = PooledWhiteBoxOracle, budget: int | None = None, job: Job = JOB
) -> Any:
    candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
    first = (victim,) if kind is PooledWhiteBoxOracle else ()
    return kind(
        *first,
        job.space,
        candidates,
        0,
        lambda of, ids, lengths: victim.logits(ids, lengths),
        budget,
        aligned=True,
        longest=300,
    )


def test_every_option_is_a_slot_of_its_token() -> None:
    victim = FakeVictim({}, words=WORDS)
    number = victim.table.numbers
    slots = hull_slots(
        JOB.space, victim.encoder_fields.candidates(JOB.words, JOB.space, JOB.example.fields)
    )
    first, last, unknown = 2, 3, 1
    assert slots.ids.tolist() == [first, number["a"], number["b"], number["c"], last]
    assert slots.tokens.tolist() == [
        [first] * 3,
        [number["a"], number["a1"], number["a2"]],
        [number["b"]] * 3,
        [number["c"], number["c1"], unknown],
        [last] * 3,
    ]
    assert slots.allowed.tolist() == [
        [True, False, False],
        [True] * 3,
        [True, False, False],
        [True] * 3,
        [True, False, False],
    ]
    assert slots.columns.tolist() == [1, -1, 3]
    # "of" and "unheard" are both the unknown token, so "of" has no own slot.
    assert slots.numbers.tolist() == [
        [0, 1, 2, -1],
        [-1] * 4,
        [0, 1, 2, -1],
    ]


def test_weights_are_returned_by_option() -> None:
    victim = FakeVictim({}, words=WORDS)
    slots = hull_slots(
        JOB.space, victim.encoder_fields.candidates(JOB.words, JOB.space, JOB.example.fields)
    )
    weights = np.array(
        [[1, 0, 0], [0.5, 0.125, 0.375], [1, 0, 0], [0.25, 0.75, 0], [1, 0, 0]], dtype=np.float32
    )
    assert slots.by_option(weights).tolist() == [
        [0.5, 0.125, 0.375, 0],
        [1, 0, 0, 0],
        [0.25, 0.75, 0, 0],
    ]


def test_options_of_several_tokens_cannot_be_mixed_unless_one_token_differs() -> None:
    victim = FakeVictim({}, table=PieceTable())
    job = make_job("cat x", {"cat": ["cut", "dog", "cats", "car"], "x": ["y"]})
    slots = hull_slots(
        job.space, victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
    )
    # "cut" differs in the second letter, which becomes the word's column. "car" differs in another
    # one, "dog" in all of them, and "cats" is longer.
    assert slots.columns.tolist() == [2, 4]
    assert slots.numbers.tolist() == [[0, 1, -1, -1, -1], [0, 1, -1, -1, -1]]


def test_an_example_without_substitutes_has_one_slot_everywhere() -> None:
    job = make_job("a b", {})
    slots = hull_slots(
        job.space,
        FakeVictim({}, words=WORDS).encoder_fields.candidates(
            job.words, job.space, job.example.fields
        ),
    )
    assert slots.tokens.shape == slots.allowed.shape == (4, 1)
    assert slots.by_option(np.ones((4, 1), dtype=np.float32)).tolist() == [[1], [1]]


def test_a_hull_is_charged_with_its_steps() -> None:
    victim = FakeVictim({"a1": [0, 1], "a2": [0, 2]}, words=WORDS)
    oracle = make_oracle(victim, budget=25)
    weights = oracle.hull(np.random.default_rng(0), 10, 1.0)
    assert weights.argmax(axis=1).tolist() == [2, 0, 0]
    assert (oracle.asked, oracle.forwarded) == (10, 10)
    oracle.hull(np.random.default_rng(0), 10, 1.0)
    with pytest.raises(BudgetSpent):
        oracle.hull(np.random.default_rng(0), 6, 1.0)
    assert oracle.asked == 20


class Steep(FakeVictim):
    """A victim whose gradient at a token is the token's number, in two directions."""

    def gradient(self, query: GradientQuery) -> np.ndarray:
        self.asked = query
        return np.stack([query.ids, -query.ids], axis=1).astype(np.float32)


def test_the_steepness_of_a_word_is_that_of_its_token() -> None:
    victim = Steep({}, words=WORDS)
    number, oracle = victim.table.numbers, make_oracle(victim, budget=2)
    norms = oracle.gradient_norms(np.array([2, 0, 1], dtype=np.int16))
    assert norms.tolist() == [2 * number["a2"], 2 * number["b"], 2 * number["c1"]]
    assert victim.asked.ids.tolist() == [2, number["a2"], number["b"], number["c1"], 3]
    assert victim.asked.types.tolist() == [0] * 5
    assert victim.asked.label == 0
    assert (oracle.asked, oracle.forwarded) == (1, 1)
    oracle.gradient_norms(JOB.space.original())
    with pytest.raises(BudgetSpent):
        oracle.gradient_norms(JOB.space.original())


def test_the_gradients_of_the_pieces_of_a_word_are_averaged() -> None:
    victim = Steep({}, table=PieceTable())
    number = victim.table.numbers
    job = make_job("cat x", {"x": ["y"]}, premise="dog")
    norms = make_oracle(victim, job=job).gradient_norms(np.array([0, 1], dtype=np.int16))
    pieces = [number[letter] for letter in "cat"]
    assert norms.tolist() == [pytest.approx(2 * sum(pieces) / 3), 2 * number["y"]]


def test_a_word_outside_the_window_has_no_steepness() -> None:
    victim = Steep({}, words=WORDS, max_tokens=4)
    job = make_job("a b c", {"a": ["a1"]}, visible=2)
    norms = make_oracle(victim, job=job).gradient_norms(job.space.original())
    assert (norms > 0).tolist() == [True, True, False]


def test_gradients_of_a_text_outside_the_space_are_not_given() -> None:
    oracle = make_oracle(Steep({}, words=WORDS))
    with pytest.raises(ValueError, match="outside the space"):
        oracle.gradient_norms(np.array([3, 0, 0], dtype=np.int16))
    assert oracle.asked == 0


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_a_hull_query_says_the_temperature_and_the_objective(temperature: float) -> None:
    asked: list[HullQuery] = []

    class Watched(FakeVictim):
        def hull(self, query: HullQuery) -> np.ndarray:
            asked.append(query)
            return super().hull(query)

    attack: Any = ATTACKS.get("convex-hull")
    options = build_options(attack.Options, {"objective": "cross-entropy", "restarts": "1"}, "it")
    settings = SearchSettings(temperature=temperature)
    victim = Watched({}, words=WORDS, bias=(1, 0))
    list(run(victim, attack(options), "convex-hull", [JOB], settings))
    assert [(each.temperature, each.objective) for each in asked] == [
        (temperature, "cross-entropy")
    ]


def test_only_attacks_that_declare_it_get_gradients() -> None:
    victim = FakeVictim({}, words=WORDS)
    assert white_box(oracle := make_oracle(victim)) is oracle
    with pytest.raises(
        TypeError,
        match="PooledOracle gives no gradients: the attack must declare access = 'gradients'",
    ):
        white_box(make_oracle(victim, PooledOracle))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convex-hull", "a2t"])
def test_a_victim_without_gradients_is_refused(name: str) -> None:
    sentence = (
        f"^Attack '{name}' needs the victim's gradients, "
        "which robench has only for victims that it trained itself: choose another attack.$"
    )
    attack = ATTACKS.get(name)()
    with pytest.raises(UsageError, match=sentence):
        check_access(attack, name, Closed({}))
    with pytest.raises(UsageError, match=sentence):
        list(run(Closed({}), attack, name, [JOB]))
    with pytest.raises(RobenchError, match=sentence):
        list(run_workers(WorkerPlan(victim=Path(), attack=name, load=load_closed), [JOB], 1))
    check_access(ATTACKS.get("greedy")(), "greedy", Closed({}))


WIDE = {**CARD, "max_tokens": 16}
TEXT = make_job(
    "film good noun1 bad noun2",
    {"good": ["fine", "great", "superb"], "bad": ["poor", "awful", "dreadful"], "film": ["noun3"]},
)


def hull_query(label: int = 0, **others: Any) -> HullQuery:
    slots = hull_slots(
        TEXT.space, real().encoder_fields.candidates(TEXT.words, TEXT.space, TEXT.example.fields)
    )
    asked = HullQuery(
        slots.ids,
        slots.types,
        slots.tokens,
        slots.allowed,
        label,
        steps=10,
        learning_rate=1.0,
        seed=5,
    )
    return replace(asked, **others)


def real() -> Victim:
    return Victim(classifier(), tokenizer(), WIDE)


def losses(victim: Victim, label: int, weights: np.ndarray) -> float:
    """Compute the cross-entropy of a mixture without packing.

    Every slot of every token goes through the embedding layer.
    """
    asked = hull_query()
    with torch.no_grad():
        slots = [
            victim.model.embed(torch.tensor(asked.slots[None, :, slot], dtype=torch.long))
            for slot in range(asked.slots.shape[1])
        ]
        mixed = (torch.stack(slots, 2) * torch.tensor(weights)[None, :, :, None]).sum(2)
        logits = victim.model.classify(
            victim.model.features_from_embeddings(
                mixed, torch.ones(mixed.shape[:2], dtype=torch.long)
            )
        )
        return float(cross_entropy(logits, torch.tensor([label])))


@pytest.mark.parametrize("label", [0, 1])
def test_the_mixture_found_has_a_higher_loss_than_the_text_and_an_even_one(label: int) -> None:
    victim, asked = real(), hull_query(label)
    weights = victim.hull(asked)
    assert weights.dtype == np.float32
    assert weights.shape == asked.slots.shape
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (weights[~asked.allowed] == 0).all()
    even = (asked.allowed / asked.allowed.sum(axis=1, keepdims=True)).astype(np.float32)
    original = np.eye(asked.slots.shape[1], dtype=np.float32)[np.zeros(len(asked.slots), dtype=int)]
    assert losses(victim, label, weights) > max(
        losses(victim, label, even), losses(victim, label, original)
    )


def test_a_hull_answer_depends_on_its_query_only() -> None:
    victim = real()
    once = victim.hull(hull_query())
    torch.manual_seed(99)
    assert victim.hull(hull_query()).tolist() == once.tolist()
    assert victim.hull(hull_query(seed=6)).tolist() != once.tolist()
    assert not any(parameter.grad is not None for parameter in victim.model.parameters())
    assert all(parameter.requires_grad for parameter in victim.model.parameters())
    assert not victim.model.training


def test_a_real_victim_gives_the_steepness_of_every_word() -> None:
    """The words' gradients are the tokens' own, where each word is one token."""
    victim = real()
    candidates = victim.encoder_fields.candidates(TEXT.words, TEXT.space, TEXT.example.fields)
    (ids,), (length,) = candidates.encode(TEXT.space.original()[None])
    gradient = victim.gradient(GradientQuery(ids[:length], candidates.types(int(length)), 1))
    norms = make_oracle(victim, job=TEXT).gradient_norms(TEXT.space.original())
    assert norms.shape == (len(TEXT.space.words),)
    # The oracle was made for class 0, whose margin falls where that of class 1 rises.
    np.testing.assert_allclose(norms, np.abs(gradient[1:-1]).sum(axis=1), rtol=1e-5)


def border(victim: Victim, texts: list[str]) -> None:
    """Shift the head so that each class is predicted for half of the texts."""
    probs = victim.probs_of_texts([{"text": text} for text in texts])
    head: Any = victim.model.head
    with torch.no_grad():
        head[-1].bias[1] -= float(np.median(np.log(probs[:, 1] / probs[:, 0])))


def test_the_attack_fools_a_real_victim_if_its_space_can() -> None:
    """Over both labels and many texts, its successes are real, and it finds most of them."""
    victim, words = real(), ["good", "bad", "film", "noun1", "noun2", "noun3", "fine", "poor"]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 6)) for _ in range(24)]
    border(victim, texts)
    labels = victim.predict([{"text": text} for text in texts]).tolist()
    substitutes = {word: [other for other in words[:5] if other != word] for word in words}
    jobs = [
        make_job(text, substitutes, label=label, number=number)
        for number, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    hull = Subject.of("convex-hull", options={"restarts": 3}).trials(victim, jobs)
    best = Subject.of("exhaustive", options={"max_size": 300}).trials(victim, jobs)
    fooled, possible = (
        {name for name, trial in trials.items() if trial.verdict == Verdict.FOOLED}
        for trials in (hull, best)
    )
    assert len(possible) >= 5
    assert len(fooled & possible) >= len(possible) / 2
    assert all(trial.problem is None for trial in hull.values())


def never_fooled() -> Any:
    victim = load_linear()
    victim.bias = np.array([100, 0], dtype=np.float32)
    return victim


def test_with_the_heaviest_words_alone_each_ascent_queries_one_text() -> None:
    jobs = [job for job in linear_jobs(10) if len(job.space.positions)]
    for restarts in (1, 3):
        options = {"restarts": restarts, "steps": 7, "texts": "heaviest"}
        trials = Subject.of("convex-hull", options=options).trials(never_fooled(), jobs)
        assert {trial.asked for trial in trials.values()} == {8 * restarts}


def test_a_refinement_also_queries_every_option_of_every_word() -> None:
    jobs = [job for job in linear_jobs(10) if len(job.space.positions)]
    trials = Subject.of("convex-hull", options={"steps": 7}).trials(never_fooled(), jobs)
    for job in jobs:
        options = int(job.space.sizes[job.space.positions].sum())
        # One pass that changes nothing, or one that ends at the last change plus another one.
        assert 8 + options <= trials[job.example.id].asked <= 8 + 3 * options


class Undecided(FakeVictim):
    """A victim whose mixtures are decided beforehand: "a" hardly, "c" clearly."""

    def hull(self, query: HullQuery) -> np.ndarray:
        weights = np.zeros(query.slots.shape, dtype=np.float32)
        weights[:, 0] = 1
        weights[1], weights[3] = [0.4, 0.3, 0.3], [0.1, 0.9, 0]
        return weights


MARGINS = {
    "a": [3.0, 0.0],
    "a1": [2.0, 0.0],
    "a2": [1.0, 0.0],
    "b": [0.5, 0.0],
    "c": [1.0, 0.0],
    "c1": [0.0, 0.0],
}


def hull_search(bias: float, texts: str) -> tuple[list[int] | None, list[list[int]]]:
    """Return the text found, and the texts queried."""
    victim = Undecided(MARGINS, words=WORDS, bias=(bias, 0))
    oracle, asked = make_oracle(victim, job=JOB), []
    ask = oracle.logits

    def logits(choices: np.ndarray) -> np.ndarray:
        asked.extend(choices.tolist())
        return np.asarray(ask(choices))

    oracle.logits = logits
    attack: Any = ATTACKS.get("convex-hull")
    options = build_options(attack.Options, {"texts": texts}, "it")
    found = attack(options).search(JOB.space, oracle, 0, np.random.default_rng(0))
    return (None if found is None else found.tolist()), asked


def test_the_word_with_the_least_decided_mixture_is_refined_first() -> None:
    """The heaviest words "a b c1" have a margin of 3.5; "a2" lowers it by 2."""
    assert hull_search(-2.0, "refined") == (
        [2, 0, 1],
        [[0, 0, 1], [0, 0, 1], [1, 0, 1], [2, 0, 1]],
    )


def test_the_published_form_does_not_refine() -> None:
    assert hull_search(-2.0, "heaviest") == (None, [[0, 0, 1]])


@pytest.mark.parametrize("texts", ["refined", "heaviest"])
def test_the_heaviest_words_end_the_search_if_they_fool(texts: str) -> None:
    assert hull_search(-3.75, texts) == ([0, 0, 1], [[0, 0, 1]])


def test_a_mixture_that_misleads_nobody_still_leaves_what_greedy_fools() -> None:
    """Here the heaviest words are the text itself, as where the gradients lead nowhere."""
    victim, jobs = load_linear(), linear_jobs(60)

    def nowhere(query: HullQuery) -> np.ndarray:
        return np.eye(query.slots.shape[1], dtype=np.float32)[np.zeros(len(query.slots), dtype=int)]

    victim.hull = nowhere  # type: ignore[method-assign]
    heaviest, refined, greedy = (
        {name for name, trial in subject.trials(victim, jobs).items() if trial.changes}
        for subject in (
            Subject.of("convex-hull", options={"texts": "heaviest"}),
            Subject.of("convex-hull"),
            Subject.of("greedy"),
        )
    )
    # The words of a linear victim add up, so every descent reaches the least margin.
    assert refined == greedy
    assert len(refined) > 5
    assert not heaviest


def test_the_attack_needs_a_space() -> None:
    space = SearchSpace(("a",), (("a",),), 1)
    attack: Any = ATTACKS.get("convex-hull")()
    assert attack.search(space, None, 0, np.random.default_rng(0)) is None
