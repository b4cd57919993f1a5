"""Defenses that break a promise of ``robench.Defense`` in a whole run (see ``LIES``).

What each of them must come to is in ``LIES`` beside it: the sentence of its failure, or the message
or finding that the user gets, or nothing where the rest of the run is unharmed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from robench import Batch, Defense, Example
from robench.models.classifier import TextClassifier
from robench.models.smoothing import Smoothing


@dataclass(frozen=True)
class Lie:
    """One lying defense.

    Attributes:
        made: its class.
        said: a pattern of what the user must be told; empty where nothing needs saying.
        record: whether the defense gets a record.
        early: whether the whole request is refused before anything is trained.
    """

    made: type[Defense]
    said: str
    record: bool
    early: bool = False


LIES: dict[str, Lie] = {}
Made = type[Defense]


def fails(said: str) -> Callable[[Made], Made]:
    """Expect one sentence and no record."""
    return _expect(said, record=False)


def refused(said: str) -> Callable[[Made], Made]:
    """Expect that the request is refused before anything is trained."""
    return _expect(said, record=False, early=True)


def told(said: str) -> Callable[[Made], Made]:
    """Expect a record, and a message or a finding."""
    return _expect(said, record=True)


def _expect(said: str, *, record: bool, early: bool = False) -> Callable[[Made], Made]:
    def decorate(cls: Made) -> Made:
        LIES[cls.__name__] = Lie(cls, said, record, early)
        return cls

    return decorate


def _logits(model: TextClassifier, batch: Batch) -> Tensor:
    return model(batch.input_ids, batch.attention_mask, batch.token_type_ids)  # type: ignore[no-any-return]


class Broken(Defense):
    """Base of those that do something in their first step."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        self.step(model, batch)
        return super().loss(model, batch)

    def step(self, model: TextClassifier, batch: Batch) -> None:
        """Do it."""


