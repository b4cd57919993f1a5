"""The training run of the embedded encoder: optimiser, schedule, checkpoints, record."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig

from robench._base.files import atomic_file
from scripts.pretraining.batches import Batch, Int, Settings, batches, continuation_table
from scripts.pretraining.model import (
    Pretraining,
    bag_weights,
    first_windows,
    held_out_score,
    initialise,
    rate_factor,
    svd_embeddings,
    unigram,
)
from scripts.pretraining.text import SPECIAL, Corpus

logger = logging.getLogger(__name__)

# Parts of a batch; each thread takes the next part as soon as it is free. PyTorch's own threads
# wait for each other after every operation, so one busy core stops them all (15k -> 6k tokens/s).
PARTS = 4


@dataclass(frozen=True)
class Options:
    """The options of the command line; exactly one of minutes, tokens and steps is above 0."""

    layers: int
    hidden: int
    heads: int
    vocab: int
    minutes: float
    tokens: int
    steps: int
    seed: int
    precision: str
    threads: int
    batch: int
    rate: float
    bag_loss: float
    limit: int = 0


@dataclass
class RunState:
    """The state of the run, apart from weights, that a checkpoint must hold."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def share(self, options: Options) -> float:
        """Return the used share of the budget, 0..1."""
        if options.minutes:
            return min(1.0, self.seconds / (60 * options.minutes))
        if options.tokens:
            return min(1.0, self.tokens / options.tokens)
        return min(1.0, self.steps / options.steps)


