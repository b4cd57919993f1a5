"""Attacking while training: who is attacked, what is added, when, and that all of it follows from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from victim_cases import BAD, GOOD, encoder_folder, planted_splits, read_json, request

from robench import (
    ATTACKS,
    Attack,
    Choice,
    Defense,
    Example,
    FreeAttack,
    Oracle,
    SearchSpace,
    TextOracle,
)
from robench._base.code_hash import source_sha256
from robench._base.errors import RobenchError, UsageError
from robench._base.key_code import ATTACKED_TRAINING_CODE
from robench.methods.augmentation import AugmentationOptions, with_adversarial_texts
from robench.protocol import get_protocol
from robench.training import checkpoint as resume
from robench.training import request as recipe
from robench.training.defense import Trainee
from robench.training.loop import TrainingProgress, fit
from robench.training.request import FitRequest
from robench.training.setup import set_up_training
from robench.training.trainee import ModelBetweenEpochs

SEEN: list[tuple[str, ...]] = []
"""The texts that ``Swapping`` was given."""
ANSWERS: list[Any] = []
"""What the oracle answered it."""
THREADS: set[int] = set()
"""Of torch, while it searched."""


@ATTACKS.register("test-swapping")
class Swapping(Attack):
    """Puts the first substitute everywhere, unasked whether that fools."""

    access = "labels"

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        SEEN.append(space.words)
        THREADS.add(torch.get_num_threads())
        choice = np.minimum(space.sizes - 1, 1).astype(np.int16)
        ANSWERS.append(oracle.probs(choice[None])[0])
        return choice


@ATTACKS.register("test-broken")
class Broken(Attack):
    """Breaks."""

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        raise ValueError("no luck")


@ATTACKS.register("test-opposite")
class Opposite(FreeAttack):
    """Writes a text of its own, all of it opinions of the other kind."""

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        return " ".join([(GOOD, BAD)[label][0]] * 9)


class Lacking(Attack):
    """Lacks something."""

    def check(self) -> None:
        raise UsageError("It lacks a word list.")

    def search(
        self, space: SearchSpace, oracle: Oracle, label: int, rng: np.random.Generator
    ) -> Choice | None:
        raise AssertionError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_folder(tmp_path_factory.mktemp("encoder") / "small", dropout=0.0)


LEARNING = {"epochs": 4, "learning_rate": 3e-3, "batch_size": 8, "dev_examples": 8}
"""With these the opinions that are seen are learnt by the third epoch, the others are not."""


def asked(
    encoder: Path, defense: str = "augmentation", train: int = 192, **options: Any
) -> FitRequest:
    own = {"augmentation.share" if "+" in defense else "share": 1.0}
    return request(
        encoder, defense, planted_splits(train, 16), options={**LEARNING, **own, **options}
    )


@pytest.fixture
def trainee(encoder: Path, tmp_path: Path) -> ModelBetweenEpochs:
    """An untrained model that says the same of every text: it is right on half of them."""
    said: list[str] = []
    wanted = asked(encoder, train=24)
    return ModelBetweenEpochs(
        wanted, set_up_training(wanted, tmp_path, said.append), (), said.append
    )


def options(**values: Any) -> AugmentationOptions:
    return AugmentationOptions.model_validate({"share": 1.0, **values})


class Told:
    """Listens to a run."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def __call__(self, progress: TrainingProgress) -> None:
        if "fooled" in progress.message:
            self.sentences.append(progress.message)


def added(folder: Path) -> list[int]:
    return [epoch["added_examples"] for epoch in read_json(folder / "training.json")["epochs"]]


# -- which texts, and how they are changed ---------------------------------------------------------------------------------------------------


def test_a_job_has_the_words_and_substitutes_of_an_evaluation(trainee: ModelBetweenEpochs) -> None:
    job = trainee.job(Example("x", {"text": "noun1 good, unknown"}, 1))
    assert job.space.words == ("noun1", "good", ",", "unknown")
    assert job.space.options == (("noun1",), GOOD, (",",), ("unknown",))
    assert tuple(job.words["text"]) == job.space.words


def test_words_beyond_the_window_keep_theirs(trainee: ModelBetweenEpochs) -> None:
    job = trainee.job(Example("x", {"text": " ".join(["bad"] * 20)}, 0))
    assert job.space.visible == 14  # 16 tokens, two of them special
    assert [len(found) for found in job.space.options] == [len(BAD)] * 14 + [1] * 6


def test_the_lookup_is_the_protocols(encoder: Path, tmp_path: Path) -> None:
    class Lower:
        """Answers only where it is asked for lower case."""

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
    wanted = asked(encoder, train=48, attack="test-swapping", train_examples=24)
    fit(wanted, tmp_path / "v")
    chosen = {example.fields["text"] for example in wanted.splits.train}
    attacked = {" ".join(words) for words in SEEN}
    assert attacked
    assert attacked <= chosen
    assert len(attacked) <= 24
    held_out = {example.fields["text"] for example in (*wanted.splits.dev, *wanted.splits.test)}
    assert not attacked & held_out


