"""The one fine-tuning loop: every defense goes through it, on CPU or GPU, and it goes on where it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from robench._base.environment import peak_memory
from robench._base.errors import RobenchError
from robench.methods.augmentation import Trainee
from robench.models.victim import Victim
from robench.tasks.example import Example
from robench.training.batches import bucketed_batches
from robench.training.checkpoint import TrainingState, training_environment
from robench.training.forgetting import PretrainedReference
from robench.training.runtime import is_main_process, release_memory, seed_everything, stable_seed
from robench.training.saving import (
    curves_folder,
    remove_victim,
    save_victim,
    training_lock,
    work_folder,
)
from robench.training.selection import DevScores, compute_features, score_on_dev
from robench.training.setup import set_up_training

if TYPE_CHECKING:
    from robench.training.data import EncodedExamples
    from robench.training.defense import Batch
    from robench.training.request import FitRequest

TRIMMED = 20
"""Steps after which freed memory is given back; it takes some hundredths of a second."""


@dataclass(frozen=True)
class TrainingProgress:
    """What a run tells while it trains.

    Attributes:
        epoch, epochs: the epoch at work, from 1, and how many there may be.
        step, steps: steps done in this epoch and its steps.
        loss: of a recent step; None before the first.
        message: a sentence worth keeping (data read, dev scores at an epoch's end), else empty.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float | None = None
    message: str = ""


ProgressListener = Callable[[TrainingProgress], None]


def train_or_load(
    request: FitRequest,
    victims_folder: Path,
    progress: ProgressListener | None = None,
    *,
    retrain: bool = False,
) -> tuple[Victim, bool]:
    """The victim of ``request``: loaded when it was trained before with the same key, else trained (or its training resumed).

    Args:
        victims_folder: holds one folder a victim, ``<defense>-<task>-<encoder>-s<seed>-<key[:8]>``.
        retrain: forget what is there.

    Returns:
        The victim and whether it was trained now.

    Raises:
        RobenchError: what is there is damaged, or another run is training it; the sentence names the file.
    """
    out = victims_folder / request.folder_name
    if retrain or not out.exists():
        with training_lock(out):
            if retrain:
                remove_victim(out)
            if not out.exists():  # another run may have finished it just now
                return _fit(request, out, progress), True
    victim = Victim.load(out, request.device)
    if victim.card.get("key") != request.key:
        raise RobenchError(
            f"The victim in '{out}' was trained with another configuration. Delete that folder, or use --retrain."
        )
    return victim, False


def fit(request: FitRequest, out: Path, progress: ProgressListener | None = None) -> Victim:
    """Train ``request``'s victim into the folder ``out``, which appears only when it is complete.

    A checkpoint beside it (``<out>.training``) is replaced after every epoch; the same call after a kill goes on from there and ends with the
    same weights, bit for bit on a CPU. Seeds are derived from (seed, epoch), so no generator's state needs keeping.

    Raises:
        RobenchError: another run is training it.
    """
    with training_lock(out):
        return _fit(request, out, progress)


def _fit(request: FitRequest, out: Path, progress: ProgressListener | None) -> Victim:
    run = _Run(request, out, progress or (lambda _: None))
    while not run.over:
        run.train_epoch()
    return save_victim(request, run.setup, run.state, out)


class _Run:
    """One training run: set up, then trained epoch by epoch."""

    def __init__(self, request: FitRequest, out: Path, tell: ProgressListener) -> None:
        self.request, self.work = request, work_folder(out)
        self.tell = tell if is_main_process() else lambda _: None
        self.setup = setup = set_up_training(request, curves_folder(out), self._say)
        self.accelerator, self.device = setup.accelerator, setup.device
        self.model, self.defense, self.step_loss, self.optimizer = (
            setup.model,
            setup.defense,
            setup.step_loss,
            setup.optimizer,
        )
        self.options = setup.defense.options
        self.state = TrainingState(request.key, training_environment(request.device))
        with self.accelerator.autocast():
            features = compute_features(self.model, setup.dev, self._at_once, self.device)
        self.pretrained = PretrainedReference(
            self.model, features, torch.as_tensor(setup.dev.labels)
        )
        self._resume()
        self._train = self._with_added()

    @property
    def _at_once(self) -> int:
        """Dev examples in a forward."""
        return max(64, self.options.batch_size)

    @property
    def over(self) -> bool:
        """Whether all epochs are done or patience is out."""
        return (
            self.state.epoch >= self.options.epochs
            or self.state.epoch - self.state.best_epoch >= self.options.patience
        )

    def _say(self, message: str, epoch: int = 0) -> None:
        self.tell(TrainingProgress(epoch, self.request.resolved.epochs, 0, 0, message=message))

    def _resume(self) -> None:
        state = TrainingState.load(self.work, self.request.key, self.state.made_with)
        if state is None:
            return
        self.model.load_state_dict(state.model)
        for module, saved in zip(self.setup.extras, state.modules, strict=True):
            module.load_state_dict(saved)
        self.optimizer.load_state_dict(state.optimizer)
        self.state = state
        self._say(f"going on after epoch {state.epoch}", state.epoch)

    def train_epoch(self) -> None:
        """One pass over the training examples, dev scores, checkpoint."""
        started, epoch = time.perf_counter(), self.state.epoch
        self._augment(epoch)
        augmenting = time.perf_counter() - started
        losses, figures = self._steps(epoch)
        seconds = time.perf_counter() - started
        with self.accelerator.autocast():
            scores = score_on_dev(
                self.model,
                self.setup.dev,
                self._at_once,
                self.device,
                hull=self.request.substitutions is not None,
                seed=stable_seed(self.request.seed, "dev"),
            )
        release_memory()
        self._remember(epoch + 1, scores)
        entry = {
            "epoch": epoch + 1,
            "loss": losses,
            **{f"loss_{name}": value for name, value in sorted(figures.items())},
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "dev_accuracy": scores.clean,
            "dev_hull_accuracy": scores.hull,
            "dev_information": None
            if scores.features is None
            else self.pretrained.information(scores.features),
            "distance": self.pretrained.distance(self.model),
            "added_examples": len(self.state.added),
            "training_seconds": round(seconds, 3),
            "augmenting_seconds": round(augmenting, 3),
            "dev_seconds": round(time.perf_counter() - started - seconds, 3),
            "peak_memory_bytes": peak_memory(str(self.device), children=False)[0],
        }
        self.state.history.append(entry)
        self._checkpoint()
        if self.request.tracker is not None:
            self.accelerator.log(
                {name: value for name, value in entry.items() if isinstance(value, float)},
                step=epoch + 1,
            )
        hull = "" if scores.hull is None else f", under the convex-hull attack {scores.hull:.3f}"
        self.tell(
            TrainingProgress(
                epoch + 1,
                self.options.epochs,
                0,
                0,
                losses,
                f"epoch {epoch + 1}: loss {losses:.3f}, dev accuracy {scores.clean:.3f}{hull}",
            )
        )

    def _augment(self, epoch: int) -> None:
        """Let the defense add to the training examples; what it costs is part of the training's time."""
        before = [Example(**added) for added in self.state.added]
        added = self.defense.augment(
            Trainee(self.request, self.setup, before, partial(self._say, epoch=epoch + 1)), epoch
        )
        if added is not None:
            self.state.added = [
                {"id": example.id, "fields": dict(example.fields), "label": example.label}
                for example in added
            ]
            self._train = self._with_added()

    def _with_added(self) -> EncodedExamples:
        train = self.setup.train
        return (
            train.joined(self.setup.encode([Example(**added) for added in self.state.added]))
            if self.state.added
            else train
        )

    def _steps(self, epoch: int) -> tuple[float, dict[str, float]]:
        seed_everything(self.request.seed, f"epoch {epoch}")
        rng = np.random.default_rng(stable_seed(self.request.seed, "batches", epoch))
        labels, lengths = self._train.labels.tolist(), self._train.lengths
        size = self.options.batch_size
        batches = list(
            self.defense.batches(labels, lengths, size, rng) or bucketed_batches(lengths, size, rng)
        )
        self.step_loss.train()
        total = torch.zeros((), device=self.device)
        sums: dict[str, Tensor] = {}
        recent = None
        for index, chosen in enumerate(batches):
            # In the middle of a step: neither the first nor the last one has a rate of zero.
            self._set_learning_rate((epoch + (index + 0.5) / len(batches)) / self.options.epochs)
            batch, weight = self._mine(
                self._train.batch(chosen, self.device, substitutes=self.defense.substitutes)
            )
            loss = self._one_step(batch, weight)
            total += loss
            for name, value in self.defense.figures.items():
                sums[name] = sums.get(name, 0.0) + weight * value
            if self.device.type == "cpu" or index % 10 == 0:  # reading a loss makes a GPU wait
                recent = _finite(float(loss), epoch, self.request)
            if index % TRIMMED == 0:
                release_memory()
            self.tell(
                TrainingProgress(epoch + 1, self.options.epochs, index + 1, len(batches), recent)
            )
        means = self.accelerator.reduce(
            torch.stack([total, *(value.float() for value in sums.values())]) / len(batches), "mean"
        ).tolist()  # over the processes
        return _finite(means[0], epoch, self.request), dict(zip(sums, means[1:], strict=True))

    def _mine(self, batch: Batch) -> tuple[Batch, float]:
        """This process's share of a batch, and its weight: the processes' mean of the weighted losses is the loss of the whole batch."""
        count, rank, rows = (
            self.accelerator.num_processes,
            self.accelerator.process_index,
            len(batch.labels),
        )
        if count == 1:
            return batch, 1.0
        return batch.share(rank, count), len(range(rank, rows, count)) * count / rows

    def _one_step(self, batch: Batch, weight: float) -> Tensor:
        loss: Tensor = weight * self.step_loss(batch)
        self.accelerator.backward(loss)
        if self.options.max_gradient_norm is not None:
            self.accelerator.clip_grad_norm_(
                self.step_loss.parameters(), self.options.max_gradient_norm
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _set_learning_rate(self, done: float) -> None:
        warmup = self.options.warmup_fraction
        factor = done / warmup if done < warmup else (1 - done) / (1 - warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * max(0.0, factor)

    def _remember(self, epoch: int, scores: DevScores) -> None:
        if self.state.best_rank is None or scores.rank > self.state.best_rank:
            self.state.best_rank, self.state.best_epoch = scores.rank, epoch
            self.state.best = {
                name: tensor.detach().to("cpu", copy=True)
                for name, tensor in self.model.state_dict().items()
            }

    def _checkpoint(self) -> None:
        self.state.epoch += 1
        self.state.model = self.model.state_dict()
        self.state.modules = [module.state_dict() for module in self.setup.extras]
        self.state.optimizer = self.optimizer.state_dict()
        if self.accelerator.is_main_process:
            self.state.save(self.work)


def _finite(loss: float, epoch: int, request: FitRequest) -> float:
    if not np.isfinite(loss):
        raise RobenchError(
            f"Training '{request.defense}' on '{request.task}' broke down in epoch {epoch + 1}: its loss is {loss}. Lower learning_rate."
        )
    return loss