@fails(r"raised SystemExit\(0\)")
class Exits(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        raise SystemExit(0)


@fails(r"called os\._exit\(0\)")
class ExitsAtOnce(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        os._exit(0)


@fails(r"broke: KeyboardInterrupt \(lying_defenses\.py, line \d+\)")
class Interrupts(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        raise KeyboardInterrupt


@fails(r"broke: GeneratorExit")
class EndsAGenerator(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        raise GeneratorExit


@fails(r"broke: ValueError: no such layer \(lying_defenses\.py, line \d+\)\. This is an error")
class Complains(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        raise ValueError("no such layer")


@fails(r"broke: ValueError: x{400}.*5,000,0\d\d characters")
class ComplainsAtLength(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        raise ValueError("x" * 5_000_000)


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@fails("broke: _Mute")
class HasNoWords(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        raise _Mute


@fails("broke: ValueError: circle")
class IsItsOwnCause(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        error = ValueError("circle")
        raise error from error


@fails("broke: RecursionError")
class CallsItself(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        self.step(model, batch)


@fails("broke: OSError: nothing here")
class HasASystemError(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        raise OSError("nothing here")


@fails("diverged in epoch 1, step 1: its loss is nan")
class Undefined(Defense):
    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) * torch.nan


@fails("broke: TypeError: can't multiply sequence")
class NoTensor(Defense):
    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return "low"  # type: ignore[return-value]


@fails("broke: RuntimeError: .*scalar")
class OneForEach(Defense):
    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return _logits(model, batch).sum(1)


@fails("broke: RuntimeError: .*grad")
class NoGradient(Defense):
    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch).detach()


@fails("broke: RuntimeError: .*grad")
class KeepsAnotherForward(Defense):
    def prepare(self, model: TextClassifier) -> None:
        model.forward = lambda *rest, **more: torch.zeros(len(rest[0]), 2)  # type: ignore[method-assign]


@told("replaced code of robench or NumPy, first 'robench.models.classifier.TextClassifier.forward'")
class ReplacesTheCore(Broken):
    def prepare(self, model: TextClassifier) -> None:
        old = TextClassifier.forward

        def backwards(self: TextClassifier, *rest: Any, **more: Any) -> Tensor:
            return -old(self, *rest, **more)

        TextClassifier.forward = backwards  # type: ignore[method-assign]


@told("replaced code of robench or NumPy, first 'numpy.argmax'")
class ReplacesNumpy(Defense):
    def finish(self, model: TextClassifier) -> None:
        np.argmax = lambda *rest, **more: 0  # type: ignore[assignment]


@told("")
class LeavesTrainMode(Defense):
    def finish(self, model: TextClassifier) -> None:
        model.train()


@told("torch's default dtype")
class ChangesTheDtype(Defense):
    def finish(self, model: TextClassifier) -> None:
        torch.set_default_dtype(torch.float64)


@told("torch's gradient mode")
class SwitchesGradientsOff(Defense):
    def finish(self, model: TextClassifier) -> None:
        torch.set_grad_enabled(False)


@told("the working folder")
class Moves(Defense):
    def finish(self, model: TextClassifier) -> None:
        os.chdir("/")


@told("")
class Seeds(Defense):
    def finish(self, model: TextClassifier) -> None:
        torch.manual_seed(7)
        np.random.seed(7)


@told("")
class AnswersByCompany(Defense):
    def prepare(self, model: TextClassifier) -> None:
        model.head.register_forward_hook(lambda module, given, out: out - out.mean(0))


@told("")
class AnswersByTime(Defense):
    def prepare(self, model: TextClassifier) -> None:
        model.head.register_forward_hook(lambda module, given, out: out * (time.time() % 1))


@told("")
class Relabels(Broken):
    def step(self, model: TextClassifier, batch: Batch) -> None:
        batch.labels.fill_(1)
        batch.input_ids.zero_()


@told("")
class WritesIntoTheExamples(Defense):
    def augment(self, trainee: Any, epoch: int) -> Sequence[Example] | None:
        splits = trainee.request.splits
        for example in [*trainee.examples, *splits.train, *splits.dev, *splits.test]:
            example.fields["text"] = "the film number 1 of lies"
            object.__setattr__(example, "label", 0)
        splits.train.clear()
        splits.dev.clear()
        return None


@fails("broke: IndexError")
class ReadsTheTest(Defense):
    def augment(self, trainee: Any, epoch: int) -> Sequence[Example] | None:
        return [trainee.request.splits.test[0]]


@fails("broke: AttributeError")
class AddsRubbish(Defense):
    def augment(self, trainee: Any, epoch: int) -> Sequence[Example] | None:
        return ["a text", None, 7]  # type: ignore[list-item]


@told("")
class AddsOneTwice(Defense):
    def augment(self, trainee: Any, epoch: int) -> Sequence[Example] | None:
        return [trainee.examples[0]] * 3


@fails("broke: IndexError: Target 9 is out of bounds")
class AddsALabelTooMany(Defense):
    def augment(self, trainee: Any, epoch: int) -> Sequence[Example] | None:
        return [Example("x", {"text": "the film"}, 9)]


@fails("broke: ValueError: enough")
class AddsWithoutEnd(Defense):
    def augment(self, trainee: Any, epoch: int) -> Sequence[Example] | None:
        def texts() -> Iterator[Example]:
            for number in count():
                # robench itself sets no end, as for a loop without end in any step.
                if number == 10_000:
                    raise ValueError("enough")
                yield Example(str(number), {"text": "the film"}, 0)

        return texts()  # type: ignore[return-value]


@fails("broke: IndexError: list index out of range")
class HasBatchesOfNothing(Defense):
    def batches(self, *rest: Any) -> Iterator[Sequence[int]] | None:
        return iter([[10**6]])


@refused("Making the defense 'a-liar' broke: RuntimeError: no options")
class HasOptionsThatLie(Defense):
    class Options(Defense.Options):
        size: int = Field(1, description="A number.")

        def model_dump(self, *rest: Any, **more: Any) -> dict[str, Any]:
            raise RuntimeError("no options")


@refused("Making the defense 'a-liar' broke: AttributeError: 'str' object")
class SmoothsWithWords(Defense):
    @property
    def smoothing(self) -> Smoothing | None:
        return "masking"  # type: ignore[return-value]


@told("")
class SmoothsAnotherWay(Defense):
    calls = 0

    @property
    def smoothing(self) -> Smoothing | None:
        # Says another rate each time that it is asked.
        type(self).calls += 1
        return Smoothing("masking", draws=2, rate=0.1 * (1 + self.calls % 3))


@told("one-class")
class PredictsOneClass(Defense):
    def finish(self, model: TextClassifier) -> None:
        for parameter in model.head.parameters():
            parameter.data.zero_()
        list(model.head.parameters())[-1].data[1] = 1.0


@fails("not finite")
class LeavesNan(Defense):
    def finish(self, model: TextClassifier) -> None:
        for parameter in model.parameters():
            parameter.data.fill_(torch.nan)


@told("")
class SavesElsewhere(Defense):
    def finish(self, model: TextClassifier) -> None:
        Path("weights-of-a-liar.bin").write_bytes(b"x")


@refused("Making the defense 'a-liar' broke: RuntimeError: not made")
class CannotBeMade(Defense):
    def __init__(self, options: Any = None) -> None:
        raise RuntimeError("not made")


@refused("Making the defense 'a-liar' broke: RuntimeError: no attacks")
class HasNoAttacks(Defense):
    @property
    def attacks(self) -> Sequence[str]:
        raise RuntimeError("no attacks")