def test_an_attack_is_shown_no_more_than_it_asked_for(trainee: ModelBetweenEpochs) -> None:
    ANSWERS.clear()
    trainee.attacked("test-swapping", trainee.examples, seed=0)
    assert ANSWERS
    assert all(sorted(answer.tolist()) == [0.0, 1.0] for answer in ANSWERS)


def test_the_search_has_one_thread_and_training_has_its_own_again(
    trainee: ModelBetweenEpochs,
) -> None:
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


def test_trials_stand_in_the_order_of_their_examples(trainee: ModelBetweenEpochs) -> None:
    examples = trainee.examples[::-1]
    assert [trial.id for trial in trainee.attacked("pwws", examples, seed=0)] == [
        example.id for example in examples
    ]


def test_what_is_added_fools_and_has_the_right_label(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[Example, Example, int, int]] = []
    real = with_adversarial_texts

    def looking(
        trainee: Trainee, options: AugmentationOptions, epoch: int
    ) -> Sequence[Example] | None:
        made = real(trainee, options, epoch)
        by_id = {example.id: example for example in trainee.examples}
        for example in (made or [])[len(trainee.added) :]:
            original = by_id[example.id.rpartition("+")[0]]
            right, wrong = trainee.victim.predict([original.fields, example.fields])
            found.append((original, example, right, wrong))
        return made

    monkeypatch.setattr("robench.methods.augmentation.with_adversarial_texts", looking)
    fit(asked(encoder, epochs=6), tmp_path / "v")
    assert len(found) > 20
    for original, example, right, wrong in found:
        assert example.label == original.label == right != wrong
        words, changed = original.fields["text"].split(), example.fields["text"].split()
        differ = [(one, other) for one, other in zip(words, changed, strict=True) if one != other]
        assert differ
        assert all({one, other} <= set(GOOD) or {one, other} <= set(BAD) for one, other in differ)


def test_an_attack_outside_the_surface_adds_what_it_wrote(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Example] = []
    real = with_adversarial_texts

    def looking(
        trainee: Trainee, options: AugmentationOptions, epoch: int
    ) -> Sequence[Example] | None:
        texts = real(trainee, options, epoch)
        made.extend(texts or [])
        return texts

    monkeypatch.setattr("robench.methods.augmentation.with_adversarial_texts", looking)
    fit(asked(encoder, attack="test-opposite", epochs=5), tmp_path / "v")
    assert made
    assert {(example.fields["text"], example.label) for example in made} <= {
        (" ".join([BAD[0]] * 9), 1),
        (" ".join([GOOD[0]] * 9), 0),
    }


# -- when, and how many ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "due"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (3, [1, 4])])
def test_it_attacks_after_the_first_epoch_and_every_so_many(
    trainee: Trainee, every: int, due: list[int]
) -> None:
    assert [
        epoch
        for epoch in range(6)
        if with_adversarial_texts(trainee, options(every=every), epoch) is not None
    ] == due


