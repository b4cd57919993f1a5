"""Adversarial data augmentation: fine-tuning also on the texts that fool the model."""

from __future__ import annotations

from robench import DEFENSES
from robench.methods import (
    AUGMENTATION_DEVIATIONS,
    SUITE_DEVIATIONS,
    AugmentationOptions,
    AugmentedDefense,
)


@DEFENSES.register("augmentation")
class Augmentation(AugmentedDefense):
    """Attack a share of the training texts after each epoch and train on those that fool the model.

    These texts keep their right labels and are used in all later epochs. This is the iterative
    adversarial data augmentation (ADA) that MixADA builds on and is compared with. It has no loss
    of its own, so it can join any defense: ``augmentation+ascc``. An evaluation with the attack
    that the victim was trained on shows its best side.
    """

    paper = (
        "Si et al., Better Robustness by More Coverage: Adversarial and Mixup Data Augmentation"
        " for Robust Finetuning, Findings of ACL 2021; done once and not repeatedly in"
        " Ren et al., ACL 2019, and Jin et al., AAAI 2020"
    )
    deviations = (
        "What is said of MixADA is said of its release; the text of its paper was not at hand.",
        *AUGMENTATION_DEVIATIONS,
        *SUITE_DEVIATIONS,
    )

    parallel = True

    class Options(AugmentationOptions):
        """Options of every defense, and how adversarial texts are made."""

    options: Options
