"""The one fine-tuning loop: every defense goes through it, on CPU or GPU, and it goes on where it was killed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from robench.errors import RobenchError, UsageError
from robench.victims.batches import bucketed_batches
from robench.victims.classifier import TextClassifier
from robench.victims.data import EncodedExamples, SubstituteTable, encode_examples
from robench.victims.encoders import attention_for, load_encoder, load_tokenizer
from robench.victims.resume import TrainingState
from robench.victims.runtime import device_name, make_accelerator, peak_memory, seed_everything, stable_seed, versions
from robench.victims.scoring import Scores, score
from robench.victims.victim import LOG, Victim, build_reader

if TYPE_CHECKING:
    from robench.tasks.base import Example
    from robench.victims.defense import Batch, Defense
    from robench.victims.recipe import FitRequest


ADAM_EPSILON = 1e-6
"""Of AdamW, as in RIFT's release (transformers' default of its time; torch's is 1e-8)."""


@dataclass(frozen=True)
class Progress:
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


Listener = Callable[[Progress], None]


def train_or_load(request: FitRequest, victims_folder: Path, progress: Listener | None = None, *, retrain: bool = False) -> tuple[Victim, bool]:
    """The victim of ``request``: loaded when it was trained before with the same key, else trained (or its training resumed).

    Args:
        victims_folder: holds one folder a victim, ``<defense>-<task>-<encoder>-s<seed>-<key[:8]>``.
        retrain: forget what is there.

    Returns:
        The victim and whether it was trained now.

    Raises:
        RobenchError: what is there is damaged; the sentence names the file.
    """
    out = victims_folder / request.folder_name
    if retrain:
        for folder in (out, _workshop(out), _curves(_workshop(out))):
            shutil.rmtree(folder, ignore_errors=True)
    if not out.exists():
        return fit(request, out, progress), True
    victim = Victim.load(out, request.device)
    if victim.card.get("key") != request.key:
        raise RobenchError(f"The victim in '{out}' was trained with another configuration. Delete that folder, or use --retrain.")
    return victim, False


def fit(request: FitRequest, out: Path, progress: Listener | None = None) -> Victim:
    """Train ``request``'s victim into the folder ``out``, which appears only when it is complete.

    A checkpoint beside it (``<out>.training``) is replaced after every epoch; the same call after a kill goes on from there and ends with the
    same weights, bit for bit on a CPU. Seeds are derived from (seed, epoch), so no generator's state needs keeping.
    """
    run = _Run(request, _workshop(out), progress or (lambda _: None))
    while not run.over:
        run.train_epoch()
    return run.deliver(out)


def _workshop(out: Path) -> Path:
    return out.with_name(out.name + ".training")


def _curves(work: Path) -> Path:
    """Where a tracker writes while a victim is trained; outside the workshop, whose checkpoint is replaced whole."""
    return work.with_suffix(".curves")


class _Step(nn.Module):
    """One step's loss as a module, so that Accelerate can wrap everything that is trained (autocast, several processes) at once."""

    def __init__(self, model: TextClassifier, defense: Defense) -> None:
        super().__init__()
        self.model = model
        self.extras = nn.ModuleList(defense.modules())
        self._defense = defense

    def forward(self, batch: Batch) -> Tensor:
        self._defense.before_loss(self.model, batch)
        loss = self._defense.loss(self.model, batch)
        penalty = self._defense.penalty(self.model, batch)
        return loss if penalty is None else loss + penalty


