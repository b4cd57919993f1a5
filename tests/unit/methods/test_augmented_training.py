"""Training with added texts: when they are made, that seeds decide them, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from augmentation_cases import (
    Lacking,
    Sentences,
    added,
    augmented_request,
    options,
)
from victim_cases import encoder_folder, planted_splits, read_json, request

from robench import (
    ATTACKS,
    Attack,
    Choice,
    Defense,
    Example,
    Oracle,
    SearchSpace,
)
from robench._base.code_hash import source_sha256
from robench._base.errors import RobenchError, UsageError
from robench._base.key_code import ATTACKED_TRAINING_CODE
from robench.methods.augmentation import with_adversarial_texts
from robench.training import request as request_module
from robench.training.checkpoint import TrainingState, training_environment
from robench.training.defense import Trainee
from robench.training.loop import TrainingProgress, fit
from robench.training.trainee import ModelBetweenEpochs

# Most of these tests train a defense.
pytestmark = pytest.mark.slow

# -- when, and how many


@pytest.mark.parametrize(("every", "due"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (3, [1, 4])])
def test_attacks_come_after_the_first_epoch_and_then_at_an_interval(
    trainee: Trainee, every: int, due: list[int]
) -> None:
    assert [
        epoch
        for epoch in range(6)
        if with_adversarial_texts(trainee, options(every=every), epoch) is not None
    ] == due


@pytest.mark.parametrize(("share", "count"), [(1.0, 24), (0.5, 12), (0.25, 6)])
def test_a_new_share_of_the_examples_is_drawn_each_time(
    trainee: Trainee, monkeypatch: pytest.MonkeyPatch, share: float, count: int
) -> None:
    drawn: list[list[str]] = []
    real = ModelBetweenEpochs.attacked

    def attacked(
        self: ModelBetweenEpochs,
        name: str,
        examples: Sequence[Example],
        seed: int,
        budget: int | None = None,
    ) -> Any:
        drawn.append([example.id for example in examples])
        return real(self, name, examples, seed, budget)

    monkeypatch.setattr(ModelBetweenEpochs, "attacked", attacked)
    for epoch in (1, 2, 1):
        with_adversarial_texts(trainee, options(share=share), epoch)
    assert [len(set(ids)) for ids in drawn] == [count] * 3
    assert drawn[0] == drawn[2]
    assert (drawn[0] == drawn[1]) == (share == 1.0)


def test_a_share_of_less_than_one_example_attacks_none(trainee: ModelBetweenEpochs) -> None:
    assert with_adversarial_texts(trainee, options(share=0.02), 1) is None
    assert with_adversarial_texts(trainee, options(share=0.0), 1) is None


def test_the_budget_limits_each_search(trainee: ModelBetweenEpochs) -> None:
    trials = trainee.attacked("pwws", trainee.examples, 0, budget=1)
    assert {trial.asked for trial in trials if trial.verdict != "wrong"} == {1}


def test_texts_are_kept_and_more_are_added(encoder: Path, tmp_path: Path) -> None:
    heard = Sentences()
    fit(augmented_request(encoder, epochs=6), tmp_path / "v", heard)
    counts = added(tmp_path / "v")
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > 0
    fooled = [int(sentence.split()[2]) for sentence in heard.sentences]
    assert counts[1:] == np.cumsum(fooled).tolist()
    assert " of 192 training texts with " in heard.sentences[0]


def test_the_time_of_attacks_is_logged_and_part_of_the_training_time(
    encoder: Path, tmp_path: Path
) -> None:
    fit(augmented_request(encoder, train=48), tmp_path / "v")
    first, *others = read_json(tmp_path / "v" / "training.json")["epochs"]
    assert first["augmenting_seconds"] < min(epoch["augmenting_seconds"] for epoch in others)
    assert all(epoch["augmenting_seconds"] <= epoch["training_seconds"] for epoch in others)


def test_an_attack_that_fails_on_every_text_ends_the_training(
    encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        RobenchError,
        match=r"Attack 'test-broken' failed on every training text .*ValueError: no luck",
    ):
        fit(augmented_request(encoder, attack="test-broken", share=0.1, epochs=6), tmp_path / "v")


# -- the same from the same seed


class Killed(BaseException):
    """Stands for ``kill -9``."""


@pytest.mark.parametrize("defense", ["augmentation", "mixada"])
def test_a_killed_run_adds_the_same_texts(encoder: Path, tmp_path: Path, defense: str) -> None:
    """It is killed after texts were added, when they exist only on disk."""
    wanted = augmented_request(encoder, defense, epochs=6)
    whole = fit(wanted, tmp_path / "whole")
    counts = added(tmp_path / "whole")
    beginning = next(epoch for epoch, count in enumerate(counts) if count)

    def kill_in(epoch: int) -> Any:
        def listen(progress: TrainingProgress) -> None:
            if progress.epoch == epoch and progress.step == 3:
                raise Killed

        return listen

    for epoch in (beginning + 1, beginning + 2):
        with pytest.raises(Killed):
            fit(wanted, tmp_path / "broken", kill_in(epoch))
    state = TrainingState.load(
        tmp_path / "broken.training", wanted.key, training_environment("cpu")
    )
    assert state is not None
    assert len(state.added) == counts[beginning] > 0
    assert fit(wanted, tmp_path / "broken").sha256 == whole.sha256
    assert added(tmp_path / "broken") == counts


def test_an_attack_draws_nothing_from_the_trainings_generators(
    encoder: Path, tmp_path: Path
) -> None:
    """An attack that never succeeds leaves the weights of plain fine-tuning."""
    loose = encoder_folder(tmp_path / "loose", dropout=0.1)
    quick = {"epochs": 3, "dev_examples": 8}
    splits = planted_splits(48, 8)

    @ATTACKS.register("test-idle")
    class Idle(Attack):
        def search(
            self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
        ) -> Choice | None:
            np.random.rand()
            return None

    plain = fit(request(loose, "standard", splits, options=quick), tmp_path / "plain")
    idle = fit(
        request(
            loose, "augmentation", splits, options={**quick, "share": 1.0, "attack": "test-idle"}
        ),
        tmp_path / "idle",
    )
    assert plain.sha256 == idle.sha256


def test_the_key_depends_on_the_attack_and_its_code(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = augmented_request(encoder)
    code = plain.ingredients()["code"]
    assert set(code) == {"defense", "training", "attacks", "search"}
    assert list(code["attacks"]) == ["pwws"]
    assert set(
        augmented_request(encoder, "augmentation+weight-decay").ingredients()["code"]
    ) == set(code)
    assert set(request(encoder, "standard").ingredients()["code"]) == {"defense", "training"}
    keys = {
        plain.key,
        augmented_request(encoder, attack="greedy").key,
        augmented_request(encoder, share=0.5).key,
        augmented_request(encoder, budget=9).key,
    }
    real = source_sha256
    monkeypatch.setattr(
        request_module,
        "source_sha256",
        lambda *modules: "edited" if modules == ATTACKED_TRAINING_CODE else real(*modules),
    )
    edited = augmented_request(encoder).key
    monkeypatch.setattr(request_module, "source_sha256", real)
    monkeypatch.setattr(
        request_module,
        "code_sha256",
        lambda cls: "edited" if issubclass(cls, Attack) else "as it was",
    )
    assert len({*keys, edited, augmented_request(encoder).key}) == 6


# -- what is refused


@pytest.mark.parametrize("defense", ["augmentation", "mixada", "augmentation+ascc"])
def test_an_unknown_attack_is_refused_before_anything_is_trained(
    encoder: Path, defense: str
) -> None:
    with pytest.raises(UsageError, match=r"no attack 'pwsw'\. Did you mean 'pwws'"):
        request(
            encoder,
            defense,
            options={"augmentation.attack" if "+" in defense else "attack": "pwsw"},
        ).check()


def test_an_attack_that_cannot_run_is_refused_before_anything_is_trained(
    encoder: Path,
) -> None:
    with (
        ATTACKS.temporarily("test-lacking", Lacking),
        pytest.raises(UsageError, match="It lacks a word list"),
    ):
        augmented_request(encoder, attack="test-lacking").check()


def test_augmentation_without_substitutions_is_refused(encoder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"Defense 'augmentation' trains on substitutions, and none were given"
    ):
        request(encoder, "augmentation", substitutions=None).check()


def test_two_defenses_that_add_texts_cannot_be_joined(encoder: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"'augmentation' and 'mixada' cannot be joined: both define extra training texts, "
        r"and a training run uses only one\.",
    ):
        request(encoder, "mixada+augmentation").build()


def test_a_joint_defense_adds_the_texts_of_its_member(encoder: Path, tmp_path: Path) -> None:
    without: dict[str, Any] = {"weight-decay.strength": 0.0}
    joint = fit(
        augmented_request(encoder, "augmentation+weight-decay", epochs=6, **without),
        tmp_path / "joint",
    )
    alone = fit(augmented_request(encoder, epochs=6), tmp_path / "alone")
    assert added(tmp_path / "joint") == added(tmp_path / "alone")
    assert joint.sha256 == alone.sha256


@pytest.mark.parametrize("loss", ["ascc", "label-smoothing"])
def test_added_texts_are_trained_on_with_another_members_loss(
    encoder: Path, tmp_path: Path, loss: str
) -> None:
    swapping: dict[str, Any] = {"augmentation.attack": "test-swapping"}
    fit(augmented_request(encoder, f"augmentation+{loss}", epochs=3, **swapping), tmp_path / "v")
    assert len(added(tmp_path / "v")) == 3


# -- a guest's own texts


def test_any_defense_can_add_texts(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the hook returns replaces the texts added before.

    Batches refer to added texts by the indices after the task's own.
    """
    from robench import DEFENSES

    lengths_seen: list[int] = []

    @DEFENSES.register("test-adding")
    class Adding(Defense):
        """Adds two texts in the first epoch and only one in the third."""

        paper = "none"

        def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
            assert len(trainee.added) == {0: 0, 1: 2, 2: 2}[epoch]
            more = [
                Example(f"m/{number}", {"text": f"noun{number} good"}, 1) for number in range(2)
            ]
            return {0: more, 2: more[:1]}.get(epoch)

        def batches(self, labels: Any, lengths: Any, batch_size: int, rng: Any) -> Any:
            lengths_seen.append(len(lengths))
            return iter([[0, 1], [len(lengths) - 1]])

    fit(
        request(
            encoder,
            "test-adding",
            planted_splits(24, 8),
            options={"epochs": 3, "dev_examples": 4},
        ),
        tmp_path / "v",
    )
    assert lengths_seen == [26, 26, 25]
    assert added(tmp_path / "v") == [2, 2, 1]
