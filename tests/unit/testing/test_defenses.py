"""The kit against defenses that break one promise each, on purpose: the check of that promise fails, with a sentence that says what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import pytest
import torch
from pydantic import ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from robench import DEFENSES, Batch, Defense, Example, Options
from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier
from robench.testing import DEFENSE_CHECKS, DefenseSubject, check_defense
from robench.training.defense import Trainee
from robench.training.setup import adamw
from robench.training.trainee import ModelBetweenEpochs

VIOLATORS: list[tuple[str, str, str]] = []
"""Name of a defense, the check that it fails and what the check must say."""

Made = type[Defense]


def breaks(check: str, sentence: str) -> Callable[[Made], Made]:
    """Register a defense that must fail at ``check``."""

    def decorate(cls: Made) -> Made:
        name = f"kit-{cls.__name__.lower()}"
        VIOLATORS.append((name, check, sentence))
        return DEFENSES.register(name)(cls)

    return decorate


def logits_of(model: TextClassifier, batch: Batch) -> Tensor:
    return model(batch.input_ids, batch.attention_mask, batch.token_type_ids)  # type: ignore[no-any-return]


@DEFENSES.register("kit-sound")
class Sound(Defense):
    """Plain fine-tuning."""

    paper = "none: a defense for the tests of the kit"


# -- what it says of itself ----------------------------------------------------------------------------------------------------------------


@breaks("description", "'paper' is no citation")
class Nameless(Sound):
    """Says nothing of where it comes from."""

    paper = ""


@breaks("description", "it has no docstring")
class Undocumented(Sound):
    pass


@breaks("description", "each of its deviations must be a sentence")
class Mumbling(Sound):
    """Its deviations are notes."""

    deviations = ("other optimiser",)


@breaks("description", "task_defaults names 'imbd', and there is no such task")
class Misspelt(Sound):
    """Has settings for a task that is not there."""

    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {"imbd": {"epochs": 3}}


@breaks("description", r"task_defaults\['imdb'\] has no option 'epoch'")
class Forgetful(Sound):
    """Has settings for an option that is not there."""

    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {"imdb": {"epoch": 3}}


@breaks("options", r"its Options do not derive from robench\.TrainingOptions")
class Apart(Sound):
    """Its options lack those of the loop."""

    class Options(Options):
        strength: float = Field(1.0, ge=0, description="Weight.")


@breaks("options", "option 'strength' has no description")
class Silent(Sound):
    """Does not say what its option is."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0)


@breaks("options", "option 'strength' is a number without a range")
class Boundless(Sound):
    """Takes any number."""

    class Options(Sound.Options):
        strength: float | None = Field(1.0, description="Weight.")


@breaks("options", "its defaults: it broke: ValidationError")
class Outside(Sound):
    """Its default lies outside its range."""

    class Options(Sound.Options):
        strength: float = Field(-1.0, ge=0, description="Weight.")


@breaks("options", "option 'strength' takes -1")
class Lenient(Sound):
    """Mends what it is given."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0, description="Weight.")

        @field_validator("strength", mode="before")
        @classmethod
        def _mended(cls, value: Any) -> float:
            return 1.0


@breaks("options", r"option 'strength' breaks at 'many' \(KeyError: 'many'\)")
class Crashing(Sound):
    """Looks its option up where it is not."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0, description="Weight.")

        @field_validator("strength", mode="before")
        @classmethod
        def _looked_up(cls, value: Any) -> float:
            return {"one": 1.0}[value] if isinstance(value, str) else value


@breaks(
    "options",
    "option 'strength' does not refuse 'many' in one sentence that names it: .*no number.nthat is all",
)
class Rambling(Sound):
    """Explains itself at length."""

    class Options(Sound.Options):
        strength: float = Field(1.0, ge=0, description="Weight.")

        @field_validator("strength", mode="before")
        @classmethod
        def _explained(cls, value: Any) -> Any:
            if isinstance(value, str):
                raise ValueError("no number\nthat is all there is to say")
            return value


@breaks("options", "option 'no_option_of_any_defense' takes 1")
class Careless(Sound):
    """Takes options that it does not have."""

    class Options(Sound.Options):
        model_config = ConfigDict(extra="allow")


# -- a step --------------------------------------------------------------------------------------------------------------------------------


@breaks("loss", r"12 steps on one batch of 2 classes take its loss from 0\.\d+ to 1\.\d+")
class Climbing(Sound):
    """Its value is the loss and its gradient points uphill."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        value = super().loss(model, batch)
        return 2 * value.detach() - value


@breaks("loss", r"its loss is no scalar but of shape \(6,\)")
class Unreduced(Sound):
    """A loss for each text."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(logits_of(model, batch), batch.labels, reduction="none")


