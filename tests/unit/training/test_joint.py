"""Joint defenses: which hooks are called, whose settings apply, and what cannot be joined."""

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
    """Defines a loss and batches."""

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
    """Defines a penalty and a module, and changes settings of the loop."""

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
    """Defines an optimizer."""

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD([dict(group) for group in groups])


class Idle(Defense):
    """Overrides no hook."""


def joint(members: Mapping[str, type[Defense]], **options: object) -> JointDefense:
    cls = join_defenses(members)
    return cls(build_options(cls.Options, options, "it"))


PAIR: dict[str, type[Defense]] = {"lossy": Lossy, "pulling": Pulling}


def test_every_hook_reaches_the_right_members() -> None:
    CALLS.clear()
    both, model, texts = joint(PAIR), classifier(), batch()
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


def test_members_without_a_loss_use_the_cross_entropy() -> None:
    both, model, texts = (
        joint({"pulling": Pulling, "stepping": Stepping}),
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
    """Adds texts made with an attack."""

    attacks = ("pwws", "greedy")

    def augment(self, trainee: Any, epoch: int) -> Sequence[Example]:
        return [Example(f"e/{epoch}", {"text": "film"}, 0)]


def test_extra_texts_come_from_the_member_that_defines_them() -> None:
    both = joint({"bringing": Bringing, "pulling": Pulling})
    assert [example.id for example in both.augment(None, 3) or ()] == ["e/3"]  # type: ignore[arg-type]
    assert both.attacks == ["pwws", "greedy"]
    without = joint(PAIR)
    assert without.augment(None, 3) is None  # type: ignore[arg-type]
    assert without.attacks == []
    with pytest.raises(
        UsageError,
        match=r"'bringing' and 'other' cannot be joined: both define extra training texts",
    ):
        join_defenses({"bringing": Bringing, "other": Bringing})


def test_penalties_add_up() -> None:
    class Other(Pulling):
        """Another defense with the same hooks."""

    both = joint({"other": Other, "pulling": Pulling}, **{"other.strength": 0.5})
    assert both.penalty(classifier(), batch()).item() == 10.5  # type: ignore[union-attr]
    assert joint({"lossy": Lossy, "stepping": Stepping}).penalty(classifier(), batch()) is None


def test_options_are_the_loops_and_each_members_own() -> None:
    cls = join_defenses(PAIR)
    own = [name for name in cls.Options.model_fields if "." in name]
    assert own == ["lossy.strength", "lossy.own", "pulling.strength"]
    assert cls.Options.model_fields["lossy.own"].json_schema_extra == {"unit": "words"}
    both = joint(PAIR, **{"lossy.strength": "2.5", "epochs": "3"})
    assert both.defenses["lossy"].options == Lossy.Options(
        strength=2.5, epochs=3, max_gradient_norm=1.0
    )
    assert both.defenses["pulling"].options == Pulling.Options(epochs=3)
    with pytest.raises(
        UsageError,
        match=r"Option 'pulling\.strength' of it: input should be greater than or equal to 0",
    ):
        joint(PAIR, **{"pulling.strength": "-1"})


def test_a_members_own_validators_apply() -> None:
    from pydantic import field_validator

    class Strict(Lossy):
        """Refuses the value 3."""

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
        joint({"pulling": Pulling, "strict": Strict}, **{"strict.own": 3})


def test_loop_settings_come_from_the_member_with_the_loss_then_by_name() -> None:
    cls = join_defenses(PAIR)
    assert cls.Options().max_gradient_norm == 1.0  # the member with the loss leaves it open
    assert cls.task_defaults == {"imdb": {"epochs": 7, "lossy.strength": 2.0, "batch_size": 4}}

    class First(Pulling):
        """Comes before the member with the loss in the order of names."""

        task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {"imdb": {"epochs": 11}}

    assert join_defenses({"first": First, "lossy": Lossy}).task_defaults["imdb"]["epochs"] == 7
    assert join_defenses({"first": First, "pulling": Pulling}).task_defaults["imdb"] == {
        "epochs": 11,
        "batch_size": 4,
    }


def test_paper_and_deviations_are_those_of_the_members() -> None:
    cls = join_defenses(PAIR)
    assert cls.__name__ == "lossy+pulling"
    assert cls.paper == "A paper; Another paper"
    assert cls.deviations == ("lossy, pulling: Both say this.", "lossy: Only the first says this.")
    assert cls.substitutes
    assert not join_defenses({"pulling": Pulling, "stepping": Stepping}).substitutes
    assert "Defines a loss and batches." in (cls.__doc__ or "")


def test_the_code_hash_covers_every_members_code() -> None:
    """All three classes are in this file. A class without a file has no known hash."""
    assert code_sha256(join_defenses(PAIR)) is not None
    assert code_sha256(join_defenses(PAIR)) != code_sha256(Lossy)
    assert code_sha256(join_defenses(PAIR)) != code_sha256(
        join_defenses({**PAIR, "stepping": Stepping})
    )
    homeless = type("Homeless", (Stepping,), {"__module__": "nowhere"})
    assert code_sha256(join_defenses({"homeless": homeless, "lossy": Lossy})) is None


class Batching(Defense):
    """Defines batches only."""

    def batches(
        self, labels: Sequence[int], lengths: Sequence[int], batch_size: int, rng: Any
    ) -> Iterator[Sequence[int]]:
        yield [0]


class Inheriting(Stepping):
    """Inherits its parent's optimizer."""


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (
            {"a": Lossy, "b": Lossy},
            "'a' and 'b' cannot be joined: both define a loss, and a training run uses only one. "
            "Choose one of them.",
        ),
        (
            {"batching": Batching, "lossy": Lossy},
            "'batching' and 'lossy' cannot be joined: both define batches",
        ),
        (
            {"inheriting": Inheriting, "stepping": Stepping},
            "'inheriting' and 'stepping' cannot be joined: both define an optimizer",
        ),
        (
            {"idle": Idle, "lossy": Lossy, "stepping": Stepping},
            "'idle' changes nothing in 'idle.lossy.stepping': .* Use 'lossy.stepping'",
        ),
    ],
)
def test_defenses_that_cannot_be_joined_are_refused_in_one_sentence(
    members: Mapping[str, type[Defense]], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        join_defenses(members)
    assert "\n" not in str(caught.value)
