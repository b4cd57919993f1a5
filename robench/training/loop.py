"""The one fine-tuning loop, used by every defense on CPU and GPU.

After every epoch it writes a checkpoint, so that a killed run can be resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from robench._base.environment import peak_memory
from robench._base.errors import RobenchError
from robench._base.waiting import Patience
from robench.models.victim import Victim
from robench.tasks.example import Example
from robench.training.batches import bucketed_batches
from robench.training.checkpoint import EpochWeights, TrainingState, training_environment
from robench.training.epoch_choice import EpochRule, explain
from robench.training.feed import feed
from robench.training.forgetting import PretrainedReference
from robench.training.loss_reading import LossReader, check_finite
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
from robench.training.trainee import ModelBetweenEpochs

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.training.data import EncodedExamples
    from robench.training.request import FitRequest

STEPS_BETWEEN_MEMORY_RELEASES = 20
"""A release takes some hundredths of a second, so it does not happen in every step."""


@dataclass(frozen=True)
class TrainingProgress:
    """The state of a training run, as its listener receives it.

    Attributes:
        epoch: the current epoch, from 1; 0 before the first.
        epochs: the most epochs that the run may have.
        step: steps done in this epoch.
        steps: steps of this epoch.
        loss: the loss of a recent step; None before the first step.
        message: a sentence to keep, such as the dev scores at an epoch's end; otherwise empty.
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
    patience: Patience | None = None,
) -> tuple[Victim, bool]:
    """Return the victim of ``request``, loaded where it exists and trained otherwise.

    A victim is loaded only if it was trained with the same key. An interrupted training is resumed.

    Args:
        request: what to train.
        victims_folder: has one folder for each victim, named ``request.folder_name``.
        progress: called after every step and every message.
        retrain: delete an existing victim first.
        patience: how long to wait for another run that trains this victim. Then its victim is
            loaded, even with ``retrain``. None waits not at all.

    Returns:
        The victim, and whether it was trained now.

    Raises:
        RobenchError: the existing victim is damaged, or another run is training it. The sentence
            names the file.
    """
    out = victims_folder / request.folder_name
    if retrain or not out.exists():
        with training_lock(out, patience) as waited:
            # A victim that was trained during the wait is new enough, and may be in use.
            if retrain and not waited:
                remove_victim(out)
            # Another run may have finished the victim just before the lock was taken.
            if not out.exists():
                return _fit(request, out, progress), True
    victim = Victim.load(out, request.device)
    if victim.card.get("key") != request.key:
        raise RobenchError(
            f"The victim in '{out}' was trained with another configuration. "
            "Delete that folder, or use --retrain."
        )
    return victim, False


def fit(request: FitRequest, out: Path, progress: ProgressListener | None = None) -> Victim:
    """Train ``request``'s victim into the folder ``out``, which appears only when it is complete.

    A checkpoint in ``<out>.training`` is replaced after every epoch. After a kill, the same call
    resumes from it and produces the same weights, bit for bit on a CPU. Seeds are derived from
    (seed, epoch), so the state of random generators need not be stored.

    Args:
        request: what to train.
        out: the victim's folder.
        progress: called after every step and every message.

    Raises:
        RobenchError: another run is training this victim.
    """
    with training_lock(out):
        return _fit(request, out, progress)


def _fit(request: FitRequest, out: Path, progress: ProgressListener | None) -> Victim:
    """Train as ``fit`` does, under a lock that the caller holds."""
    run = _TrainingRun(request, out, progress or (lambda _: None))
    while not run.over:
        run.train_epoch()
    return run.save(out)


