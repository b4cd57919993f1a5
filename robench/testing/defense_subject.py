"""The defense under test and the ways in which the checks train it.

Some checks run single steps on batches of their own. Others run whole trainings in the training
loop.
"""

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
from robench.models.smoother import Smoother
from robench.models.victim import build_reader
from robench.plugins.options import build_options
from robench.protocol import get_protocol
from robench.tasks.base import Splits, Task
from robench.tasks.example import Example
from robench.testing.opinions import Opinions, Synonyms, splits, tokenizer, write_encoder
from robench.testing.random_models import VOCABULARY
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
    """A defense with what its checks share. Each training is run once.

    Attributes:
        name: the registered name.
        cls: the registered class.
        options: options of the defense or of the loop, by name; they override the kit's own
            settings (``trainings.QUICK``).
    """

    name: str
    cls: type[Defense]
    options: dict[str, Any] = field(default_factory=dict)
    _occasions: list[str] = field(default_factory=list, init=False)

    @classmethod
    def of(
        cls, defense: str | type[Defense], *, options: Mapping[str, Any] | None = None
    ) -> DefenseSubject:
        """Make the subject of a registered name, a joint name or a registered class.

        Raises:
            UsageError: the class is not registered.
        """
        if isinstance(defense, str):
            return cls(defense, DEFENSES.get(defense), dict(options or {}))
        try:
            return cls(DEFENSES.name_of(defense), defense, dict(options or {}))
        except KeyError:
            raise UsageError(
                f"{defense.__qualname__} is no registered defense."
                " Put @DEFENSES.register('its-name') over it."
            ) from None

    def overrides(self, hook: str) -> bool:
        """Return whether the defense, or a member of a joint defense, overrides ``hook``."""
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
        """Add the occasion to every complaint made inside.

        Any other exception raised inside becomes a complaint too.
        """
        self._occasions.append(occasion)
        try:
            yield
        except Complaint:
            raise
        except Exception as error:
            self.require(False, f"it broke: {type(error).__name__}: {first_line(error)}")
        finally:
            self._occasions.pop()

    # -- single steps ------------------------------------------------------------------------------

    def make(self, model: TextClassifier) -> Defense:
        """Make a new object, prepared for ``model``, which is put into train mode."""
        with self.on("prepare()"):
            defense = self.make_or_refuse(model)
        # mypy assumes that a context manager may swallow an exception.
        return defense  # noqa: RET504

    def make_or_refuse(self, model: TextClassifier) -> Defense:
        """Do the same as ``make``, but let exceptions pass: the defense may refuse the model."""
        defense = self.cls(build_options(self.cls.Options, self.options, f"defense '{self.name}'"))
        if (smoother := self.smoother(defense)) is not None:
            defense.use_smoother(smoother)
        defense.prepare(model.train())
        return defense

    def smoother(self, defense: Defense) -> Smoother | None:
        """Make what draws a randomised defense's variants of texts of ``toy-opinions``."""
        smoothing = defense.smoothing
        if smoothing is None:
            return None
        protocol = get_protocol("rift2021")
        _, reader = build_reader(
            tokenizer(), protocol, ["text"], Opinions.attackable, Opinions.max_tokens
        )
        vectors = np.random.default_rng(0).normal(size=(VOCABULARY, 4))
        return Smoother.build(smoothing, reader, vectors, Synonyms(), protocol.lookup)

    def random_batch(self, **shape: Any) -> Batch:
        """Make a ``random_models.batch``.

        As in training, it has substitution sets only if the defense asks for them.
        """
        made = random_batch(**shape)
        if self.cls.substitutes:
            return made
        return replace(made, substitute_ids=None, substitute_mask=None)

    def loss(self, defense: Defense, model: TextClassifier, texts: Batch) -> Tensor:
        """Return the loss of one step, from the hooks in their order, and check the hooks."""
        before = {part: value.clone() for part, value in _tensors(texts)}
        training = [module for module in model.modules() if module.training]
        defense.before_loss(model, texts)
        filled = [
            name for name, parameter in model.named_parameters() if parameter.grad is not None
        ]
        self.require(
            not filled,
            f"before_loss leaves a gradient in {', '.join(filled[:3])}:"
            " use torch.autograd.grad, not backward",
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
            "its hooks leave the model in eval mode:"
            " the next step would be trained without dropout",
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
        """Encode texts of a toy task as one batch, as training does."""
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
        """Make the classifier that a toy training begins with; its head has a fixed seed."""
        torch.manual_seed(0)
        return TextClassifier(load_encoder(find_encoder(str(self.encoder))), classes)

    # -- whole trainings ---------------------------------------------------------------------------

    @cached_property
    def folder(self) -> Path:
        """A temporary folder, removed with this object."""
        folder = Path(tempfile.mkdtemp(prefix="robench-kit-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    @cached_property
    def encoder(self) -> Path:
        """The toy encoder's folder."""
        return write_encoder(self.folder / "toy-encoder")

    def request(self, chosen: Splits, task: str = "toy-opinions", **values: Any) -> FitRequest:
        """Make a request for a toy training, which takes a fraction of a second."""
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
        """Train into the folder called ``out``; any exception becomes a complaint."""
        with self.on("its training"):
            made = train(request(), self.folder / out, **settings)
        # See ``make``.
        return made  # noqa: RET504

    @cached_property
    def uninterrupted(self) -> Training:
        """A training on ``toy-opinions``; its test examples remember whether they were read."""
        return self.train("uninterrupted", lambda: self.request(self.splits))

    @cached_property
    def killed(self) -> Training:
        """The same training, killed in its second epoch.

        The global generators are in another state when it begins.
        """
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(99)
        return self.train("killed", lambda: self.request(self.splits), kill=True)

    @cached_property
    def splits(self) -> Splits:
        """The splits of ``toy-opinions``, the same in every training of this object."""
        made = splits(Opinions)
        return replace(made, test=Watched(made.test))


class Watched(Sequence[Example]):
    """Examples that remember whether they were read."""

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