@pytest.mark.parametrize(("share", "count"), [(1.0, 24), (0.5, 12), (0.25, 6)])
def test_a_share_of_the_examples_is_drawn_anew_each_time(
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


def test_too_small_a_share_attacks_nobody(trainee: ModelBetweenEpochs) -> None:
    assert with_adversarial_texts(trainee, options(share=0.02), 1) is None
    assert with_adversarial_texts(trainee, options(share=0.0), 1) is None


def test_the_budget_is_the_searches(trainee: ModelBetweenEpochs) -> None:
    trials = trainee.attacked("pwws", trainee.examples, 0, budget=1)
    assert {trial.asked for trial in trials if trial.verdict != "wrong"} == {1}


def test_texts_stay_and_more_are_added(encoder: Path, tmp_path: Path) -> None:
    told = Told()
    fit(asked(encoder, epochs=6), tmp_path / "v", told)
    counts = added(tmp_path / "v")
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > 0
    fooled = [int(sentence.split()[2]) for sentence in told.sentences]
    assert counts[1:] == np.cumsum(fooled).tolist()
    assert " of 192 training texts with " in told.sentences[0]


def test_its_time_is_told_and_part_of_the_trainings(encoder: Path, tmp_path: Path) -> None:
    fit(asked(encoder, train=48), tmp_path / "v")
    first, *others = read_json(tmp_path / "v" / "training.json")["epochs"]
    assert first["augmenting_seconds"] < min(epoch["augmenting_seconds"] for epoch in others)
    assert all(epoch["augmenting_seconds"] <= epoch["training_seconds"] for epoch in others)


def test_an_attack_that_breaks_on_everything_ends_the_training(
    encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        RobenchError,
        match=r"Attack 'test-broken' broke on every training text .*ValueError: no luck",
    ):
        fit(asked(encoder, attack="test-broken", share=0.1, epochs=6), tmp_path / "v")


# -- the same from the same seed -------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for ``kill -9``."""


@pytest.mark.parametrize("defense", ["augmentation", "mixada"])
def test_a_killed_run_adds_the_same_texts(encoder: Path, tmp_path: Path, defense: str) -> None:
    """Killed in the epochs after texts were added, when they are on the disk only."""
    wanted = asked(encoder, defense, epochs=6)
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
    state = resume.TrainingState.load(
        tmp_path / "broken.training", wanted.key, resume.training_environment("cpu")
    )
    assert state is not None
    assert len(state.added) == counts[beginning] > 0
    assert fit(wanted, tmp_path / "broken").sha256 == whole.sha256
    assert added(tmp_path / "broken") == counts


def test_an_attack_draws_nothing_from_the_trainings_generators(
    encoder: Path, tmp_path: Path
) -> None:
    """One that never finds anything leaves the weights of plain fine-tuning, dropout and all."""
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


def test_the_attack_and_its_code_make_the_key(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = asked(encoder)
    code = plain.ingredients()["code"]
    assert set(code) == {"defense", "training", "attacks", "search"}
    assert list(code["attacks"]) == ["pwws"]
    assert set(asked(encoder, "augmentation+weight-decay").ingredients()["code"]) == set(code)
    assert set(request(encoder, "standard").ingredients()["code"]) == {"defense", "training"}
    keys = {
        plain.key,
        asked(encoder, attack="greedy").key,
        asked(encoder, share=0.5).key,
        asked(encoder, budget=9).key,
    }
    real = source_sha256
    monkeypatch.setattr(
        recipe,
        "source_sha256",
        lambda *modules: "edited" if modules == ATTACKED_TRAINING_CODE else real(*modules),
    )
    edited = asked(encoder).key
    monkeypatch.setattr(recipe, "source_sha256", real)
    monkeypatch.setattr(
        recipe, "code_sha256", lambda cls: "edited" if issubclass(cls, Attack) else "as it was"
    )
    assert len({*keys, edited, asked(encoder).key}) == 6


# -- what is refused -------------------------------------------------------------------------------------------------------------------------


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


def test_what_the_attack_lacks_is_said_before_anything_is_trained(
    encoder: Path,
) -> None:
    with (
        ATTACKS.temporarily("test-lacking", Lacking),
        pytest.raises(UsageError, match="It lacks a word list"),
    ):
        asked(encoder, attack="test-lacking").check()


def test_without_substitutions_there_is_nothing_to_attack_with(encoder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"Defense 'augmentation' trains on substitutions, and none were given"
    ):
        request(encoder, "augmentation", substitutions=None).check()


def test_two_that_add_texts_do_not_stack(encoder: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"'augmentation' and 'mixada' cannot be joined: both define extra training texts, and a training run uses only one\.",
    ):
        request(encoder, "mixada+augmentation").build()


def test_a_stack_attacks_for_its_member(encoder: Path, tmp_path: Path) -> None:
    without: dict[str, Any] = {"weight-decay.strength": 0.0}
    joint = fit(
        asked(encoder, "augmentation+weight-decay", epochs=6, **without), tmp_path / "joint"
    )
    alone = fit(asked(encoder, epochs=6), tmp_path / "alone")
    assert added(tmp_path / "joint") == added(tmp_path / "alone")
    assert joint.sha256 == alone.sha256


@pytest.mark.parametrize("loss", ["ascc", "label-smoothing"])
def test_what_is_added_goes_through_another_members_loss(
    encoder: Path, tmp_path: Path, loss: str
) -> None:
    swapping: dict[str, Any] = {"augmentation.attack": "test-swapping"}
    fit(asked(encoder, f"augmentation+{loss}", epochs=3, **swapping), tmp_path / "v")
    assert len(added(tmp_path / "v")) == 3


# -- a guest's own texts ---------------------------------------------------------------------------------------------------------------------


def test_any_defense_can_bring_texts(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook knows nothing of attacks; what it returns replaces what was there, and batches index it behind the task's own."""
    from robench import DEFENSES

    lengths_seen: list[int] = []

    @DEFENSES.register("test-bringing")
    class Bringing(Defense):
        """Two texts more in the first epoch, one in the third."""

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
            "test-bringing",
            planted_splits(24, 8),
            options={"epochs": 3, "dev_examples": 4},
        ),
        tmp_path / "v",
    )
    assert lengths_seen == [26, 26, 25]
    assert added(tmp_path / "v") == [2, 2, 1]