@breaks("loss", r"its penalty is no scalar but of shape \(1,\)")
class Nearly(Sound):
    """A penalty of one entry."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        return torch.zeros(1)


@breaks("loss", "its loss is nan")
class Undefined(Sound):
    """No number."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) * torch.nan


@breaks("loss", r"its loss is of torch\.float64, not of torch\.float32")
class Double(Sound):
    """More digits than asked for."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch).double()


@breaks("loss", r"before_loss leaves a gradient in encoder\.embeddings.*use torch\.autograd\.grad")
class Littering(Sound):
    """Measures with backward."""

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        super().loss(model, batch).backward()


@breaks("loss", "its hooks change the batch's labels in place")
class Relabelling(Sound):
    """Writes into the labels."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        batch.labels[0] = 1 - batch.labels[0].clamp(max=1)
        return super().loss(model, batch)


@breaks("loss", "its hooks leave the model in eval mode")
class Sleeping(Sound):
    """Looks at the model in eval mode and leaves it there."""

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        model.encoder.eval()


@breaks("loss", "figure 'task' is no detached scalar")
class Holding(Sound):
    """Keeps the graph of each step alive."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        self.figures["task"] = super().loss(model, batch)
        return self.figures["task"]


@breaks(
    "loss", "steps with 2 classes: it broke: ValueError: the batch carries no substitution sets"
)
class Unasked(Sound):
    """Works with substitutes that it does not ask for."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        from robench.models.convex_hull import maximise

        maximise(model, batch)
        return super().loss(model, batch)


@breaks("loss", r"prepare\(\): it broke: IndexError: .*\(head\)")
class Reaching(Sound):
    """Looks for a layer that is not there."""

    def prepare(self, model: TextClassifier) -> None:
        raise IndexError(f"no layer {len(model.head)} (head)")


@breaks("gradients", r"its loss does not reach encoder\.embeddings.* more: freeze in prepare")
class Detached(Sound):
    """Trains the head and does not say so."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(
            model.classify(model.features(batch.input_ids, batch.attention_mask).detach()),
            batch.labels,
        )


@breaks("reduced_precision", "a step in bf16 leaves encoder.* without a finite gradient")
class Hairsplitting(Sound):
    """Takes the root of a difference that is none in three digits."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        features = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return (features - features * (1 + 1e-4)).float().square().sum().sqrt()


@breaks("reduced_precision", "a step in bf16: it broke: TypeError: .*BFloat16")
class Leaving(Sound):
    """Takes features to numpy, which knows no bf16."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        features = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return 0.0 * torch.tensor(np.linalg.norm(features.detach().numpy()))


@breaks("reduced_precision", r"a step in bf16: its loss is of torch\.bfloat16")
class Rounding(Sound):
    """Takes its loss from features, which are bf16 under autocast."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        features = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        return model.head(features)[torch.arange(len(batch.labels)), batch.labels].mean().neg()  # type: ignore[no-any-return]


# -- texts at the edges --------------------------------------------------------------------------------------------------------------------


@breaks("odd_texts", "a batch of one text: its penalty is nan")
class Sociable(Sound):
    """Takes the spread over a batch."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        logits = logits_of(model, batch)
        return (logits - logits.mean(0)).square().sum() / (len(logits) - 1)


@breaks("odd_texts", "a batch without one of the classes: its penalty is nan")
class Comparing(Sound):
    """Takes it for granted that a batch of several texts has every class."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        logits = logits_of(model, batch)
        return logits[batch.labels == 0].mean() if len(batch.labels) > 1 else None


@breaks("odd_texts", "texts of one word: its penalty is nan")
class Wordy(Sound):
    """Divides by the words after the first, of which a text of no word has none either."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        return (
            logits_of(model, batch).mean()
            * (batch.attention_mask.sum(1).max() - 3)
            / (batch.attention_mask.sum(1).max() - 3)
        )


@breaks("odd_texts", "texts without a word: its penalty is nan")
class Averaging(Sound):
    """Averages over the words between the special tokens."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        inner = batch.attention_mask[:, 1:-1].float()
        return inner.mean() * logits_of(model, batch).mean()


@breaks("odd_texts", "texts without substitutes: it broke: IndexError")
class Spoilt(Sound):
    """Takes it for granted that something can be substituted wherever there are words to mix."""

    substitutes = True

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        assert batch.substitute_ids is not None
        ids = batch.substitute_ids[:, :, 1] if batch.input_ids.shape[1] > 3 else batch.input_ids
        return 0.0 * logits_of(model, replace(batch, input_ids=ids)).sum()


