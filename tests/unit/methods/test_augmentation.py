"""Attacking while training: which texts are attacked and how they are changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from augmentation_cases import (
    ANSWERS,
    SEEN,
    THREADS,
    augmented_request,
)
from victim_cases import BAD, GOOD, request

from robench import (
    Example,
)
from robench.methods.augmentation import AugmentationOptions, with_adversarial_texts
from robench.protocol import get_protocol
from robench.training.defense import Trainee
from robench.training.loop import fit
from robench.training.setup import set_up_training
from robench.training.trainee import ModelBetweenEpochs

# -- which texts, and how they are changed


def test_a_job_has_the_words_and_substitutes_of_an_evaluation(trainee: ModelBetweenEpochs) -> None:
    job = trainee.job(Example("x", {"text": "noun1 good, unknown"}, 1))
    assert job.space.words == ("noun1", "good", ",", "unknown")
    assert job.space.options == (("noun1",), GOOD, (",",), ("unknown",))
    assert tuple(job.words["text"]) == job.space.words


def test_words_beyond_the_window_have_no_substitutes(trainee: ModelBetweenEpochs) -> None:
    job = trainee.job(Example("x", {"text": " ".join(["bad"] * 20)}, 0))
    assert job.space.visible == 14  # 16 tokens, two of them special
    assert [len(found) for found in job.space.options] == [len(BAD)] * 14 + [1] * 6


def test_substitutes_are_looked_up_as_the_protocol_says(encoder: Path, tmp_path: Path) -> None:
    class Lower:
        """Has substitutes only in the lower-case lookup."""

        name, sha256 = "lower", "2" * 64

        def of(self, word: str, lookup: str) -> tuple[str, ...]:
            return ("Fine",) if word == "Good" and lookup == "lower" else ()

    for protocol, found in (("rift2021", ("Good",)), ("subword", ("Good", "Fine"))):
        wanted = request(
            encoder, "augmentation", substitutions=Lower(), protocol=get_protocol(protocol)
        )
        trainee = ModelBetweenEpochs(
            wanted, set_up_training(wanted, tmp_path, lambda _: None), (), lambda _: None
        )
        assert trainee.job(Example("x", {"text": "Good film"}, 1)).space.options[0] == found


def test_only_training_examples_are_attacked(encoder: Path, tmp_path: Path) -> None:
    SEEN.clear()
    wanted = augmented_request(encoder, train=48, attack="test-swapping", train_examples=24)
    fit(wanted, tmp_path / "v")
    chosen = {example.fields["text"] for example in wanted.splits.train}
    attacked = {" ".join(words) for words in SEEN}
    assert attacked
    assert attacked <= chosen
    assert len(attacked) <= 24
    held_out = {example.fields["text"] for example in (*wanted.splits.dev, *wanted.splits.test)}
    assert not attacked & held_out


def test_an_attack_sees_only_what_its_access_allows(trainee: ModelBetweenEpochs) -> None:
    ANSWERS.clear()
    trainee.attacked("test-swapping", trainee.examples, seed=0)
    assert ANSWERS
    assert all(sorted(answer.tolist()) == [0.0, 1.0] for answer in ANSWERS)


def test_the_search_uses_one_thread_and_restores_the_number(trainee: ModelBetweenEpochs) -> None:
    THREADS.clear()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trainee.attacked("test-swapping", trainee.examples, seed=0)
        assert (THREADS, torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_an_attack_that_wants_gradients_gets_them(trainee: ModelBetweenEpochs) -> None:
    trials = trainee.attacked("convex-hull", trainee.examples[:4], seed=0)
    assert {trial.verdict for trial in trials} <= {"wrong", "held", "held-proved", "fooled"}


def test_trials_are_in_the_order_of_their_examples(trainee: ModelBetweenEpochs) -> None:
    examples = trainee.examples[::-1]
    assert [trial.id for trial in trainee.attacked("pwws", examples, seed=0)] == [
        example.id for example in examples
    ]


@pytest.mark.slow
def test_added_texts_fool_the_model_and_have_the_original_label(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[Example, Example, int, int]] = []
    real = with_adversarial_texts

    def observing(
        trainee: Trainee, options: AugmentationOptions, epoch: int
    ) -> Sequence[Example] | None:
        made = real(trainee, options, epoch)
        by_id = {example.id: example for example in trainee.examples}
        for example in (made or [])[len(trainee.added) :]:
            original = by_id[example.id.rpartition("+")[0]]
            right, wrong = trainee.victim.predict([original.fields, example.fields])
            found.append((original, example, right, wrong))
        return made

    monkeypatch.setattr("robench.methods.augmentation.with_adversarial_texts", observing)
    fit(augmented_request(encoder, epochs=6), tmp_path / "v")
    assert len(found) > 20
    for original, example, right, wrong in found:
        assert example.label == original.label == right != wrong
        words, changed = original.fields["text"].split(), example.fields["text"].split()
        differ = [(one, other) for one, other in zip(words, changed, strict=True) if one != other]
        assert differ
        assert all({one, other} <= set(GOOD) or {one, other} <= set(BAD) for one, other in differ)


@pytest.mark.slow
def test_texts_of_an_attack_outside_the_surface_are_added_unchanged(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Example] = []
    real = with_adversarial_texts

    def observing(
        trainee: Trainee, options: AugmentationOptions, epoch: int
    ) -> Sequence[Example] | None:
        texts = real(trainee, options, epoch)
        made.extend(texts or [])
        return texts

    monkeypatch.setattr("robench.methods.augmentation.with_adversarial_texts", observing)
    fit(augmented_request(encoder, attack="test-opposite", epochs=5), tmp_path / "v")
    assert made
    assert {(example.fields["text"], example.label) for example in made} <= {
        (" ".join([BAD[0]] * 9), 1),
        (" ".join([GOOD[0]] * 9), 0),
    }
