"""Write a defense, and compare it with plain fine-tuning.

    python examples/own_defense.py

A class in a script or a notebook is enough to try an idea. `robench new defense NAME` makes a
package of it, which also works on the command line.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import log_softmax

import robench
from robench import Batch, Defense, TextClassifier


@robench.DEFENSES.register("focal")
class Focal(Defense):
    """Counts a text less if the prediction is already sure (Lin et al. 2017)."""

    paper = "Lin et al. 2017, Focal Loss for Dense Object Detection"
    deviations = ("It was proposed for object detection, not for text.",)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the mean focal loss, a scalar."""
        logits = model(batch.input_ids, batch.attention_mask, batch.token_type_ids)
        logs = log_softmax(logits, dim=-1).gather(1, batch.labels[:, None])
        return -((1 - logs.exp()) ** 2 * logs).mean()


def main() -> None:
    """Train both defenses briefly, attack them, and compare them."""
    results = robench.evaluate(
        defenses=["standard", "focal"],
        task="mini-reviews",
        attacks="greedy",
        limit=100,
        options={"defense.epochs": 1, "defense.train_examples": 1000},
        out="runs/own-defense",
    )
    print(results)
    print(robench.compare("runs/own-defense:focal", "runs/own-defense:standard"))


if __name__ == "__main__":
    main()