class _Run:
    """One training run: set up, trained epoch by epoch, delivered."""

    def __init__(self, request: FitRequest, work: Path, tell: Listener) -> None:
        self.request, self.work, self.tell = request, work, tell
        self.defense = request.build()
        self.options = self.defense.options
        self.accelerator = make_accelerator(request.device, request.precision, request.tracker, _curves(work))
        self.device: torch.device = self.accelerator.device
        seed_everything(request.seed, "weights")
        self.tokenizer = load_tokenizer(request.info)
        model = TextClassifier(load_encoder(request.info, attention_for(request.device, request.precision)), len(request.task_class.labels)).to(self.device)
        self.fields = list(request.splits.train[0].fields)
        self.train, self.dev = self._encode(model)
        self.defense.prepare(model)
        step = _Step(model, self.defense)
        self.model = model
        groups = parameter_groups(step, self.options.learning_rate, self.options.head_weight_decay)
        optimizer = self.defense.optimizer(groups) or torch.optim.AdamW(groups, eps=ADAM_EPSILON)
        for group in optimizer.param_groups:  # a defense may give its groups rates of their own
            group["peak"] = group["lr"]
        self.step, self.optimizer = self.accelerator.prepare(step, optimizer)
        self.state = TrainingState(request.key)
        self._resume()

    @property
    def over(self) -> bool:
        """Whether all epochs are done or patience is out."""
        return self.state.epoch >= self.options.epochs or self.state.epoch - self.state.best_epoch >= self.options.patience

    def _encode(self, model: TextClassifier) -> tuple[EncodedExamples, EncodedExamples]:
        request, task = self.request, self.request.task_class
        _check_window(model, task.max_tokens, request)
        table, reader = build_reader(self.tokenizer, request.protocol, self.fields, task.attackable, task.max_tokens)
        substitutes = SubstituteTable(table, request.substitutions, request.protocol.lookup)
        splits, parts = request.splits, []
        for name, examples, limit in (("train", splits.train, self.options.train_examples), ("dev", splits.dev, self.options.dev_examples)):
            chosen = pick(examples, limit, len(task.labels))
            self.tell(Progress(0, self.options.epochs, 0, 0, message=f"reading {len(chosen)} {name} examples"))
            parts.append(encode_examples(chosen, reader, substitutes, task.attackable, segments=request.protocol.pair_segments))
        return parts[0], parts[1]

    def _resume(self) -> None:
        state = TrainingState.load(self.work, self.request.key)
        if state is None:
            return
        self.model.load_state_dict(state.model)
        for module, saved in zip(self._extras(), state.modules, strict=True):
            module.load_state_dict(saved)
        self.optimizer.load_state_dict(state.optimizer)
        self.state = state
        self.tell(Progress(state.epoch, self.options.epochs, 0, 0, message=f"going on after epoch {state.epoch}"))

    def _extras(self) -> Sequence[nn.Module]:
        return list(self.accelerator.unwrap_model(self.step).extras)

    def train_epoch(self) -> None:
        """One pass over the training examples, dev scores, checkpoint."""
        started, epoch = time.perf_counter(), self.state.epoch
        losses, figures = self._steps(epoch)
        seconds = time.perf_counter() - started
        with self.accelerator.autocast():
            scores = score(
                self.model,
                self.dev,
                max(64, self.options.batch_size),
                self.device,
                hull=self.request.substitutions is not None,
                seed=stable_seed(self.request.seed, "dev"),
            )
        self._remember(epoch + 1, scores)
        entry = {
            "epoch": epoch + 1,
            "loss": losses,
            **{f"loss_{name}": value for name, value in sorted(figures.items())},
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "dev_accuracy": scores.clean,
            "dev_hull_accuracy": scores.hull,
            "training_seconds": round(seconds, 3),
            "dev_seconds": round(time.perf_counter() - started - seconds, 3),
            "peak_memory_bytes": peak_memory(self.device),
        }
        self.state.history.append(entry)
        self._checkpoint()
        if self.request.tracker is not None:
            self.accelerator.log({name: value for name, value in entry.items() if isinstance(value, float)}, step=epoch + 1)
        hull = "" if scores.hull is None else f", under the convex-hull attack {scores.hull:.3f}"
        self.tell(Progress(epoch + 1, self.options.epochs, 0, 0, losses, f"epoch {epoch + 1}: loss {losses:.3f}, dev accuracy {scores.clean:.3f}{hull}"))

    def _steps(self, epoch: int) -> tuple[float, dict[str, float]]:
        seed_everything(self.request.seed, f"epoch {epoch}")
        rng = np.random.default_rng(stable_seed(self.request.seed, "batches", epoch))
        labels, lengths = self.train.labels.tolist(), self.train.lengths
        size = self.options.batch_size
        batches = list(self.defense.batches(labels, lengths, size, rng) or bucketed_batches(lengths, size, rng))
        self.step.train()
        total = torch.zeros((), device=self.device)
        sums: dict[str, Tensor] = {}
        recent = None
        for index, chosen in enumerate(batches):
            # In the middle of a step: neither the first nor the last one has a rate of zero.
            self._set_learning_rate((epoch + (index + 0.5) / len(batches)) / self.options.epochs)
            loss = self._one_step(self.train.batch(chosen, self.device, substitutes=self.defense.substitutes))
            total += loss
            for name, value in self.defense.figures.items():
                sums[name] = sums.get(name, 0.0) + value
            if self.device.type == "cpu" or index % 10 == 0:  # reading a loss makes a GPU wait
                recent = _finite(float(loss), epoch, self.request)
            self.tell(Progress(epoch + 1, self.options.epochs, index + 1, len(batches), recent))
        return _finite(float(total) / len(batches), epoch, self.request), {name: float(value) / len(batches) for name, value in sums.items()}

    def _one_step(self, batch: Batch) -> Tensor:
        loss: Tensor = self.step(batch)
        self.accelerator.backward(loss)
        if self.options.max_gradient_norm is not None:
            self.accelerator.clip_grad_norm_(self.step.parameters(), self.options.max_gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _set_learning_rate(self, done: float) -> None:
        warmup = self.options.warmup_fraction
        factor = done / warmup if done < warmup else (1 - done) / (1 - warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * max(0.0, factor)

    def _remember(self, epoch: int, scores: Scores) -> None:
        if self.state.best_rank is None or scores.rank > self.state.best_rank:
            self.state.best_rank, self.state.best_epoch = scores.rank, epoch
            self.state.best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.model.state_dict().items()}

    def _checkpoint(self) -> None:
        self.state.epoch += 1
        self.state.model = self.model.state_dict()
        self.state.modules = [module.state_dict() for module in self._extras()]
        self.state.optimizer = self.optimizer.state_dict()
        if self.accelerator.is_main_process:
            self.state.save(self.work)

    def deliver(self, out: Path) -> Victim:
        """Save the selected epoch's victim and clear the workshop."""
        self.model.load_state_dict(self.state.best)
        self.defense.finish(self.model)
        if self.request.tracker is not None:
            self.accelerator.end_training()
        if self.accelerator.is_main_process:
            victim = Victim(self.model, self.tokenizer, self._card(), str(self.device))
            draft = self.work / "victim"
            shutil.rmtree(draft, ignore_errors=True)
            victim.save(draft)
            log = {"key": self.request.key, "selected_epoch": self.state.best_epoch, "epochs": self.state.history, "versions": versions()}
            (draft / LOG).write_text(json.dumps(log, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            if _curves(self.work).is_dir():
                _curves(self.work).replace(draft / "curves")
            draft.replace(out)
            shutil.rmtree(self.work, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        return Victim.load(out, self.request.device)

    def _card(self) -> dict[str, Any]:
        request, task = self.request, self.request.task_class
        chosen = self.state.history[self.state.best_epoch - 1]
        return {
            "name": request.defense,
            "task": request.task,
            "labels": list(task.labels),
            "attackable": task.attackable,
            "fields": self.fields,
            "max_tokens": task.max_tokens,
            "protocol": request.protocol.name,
            "encoder": request.encoder_label,
            "seed": request.seed,
            "key": request.key,
            "ingredients": request.ingredients(),
            "train_examples": len(self.train),
            "dev_examples": len(self.dev),
            "selected_epoch": self.state.best_epoch,
            "dev_accuracy": chosen["dev_accuracy"],
            "dev_hull_accuracy": chosen["dev_hull_accuracy"],
            "device": device_name(self.device),
            "versions": versions(),
        }


def parameter_groups(step: nn.Module, learning_rate: float, head_weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for the optimiser: the encoder without weight decay, everything else (head, the defense's modules) with it (appendix A.1)."""
    trained = [(name, parameter) for name, parameter in step.named_parameters() if parameter.requires_grad]
    encoder = [parameter for name, parameter in trained if name.startswith("model.encoder.")]
    others = [parameter for name, parameter in trained if not name.startswith("model.encoder.")]
    return [
        {"params": encoder, "lr": learning_rate, "weight_decay": 0.0},
        {"params": others, "lr": learning_rate, "weight_decay": head_weight_decay},
    ]


def pick(examples: Sequence[Example], limit: int | None, classes: int) -> Sequence[Example]:
    """At most ``limit`` of ``examples``, balanced over labels, those with the smallest ids: the rule that froze the 1000."""
    if limit is None or limit >= len(examples):
        return examples
    from robench.tasks.frozen import pick_balanced

    return pick_balanced(examples, limit, classes)


def _finite(loss: float, epoch: int, request: FitRequest) -> float:
    if not np.isfinite(loss):
        raise RobenchError(f"Training '{request.defense}' on '{request.task}' broke down in epoch {epoch + 1}: its loss is {loss}. Lower learning_rate.")
    return loss


def _check_window(model: TextClassifier, max_tokens: int, request: FitRequest) -> None:
    positions = getattr(model.encoder.config, "max_position_embeddings", None)
    if positions is not None and 0 < positions < max_tokens:
        raise UsageError(f"Encoder '{request.encoder}' reads {positions} tokens, task '{request.task}' has {max_tokens}. Choose another encoder.")
