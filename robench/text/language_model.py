"""Build language-model scorers by name.

Deviation: Jia et al. score with L2W (Holtzman et al. 2018). Its scores are not included here; the
releases of RIFT and ASCC name them ``imdb_all.txt`` and ``snli_all_save.txt``. ``file:`` reads
them. ``masked:`` and ``causal:`` use other models at the same radius and threshold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robench._base.embedded import embedded_path
from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench._base.quiet import quiet_models
from robench.text.scorer import Scorer


def build_scorer(
    spec: str, device: str = "cpu", radius: int = 6, precision: Precision = "fp32"
) -> Scorer | None:
    """Build the scorer that ``spec`` names.

    Args:
        spec: ``"masked:ID_OR_PATH"``, ``"causal:ID_OR_PATH"``, ``"file:PATH"`` (published scores),
            ``"tiny"`` (the embedded encoder as a masked model) or ``"none"``.
        device: torch device.
        radius: words of context on each side (Jia et al. 2019: 6).
        precision: precision of the model's forward pass.

    Returns:
        The scorer, or None for ``"none"``.

    Raises:
        UsageError: the kind is unknown, or the model or the file cannot be loaded.
    """
    kind, _, place = spec.partition(":")
    if spec == "none":
        return None
    if spec == "tiny":
        kind, place = "masked", str(embedded_path("tiny"))
    if kind == "file" and place:
        from robench.text.published_scores import PublishedScorer

        return PublishedScorer(Path(place))
    if kind in ("masked", "causal") and place:
        from robench.text.torch_scorers import CausalScorer, MaskedScorer

        model, tokenizer = _load(kind, place)
        return (MaskedScorer if kind == "masked" else CausalScorer)(
            model, tokenizer, device, radius, precision
        )
    raise UsageError(
        f"There is no language model '{spec}'. "
        "Use masked:ID_OR_PATH, causal:ID_OR_PATH, file:PATH, tiny or none."
    )


def load_masked(place: str) -> tuple[Any, Any]:
    """Return a masked language model and its tokenizer.

    Args:
        place: a hub id or a local folder.

    Raises:
        UsageError: it cannot be loaded, or the files hold no language-model head.
    """
    return _load("masked", place)


def _load(kind: str, place: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    loader = AutoModelForMaskedLM if kind == "masked" else AutoModelForCausalLM
    try:
        with quiet_models():
            model, missing = loader.from_pretrained(
                place, trust_remote_code=False, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"The {kind} language model '{place}' cannot be loaded: {reason} "
            "Give a hub id or a folder that from_pretrained takes."
        ) from error
    # Layers outside the base model that the files do not hold have random weights.
    base = f"{model.base_model_prefix}."
    random = sorted(name for name in missing["missing_keys"] if not name.startswith(base))
    if random:
        raise UsageError(
            f"'{place}' is no {kind} language model: its files hold no head ('{random[0]}' is "
            "missing), so its answers would be random. Name a model with a language-model head."
        )
    return model, tokenizer