class Trainer:
    """The corpus, the model and the optimiser of one run."""

    def __init__(self, options: Options, corpus: Corpus, work: Path) -> None:
        self.options, self.corpus = options, corpus
        self.settings = Settings()
        self.stores = (corpus.pieces, corpus.words)
        self.continues = continuation_table(corpus.vocabulary)
        order = np.random.default_rng((options.seed, 0)).permutation(len(corpus.pieces))
        held = max(1, len(order) // 100)
        self.held, self.train = np.sort(order[:held]), np.sort(order[held:])
        self.frequency = unigram(self.stores, self.train, len(corpus.vocabulary))
        self.bag_weight = bag_weights(self.frequency)
        self.progress = RunState()
        self.work = work
        names = (
            options.layers,
            options.hidden,
            options.heads,
            options.vocab,
            options.seed,
            options.limit,
        )
        self.checkpoint = work / f"checkpoint-{'-'.join(map(str, names))}.pt"
        torch.manual_seed(options.seed)
        self.model = Pretraining(bert_config(options, self.settings))
        self.parameters = [
            p for name, p in self.model.named_parameters() if "seq_relationship" not in name
        ]
        self.pool = ThreadPoolExecutor(options.threads)
        decay = [p for p in self.parameters if p.ndim > 1]
        plain = [p for p in self.parameters if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(
            groups, lr=options.rate, betas=(0.9, 0.98), eps=1e-6, fused=True
        )

    def start(self, resume: bool) -> None:
        """Set the initial weights, or those of the last checkpoint."""
        if resume and self.checkpoint.is_file():
            stored = torch.load(self.checkpoint, weights_only=True)
            self.model.load_state_dict(stored["model"])
            self.optimiser.load_state_dict(stored["optimiser"])
            self.progress = RunState(**stored["progress"])
            logger.info(
                "resumed at step %d, %.1f minutes", self.progress.steps, self.progress.seconds / 60
            )
            return
        vectors = self._vectors()
        initialise(self.model, vectors, self.frequency, self.bag_weight)

    def _vectors(self) -> torch.Tensor:
        options = self.options
        file = self.work / f"svd-{options.vocab}-{options.hidden}-{options.seed}-{options.limit}.pt"
        if not file.is_file():
            logger.info("co-occurrences and their SVD")
            torch.save(svd_embeddings(self.stores, self.train, options.vocab, options.hidden), file)
        vectors: torch.Tensor = torch.load(file, weights_only=True)
        return vectors

    def save(self) -> None:
        """Write the whole checkpoint or nothing."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        with atomic_file(self.checkpoint) as temporary:
            torch.save(state, temporary)

    def scores(self, reviews: Int) -> dict[str, dict[str, float]]:
        """Return masked accuracy and loss for both forms, over the first windows of ``reviews``."""
        found = {}
        for form, name in enumerate(("pieces", "words")):
            windows = first_windows(
                self.stores[form], form, reviews, self.continues, self.settings.body
            )
            with autocast(self.options.precision):
                found[name] = held_out_score(
                    self.model, self.stores, windows, self.continues, self.settings
                )
        return found

    def guess(self) -> dict[str, float]:
        """Return the accuracy of always predicting the most frequent token of each form.

        It is measured on the held-out reviews.
        """
        found = {}
        for store, name in zip(self.stores, ("pieces", "words"), strict=True):
            counts = np.bincount(np.concatenate([store.review(i) for i in self.held.tolist()]))
            counts[: len(SPECIAL)] = 0
            found[name] = float(counts.max() / counts.sum())
        return found

    def record(self, losses: list[tuple[float, float]]) -> None:
        """Add a line to the history.

        It holds the mean losses since the last line, and the scores on 200 held-out reviews.
        """
        scores = self.scores(self.held[:200])
        loss, bag = np.mean(losses, axis=0).tolist()
        done = self.progress
        entry = {
            "minutes": done.seconds / 60,
            "steps": done.steps,
            "tokens": done.tokens,
            "loss": loss,
            "bag_loss": bag,
        }
        entry |= {f"accuracy_{name}": score["accuracy"] for name, score in scores.items()}
        done.history.append({name: round(float(value), 4) for name, value in entry.items()})
        rate = done.tokens / max(1e-9, done.seconds)
        logger.info("%s, %.0f tokens/s", done.history[-1], rate)

    def part_gradient(self, batch: Batch) -> tuple[list[torch.Tensor], tuple[float, float]]:
        """Return gradients and the two losses of one part of a batch; runs in a worker thread."""
        with autocast(self.options.precision):
            masked, bag = self.model(batch, self.bag_weight)
        total = (masked + self.options.bag_loss * bag) / PARTS
        grads = torch.autograd.grad(
            total, self.parameters, allow_unused=True, materialize_grads=True
        )
        return list(grads), (masked.item(), bag.item())

    def step(self, parts: list[Batch]) -> tuple[float, float]:
        """Update once with the mean of the parts' losses; return the mean masked and bag loss."""
        losses = []
        for parameter in self.parameters:
            parameter.grad = None
        for grads, loss in self.pool.map(self.part_gradient, parts):
            losses.append(loss)
            for parameter, grad in zip(self.parameters, grads, strict=True):
                parameter.grad = grad if parameter.grad is None else parameter.grad.add_(grad)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        masked, bag = np.mean(losses, axis=0).tolist()
        return masked, bag

    def run(self, log_seconds: float, save_seconds: float) -> None:
        """Train until the budget is used; record the history and save checkpoints regularly."""
        options, done = self.options, self.progress
        part = options.batch // PARTS
        source = batches(
            self.stores,
            self.train,
            self.continues,
            self.settings,
            part,
            options.seed,
            skip=done.steps * PARTS,
        )
        losses: list[tuple[float, float]] = []
        clock = logged = saved = time.monotonic()
        self.model.train()
        while done.share(options) < 1.0:
            parts = [next(source) for _ in range(PARTS)]
            for group in self.optimiser.param_groups:
                group["lr"] = options.rate * rate_factor(done.share(options))
            losses.append(self.step(parts))
            done.steps += 1
            done.tokens += sum(int(batch.attention.sum()) for batch in parts)
            now = time.monotonic()
            done.seconds += now - clock
            clock = now
            if now - logged > log_seconds or done.share(options) >= 1.0:
                self.record(losses)
                losses, logged = [], time.monotonic()
            if now - saved > save_seconds:
                self.save()
                saved = time.monotonic()
        self.save()

    def summary(self, command: str) -> dict[str, Any]:
        """Return everything that training.json and the model card state."""
        options, done = self.options, self.progress
        epoch = sum(float(np.diff(store.offsets)[self.train].sum()) for store in self.stores) / 2
        return {
            "text": {**self.corpus.counts, "held_out_reviews": len(self.held)},
            "model": {
                "layers": options.layers,
                "hidden": options.hidden,
                "heads": options.heads,
                "vocabulary": options.vocab,
                "positions": self.settings.max_positions,
            },
            "run": {
                "steps": done.steps,
                "tokens": done.tokens,
                "epochs": round(done.tokens / epoch, 3),
                "minutes": round(done.seconds / 60, 2),
                "threads": options.threads,
                "precision": options.precision,
                "seed": options.seed,
                "command": command,
            },
            "hyper_parameters": {
                "optimiser": "AdamW, betas (.9, .98), eps 1e-6, weight decay .01 on matrices",
                "peak_rate": options.rate,
                "schedule": "6 % warm-up, linear to 0",
                "batch": options.batch,
                "window": self.settings.body + 2,
                "mask_rate": self.settings.mask_rate,
                "kept_of_masked": self.settings.keep_rate,
                "random_of_masked": self.settings.random_rate,
                "shifted_windows": self.settings.shift_rate,
                "bag_loss": options.bag_loss,
                "word_embeddings": "SVD of positive PMI, components 2 on, rows of RMS .05",
                "positions": "sinusoids, base 1000, RMS .04",
                "attention": "queries = keys, values and outputs near the identity",
                "clip": 1.0,
                "dropout": 0.0,
            },
            "held_out": self.scores(self.held),
            "unigram_guess": self.guess(),
            "history": done.history,
        }


def bert_config(options: Options, settings: Settings) -> BertConfig:
    """Return a BERT config without dropout: with few passes over the text, it cannot overfit."""
    return BertConfig(
        vocab_size=options.vocab,
        hidden_size=options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        intermediate_size=4 * options.hidden,
        max_position_embeddings=settings.max_positions,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        # In bf16 on a CPU, plain attention takes a third of the time of fused attention.
        attn_implementation="eager",
    )


def autocast(precision: str) -> torch.autocast:
    """Return a context with bf16 autocast, or without autocast for ``fp32``."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
