"""Dev scores: clean accuracy and accuracy under the convex-hull attack, the paper's rule for picking an epoch (appendix A.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench.models.convex_hull import evaluating, harden, maximise

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier
    from robench.training.data import EncodedExamples
    from robench.training.defense import Batch


@dataclass(frozen=True)
class DevScores:
    """Accuracies in [0, 1].

    Attributes:
        clean: on the texts as they are.
        hull: share of texts that are classified right both as they are and as the convex-hull attack's discrete text; None without substitutes.
        guessing: whether ``clean`` is no better than a guess, see ``guessing_accuracy``.
        features: of the texts as they are, ``(examples, size)``, in main memory; None where they were not kept.
    """

    clean: float
    hull: float | None
    guessing: bool = False
    features: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What is compared: accuracy under attack, ties broken by clean accuracy.

        Who answers the same whatever is asked cannot be attacked, and would beat an epoch that has begun to learn: a guess comes last.
        """
        return (not self.guessing, self.clean if self.hull is None else self.hull, self.clean)


def guessing_accuracy(labels: NDArray[np.int64]) -> tuple[float, float]:
    """What answering the most frequent class gets right of ``labels`` ``(n,)``, in [0, 1], and what is no better than that: two standard errors more."""
    share = float(np.bincount(labels).max()) / len(labels)
    return share, share + 2 * sqrt(share * (1 - share) / len(labels))


def score_on_dev(
    model: TextClassifier,
    examples: EncodedExamples,
    batch_size: int,
    device: torch.device | str,
    *,
    hull: bool,
    seed: int,
) -> DevScores:
    """Ask ``model`` (in eval mode meanwhile) about ``examples``.

    The attack is the release's: ten steps on the mixture weights against the true label, then at every position the word of largest weight.

    Args:
        hull: whether to attack at all.
        seed: of the attack's starting points; torch's global generators are left alone.
    """
    generator = torch.Generator(device=device).manual_seed(seed)
    features = torch.empty(len(examples), model.feature_size)
    clean = held = 0
    with evaluating(model):
        for indices, batch in _batches(examples, batch_size, device, substitutes=hull):
            with torch.no_grad():
                found = model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
                right = model.classify(found).argmax(-1) == batch.labels
            features[indices] = found.float().cpu()
            clean += int(right.sum())
            if hull:
                attacked = harden(batch, maximise(model, batch, labels=True, generator=generator))
                with torch.no_grad():
                    right &= (
                        model(
                            attacked.input_ids, attacked.attention_mask, attacked.token_type_ids
                        ).argmax(-1)
                        == batch.labels
                    )
                held += int(right.sum())
    accuracy = clean / len(examples)
    return DevScores(
        accuracy,
        held / len(examples) if hull else None,
        accuracy <= guessing_accuracy(np.asarray(examples.labels))[1],
        features,
    )


def compute_features(
    model: TextClassifier, examples: EncodedExamples, batch_size: int, device: torch.device | str
) -> Tensor:
    """The model's features of ``examples`` (in eval mode), ``(examples, size)``, in main memory."""
    features = torch.empty(len(examples), model.feature_size)
    with evaluating(model), torch.no_grad():
        for indices, batch in _batches(examples, batch_size, device, substitutes=False):
            features[indices] = (
                model.features(batch.input_ids, batch.attention_mask, batch.token_type_ids)
                .float()
                .cpu()
            )
    return features


def _batches(
    examples: EncodedExamples, size: int, device: torch.device | str, *, substitutes: bool
) -> Iterator[tuple[list[int], Batch]]:
    """Indices and batch, the shortest texts first."""
    order = np.argsort(examples.lengths, kind="stable").tolist()
    for start in range(0, len(order), size):
        yield (
            order[start : start + size],
            examples.batch(order[start : start + size], device, substitutes=substitutes),
        )
