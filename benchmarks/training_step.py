"""Compare a RIFT step with its unavoidable passes, and with a plain step like the release's.

    python benchmarks/training_step.py [--shape base --device cuda --precision bf16]
        [--tokens 300] [--batch 32] [--repeats 3]

*Bare*: only the forward and backward passes of Eqs. 8 to 11, on prepared inputs. These are a clean
forward without gradients, ten forwards and backwards from the encoder's last layer to its input,
two forwards and backwards with the parameters' gradients, and the teacher's forward. The step also
does everything around them: substitutes, mixtures, losses, projection heads, AdamW.

*Like the release*: S whole sequences through the embedding layer, the parameters' gradients in the
inner loop too, and every batch padded to the maximum. It begins with the same mixtures, and its
loss must be the same (dropout is off in all contestants). The release also does other work (a third
student forward, always ten slots), which is not counted here.

Texts are made-up tokens with the lengths of film reviews (a quarter at the maximum), batched as in
training; 45 % of the positions have one to eight substitutes. All three contestants work on the
same batches in turn, so that changes of the machine's speed affect all. They are timed by the CPU
time of one thread. On a GPU they are timed by the clock, over all batches of a repetition without a
pause, and batches were made beforehand, as the loop's worker does. The last line is JSON. It counts
the operations that a step starts, and the values that it reads from the device.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from throughput.counting import Operations
from throughput.made_up import make_batch, review_lengths
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax
from transformers import BertConfig, BertModel

from robench import DEFENSES, Batch, Defense
from robench.methods.smoothness import divergence
from robench.models.classifier import TextClassifier
from robench.models.convex_hull import ENTROPY_WEIGHT, WEIGHT_DECAY
from robench.models.encoders import attention_for
from robench.models.mixtures import pack_substitutes
from robench.training.batches import POOL, balanced_batches
from robench.training.setup import StepLoss, adamw, parameter_groups

VOCABULARY = 24_000
SHAPES = {"tiny": (2, 128), "mini": (4, 256), "base": (12, 768)}
TOLERANCES = {"fp32": 1e-3, "bf16": 5e-2}
"""Relative tolerances between the losses; ten steps of Adam magnify rounding errors."""


@dataclass(frozen=True)
class Setting:
    """What all contestants have in common."""

    step: Any
    optimizer: torch.optim.Optimizer
    defense: Any
    tokens: int
    device: torch.device
    precision: str

    @property
    def model(self) -> TextClassifier:
        """The student model."""
        model: TextClassifier = self.step.model
        return model

    def precise(self) -> torch.autocast:
        """Return the autocast context of the passes."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def make_setting(shape: str, tokens: int, device: str, precision: str) -> Setting:
    """Set RIFT up with the paper's settings.

    The encoder has random weights, which cost as much as trained ones.
    """
    layers, width = SHAPES[shape]
    torch.manual_seed(0)
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        **off,
    )
    attention = attention_for(device, precision)
    if attention is not None:
        config._attn_implementation = attention
    model = TextClassifier(BertModel(config), 2).to(device).train()
    defense: Defense = DEFENSES.get("rift")()
    defense.prepare(model)
    step = StepLoss(model, defense).train()
    # The rate is 0, so that all contestants begin every batch with the same weights.
    optimizer = adamw(parameter_groups(step, 0.0, 0.0))
    return Setting(step, optimizer, defense, tokens, torch.device(device), precision)


def make_batches(setting: Setting, size: int, number: int) -> list[Batch]:
    """Make batches as the training loop does: classes in equal numbers, bucketed by length.

    They are evenly spread over the batches of a pool, from short to long.
    """
    rng = np.random.default_rng(0)
    lengths = review_lengths(setting.tokens, POOL * size, rng)
    made = sorted(
        balanced_batches((np.arange(len(lengths)) % 2).tolist(), lengths.tolist(), size, rng),
        key=lambda rows: int(lengths[rows].max()),
    )
    chosen = [made[int((place + 0.5) * len(made) / number)] for place in range(number)]
    vocabulary = setting.model.encoder.config.vocab_size
    made_ones = [make_batch(lengths[rows], rng, vocabulary) for rows in chosen]
    if setting.device.type == "cpu":
        return made_ones
    return [batch.with_packed(pack_substitutes(batch)).pinned() for batch in made_ones]


# The contestants: each takes a batch as training makes it and returns the loss, or None.


def our_step(setting: Setting, batch: Batch) -> Tensor:
    """Do one step of the training loop and return its loss."""
    with setting.precise():
        loss: Tensor = setting.step(batch.to(setting.device))
    loss.backward()
    setting.optimizer.step()
    setting.optimizer.zero_grad()
    return loss.detach()


