"""Adversarial data augmentation: fine-tuning on the texts that fool the model, too."""

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
    """Attacks a share of the training texts after each epoch and adds those that fool the model, with their right labels, to all later epochs.

    This is the iterative adversarial data augmentation (ADA) that MixADA is built on and compared with. It brings no loss, so it goes with any:
    ``augmentation+ascc``. Who attacks the victim with the attack that it was trained on sees the best of it.
    """

    paper = (
        "Si et al., Better Robustness by More Coverage: Adversarial and Mixup Data Augmentation for Robust Finetuning, Findings of ACL 2021; "
        "once and not again and again in Ren et al., ACL 2019, and Jin et al., AAAI 2020"
    )
    deviations = (
        "What is said of MixADA is said of its release; its paper's text was not at hand.",
        *AUGMENTATION_DEVIATIONS,
        *SUITE_DEVIATIONS,
    )

    parallel = True

    class Options(AugmentationOptions):
        """Those of every defense, and how texts are made."""

    options: Options
