"""Load a given model with its weights, and refuse one whose head would be random."""

from __future__ import annotations

from typing import Any

from robench._base.errors import UsageError, first_line
from robench._base.pretrained import read_model
from robench._base.quiet import quiet_models
from robench.models.given.description import GivenInfo, describe_given
from robench.models.given.padding import choose_padding
from robench.models.given.source import GivenSource
from robench.models.given.victim import GivenVictim


def load_given(source: GivenSource, device: str = "cpu") -> GivenVictim:
    """Load the classifier of ``source``, ready to be attacked.

    Raises:
        UsageError: it cannot be found or loaded, its files lack weights, or ``describe_given``
            refuses it.
    """
    info = describe_given(source)
    victim = GivenVictim(_load(info), info, device)
    choose_padding(victim)
    return victim


def _load(info: GivenInfo) -> Any:
    name, location = info.source.title, info.source.location
    # Caches of keys and values are of no use in single forwards.
    info.config.use_cache = False
    try:
        with quiet_models():
            model, report = read_model(
                "AutoModelForSequenceClassification",
                location,
                info.foreign_code,
                config=info.config,
                dtype="float32",
                output_loading_info=True,
            )
    # Broken files make transformers, safetensors and torch raise errors of many types.
    except Exception as error:
        raise UsageError(
            f"Model '{name}' cannot be loaded from '{location}' ({first_line(error)}). "
            "Check or replace its files."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        listed = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise UsageError(
            f"The files of model '{name}' lack weights ({listed}), so its answers would be random. "
            "Give a model that was fine-tuned to classify, or train a victim with --encoder."
        )
    return model
