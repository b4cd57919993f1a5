"""Public building blocks that several attacks or defenses share.

Plugins import these names from here. Each name is imported on first use, so that listing plugins
imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench._base.lazy import import_public

if TYPE_CHECKING:
    from robench._base.errors import first_line
    from robench._base.hub import no_pointless_retries
    from robench.methods.adversarial import AdversarialOptions, RobustTaskLoss, robust_task_loss
    from robench.methods.augmentation import (
        AUGMENTATION_DEVIATIONS,
        AugmentationOptions,
        AugmentedDefense,
        with_adversarial_texts,
    )
    from robench.methods.information import InformationOptions, InformationTerm
    from robench.methods.randomised import (
        RANDOMISED_DEVIATIONS,
        SETS_DEVIATION,
        RandomisedOptions,
        drawn_batch,
        drawn_variants,
        mixed_logits,
        required_smoother,
    )
    from robench.methods.selective import (
        ROSE_DEVIATIONS,
        SaliencyRule,
        Selective,
        SelectiveAdamW,
        divergence_saliency,
    )
    from robench.methods.smoothness import (
        divergence,
        perturbed_logits,
        symmetric_divergence,
        text_norms,
        token_max_norms,
        zero_noise,
    )
    from robench.methods.textattack.installed import (
        TEXTATTACK_BATCH,
        require_tested_textattack,
        require_textattack,
    )
    from robench.methods.textattack.streams import GlobalStreams, global_seeds
    from robench.methods.textattack.symbols import Symbols, symbol_attack
    from robench.models.model_modes import evaluating
    from robench.models.moving import on_device
    from robench.models.probabilities import exact_softmax, log_odds, shares_of_clean
    from robench.search.moves import (
        Choices,
        ask_until_misclassified,
        find_misclassified,
        genes_to_choices,
        rank_within_owner,
        single_substitutions,
        with_each_change,
    )
    from robench.search.whitebox import white_box
    from robench.search.word_order import change_in_order, descend, largest_first, without_scale
    from robench.training.batches import balanced_batches
    from robench.training.defense import (
        LOOP_DEVIATIONS,
        RANDOM_BATCHES_DEVIATION,
        SUBSTITUTES_DEVIATION,
        SUITE_DEVIATIONS,
    )

_MODULE_OF = {
    # Searching over the options of a text.
    "Choices": "robench.search.moves",
    "with_each_change": "robench.search.moves",
    "genes_to_choices": "robench.search.moves",
    "ask_until_misclassified": "robench.search.moves",
    "find_misclassified": "robench.search.moves",
    "rank_within_owner": "robench.search.moves",
    "single_substitutions": "robench.search.moves",
    "exact_softmax": "robench.models.probabilities",
    "log_odds": "robench.models.probabilities",
    "shares_of_clean": "robench.models.probabilities",
    "white_box": "robench.search.whitebox",
    "change_in_order": "robench.search.word_order",
    "descend": "robench.search.word_order",
    "largest_first": "robench.search.word_order",
    "without_scale": "robench.search.word_order",
    "evaluating": "robench.models.model_modes",
    # Running TextAttack's code.
    "TEXTATTACK_BATCH": "robench.methods.textattack.installed",
    "require_tested_textattack": "robench.methods.textattack.installed",
    "require_textattack": "robench.methods.textattack.installed",
    "GlobalStreams": "robench.methods.textattack.streams",
    "global_seeds": "robench.methods.textattack.streams",
    "Symbols": "robench.methods.textattack.symbols",
    "symbol_attack": "robench.methods.textattack.symbols",
    "first_line": "robench._base.errors",
    "no_pointless_retries": "robench._base.hub",
    # What every built-in defense shares with the training loop.
    "LOOP_DEVIATIONS": "robench.training.defense",
    "RANDOM_BATCHES_DEVIATION": "robench.training.defense",
    "SUBSTITUTES_DEVIATION": "robench.training.defense",
    "SUITE_DEVIATIONS": "robench.training.defense",
    "balanced_batches": "robench.training.batches",
    # Training on mixtures of words.
    "AdversarialOptions": "robench.methods.adversarial",
    "RobustTaskLoss": "robench.methods.adversarial",
    "robust_task_loss": "robench.methods.adversarial",
    # Keeping the pre-trained encoder's information.
    "InformationTerm": "robench.methods.information",
    "InformationOptions": "robench.methods.information",
    # Training on texts that fool the model.
    "AUGMENTATION_DEVIATIONS": "robench.methods.augmentation",
    "AugmentationOptions": "robench.methods.augmentation",
    "AugmentedDefense": "robench.methods.augmentation",
    "with_adversarial_texts": "robench.methods.augmentation",
    # Noise on the word embeddings.
    "divergence": "robench.methods.smoothness",
    "token_max_norms": "robench.methods.smoothness",
    "zero_noise": "robench.methods.smoothness",
    "perturbed_logits": "robench.methods.smoothness",
    "symmetric_divergence": "robench.methods.smoothness",
    "text_norms": "robench.methods.smoothness",
    # Victims that answer from random variants of a text.
    "Smoothing": "robench.models.smoothing",
    "on_device": "robench.models.moving",
    "RANDOMISED_DEVIATIONS": "robench.methods.randomised",
    "SETS_DEVIATION": "robench.methods.randomised",
    "RandomisedOptions": "robench.methods.randomised",
    "drawn_batch": "robench.methods.randomised",
    "drawn_variants": "robench.methods.randomised",
    "mixed_logits": "robench.methods.randomised",
    "required_smoother": "robench.methods.randomised",
    # Updating some tensors at each step.
    "ROSE_DEVIATIONS": "robench.methods.selective",
    "SaliencyRule": "robench.methods.selective",
    "Selective": "robench.methods.selective",
    "SelectiveAdamW": "robench.methods.selective",
    "divergence_saliency": "robench.methods.selective",
}
"""Public name -> the module that defines it."""

__all__ = [
    "AUGMENTATION_DEVIATIONS",
    "LOOP_DEVIATIONS",
    "RANDOMISED_DEVIATIONS",
    "RANDOM_BATCHES_DEVIATION",
    "ROSE_DEVIATIONS",
    "SETS_DEVIATION",
    "SUBSTITUTES_DEVIATION",
    "SUITE_DEVIATIONS",
    "TEXTATTACK_BATCH",
    "AdversarialOptions",
    "AugmentationOptions",
    "AugmentedDefense",
    "Choices",
    "GlobalStreams",
    "InformationOptions",
    "InformationTerm",
    "RandomisedOptions",
    "RobustTaskLoss",
    "SaliencyRule",
    "Selective",
    "SelectiveAdamW",
    "Smoothing",
    "Symbols",
    "ask_until_misclassified",
    "balanced_batches",
    "change_in_order",
    "descend",
    "divergence",
    "divergence_saliency",
    "drawn_batch",
    "drawn_variants",
    "evaluating",
    "exact_softmax",
    "find_misclassified",
    "first_line",
    "genes_to_choices",
    "global_seeds",
    "largest_first",
    "log_odds",
    "mixed_logits",
    "no_pointless_retries",
    "on_device",
    "perturbed_logits",
    "rank_within_owner",
    "require_tested_textattack",
    "require_textattack",
    "required_smoother",
    "robust_task_loss",
    "shares_of_clean",
    "single_substitutions",
    "symbol_attack",
    "symmetric_divergence",
    "text_norms",
    "token_max_norms",
    "white_box",
    "with_adversarial_texts",
    "with_each_change",
    "without_scale",
    "zero_noise",
]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562)."""
    return import_public(__name__, name, _MODULE_OF)


def __dir__() -> list[str]:
    """Return the public names, so that completion finds those that are not imported yet."""
    return sorted(__all__)
