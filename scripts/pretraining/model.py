"""The embedded encoder's initial weights, losses, schedule and held-out score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining

from scripts.pretraining.batches import (
    IGNORE,
    Batch,
    Bool,
    Float,
    Int,
    Settings,
    Window,
    pad_windows,
    select_words,
)
from scripts.pretraining.text import CLS, MASK, PAD, SPECIAL, TokenStore

# Rows of logits at a time: 64 x 24,000 fp32 values stay in the last-level cache.
CHUNK = 64
SVD_EXTRA = 12


class ProjectedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of ``hidden @ weight.T + bias``, with its gradient in the forward pass.

    The fp32 logits (masked positions x 24,000) exist for ``CHUNK`` rows at a time only. On a CPU
    this work is limited by memory, and reading all logits again in the backward pass would double
    it.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, target: Tensor) -> Tensor:
        """Map ``hidden`` [n, h], ``weight`` [v, h], ``bias`` [v], ``target`` [n] to a scalar."""
        low = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        weight_low, hidden_low = weight.to(low), hidden.to(low)
        # The derivative of the loss with respect to the logits, times n.
        slope = torch.empty(len(hidden), len(weight), dtype=low)
        total = torch.zeros(())
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            p = torch.softmax((hidden_low[part] @ weight_low.T).float().add_(bias), dim=-1)
            rows = torch.arange(len(p))
            right = p[rows, target[part]]
            total -= right.clamp_min(1e-30).log().sum()
            p[rows, target[part]] = right - 1.0
            slope[part] = p
        count = len(hidden)
        grad_hidden = (slope @ weight_low).to(hidden.dtype) / count
        grad_weight = (slope.T @ hidden_low).float() / count
        grad_bias = (slope.new_ones(1, count) @ slope)[0].float() / count
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return total / count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Scale the stored gradients by the incoming scalar."""
        hidden, weight, bias = ctx.saved_tensors
        return grads[0] * hidden, grads[0] * weight, grads[0] * bias, None


class Pretraining(nn.Module):
    """A BERT with pooler and masked-LM head, and a bag-of-words head for training only."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertForPreTraining(config)
        # A linear map from the pooled [CLS] to the word embeddings, so that the pooled vector does
        # not have to use the embeddings' own axes. It is not exported.
        self.bag = nn.Linear(config.hidden_size, config.hidden_size)
        self.bag_bias = nn.Parameter(torch.zeros(config.vocab_size))

    @property
    def embedding(self) -> Tensor:
        """The tied word embeddings, [vocabulary, hidden]."""
        weight: Tensor = self.bert.bert.embeddings.word_embeddings.weight
        return weight

    def forward(self, batch: Batch, bag_weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the masked-word and the bag-of-words loss (scalars, nats) of one batch.

        ``bag_weight`` [vocabulary] in 0..1 is the weight of each id in a bag.
        """
        states, pooled = encode(self.bert, batch.inputs, batch.positions, batch.attention)
        labels = torch.from_numpy(batch.labels)
        chosen = labels != IGNORE
        head = self.bert.cls.predictions
        hidden = head.transform(states[chosen])
        masked: Tensor = ProjectedCrossEntropy.apply(
            hidden, self.embedding, head.bias, labels[chosen]
        )  # type: ignore[no-untyped-call]
        rows = [row for row, bag in enumerate(batch.bags) if len(bag)]
        if not rows:
            return masked, masked.new_zeros(())
        target = bag_targets([batch.bags[row] for row in rows], bag_weight)
        logits = (
            nn.functional.linear(self.bag(pooled[rows]), self.embedding).float() + self.bag_bias
        )
        return masked, -(target * torch.log_softmax(logits, dim=-1)).sum(-1).mean()


def encode(
    bert: BertForPreTraining, inputs: Int, positions: Int, attention: Int
) -> tuple[Tensor, Tensor]:
    """Return last hidden states [windows, length, hidden] and pooled [CLS] [windows, hidden]."""
    full = bool(attention.all())
    output = bert.bert(
        input_ids=torch.from_numpy(inputs),
        position_ids=torch.from_numpy(positions),
        attention_mask=None if full else torch.from_numpy(attention),
    )
    return output.last_hidden_state, output.pooler_output


