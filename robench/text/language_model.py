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
from robench._base.foreign_code import ModelFiles, check_model, check_tokenizer, code_sha256
from robench._base.pretrained import read_model, read_tokenizer
from robench._base.quiet import quiet_models
from robench.text.scorer import Scorer


def build_scorer(
    spec: str,
    device: str = "cpu",
    radius: int = 6,
    precision: Precision = "fp32",
    foreign_code: bool = False,
) -> Scorer | None:
    """Build the scorer that ``spec`` names.

    Args:
        spec: ``"masked:ID_OR_PATH"``, ``"causal:ID_OR_PATH"``, ``"file:PATH"`` (published scores),
            ``"tiny"`` (the embedded encoder as a masked model) or ``"none"``.
        device: torch device.
        radius: words of context on each side (Jia et al. 2019: 6).
        precision: precision of the model's forward pass.
        foreign_code: whether code of the model's folder may run.

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

        model, tokenizer, code = _load(kind, place, foreign_code)
        scorer = (MaskedScorer if kind == "masked" else CausalScorer)(
            model, tokenizer, device, radius, precision
        )
        # Code of the folder decides the scores as the weights do.
        scorer.identity += f":{code}" if code else ""
        return scorer
    raise UsageError(
        f"There is no language model '{spec}'. "
        "Use masked:ID_OR_PATH, causal:ID_OR_PATH, file:PATH, tiny or none."
    )


def load_masked(place: str, foreign_code: bool = False) -> tuple[Any, Any, str]:
    """Return a masked language model, its tokenizer, and the SHA-256 of its folder's code.

    The hash is empty where no code of the folder runs.

    Args:
        place: a hub id or a local folder.
        foreign_code: whether code of the folder may run.

    Raises:
        UsageError: it cannot be loaded, or the files hold no language-model head.
    """
    return _load("masked", place, foreign_code)


def _load(kind: str, place: str, foreign_code: bool) -> tuple[Any, Any, str]:
    """Return a language model, its tokenizer and the hash of its code; "" where none runs."""
    files = ModelFiles(
        f"The {kind} language model '{place}'",
        place,
        lambda name: _find(place, name),
        foreign_code,
    )
    auto_class = "AutoModelForMaskedLM" if kind == "masked" else "AutoModelForCausalLM"
    code = check_model(files, (auto_class,))
    code_of_tokenizer = check_tokenizer(files)
    try:
        with quiet_models():
            model, missing = read_model(auto_class, place, code, output_loading_info=True)
            tokenizer = read_tokenizer(place, code_of_tokenizer)
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
    return model, tokenizer, code_sha256(files) if code or code_of_tokenizer else ""


def _find(place: str, name: str) -> Path | None:
    """Return the path of one of a model's files, downloaded unless it is a folder."""
    from transformers.utils import cached_file

    folder = Path(place)
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    try:
        found = cached_file(
            place,
            name,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except (OSError, ValueError):
        # Loading the model fails in the same way, and its message says why.
        return None
    return None if found is None else Path(found)
