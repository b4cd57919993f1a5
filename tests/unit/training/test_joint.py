"""Stacks of defenses: whose hooks are called, whose settings hold, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from victim_cases import batch, classifier

from robench import Batch, Defense, Example
from robench._base.code_hash import code_sha256
from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier
from robench.plugins.options import build_options
from robench.training.joint import JointDefense, join_defenses

CALLS: list[str] = []


class Lossy(Defense):
    """Brings a loss and batches."""

    paper = "A paper"
    deviations = ("Both say this.", "Only the first says this.")
    substitutes = True
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "imdb": {"epochs": 7, "strength": 2.0}
    }

    class Options(Defense.Options):
        strength: float = Field(1.0, ge=0, description="x")
        own: int = Field(5, description="x", json_schema_extra={"unit": "words"})

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        CALLS.append("lossy prepares")

    def batches(
        self, labels: Sequence[int], lengths: Sequence[int], batch_size: int, rng: Any
    ) -> Iterator[Sequence[int]]:
        yield [0]

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        self.figures = {"task": torch.tensor(3.0)}
        return torch.tensor(self.options.strength)

    def finish(self, model: TextClassifier) -> None:
        CALLS.append("lossy finishes")


class Pulling(Defense):
    """Brings a penalty and a module, and has a say about the loop."""

    paper = "Another paper"
    deviations = ("Both say this.",)
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "imdb": {"epochs": 9, "batch_size": 4}
    }

    class Options(Defense.Options):
        strength: float = Field(10.0, ge=0, description="x")
        max_gradient_norm: float | None = Field(1.0, gt=0, description="x")

    options: Options

    def prepare(self, model: TextClassifier) -> None:
        CALLS.append("pulling prepares")
        self.module = nn.Linear(1, 1)

    def modules(self) -> Iterator[nn.Module]:
        yield self.module

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        CALLS.append("pulling measures")

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor:
        self.figures["pull"] = torch.tensor(4.0)
        return torch.tensor(self.options.strength)

    def finish(self, model: TextClassifier) -> None:
        CALLS.append("pulling finishes")


class Stepping(Defense):
    """Brings an optimiser."""

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD([dict(group) for group in groups])


class Idle(Defense):
    """Overrides no hook."""


def made(members: Mapping[str, type[Defense]], **options: object) -> JointDefense:
    cls = join_defenses(members)
    return cls(build_options(cls.Options, options, "it"))


PAIR: dict[str, type[Defense]] = {"lossy": Lossy, "pulling": Pulling}


def test_every_hook_reaches_whom_it_should() -> None:
    CALLS.clear()
    both, model, texts = made(PAIR), classifier(), batch()
    both.prepare(model)
    assert [type(module) for module in both.modules()] == [nn.Linear]
    assert list(both.batches([0], [1], 1, None) or ()) == [[0]]  # type: ignore[arg-type]
    both.before_loss(model, texts)
    assert both.loss(model, texts).item() == 1.0
    penalty = both.penalty(model, texts)
    assert penalty is not None
    assert penalty.item() == 10.0
    assert both.figures == {"lossy.task": torch.tensor(3.0), "pulling.pull": torch.tensor(4.0)}
    assert both.optimizer([]) is None
    both.finish(model)
    assert CALLS == [
        "lossy prepares",
        "pulling prepares",
        "pulling measures",
        "pulling finishes",
        "lossy finishes",
    ]


def test_without_a_loss_of_their_own_the_usual_one_stands() -> None:
    both, model, texts = (
        made({"pulling": Pulling, "stepping": Stepping}),
        classifier().eval(),
        batch(),
    )
    both.prepare(model)
    expected = nn.functional.cross_entropy(
        model(texts.input_ids, texts.attention_mask), texts.labels
    )
    torch.testing.assert_close(both.loss(model, texts), expected)
    assert both.batches([0], [1], 1, None) is None  # type: ignore[arg-type]
    assert isinstance(both.optimizer([{"params": model.parameters(), "lr": 0.1}]), torch.optim.SGD)


class Bringing(Defense):
    """Brings texts, made with an attack."""

    attacks = ("pwws", "greedy")

    def augment(self, trainee: Any, epoch: int) -> Sequence[Example]:
        return [Example(f"e/{epoch}", {"text": "film"}, 0)]


def test_further_texts_are_those_of_the_member_that_brings_them() -> None:
    both = made({"bringing": Bringing, "pulling": Pulling})
    assert [example.id for example in both.augment(None, 3) or ()] == ["e/3"]  # type: ignore[arg-type]
    assert both.attacks == ["pwws", "greedy"]
    without = made(PAIR)
    assert without.augment(None, 3) is None  # type: ignore[arg-type]
    assert without.attacks == []
    with pytest.raises(
        UsageError, match=r"'bringing' and 'other' do not stack: both bring further texts"
    ):
        join_defenses({"bringing": Bringing, "other": Bringing})


def test_penalties_add_up() -> None:
    class Other(Pulling):
        """The same again."""

    both = made({"other": Other, "pulling": Pulling}, **{"other.strength": 0.5})
    assert both.penalty(classifier(), batch()).item() == 10.5  # type: ignore[union-attr]
    assert made({"lossy": Lossy, "stepping": Stepping}).penalty(classifier(), batch()) is None


def test_options_are_the_loops_once_and_each_members_own() -> None:
    cls = join_defenses(PAIR)
    own = [name for name in cls.Options.model_fields if "." in name]
    assert own == ["lossy.strength", "lossy.own", "pulling.strength"]
    assert cls.Options.model_fields["lossy.own"].json_schema_extra == {"unit": "words"}
    both = made(PAIR, **{"lossy.strength": "2.5", "epochs": "3"})
    assert both.defenses["lossy"].options == Lossy.Options(
        strength=2.5, epochs=3, max_gradient_norm=1.0
    )
    assert both.defenses["pulling"].options == Pulling.Options(epochs=3)
    with pytest.raises(
        UsageError,
        match=r"Option 'pulling\.strength' of it: input should be greater than or equal to 0",
    ):
        made(PAIR, **{"pulling.strength": "-1"})


def test_a_members_own_rules_hold() -> None:
    from pydantic import field_validator

    class Strict(Lossy):
        """Takes no three."""

        class Options(Lossy.Options):
            @field_validator("own")
            @classmethod
            def _not_three(cls, value: int) -> int:
                if value == 3:
                    raise ValueError("is not taken")
                return value

    with pytest.raises(
        UsageError, match="Option 'own' of defense 'strict': value error, is not taken"
    ):
        made({"pulling": Pulling, "strict": Strict}, **{"strict.own": 3})


def test_the_loops_settings_are_those_of_the_member_with_the_loss_then_by_name() -> None:
    cls = join_defenses(PAIR)
    assert cls.Options().max_gradient_norm == 1.0  # the one with the loss has no say
    assert cls.task_defaults == {"imdb": {"epochs": 7, "lossy.strength": 2.0, "batch_size": 4}}

    class First(Pulling):
        """Named before the member that brings the loss."""

        task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {"imdb": {"epochs": 11}}

    assert join_defenses({"first": First, "lossy": Lossy}).task_defaults["imdb"]["epochs"] == 7
    assert join_defenses({"first": First, "pulling": Pulling}).task_defaults["imdb"] == {
        "epochs": 11,
        "batch_size": 4,
    }


def test_a_stack_says_what_its_members_say() -> None:
    cls = join_defenses(PAIR)
    assert cls.__name__ == "lossy+pulling"
    assert cls.paper == "A paper; Another paper"
    assert cls.deviations == ("lossy, pulling: Both say this.", "lossy: Only the first says this.")
    assert cls.substitutes
    assert not join_defenses({"pulling": Pulling, "stepping": Stepping}).substitutes
    assert "Brings a loss and batches." in (cls.__doc__ or "")


def test_its_code_is_its_members_code() -> None:
    """All three classes live in this file, which is what they bring; a class without a file leaves the hash unknown."""
    assert code_sha256(join_defenses(PAIR)) is not None
    assert code_sha256(join_defenses(PAIR)) != code_sha256(Lossy)
    assert code_sha256(join_defenses(PAIR)) != code_sha256(
        join_defenses({**PAIR, "stepping": Stepping})
    )
    homeless = type("Homeless", (Stepping,), {"__module__": "nowhere"})
    assert code_sha256(join_defenses({"homeless": homeless, "lossy": Lossy})) is None


class Batching(Defense):
    """Brings batches only."""

    def batches(
        self, labels: Sequence[int], lengths: Sequence[int], batch_size: int, rng: Any
    ) -> Iterator[Sequence[int]]:
        yield [0]


class Inheriting(Stepping):
    """Brings its parent's optimiser."""


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (
            {"a": Lossy, "b": Lossy},
            "'a' and 'b' do not stack: both bring a loss, and one training run takes only one. Choose one of them.",
        ),
        (
            {"batching": Batching, "lossy": Lossy},
            "'batching' and 'lossy' do not stack: both bring batches",
        ),
        (
            {"inheriting": Inheriting, "stepping": Stepping},
            "'inheriting' and 'stepping' do not stack: both bring an optimiser",
        ),
        (
            {"idle": Idle, "lossy": Lossy, "stepping": Stepping},
            "'idle' changes nothing in 'idle.lossy.stepping': .* Say 'lossy.stepping'",
        ),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    members: Mapping[str, type[Defense]], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        join_defenses(members)
    assert "\n" not in str(caught.value)