def bag_targets(bags: Sequence[Int], weight: Tensor) -> Tensor:
    """Return distributions [bags, vocabulary]: weighted counts, scaled so that rows sum to 1."""
    target = torch.zeros(len(bags), len(weight))
    for row, bag in zip(target, bags, strict=True):
        ids = torch.from_numpy(bag)
        row.index_add_(0, ids, weight[ids])
    return target / target.sum(-1, keepdim=True).clamp_min(1e-9)


def rate_factor(progress: float, warmup: float = 0.06) -> float:
    """Return the rate factor in 0..1 at ``progress`` in 0..1: linear up, then linear down to 0."""
    if progress < warmup:
        return progress / warmup
    return max(0.0, (1.0 - progress) / (1.0 - warmup))


def unigram(stores: Sequence[TokenStore], reviews: Int, size: int) -> Float:
    """Return the relative frequency of each id in ``reviews``, over both forms.

    Counts are add-one smoothed, special tokens included.
    """
    counts = np.ones(size)
    for store in stores:
        keep = np.zeros(len(store), dtype=bool)
        keep[reviews] = True
        counts += np.bincount(store.ids[np.repeat(keep, np.diff(store.offsets))], minlength=size)
    counts[: len(SPECIAL)] = 1.0
    shares: Float = (counts / counts.sum()).astype(np.float32)
    return shares


def _cooccurrence(stores: Sequence[TokenStore], reviews: Int, size: int, window: int) -> Tensor:
    """Count pairs of ids at most ``window`` tokens apart, weighted 1/distance.

    Only following tokens are counted. The result is dense: [vocabulary, vocabulary].
    """
    counts = torch.zeros(size * size)
    for form, store in enumerate(stores):
        # Each review counts in one form only, as in the windows. This also halves the work.
        for index in np.array_split(reviews[form::2], 32):
            parts = [store.review(i).astype(np.int64) for i in index]
            owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
            ids = np.concatenate(parts)
            for distance in range(1, window + 1):
                same = owner[distance:] == owner[:-distance]
                pairs = torch.from_numpy((ids[:-distance] * size + ids[distance:])[same])
                counts.scatter_add_(0, pairs, torch.full((len(pairs),), 1.0 / distance))
    return counts.view(size, size)


def svd_embeddings(
    stores: Sequence[TokenStore], reviews: Int, size: int, width: int, rms: float = 0.05
) -> Tensor:
    """Return word embeddings [vocabulary, width] by truncated SVD of positive PMI.

    The method is that of Levy et al. 2015: ±8 tokens weighted 1/distance, and context counts to the
    power .75. The embeddings are components 2..width+1 (the first is frequency) times the square
    root of the singular values. Every row is scaled to the root mean square ``rms``.
    """
    counts = _cooccurrence(stores, reviews, size, window=8)
    counts += counts.T.clone()
    counts[: len(SPECIAL)] = counts[:, : len(SPECIAL)] = 0.0
    row, column = counts.sum(1), counts.sum(0).pow(0.75)
    ppmi = (
        counts.mul_(column.sum())
        .div_(row.clamp_min(1e-9)[:, None])
        .div_(column.clamp_min(1e-9)[None, :])
    )
    ppmi.log_().clamp_min_(0.0)
    left, values, _ = torch.svd_lowrank(ppmi, q=width + 1 + SVD_EXTRA, niter=3)
    vectors = left[:, 1 : width + 1] * values[1 : width + 1].sqrt()
    norm = vectors.pow(2).mean(1, keepdim=True).sqrt()
    unseen = norm < 1e-6
    vectors = torch.where(unseen, torch.randn_like(vectors), vectors / norm.clamp_min(1e-6)) * rms
    vectors[PAD] = 0.0
    return vectors


def sinusoids(count: int, width: int, base: float = 1000.0, rms: float = 0.04) -> Tensor:
    """Return sinusoidal position embeddings [count, width] of the given root mean square."""
    frequencies = torch.exp(-math.log(base) * torch.arange(0, width, 2) / width)
    angle = torch.arange(count)[:, None] * frequencies[None, :]
    table = torch.stack((angle.sin(), angle.cos()), dim=-1).reshape(count, width)
    return table * (rms * math.sqrt(2.0))


