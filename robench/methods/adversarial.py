"""Options and loss of defenses that train on word mixtures (RIFT paper, Eqs. 8 and 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from robench.methods.smoothness import divergence
from robench.models.convex_hull import maximise
from robench.models.mixtures import embed_and_mix, pack_substitutes
from robench.plugins.options import TrainingOptions

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier


class AdversarialOptions(TrainingOptions):
    """Options of every defense that trains on the convex hull of word substitutions."""

    beta: float = Field(10.0, ge=0, description="Weight of KL(clean || adversarial) in Eq. 9.")
    hull_steps: int = Field(
        10,
        ge=1,
        description="Steps of the inner maximisation (Eq. 8).",
        json_schema_extra={"unit": "steps"},
    )
    hull_learning_rate: float = Field(
        1.0, gt=0, description="Adam's rate on the logits of the mixture weights."
    )


class RobustTaskLoss(NamedTuple):
    """The robust task loss ``L_r-task`` of a batch.

    Attributes:
        loss: Eq. 9, a scalar.
        features: of the worst mixtures, ``(batch, size)``, with gradients.
        figures: the two parts of the loss, detached.
    """

    loss: Tensor
    features: Tensor
    figures: dict[str, Tensor]


def robust_task_loss(
    model: TextClassifier, batch: Batch, options: AdversarialOptions
) -> RobustTaskLoss:
    """Return Eq. 9: ``CE(clean) + beta KL(clean || adversarial)``."""
    clean, adversarial = clean_and_adversarial_features(model, batch, options)
    logits = model.classify(clean)
    task = cross_entropy(logits, batch.labels)
    # As in TRADES and in the release, the clean side is not detached: each prediction is pulled
    # towards the other.
    kept = divergence(logits, model.classify(adversarial))
    return RobustTaskLoss(
        task + options.beta * kept,
        adversarial,
        {"task": task.detach(), "invariance": kept.detach()},
    )


def clean_and_adversarial_features(
    model: TextClassifier, batch: Batch, options: AdversarialOptions
) -> tuple[Tensor, Tensor]:
    """Return the features of the clean texts and of their worst word mixtures (Eq. 8).

    Both are ``(batch, size)`` and have gradients. The mixture weights are found in eval mode and
    detached. The two forward passes use the model's own mode, with independent dropout.
    """
    packed = pack_substitutes(batch)
    weights = maximise(
        model,
        batch,
        steps=options.hull_steps,
        learning_rate=options.hull_learning_rate,
        packed=packed,
    )
    clean, adversarial = embed_and_mix(model, batch, weights, packed)
    return (
        model.features_from_embeddings(clean, batch.attention_mask),
        model.features_from_embeddings(adversarial, batch.attention_mask),
    )