@breaks("odd_texts", "a text of 300 words beside one of one word: it broke: RuntimeError")
class Short(Sound):
    """Has a table of 64 positions."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        return 0.0 * (torch.ones(64)[: batch.input_ids.shape[1]] * batch.attention_mask).sum()


@breaks("odd_texts", "a usual batch: the gradient of .* is not finite")
class Rooted(Sound):
    """Takes the root of a zero: finite, with a gradient that is not."""

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        logits = logits_of(model, batch)
        return (logits - logits.detach()).square().sum().sqrt()


@breaks("odd_texts", "token types: it broke: AssertionError: no types, please")
class Typeless(Sound):
    """Knows of one protocol only."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        assert batch.token_type_ids is None, "no types, please"
        return super().loss(model, batch)


@breaks("families", "a random encoder of the family 'distilbert': it broke: AttributeError")
class Provincial(Sound):
    """Knows where BERT and its like keep their layers."""

    def prepare(self, model: TextClassifier) -> None:
        self.first = model.encoder.encoder.layer[0]


# -- order, optimiser, processes -----------------------------------------------------------------------------------------------------------


class Ordering(Sound):
    """Base of the violators that bring batches."""

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]]:
        for chosen in np.array_split(self.order(labels, rng), max(1, len(labels) // batch_size)):
            yield chosen.tolist()

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return rng.permutation(len(labels))


@breaks(
    "batches",
    r"batches\(\) of 20 examples differ with the same rng: it draws from another generator",
)
class Shuffling(Ordering):
    """Shuffles with numpy's global generator."""

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return np.random.permutation(len(labels))


@breaks("batches", r"batches\(\) makes no batch, or an empty one, of 20 examples of one class")
class Choosy(Ordering):
    """Trains on the negative examples."""

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return np.flatnonzero(np.asarray(labels) == 0)


@breaks("batches", r"batches\(\) names an index that none of 20 examples has")
class Counting(Ordering):
    """Counts from 1."""

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        return rng.permutation(len(labels)) + 1


@breaks(
    "optimizer",
    r"its optimiser leaves out head\.0\.weight, head\.0\.bias, head\.2\.weight and 1 more",
)
class Headless(Sound):
    """Builds its optimiser from the encoder alone."""

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        return adamw([dict(groups[0])])


@breaks(
    "shares",
    r"2 processes that share 7 texts do not make the loss of one process: it must not say parallel = True",
)
class Summing(Sound):
    """Sums over the texts of a batch."""

    parallel = True

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(logits_of(model, batch), batch.labels, reduction="sum")


@breaks(
    "saved",
    r"the model's layers are not those of a plain one: head\.1 \(GELU\), head\.1 \(ReLU\)\. Put back there what prepare\(\) swapped",
)
class Swapping(Sound):
    """Leaves another activation in the head."""

    def prepare(self, model: TextClassifier) -> None:
        model.head[1] = nn.GELU()


@breaks("saved", r"the model's tensors are not those of a plain one: head\.shift")
class Adding(Sound):
    """Leaves a buffer."""

    def prepare(self, model: TextClassifier) -> None:
        model.head.register_buffer("shift", torch.zeros(1))


@breaks("saved", "the loaded victim gives other answers than the one that was saved")
class Hooking(Sound):
    """Leaves a hook that nobody saves."""

    def prepare(self, model: TextClassifier) -> None:
        model.head.register_forward_hook(lambda module, inputs, output: output * 2)


# -- a whole training ----------------------------------------------------------------------------------------------------------------------


@breaks("learning", r"its victim is right on 50% of an easy task, no better than guessing \(50%\)")
class Stubborn(Sound):
    """Learns that every text is positive."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return cross_entropy(logits_of(model, batch), torch.ones_like(batch.labels))


@breaks("learning", r"its loss does not fall on an easy task: 0\.\d+, [1-9]\d?\.")
class Ageing(Ordering):
    """Pays for every epoch."""

    def prepare(self, model: TextClassifier) -> None:
        self.epochs = 0

    def order(self, labels: Sequence[int], rng: np.random.Generator) -> Any:
        self.epochs += 1
        return super().order(labels, rng)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) + 10 * max(0, self.epochs - 1)


@breaks(
    "learning",
    r"its training: it broke: RobenchError: Training 'kit-exploding' on 'toy-opinions' diverged in epoch 2: its loss is nan",
)
class Exploding(Ageing):
    """Its loss is a number for an epoch."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return Sound.loss(self, model, batch) * (torch.nan if self.epochs > 1 else 1)


class Augmenting(Sound):
    """Base of the violators that add texts: some of the training examples again."""

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        return [
            replace(example, id=f"{example.id}+{epoch}") for example in self.chosen(trainee, epoch)
        ]

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return trainee.examples[4 * epoch : 4 * epoch + 4]


@DEFENSES.register("kit-sound-augmenting")
class SoundAugmenting(Augmenting):
    """Adds four texts in each epoch; has options of every kind."""

    class Options(Sound.Options):
        whole: int | None = Field(None, ge=1, lt=9, description="A number or none.")
        mode: Literal["one", "other"] = Field("one", description="One of several words.")
        layers: str = Field("7 9", pattern="^[0-9 ]+$", description="Words.")
        switch: bool = Field(True, description="On or off.")
        pair: tuple[float, float] = Field(
            (0.0, 1.0), description="Two numbers, whose range nobody can declare here."
        )


@breaks("test", "it reads the test examples while it trains")
class Peeking(Augmenting):
    """Trains on test examples."""

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return cast(ModelBetweenEpochs, trainee).request.splits.test[:4]


@breaks(
    "dev",
    "with other dev labels it trains other weights: dev selects the epoch and has no other use",
)
class Grasping(Augmenting):
    """Trains on dev examples."""

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return cast(ModelBetweenEpochs, trainee).request.splits.dev


@breaks(
    "repeated",
    "it draws from a generator that is not seeded, or keeps something from one training to the next",
)
class Noisy(Sound):
    """Weighs its loss by a generator of its own."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) * float(np.random.default_rng().uniform(0.5, 1.5))


@breaks(
    "repeated",
    "it draws from a generator that is not seeded, or keeps something from one training to the next",
)
class Remembering(Sound):
    """Counts steps in its class."""

    steps = 0

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        type(self).steps += 1
        return super().loss(model, batch) * (1 + 0.1 * (self.steps % 10))


@breaks(
    "resumed",
    r"killed and resumed, it ends with other weights than without a kill: what must outlive an epoch belongs into modules\(\)",
)
class Running(Sound):
    """Keeps a running mean of its loss where no checkpoint finds it."""

    mean = 0.0

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        value = super().loss(model, batch)
        self.mean = 0.9 * self.mean + 0.1 * float(value.detach())
        return value * (1 + self.mean)


@breaks(
    "resumed",
    r"killed and resumed, it adds other texts than without a kill: augment\(\) must follow from the seed and the epoch alone",
)
class Tallying(Augmenting):
    """Counts its own calls."""

    calls = 0

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        self.calls += 1
        return trainee.examples[4 * self.calls : 4 * self.calls + 4]


@breaks("pairs", "its training: it broke: KeyError: 'text'")
class Single(Augmenting):
    """Knows of tasks with one field."""

    def chosen(self, trainee: Trainee, epoch: int) -> Iterable[Example]:
        return [
            replace(example, fields={"text": example.fields["text"].upper()})
            for example in super().chosen(trainee, epoch)
        ]


# -- what the kit says of them -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kit-sound", "kit-sound-augmenting"])
def test_a_sound_defense_passes(name: str) -> None:
    check_defense(name)


@pytest.mark.parametrize(
    ("name", "check", "sentence"), VIOLATORS, ids=[name for name, _, _ in VIOLATORS]
)
def test_a_broken_promise_fails_at_its_check(name: str, check: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=rf"^defense '{name}': .*{sentence}") as failure:
        DEFENSE_CHECKS[check](DefenseSubject.of(name))
    assert "\n" not in str(failure.value)


def test_every_check_has_a_defense_that_fails_at_it() -> None:
    assert {check for _, check, _ in VIOLATORS} == set(DEFENSE_CHECKS)


def test_one_that_refuses_a_family_is_sound() -> None:
    @DEFENSES.register("kit-particular")
    class Particular(Sound):
        """Does with BERT only, and says so."""

        def prepare(self, model: TextClassifier) -> None:
            if model.encoder.config.model_type != "bert":
                raise UsageError("Only BERT.")

    DEFENSE_CHECKS["families"](DefenseSubject.of("kit-particular"))


def test_check_defense_takes_classes_and_options_and_stops_at_the_first_failure() -> None:
    with pytest.raises(AssertionError, match=r"^defense 'kit-nameless': 'paper' is no citation"):
        check_defense(DEFENSES.get("kit-nameless"))
    with pytest.raises(
        AssertionError,
        match=r"prepare\(\): it broke: UsageError: Option 'learning_rate' of defense 'kit-sound': .* greater than 0",
    ):
        check_defense("kit-sound", options={"learning_rate": -1.0})


def test_it_runs_on_one_thread_and_gives_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Sound, "prepare", lambda self, model: seen.append(torch.get_num_threads()))
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(AssertionError, match="its penalty is no scalar"):
            check_defense("kit-nearly")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(usual)
    assert set(seen) == {1}


def test_an_unregistered_class_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        UsageError,
        match=r"^Defense is no registered defense\. Put @DEFENSES\.register\('its-name'\) over it\.$",
    ):
        check_defense(Defense)


def test_the_folders_of_a_subject_go_with_it() -> None:
    subject = DefenseSubject.of("kit-sound")
    folder: Path = subject.encoder.parent
    assert folder.is_dir()
    del subject
    assert not folder.exists()
