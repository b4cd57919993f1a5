"""Language models that say how well a substitute fits where the original word stood.

Each scorer answers ``log p(substitute in context) - log p(original in context)`` in nats, the context being the ORIGINAL words around the position. A word
that the model cannot express has probability 0; what follows is the consumer of the published scores (Jia et al. 2019, ``attacks.py``): an impossible
original makes every possible substitute allowed (``+inf``), an impossible substitute never is (``-inf``), and where both are impossible the substitute is
rejected (``-inf``; NaN there).

Deviation: Jia et al. score with L2W (Holtzman et al. 2018), whose scores and weights are no longer to be had; ``masked:`` and ``causal:`` are other models at
the same radius and threshold, ``file:`` reads scores in the published format.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench._base.quiet import quiet_models

Ratios = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Request:
    """One position of one text: ``words`` are the whole original text, ``substitutes`` stand for ``words[position]``."""

    words: tuple[str, ...]
    position: int
    substitutes: tuple[str, ...]


class Scorer(ABC):
    """A language model with all that its answers depend on.

    Attributes:
        identity: kind, hash of weights or file, precision; part of a surface's key.
    """

    identity: str

    def check(self, texts: Sequence[Sequence[str]]) -> None:
        """Refuse early what ``log_ratios`` could not answer for these texts (their words); nothing to refuse unless overridden."""

    @abstractmethod
    def log_ratios(self, requests: Sequence[Request]) -> list[Ratios]:
        """For each request ``(substitutes,)`` log-ratios in nats, ``-inf`` to ``+inf``, never NaN."""


def ratios(original: float, substitutes: NDArray[np.float64]) -> Ratios:
    """``substitutes - original`` (log-probabilities, ``-inf`` allowed) with the published semantics of the infinite; see the module."""
    if original == -np.inf:
        return np.where(np.isneginf(substitutes), -np.inf, np.inf).astype(np.float32)
    return (substitutes - original).astype(np.float32)


def build_scorer(
    spec: str, device: str = "cpu", radius: int = 6, precision: Precision = "fp32"
) -> Scorer | None:
    """The scorer that ``spec`` names.

    Args:
        spec: ``"masked:ID_OR_PATH"``, ``"causal:ID_OR_PATH"``, ``"file:PATH"`` (published scores), ``"tiny"`` (= masked: the embedded encoder) or ``"none"``.
        device: for torch.
        radius: words of context on each side (Jia et al. 2019: 6).
        precision: of the model's forward pass.

    Returns:
        The scorer, None for ``"none"``.

    Raises:
        UsageError: an unknown kind, or a model or file that cannot be loaded.
    """
    kind, _, place = spec.partition(":")
    if spec == "none":
        return None
    if spec == "tiny":
        from robench.models.encoders import embedded_folder

        kind, place = "masked", str(embedded_folder("tiny"))
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
        f"There is no language model '{spec}'. Use masked:ID_OR_PATH, causal:ID_OR_PATH, file:PATH, tiny or none."
    )


def _load(kind: str, place: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    loader = AutoModelForMaskedLM if kind == "masked" else AutoModelForCausalLM
    try:
        with quiet_models():
            return loader.from_pretrained(place), AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"The {kind} language model '{place}' cannot be loaded: {reason} Give a hub id or a folder that from_pretrained takes."
        ) from error


def fingerprint(model: Any, tokenizer: Any) -> str:
    """SHA-256 over the weights and the vocabulary: the same from a folder, the hub, whatever the file layout."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array = tensor.detach().float().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.tobytes())
    digest.update(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    return digest.hexdigest()
