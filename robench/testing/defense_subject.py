"""The defense under test, and how the checks train it: step by step on batches of their own, and whole in the one training loop."""

from __future__ import annotations

import random
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robench._base.errors import UsageError, first_line
from robench.models.batch import Batch
from robench.models.classifier import TextClassifier
from robench.models.encoders import find_encoder, load_encoder
from robench.models.victim import build_reader
from robench.plugins.options import build_options
from robench.protocol import get_protocol
from robench.tasks.base import Splits, Task
from robench.tasks.example import Example
from robench.testing.opinions import Opinions, Synonyms, splits, tokenizer, write_encoder
from robench.testing.random_models import batch as random_batch
from robench.testing.trainings import QUICK, Training, train
from robench.training.data import SubstituteTable, encode_examples
from robench.training.defense import Defense
from robench.training.registry import DEFENSES
from robench.training.request import FitRequest


class Complaint(AssertionError):
    """A check failed."""


@dataclass(eq=False)
class DefenseSubject:
    """A defense with what its checks share; trainings are made once.

    Attributes:
        options: of the defense or of the loop, by name, over the kit's own settings (``trainings.QUICK``).
    """

    name: str
    cls: type[Defense]
    options: dict[str, Any] = field(default_factory=dict)
    _occasions: list[str] = field(default_factory=list, init=False)

    @classmethod
    def of(
        cls, defense: str | type[Defense], *, options: Mapping[str, Any] | None = None
    ) -> DefenseSubject:
        """The defense of a registered name (or of a joint one), or a registered class; raises UsageError for one that is not registered."""
        if isinstance(defense, str):
            return cls(defense, DEFENSES.get(defense), dict(options or {}))
        try:
            return cls(DEFENSES.name_of(defense), defense, dict(options or {}))
        except KeyError:
            raise UsageError(
                f"{defense.__qualname__} is no registered defense. Put @DEFENSES.register('its-name') over it."
            ) from None

    def brings(self, hook: str) -> bool:
        """Whether it, or a member of a joint defense, overrides ``hook``."""
        members: Mapping[str, type[Defense]] = getattr(self.cls, "members", {"": self.cls})
        return any(
            getattr(member, hook) is not getattr(Defense, hook) for member in members.values()
        )

    def require(self, condition: bool, complaint: str) -> None:
        """Raise AssertionError with a sentence unless ``condition`` holds."""
        if not condition:
            raise Complaint(": ".join([f"defense '{self.name}'", *self._occasions, complaint]))

    @contextmanager
    def on(self, occasion: str) -> Iterator[None]:
        """Let whatever is complained of inside say on which occasion, and make a complaint of whatever it raises."""
        self._occasions.append(occasion)
        try:
            yield
        except Complaint:
            raise
        except Exception as error:
            self.require(False, f"it broke: {type(error).__name__}: {first_line(error)}")
        finally:
            self._occasions.pop()

    # -- step by step ----------------------------------------------------------------------------------------------------------------------

    def make(self, model: TextClassifier) -> Defense:
        """A new object of it, made ready for ``model``, which is put in train mode."""
        with self.on("prepare()"):
            defense = self.attempt(model)
        return defense  # noqa: RET504 - to mypy, a context manager may swallow what is raised

    def attempt(self, model: TextClassifier) -> Defense:
        """As ``make``, where it may refuse: what it raises passes as it is."""
        defense = self.cls(build_options(self.cls.Options, self.options, f"defense '{self.name}'"))
        defense.prepare(model.train())
        return defense

    def random_batch(self, **shape: Any) -> Batch:
        """As ``random_models.batch``, with substitution sets only where it asks for them, as in training."""
        made = random_batch(**shape)
        return (
            made
            if self.cls.substitutes
            else replace(made, substitute_ids=None, substitute_mask=None)
        )

    def loss(self, defense: Defense, model: TextClassifier, texts: Batch) -> Tensor:
        """What one step would descend on, from the hooks in their order; on the way they are watched."""
        before, training = (
            {part: value.clone() for part, value in _tensors(texts)},
            [module for module in model.modules() if module.training],
        )
        defense.before_loss(model, texts)
        filled = [
            name for name, parameter in model.named_parameters() if parameter.grad is not None
        ]
        self.require(
            not filled,
            f"before_loss leaves a gradient in {', '.join(filled[:3])}: use torch.autograd.grad, not backward",
        )
        total = self._scalar("loss", defense.loss(model, texts))
        penalty = defense.penalty(model, texts)
        if penalty is not None:
            total = total + self._scalar("penalty", penalty)
        changed = [part for part, value in _tensors(texts) if not torch.equal(value, before[part])]
        self.require(
            not changed,
            f"its hooks change the batch's {', '.join(changed)} in place: work on a copy",
        )
        self.require(
            all(module.training for module in training),
            "its hooks leave the model in eval mode: the next step would be trained without dropout",
        )
        for name, value in defense.figures.items():
            self.require(
                not value.requires_grad and value.shape == (),
                f"figure '{name}' is no detached scalar",
            )
        return total

    def _scalar(self, hook: str, value: Tensor) -> Tensor:
        self.require(
            value.shape == (), f"its {hook} is no scalar but of shape {tuple(value.shape)}"
        )
        self.require(
            value.dtype == torch.float32,
            f"its {hook} is of {value.dtype}, not of torch.float32: take it of logits, which are",
        )
        self.require(bool(value.isfinite()), f"its {hook} is {float(value.detach())}")
        return value

    def encoded(
        self, texts: Sequence[Example], protocol: str = "rift2021", task: type[Task] = Opinions
    ) -> Batch:
        """One batch of texts of a toy task, read as training reads them."""
        chosen = get_protocol(protocol)
        table, reader = build_reader(
            tokenizer(), chosen, list(texts[0].fields), task.attackable, task.max_tokens
        )
        substitutes = SubstituteTable(table, Synonyms(), chosen.lookup)
        known = encode_examples(
            texts, reader, substitutes, task.attackable, segments=chosen.pair_segments
        )
        return known.batch(range(len(texts)), substitutes=self.cls.substitutes)

    def small_model(self, classes: int = 2) -> TextClassifier:
        """The classifier that a training on a toy task begins with, its head drawn from a fixed seed."""
        torch.manual_seed(0)
        return TextClassifier(load_encoder(find_encoder(str(self.encoder))), classes)

    # -- whole -----------------------------------------------------------------------------------------------------------------------------

    @cached_property
    def folder(self) -> Path:
        """A folder of its own, removed with the object."""
        folder = Path(tempfile.mkdtemp(prefix="robench-kit-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    @cached_property
    def encoder(self) -> Path:
        """The toy encoder's folder."""
        return write_encoder(self.folder / "toy-encoder")

    def request(self, chosen: Splits, task: str = "toy-opinions", **values: Any) -> FitRequest:
        """A training on a toy task that takes a fraction of a second."""
        options = {**QUICK, **self.options, **values.pop("options", {})}
        made = {
            "protocol": get_protocol("rift2021"),
            "substitutions": Synonyms(),
            "seed": 0,
            **values,
        }
        return FitRequest(
            defense=self.name,
            task=task,
            splits=chosen,
            encoder=str(self.encoder),
            options=options,
            **made,
        )

    def train(self, out: str, request: Callable[[], FitRequest], **settings: Any) -> Training:
        """Train into the folder called ``out``; what is refused or breaks becomes a sentence."""
        with self.on("its training"):
            made = train(request(), self.folder / out, **settings)
        return made  # noqa: RET504 - as in make

    @cached_property
    def unbroken(self) -> Training:
        """A training on ``toy-opinions``, whose test examples note who looks at them."""
        return self.train("unbroken", lambda: self.request(self.splits))

    @cached_property
    def killed(self) -> Training:
        """The same, killed in its second epoch; the global generators stood elsewhere when it began."""
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(99)
        return self.train("killed", lambda: self.request(self.splits), kill=True)

    @cached_property
    def splits(self) -> Splits:
        """Of ``toy-opinions``, the same in every training of this object."""
        made = splits(Opinions)
        return replace(made, test=Watched(made.test))


class Watched(Sequence[Example]):
    """Examples that remember whether anybody looked at them."""

    def __init__(self, hidden: Sequence[Example]) -> None:
        self._hidden = hidden
        self.seen = False

    def __len__(self) -> int:
        return len(self._hidden)

    def __getitem__(self, index: Any) -> Any:
        self.seen = True
        return self._hidden[index]


def _tensors(texts: Batch) -> list[tuple[str, Tensor]]:
    return [
        (part.name, value)
        for part in fields(texts)
        if isinstance(value := getattr(texts, part.name), Tensor)
    ]