def bare_passes(setting: Setting, batch: Batch) -> None:
    """Run only the forwards and backwards, on prepared inputs of the encoder."""
    batch = batch.to(setting.device)
    model, teacher, mask = setting.model, setting.defense.information.teacher, batch.attention_mask
    with setting.precise():
        # As in the search, eval mode computes the last layer for the first token only.
        model.eval()
        with torch.no_grad():
            model(batch.input_ids, mask, batch.token_type_ids)
            teacher.features(batch.input_ids, mask, batch.token_type_ids)
            inputs = model.embed(batch.input_ids, batch.token_type_ids)
        frozen(model, True)
        for _ in range(setting.defense.options.hull_steps):
            entered = inputs.detach().requires_grad_()
            torch.autograd.grad(
                model.classify(model.features_from_embeddings(entered, mask)).sum(), entered
            )
        frozen(model, False)
        model.train()
        entered = inputs.detach().requires_grad_()
        model.classify(model.features_from_embeddings(entered, mask)).sum().backward()
        model(batch.input_ids, mask, batch.token_type_ids).sum().backward()
    setting.optimizer.zero_grad()


def frozen(model: nn.Module, yes: bool) -> None:
    """Switch the gradients of all parameters off (``yes``) or on."""
    for parameter in model.parameters():
        parameter.requires_grad_(not yes)


def release_like(setting: Setting, batch: Batch) -> Tensor:
    """Do a step as in the release and return its loss; see the module's docstring."""
    options, model = setting.defense.options, setting.model
    batch = batch.to(setting.device)
    started = starting_mixtures(batch, setting.tokens)
    batch = padded(batch, setting.tokens)
    with setting.precise(), every_token(model), every_token(setting.defense.information.teacher):
        weights = released_search(setting, batch, started)
        # The search has filled the parameters' gradients.
        setting.optimizer.zero_grad()
        mixed = blended(whole_sequences(model, batch), weights)
        adversarial = model.features_from_embeddings(mixed, batch.attention_mask)
        logits = model.classify(
            model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        )
        kept = divergence(logits, model.classify(adversarial))
        information = setting.defense.information(adversarial, batch)
        loss: Tensor = (
            cross_entropy(logits, batch.labels) + options.beta * kept + options.alpha * information
        )
    loss.backward()
    setting.optimizer.step()
    setting.optimizer.zero_grad()
    return loss.detach()


@contextmanager
def every_token(model: TextClassifier) -> Iterator[None]:
    """Compute the last layer for all tokens in eval mode too, as other code does."""
    shortcut = model._shortcut
    kept, shortcut._trusted = shortcut._trusted, False
    try:
        yield
    finally:
        shortcut._trusted = kept


def released_search(setting: Setting, batch: Batch, hat: Tensor) -> Tensor:
    """Return mixture weights ``(batch, tokens, slots)`` after ten full forwards and backwards."""
    model, options = setting.model, setting.defense.options
    assert batch.substitute_mask is not None
    model.eval()
    with torch.no_grad():
        clean = log_softmax(model(batch.input_ids, batch.attention_mask, batch.token_type_ids), -1)
        vectors = whole_sequences(model, batch)
    hat = hat.requires_grad_()
    optimizer = torch.optim.Adam([hat], lr=options.hull_learning_rate, weight_decay=WEIGHT_DECAY)
    for _ in range(options.hull_steps):
        weights = hat.masked_fill(~batch.substitute_mask, -500.0).softmax(-1)
        logits = model.classify(
            model.features_from_embeddings(blended(vectors, weights), batch.attention_mask)
        )
        gain = kl_div(log_softmax(logits, -1), clean, reduction="sum", log_target=True)
        loss = -gain - ENTROPY_WEIGHT * (weights * weights.clamp_min(1e-30).log()).sum()
        hat.grad = None
        loss.backward()
        optimizer.step()
    model.train()
    return hat.detach().masked_fill(~batch.substitute_mask, -500.0).softmax(-1)


def whole_sequences(model: TextClassifier, batch: Batch) -> Tensor:
    """Embed one sequence for each slot: ``(batch, tokens, slots, size)``."""
    assert batch.substitute_ids is not None
    return torch.stack(
        [
            model.embed(batch.substitute_ids[:, :, slot], batch.token_type_ids)
            for slot in range(batch.substitute_ids.shape[2])
        ],
        2,
    )