def initialise(model: Pretraining, vectors: Tensor, frequency: Float, bag_weight: Tensor) -> None:
    """Set all weights: embeddings, positions, matrices and output biases.

    The biases are the log of the unigram and of the weighted unigram frequencies. Attention starts
    as in Trockman and Kolter (2023): queries equal keys, and values and outputs are close to the
    identity. A [MASK], whose own embedding is 0, therefore begins as the mean of its neighbours'
    word vectors. With BERT's random weights of .02, meant for width 768, attention learns nothing
    useful for minutes.
    """
    log_unigram = torch.from_numpy(frequency).log()
    width = vectors.shape[1]
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0.0, 0.5 * width**-0.5)
        for layer in model.bert.bert.encoder.layer:
            attention = layer.attention.self
            nn.init.orthogonal_(attention.query.weight, gain=1.2)
            attention.key.weight.copy_(attention.query.weight)
            for module in (attention.value, layer.attention.output.dense):
                module.weight.mul_(0.2).add_(torch.eye(width))
        for module in (
            model.bert.cls.predictions.transform.dense,
            model.bert.bert.pooler.dense,
            model.bag,
        ):
            module.weight.mul_(0.2).add_(torch.eye(width))
        vectors = vectors.clone()
        vectors[[CLS, MASK]] = 0.0
        model.bert.bert.embeddings.token_type_embeddings.weight.zero_()
        model.embedding.copy_(vectors)
        positions = model.bert.bert.embeddings.position_embeddings.weight
        positions.copy_(sinusoids(*positions.shape))
        model.bert.cls.predictions.bias.copy_(log_unigram)
        model.bag_bias.copy_(log_unigram + bag_weight.log())


def bag_weights(frequency: Float, threshold: float = 1e-4) -> Tensor:
    """Return the weight of each id in a bag: min(1, sqrt(threshold / frequency)).

    Function words therefore count little.
    """
    return torch.from_numpy(np.minimum(1.0, np.sqrt(threshold / frequency)).astype(np.float32))


def held_out_score(
    model: Pretraining,
    stores: tuple[TokenStore, TokenStore],
    windows: list[Window],
    continues: Bool,
    settings: Settings,
    batch: int = 64,
) -> dict[str, float]:
    """Return the masked-LM ``accuracy`` and ``loss`` (nats) over ``windows``.

    All chosen words are replaced by [MASK]. The choice has the fixed seed 0, so that all
    evaluations mask the same words.
    """
    rng = np.random.default_rng(0)
    head = model.bert.cls.predictions
    right = total = 0
    loss = 0.0
    model.eval()
    for start in range(0, len(windows), batch):
        clear = pad_windows(stores, windows[start : start + batch])
        chosen, _ = select_words(clear, continues, settings.mask_rate, rng)
        inputs = np.where(chosen, MASK, clear)
        positions = np.broadcast_to(np.arange(clear.shape[1]), clear.shape).copy()
        with torch.no_grad():
            states, _ = encode(model.bert, inputs, positions, (clear != PAD).astype(np.int64))
            hidden = head.transform(states[torch.from_numpy(chosen)])
            logits = nn.functional.linear(hidden, model.embedding).float() + head.bias
            target = torch.from_numpy(clear[chosen])
            loss += float(nn.functional.cross_entropy(logits, target, reduction="sum"))
            right += int((logits.argmax(-1) == target).sum())
        total += int(chosen.sum())
    model.train()
    return {"accuracy": right / total, "loss": loss / total, "masked": float(total)}


def first_windows(
    store: TokenStore, form: int, reviews: npt.NDArray[np.int64], continues: Bool, body: int
) -> list[Window]:
    """Return the first window of each review in ``form``: a fixed set for scoring."""
    found = []
    for review in reviews.tolist():
        ids = store.review(review)
        end = min(body, len(ids))
        while end < len(ids) and continues[ids[end]]:
            end -= 1
        found.append(Window(form, review, 0, end))
    return found