class _TrainingRun:
    """One training run: set up (or resumed), then trained epoch by epoch."""

    def __init__(self, request: FitRequest, out: Path, tell: ProgressListener) -> None:
        self.request = request
        self.checkpoint_folder = work_folder(out)
        self.tell = tell if is_main_process() else lambda _: None
        self.setup = setup = set_up_training(request, curves_folder(out), self._say)
        self.accelerator, self.device = setup.accelerator, setup.device
        self.model, self.defense = setup.model, setup.defense
        self.step_loss, self.optimizer = setup.step_loss, setup.optimizer
        self.options = setup.defense.options
        self.rule = EpochRule(self.options, len(setup.dev))
        self.weights = EpochWeights(self.checkpoint_folder)
        self.state = TrainingState(request.key, training_environment(request.device))
        # The reference needs the weights before the first step, so it comes before resuming.
        with self.accelerator.autocast():
            features = compute_features(self.model, setup.dev, self._dev_batch_size, self.device)
        labels = torch.as_tensor(setup.dev.labels)
        self.pretrained = PretrainedReference(self.model, features, labels)
        self._resume()
        self._train = self._train_with_added_texts()

    @property
    def _dev_batch_size(self) -> int:
        return max(64, self.options.batch_size)

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or too many passed without a gain on dev."""
        if self.state.epoch >= self.options.epochs:
            return True
        return self.rule.epochs_without_gain(self._scores) >= self.options.patience

    @property
    def _scores(self) -> list[DevScores]:
        """The dev scores of all epochs so far."""
        return [DevScores.of_entry(entry) for entry in self.state.history]

    def _say(self, message: str, epoch: int = 0) -> None:
        epochs = self.request.resolved.epochs
        self.tell(TrainingProgress(epoch, epochs, step=0, steps=0, message=message))

    def _resume(self) -> None:
        """Continue from the checkpoint, where there is one."""
        key, environment = self.request.key, self.state.made_with
        state = TrainingState.load(self.checkpoint_folder, key, environment)
        if state is None:
            return
        self.model.load_state_dict(state.model)
        for module, saved in zip(self.setup.extras, state.modules, strict=True):
            module.load_state_dict(saved)
        self.optimizer.load_state_dict(state.optimizer)
        self.state = state
        self._say(f"resuming after epoch {state.epoch}", state.epoch)

    def train_epoch(self) -> None:
        """Train on every example once, score the model on dev, and write the checkpoint."""
        started, epoch = time.perf_counter(), self.state.epoch
        self._augment(epoch)
        augmented = time.perf_counter()
        loss, figures = self._train_steps(epoch)
        trained = time.perf_counter()
        scores = self._score()
        release_memory()
        entry = {
            "epoch": epoch + 1,
            "loss": loss,
            **{f"loss_{name}": value for name, value in sorted(figures.items())},
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "dev_accuracy": scores.clean,
            "dev_hull_accuracy": scores.hull,
            "dev_guessing": scores.guessing,
            "dev_information": None
            if scores.features is None
            else self.pretrained.information(scores.features),
            "distance": self.pretrained.distance(self.model),
            "added_examples": len(self.state.added),
            "training_seconds": round(trained - started, 3),
            "augmenting_seconds": round(augmented - started, 3),
            "dev_seconds": round(time.perf_counter() - trained, 3),
            "peak_memory_bytes": peak_memory(str(self.device), children=False)[0],
        }
        self.state.history.append(entry)
        self._write_checkpoint()
        numbers = {name: value for name, value in entry.items() if isinstance(value, float)}
        self.setup.tracking.log(numbers, step=epoch + 1)
        self._tell_epoch(epoch + 1, loss, scores)

    def _tell_epoch(self, epoch: int, loss: float, scores: DevScores) -> None:
        message = f"epoch {epoch}: loss {loss:.3f}, dev accuracy {scores.clean:.3f}"
        if scores.hull is not None:
            message += f", under the convex-hull attack {scores.hull:.3f}"
        epochs = self.options.epochs
        self.tell(TrainingProgress(epoch, epochs, step=0, steps=0, loss=loss, message=message))

    def _score(self) -> DevScores:
        with self.accelerator.autocast():
            return score_on_dev(
                self.model,
                self.setup.dev,
                self._dev_batch_size,
                self.device,
                hull=self.request.substitutions is not None,
                seed=stable_seed(self.request.seed, "dev"),
            )

    def _augment(self, epoch: int) -> None:
        """Let the defense add training texts; its cost counts as training time."""
        before = [Example(**added) for added in self.state.added]
        say = partial(self._say, epoch=epoch + 1)
        added = self.defense.augment(
            ModelBetweenEpochs(self.request, self.setup, before, say), epoch
        )
        if added is not None:
            self.state.added = [
                {"id": example.id, "fields": dict(example.fields), "label": example.label}
                for example in added
            ]
            self._train = self._train_with_added_texts()

    def _train_with_added_texts(self) -> EncodedExamples:
        train = self.setup.train
        if not self.state.added:
            return train
        return train.joined(self.setup.encode([Example(**added) for added in self.state.added]))

    def _train_steps(self, epoch: int) -> tuple[float, dict[str, float]]:
        """Train on one epoch's batches.

        Returns:
            The mean loss, and the mean of each of the defense's figures.
        """
        chosen = self._batches(epoch)
        self.step_loss.train()
        total = torch.zeros((), device=self.device)
        sums: dict[str, Tensor] = {}
        losses = LossReader(self.device, self.request, epoch)
        for index, batch in enumerate(self._feed(chosen)):
            # Count half a step, so that neither the first nor the last step has a rate of zero.
            done = (epoch + (index + 0.5) / len(chosen)) / self.options.epochs
            self._set_learning_rate(done)
            weight = self._weight(batch)
            loss = self._one_step(batch, weight)
            total += loss
            for name, value in self.defense.figures.items():
                sums[name] = sums.get(name, 0.0) + weight * value
            recent = losses.add(loss)
            if index % STEPS_BETWEEN_MEMORY_RELEASES == 0:
                release_memory()
            step, epochs = index + 1, self.options.epochs
            self.tell(TrainingProgress(epoch + 1, epochs, step, len(chosen), recent))
        losses.read()
        mine = torch.stack([total, *(value.float() for value in sums.values())]) / len(chosen)
        means = self.accelerator.reduce(mine, "mean").tolist()
        check_finite(means[0], self.request, epoch)
        return means[0], dict(zip(sums, means[1:], strict=True))

    def _feed(self, chosen: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Yield this process's share of each batch, on the device."""
        count, rank = self.accelerator.num_processes, self.accelerator.process_index
        return feed(
            self._train,
            chosen,
            self.device,
            substitutes=self.defense.substitutes,
            share=lambda batch: batch if count == 1 else batch.share(rank, count),
        )

    def _batches(self, epoch: int) -> list[Sequence[int]]:
        """Return one epoch's batches, and seed what is random in its steps."""
        seed_everything(self.request.seed, f"epoch {epoch}")
        rng = np.random.default_rng(stable_seed(self.request.seed, "batches", epoch))
        labels, lengths = self._train.labels.tolist(), self._train.lengths
        size = self.options.batch_size
        own = self.defense.batches(labels, lengths, size, rng)
        return list(own or bucketed_batches(lengths, size, rng))

    def _weight(self, batch: Batch) -> float:
        """Return the weight of the loss of this process's share of a batch.

        The mean of the weighted losses over all processes is the loss of the whole batch.
        """
        if batch.whole is None:
            return 1.0
        count: int = self.accelerator.num_processes
        rows, rank = len(batch.whole.labels), self.accelerator.process_index
        return len(range(rank, rows, count)) * count / rows

    def _one_step(self, batch: Batch, weight: float) -> Tensor:
        loss: Tensor = weight * self.step_loss(batch)
        self.accelerator.backward(loss)
        most = self.options.max_gradient_norm
        if most is not None:
            self.accelerator.clip_grad_norm_(self.step_loss.parameters(), most)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _set_learning_rate(self, done: float) -> None:
        """Set the rate after the share ``done`` of all steps: a linear rise, then a linear fall."""
        warmup = self.options.warmup_fraction
        factor = done / warmup if done < warmup else (1 - done) / (1 - warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * max(0.0, factor)

    def _write_checkpoint(self) -> None:
        """Store the end of an epoch: first its weights if they may win, then the checkpoint.

        The files of epochs that have lost go last. A run that is killed in between resumes from
        the older checkpoint, whose epochs all have their files.
        """
        self.state.epoch += 1
        self.state.model = self.model.state_dict()
        self.state.modules = [module.state_dict() for module in self.setup.extras]
        self.state.optimizer = self.optimizer.state_dict()
        if not self.accelerator.is_main_process:
            return
        possible = self.rule.still_possible(self._scores)
        if self.state.epoch in possible:
            self.weights.store(self.state.epoch, self.state.model)
        self.state.save(self.checkpoint_folder)
        self.weights.keep_only(possible)

    def save(self, out: Path) -> Victim:
        """Save the chosen epoch's victim to ``out``, and say which epoch it is."""
        choice = self.rule.choose(self._scores)
        self._say(explain(choice, self._scores), self.state.epoch)
        if self.accelerator.is_main_process:
            self.model.load_state_dict(self.weights.load(choice.epoch))
        return save_victim(self.request, self.setup, self.state, choice, out)