def blended(vectors: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum over the slots."""
    with torch.autocast(vectors.device.type, enabled=False):
        return (vectors.float() * weights[..., None]).sum(2)


def padded(batch: Batch, tokens: int) -> Batch:
    """Return the batch, padded to ``tokens`` columns."""
    missing = tokens - batch.input_ids.shape[1]

    def fill(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor.new_zeros(tensor.shape[0], missing, *tensor.shape[2:])], 1)

    assert batch.token_type_ids is not None
    assert batch.substitute_ids is not None
    assert batch.substitute_mask is not None
    allowed = fill(batch.substitute_mask)
    allowed[:, :, 0] = True
    ids, mask, types = fill(batch.input_ids), fill(batch.attention_mask), fill(batch.token_type_ids)
    return Batch(ids, mask, types, batch.labels, fill(batch.substitute_ids), allowed)


def starting_mixtures(batch: Batch, tokens: int) -> Tensor:
    """Return the starting logits of our step for the same batch and seed, padded to ``tokens``."""
    assert batch.substitute_mask is not None
    rows, width, slots = batch.substitute_mask.shape
    drawn = torch.randn(rows, width, slots, device=batch.labels.device) * sqrt(2 / (width * slots))
    return torch.cat([drawn, drawn.new_zeros(rows, tokens - width, slots)], 1)


# Measuring


def measure(setting: Setting, batches: Sequence[Batch], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each contestant over all batches, for each repetition."""
    contestants: dict[str, Callable[[Setting, Batch], Tensor | None]] = {
        "step": our_step,
        "bare": bare_passes,
        "release_like": release_like,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    # A pause after each batch would let a GPU run empty, which a training does not.
    numbered = list(enumerate(batches))
    turns = [[each] for each in numbered] if setting.device.type == "cpu" else [numbered]
    for repeat in range(repeats + 1):
        totals = dict.fromkeys(contestants, 0.0)
        for turn in turns:
            losses: dict[str, list[Any]] = {}
            for name in turned([*contestants], repeat + turn[0][0]):
                began = now(setting.device)
                losses[name] = [
                    run_batch(contestants[name], setting, number, batch) for number, batch in turn
                ]
                totals[name] += now(setting.device) - began
            for ours, theirs in zip(losses["step"], losses["release_like"], strict=True):
                check(float(ours), float(theirs), setting.precision)
        # The first repetition warms up.
        if repeat:
            for name, total in totals.items():
                seconds[name].append(total)
    return seconds


def run_batch(
    contestant: Callable[[Setting, Batch], Tensor | None],
    setting: Setting,
    number: int,
    batch: Batch,
) -> Tensor | None:
    """Let a contestant work on a batch; all begin with the same random numbers."""
    torch.manual_seed(number)
    return contestant(setting, batch)


def count_operations(setting: Setting, batch: Batch) -> dict[str, int]:
    """Return the operations that a step starts, and the values that it reads from the device."""
    ready = batch.with_packed(pack_substitutes(batch))
    with Operations() as counted:
        our_step(setting, ready)
    return {"operations": counted.number, "reads": counted.reads}


def turned(names: list[str], by: int) -> list[str]:
    """Return the names, rotated by ``by`` places."""
    return names[by % len(names) :] + names[: by % len(names)]


def now(device: torch.device) -> float:
    """Return seconds: CPU time, or clock time after a GPU has finished."""
    if device.type == "cpu":
        return process_time()
    torch.cuda.synchronize(device)
    return perf_counter()


def check(ours: float | None, theirs: float | None, precision: str) -> None:
    """End the program if the two steps do not compute the same loss."""
    assert ours is not None
    assert theirs is not None
    if not abs(ours - theirs) <= TOLERANCES[precision] * abs(theirs):
        sys.exit(f"the losses differ: {ours} in our step, {theirs} in the one like the release's")


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> float:
    """Return the median ratio of two contestants over the repetitions."""
    return median(one / other for one, other in zip(seconds[above], seconds[below], strict=True))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="tiny")
    parser.add_argument(
        "--tokens", type=int, default=300, help="the maximum; a quarter of the texts reaches it"
    )
    parser.add_argument("--batch", type=int, default=32, help="number of examples in a step")
    parser.add_argument(
        "--batches", type=int, default=3, help="number of different batches in a repetition"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=sorted(TOLERANCES), default="fp32")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    setting = make_setting(chosen.shape, chosen.tokens, chosen.device, chosen.precision)
    batches = make_batches(setting, chosen.batch, chosen.batches)
    seconds = measure(setting, batches, chosen.repeats)
    lines = [
        f"{chosen.shape}, {chosen.batch} x {chosen.tokens} tokens at most, {chosen.precision} on "
        f"{chosen.device}; seconds for each step, by repetition"
    ]
    lines += [
        f"{name:>13}  {' '.join(f'{total / chosen.batches:8.3f}' for total in totals)}"
        for name, totals in seconds.items()
    ]
    report = {
        "over_bare": round(ratio(seconds, "step", "bare"), 3),
        "over_release_like": round(ratio(seconds, "release_like", "step"), 3),
    }
    report |= count_operations(setting, batches[-1])
    sys.stdout.write("\n".join([*lines, json.dumps(report, allow_nan=False)]) + "\n")


if __name__ == "__main__":
    main()
