"""The substitution sets that attacks name: ``pwws@wordnet``, ``pwws@held-out``, ``pwws@a.json``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench.evaluation import defaults
from robench.models.fetched_encoders import check_masked_head
from robench.text.substitutions import NAMES, unknown_set

if TYPE_CHECKING:
    from robench.text.sources import SubstituteSource
    from robench.text.substitutions import SubstitutionSet

HELD_OUT = "held-out"
"""The set that a task names as its held-out one, without what its own set links."""
EMBEDDINGS = "embeddings"
"""The set of the nearest neighbours in an encoder's embeddings; ``--encoder`` by default."""
OF_MODEL = (EMBEDDINGS, "masked-lm")
"""Sets that a model makes; ``:`` and the name or folder of the model may follow."""
SET_NAMES = (*NAMES, *OF_MODEL, HELD_OUT)
"""Names of substitution sets, apart from files."""


def check_set(name: str) -> None:
    """Refuse a substitution set that does not exist, before anything is read.

    Raises:
        UsageError: no set and no file has the name, it names no model after ``:``, or that model
            cannot propose words.
    """
    kind, colon, model = name.partition(":")
    if kind in OF_MODEL and colon and not model:
        raise UsageError(
            f"'{name}' names no model after ':'. Write {kind} for the usual model, or {kind}:NAME."
        )
    if kind == "masked-lm":
        check_masked_head(model)
    # A pipe or a device is a file of the wrong kind, and the reader says so.
    is_file = Path(name).exists() and not Path(name).is_dir()
    if name not in SET_NAMES and kind not in OF_MODEL and not is_file:
        raise unknown_set(name, SET_NAMES)


def set_label(name: str) -> str:
    """Return the name of a set for tables, without the folders of a file or of a model."""
    kind, colon, place = name.partition(":")
    if colon and kind in OF_MODEL:
        return f"{kind}:{_last_part(place)}"
    return name if name in SET_NAMES else _last_part(name)


def _last_part(place: str) -> str:
    return place.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class SetFinder:
    """Find the substitution sets that the attacks of one run name.

    Attributes:
        data: data folder, or None.
        encoder: the encoder whose embeddings make the set ``embeddings``.
        lm: the language model whose candidates make the set ``masked-lm``, as ``--lm`` takes it.
        device: a torch device string.
        foreign_code: whether code of a model's folder may run.
    """

    data: Path | None
    encoder: str
    lm: str
    device: str
    foreign_code: bool = False
    _found: dict[str, SubstituteSource] = field(default_factory=dict, compare=False, repr=False)

    def find(self, name: str, held_out: str, own: Sequence[SubstitutionSet]) -> SubstituteSource:
        """Return the set called ``name``.

        Args:
            name: name of a set, or path of a file. An empty name is the first of ``own``.
            held_out: name of the task's held-out set.
            own: the task's own sets; no pair that they link is part of the held-out one.

        Raises:
            UsageError: the set does not exist, or what makes it is missing.
        """
        if not name:
            return own[0]
        if name == HELD_OUT:
            return self._held_out(held_out, own)
        return self._load(name)

    def _held_out(self, name: str, own: Sequence[SubstitutionSet]) -> SubstituteSource:
        from robench.text.sources import WithoutPairs

        source = self._load(name)
        if any(source.sha256 == each.sha256 for each in own):
            raise UsageError(
                f"The held-out set '{name}' is the set that victims train on, so nothing of it is "
                "held out. Name another set after @, such as @embeddings."
            )
        return WithoutPairs(source, own)

    def _load(self, name: str) -> SubstituteSource:
        """Return a set that is the same for every task."""
        if name not in self._found:
            self._found[name] = self._make(name)
        return self._found[name]

    def _make(self, name: str) -> SubstituteSource:
        from robench.text.substitutions import load_substitutions

        kind, _, model = name.partition(":")
        if kind == EMBEDDINGS:
            return _neighbours(model or self.encoder, self.foreign_code)
        if kind == "masked-lm":
            place = model or self._language_model
            return _candidates(place, self.device, self.foreign_code)
        return load_substitutions(name, self.data)

    @property
    def _language_model(self) -> str:
        """The masked model of ``--lm``; the embedded one where ``--lm`` names another kind."""
        kind, _, place = self.lm.partition(":")
        return place if kind == "masked" and place else defaults.ENCODER


def _neighbours(encoder: str, foreign_code: bool) -> SubstituteSource:
    """Return the nearest neighbours of an encoder's embeddings, before any fine-tuning."""
    from robench._base.foreign_code import check_model, check_tokenizer
    from robench.models.encoders import find_encoder, fingerprint, load_encoder, load_tokenizer
    from robench.text.embedding_neighbours import BOUND, COUNT, Neighbours
    from robench.text.substitutions import SubstitutionSet

    info = find_encoder(encoder, foreign_code)
    code = check_model(info.model_files, ("AutoModel",)) | check_tokenizer(info.model_files)
    vectors = load_encoder(info).get_input_embeddings().weight.detach().float().numpy()
    settings = f"{fingerprint(info, code)} {COUNT} {BOUND}"
    return SubstitutionSet(
        f"embeddings of {_last_part(encoder)}",
        hashlib.sha256(settings.encode()).hexdigest(),
        Neighbours(vectors, load_tokenizer(info)),
    )


def _candidates(model: str, device: str, foreign_code: bool) -> SubstituteSource:
    """Return the candidates of a masked language model, an encoder's name or a hub id or folder."""
    from robench.models.encoders import find_encoder
    from robench.text.language_model import load_masked
    from robench.text.masked_candidates import MaskedCandidates
    from robench.text.scorer import fingerprint

    loaded, tokenizer, code = load_masked(find_encoder(model).location, foreign_code)
    identity = fingerprint(loaded, tokenizer) + code
    return MaskedCandidates(loaded, tokenizer, _last_part(model), identity, device)
