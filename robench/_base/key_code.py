"""Which code makes which key: the modules whose code decides a victim, a trial or a surface.

The modules stand here as names only, so that this file imports none of them. A name is a module,
or a package with every module inside it. ``code_hash`` makes the hashes, and
``tests/unit/training/test_code_of_keys.py`` finds a module that is missing here.
"""

from __future__ import annotations

TRAINING_CODE = (
    # It chooses the shapes of forward passes, and so the last bits of what they give.
    "robench._base.arithmetic",
    "robench._base.intervals",
    "robench._base.pretrained",
    "robench.training",
    # Not the whole package: models that are given are not trained.
    "robench.models.batch",
    "robench.models.classifier",
    "robench.models.convex_hull",
    "robench.models.device_queue",
    "robench.models.encoders",
    "robench.models.first_token",
    "robench.models.forward_graphs",
    "robench.models.frozen_encoder",
    "robench.models.known_mask",
    "robench.models.gradient_query",
    "robench.models.health_checks",
    "robench.models.hull_query",
    "robench.models.judged",
    "robench.models.mixtures",
    "robench.models.model_modes",
    "robench.models.moving",
    "robench.models.objectives",
    "robench.models.probabilities",
    "robench.models.row_attention",
    "robench.models.saliency",
    "robench.models.smoothed",
    "robench.models.smoothed_gradients",
    "robench.models.smoother",
    "robench.models.smoothing",
    "robench.models.victim",
    "robench.models.victim_parts",
    "robench.models.victim_reader",
    "robench.models.whole_texts",
    "robench.methods.adversarial",
    "robench.methods.augmentation",
    "robench.methods.information",
    "robench.methods.randomised",
    "robench.methods.selective",
    "robench.methods.smoothness",
    "robench.text.words",
    "robench.text.punkt",
    "robench.text.word_table",
    "robench.text.candidates",
    "robench.text.encoding",
    "robench.text.layout",
    "robench.text.field_encoding",
    "robench.text.row_words",
    "robench.text.space",
    "robench.text.substitutions",
    "robench.text.word_sets",
    "robench.tasks.frozen",
)
"""Modules that decide what a ``FitRequest`` trains; the defense's own code comes on top."""

ATTACKED_TRAINING_CODE = ("robench.search",)
"""Modules that decide it as well where a defense attacks its training texts."""

TRIAL_CODE = (
    "robench._base.arithmetic",
    "robench._base.pretrained",
    "robench.evaluation.temperature",
    "robench.search",
    "robench.text.words",
    "robench.text.punkt",
    "robench.text.word_table",
    "robench.text.candidates",
    "robench.text.encoding",
    "robench.text.layout",
    "robench.text.field_encoding",
    "robench.text.row_words",
    "robench.text.space",
    "robench.text.word_sets",
    "robench.models.smoothed",
    "robench.models.smoothed_gradients",
    "robench.models.smoother",
    "robench.models.smoothing",
    "robench.models.victim",
    "robench.models.victim_parts",
    "robench.models.victim_reader",
    "robench.models.judged",
    "robench.models.whole_texts",
    "robench.models.given",
    "robench.models.hub_model",
    "robench.models.batch",
    "robench.models.calibration",
    "robench.models.gradient_query",
    "robench.models.hull_query",
    "robench.models.classifier",
    "robench.models.probabilities",
    "robench.models.convex_hull",
    "robench.models.device_queue",
    "robench.models.mixtures",
    "robench.models.model_modes",
    "robench.models.objectives",
    "robench.models.saliency",
    "robench.models.first_token",
    "robench.models.forward_graphs",
    "robench.models.frozen_encoder",
    "robench.models.known_mask",
    "robench.models.moving",
    "robench.models.row_attention",
)
"""Modules that decide a trial, given the victim, the surface and the attack."""

TRIAL_SOFTWARE = ("torch", "transformers", "tokenizers", "numpy")
"""Packages whose version can change a trial's last bits or its random stream."""

SURFACE_CODE = (
    "robench._base.pretrained",
    "robench.text.words",
    "robench.text.punkt",
    "robench.text.word_table",
    "robench.text.layout",
    "robench.text.substitutions",
    "robench.text.sources",
    "robench.text.links",
    "robench.text.function_words",
    "robench.text.wordnet",
    "robench.text.embedding_neighbours",
    "robench.text.masked_candidates",
    "robench.text.scorer",
    "robench.text.language_model",
    "robench.text.torch_scorers",
    "robench.text.published_scores",
    "robench.text.word_alignment",
    "robench.text.surface",
    "robench.text.surface_building",
)
"""Modules that decide what a surface holds and which part of it a search is given."""

ALL_CODE = tuple(
    dict.fromkeys((*TRAINING_CODE, *ATTACKED_TRAINING_CODE, *TRIAL_CODE, *SURFACE_CODE))
)
"""Every module above once."""
