"""Dev scores: clean accuracy and accuracy under the convex-hull attack, the paper's rule for picking an epoch (appendix A.1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from robench.victims.convex_hull import evaluating, harden, maximise

if TYPE_CHECKING:
    from robench.victims.classifier import TextClassifier
    from robench.victims.data import EncodedExamples


@dataclass(frozen=True)
class Scores:
    """Accuracies in [0, 1].

    Attributes:
        clean: on the texts as they are.
        hull: share of texts that are classified right both as they are and as the convex-hull attack's discrete text; None without substitutes.
        guessing: whether ``clean`` is no better than a guess, see ``guess``.
    """

    clean: float
    hull: float | None
    guessing: bool = False

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What is compared: accuracy under attack, ties broken by clean accuracy.

        Who answers the same whatever is asked cannot be attacked, and would beat an epoch that has begun to learn: a guess comes last.
        """
        return (not self.guessing, self.clean if self.hull is None else self.hull, self.clean)


def guess(labels: NDArray[np.int64]) -> tuple[float, float]:
    """What answering the most frequent class gets right of ``labels`` ``(n,)``, in [0, 1], and what is no better than that: two standard errors more."""
    share = float(np.bincount(labels).max()) / len(labels)
    return share, share + 2 * sqrt(share * (1 - share) / len(labels))


def score(model: TextClassifier, examples: EncodedExamples, batch_size: int, device: torch.device | str, *, hull: bool, seed: int) -> Scores:
    """Ask ``model`` (in eval mode meanwhile) about ``examples``.

    The attack is the release's: ten steps on the mixture weights against the true label, then at every position the word of largest weight.

    Args:
        hull: whether to attack at all.
        seed: of the attack's starting points; torch's global generators are left alone.
    """
    order = np.argsort(examples.lengths, kind="stable").tolist()
    generator = torch.Generator(device=device).manual_seed(seed)
    clean = held = 0
    with evaluating(model):
        for start in range(0, len(order), batch_size):
            batch = examples.batch(order[start : start + batch_size], device, substitutes=hull)
            with torch.no_grad():
                answer = model(batch.input_ids, batch.attention_mask, batch.token_type_ids).argmax(-1)
            right = answer == batch.labels
            clean += int(right.sum())
            if hull:
                attacked = harden(batch, maximise(model, batch, labels=True, generator=generator))
                with torch.no_grad():
                    right &= model(attacked.input_ids, attacked.attention_mask, attacked.token_type_ids).argmax(-1) == batch.labels
                held += int(right.sum())
    accuracy = clean / len(examples)
    return Scores(accuracy, held / len(examples) if hull else None, guessing=accuracy <= guess(np.asarray(examples.labels))[1])
