"""Dev scores, by which an epoch is selected; ``epoch_choice`` has the rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from robench.models.convex_hull import maximise
from robench.models.health_checks import guessing_accuracy
from robench.models.mixtures import harden
from robench.models.model_modes import evaluating
from robench.training.feed import feed

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier
    from robench.training.data import EncodedExamples


@dataclass(frozen=True)
class DevScores:
    """Accuracies on the dev examples, in [0, 1].

    Attributes:
        clean: clean accuracy.
        hull: accuracy under the convex-hull attack: the share of texts that are classified right
            both unchanged and as the attack's discrete text. None without substitutes.
        guessing: whether ``clean`` is no better than guessing; see ``guessing_accuracy``.
        features: of the unchanged texts, ``(examples, size)``, in main memory; None where they
            were not kept.
    """

    clean: float
    hull: float | None
    guessing: bool = False
    features: Tensor | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any]) -> DevScores:
        """Return the scores that one epoch of ``training.json`` holds."""
        return cls(entry["dev_accuracy"], entry["dev_hull_accuracy"], entry["dev_guessing"])

    @property
    def under_attack(self) -> float:
        """Accuracy under the convex-hull attack; clean accuracy where nothing was attacked."""
        return self.clean if self.hull is None else self.hull

    @property
    def rank(self) -> tuple[bool, float, float]:
        """The value to compare epochs by: accuracy under attack, then clean accuracy.

        A constant classifier cannot be attacked, so it would beat an epoch that has begun to
        learn. Epochs no better than guessing therefore rank last.
        """
        return (not self.guessing, self.under_attack, self.clean)


def score_on_dev(
    model: TextClassifier,
    examples: EncodedExamples,
    batch_size: int,
    device: torch.device | str,
    *,
    hull: bool,
    seed: int,
) -> DevScores:
    """Score ``model`` on ``examples``; it is in eval mode meanwhile.

    The attack is the one of RIFT's release: ten steps on the mixture weights against the true
    label, then at every position the word with the largest weight.

    Args:
        model: the model to score.
        examples: the dev examples.
        batch_size: examples in one forward pass.
        device: where the model is.
        hull: whether to attack at all.
        seed: decides the attack's starting points; torch's global generators do not change.
    """
    generator = torch.Generator(device=device).manual_seed(seed)
    order, batches = _batches(examples, batch_size, device, substitutes=hull)
    features, clean, held = list[Tensor](), list[Tensor](), list[Tensor]()
    with evaluating(model):
        for batch in batches:
            with torch.no_grad():
                found = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
                right = model.classify(found).argmax(-1) == batch.labels
            features.append(found.float())
            clean.append(right.sum())
            if hull:
                worst = maximise(model, batch, objective="margin", generator=generator)
                attacked = harden(batch, worst)
                with torch.no_grad():
                    logits = model(
                        attacked.input_ids, attacked.attention_mask, attacked.token_type_ids
                    )
                    right &= logits.argmax(-1) == batch.labels
                held.append(right.sum())
    accuracy = _total(clean) / len(examples)
    _, no_better_than_guessing = guessing_accuracy(np.asarray(examples.labels))
    return DevScores(
        clean=accuracy,
        hull=_total(held) / len(examples) if hull else None,
        guessing=accuracy <= no_better_than_guessing,
        features=_in_order(features, order),
    )


def _total(counts: Sequence[Tensor]) -> int:
    """Return the sum of counts, which are read together so that a GPU is waited for once."""
    return sum(torch.stack(list(counts)).tolist())


def _in_order(features: Sequence[Tensor], order: Sequence[int]) -> Tensor:
    """Return the features of the batches in main memory, in the order of the examples."""
    sorted_ones = torch.cat(list(features)).cpu()
    found = torch.empty_like(sorted_ones)
    found[list(order)] = sorted_ones
    return found


def compute_features(
    model: TextClassifier, examples: EncodedExamples, batch_size: int, device: torch.device | str
) -> Tensor:
    """Return the model's features in eval mode, ``(examples, size)``, in main memory."""
    order, batches = _batches(examples, batch_size, device, substitutes=False)
    with evaluating(model), torch.no_grad():
        features = [
            model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids).float()
            for batch in batches
        ]
    return _in_order(features, order)


def _batches(
    examples: EncodedExamples, size: int, device: torch.device | str, *, substitutes: bool
) -> tuple[list[int], Iterator[Batch]]:
    """Return the order of the examples, the shortest texts first, and their batches."""
    order = np.argsort(examples.lengths, kind="stable").tolist()
    chosen = [order[start : start + size] for start in range(0, len(order), size)]
    return order, feed(examples, chosen, device, substitutes=substitutes)
