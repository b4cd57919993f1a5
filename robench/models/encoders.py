"""Encoders: their short names, their recommended training options, and how they are loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from robench._base.bounded_reading import open_bounded, read_json
from robench._base.embedded import embedded_path
from robench._base.errors import UsageError, first_line
from robench._base.files import is_local_path
from robench._base.foreign_code import ModelFiles, check_model, check_tokenizer, code_sha256
from robench._base.hints import did_you_mean
from robench._base.pretrained import make_model, read_config, read_model, read_tokenizer
from robench._base.quiet import quiet_models
from robench.models.fetched_encoders import FETCHED, FetchedEncoder


@dataclass(frozen=True)
class EncoderInfo:
    """A named encoder.

    Attributes:
        name: the value of ``--encoder``. Any other hub id or local folder works as well.
        location: a hub id or a local folder, for ``from_pretrained``.
        recommended: training options that suit its size. They override a defense's paper
            defaults; the user's options override them.
        summary: one line for people.
        noun: what messages call it; ``"Model"`` for a classifier of the user.
        foreign_code: whether code of its files may run. None where no option allows it.
        fetched: what is published, for an encoder that ``robench fetch`` gets; None for others.
    """

    name: str
    location: str
    recommended: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    noun: str = "Encoder"
    foreign_code: bool | None = None
    fetched: FetchedEncoder | None = None

    def recommended_on(self, *tasks: str) -> dict[str, Any]:
        """Return the recommended training options for the first task that has any of its own."""
        by_task = {} if self.fetched is None else self.fetched.recommended_for
        own = next((by_task[task] for task in tasks if task in by_task), {})
        return {**self.recommended, **own}

    @property
    def model_files(self) -> ModelFiles:
        """The files, for the checks for foreign code."""
        return ModelFiles(
            f"{self.noun} '{self.name}'",
            self.location,
            lambda name: resolve_file(self, name, required=False),
            bool(self.foreign_code),
            _NO_CODE if self.foreign_code is None else "",
        )


_NO_CODE = (
    "and robench trains no victim on such an encoder, because a saved victim holds no code. "
    "Take an encoder that transformers itself knows."
)

_TINY = EncoderInfo(
    "tiny",
    str(embedded_path("tiny")),
    # Chosen on dev of mini-reviews, see docs/decisions/0003-training.md.
    {"learning_rate": 1e-3, "epochs": 4},
    "2 layers x 128, pre-trained on film reviews; ships with robench",
)
_FROM_HUB = (
    ("bert-base-uncased", "google-bert/bert-base-uncased", "12 layers x 768 (Devlin et al. 2019)"),
    ("roberta-base", "FacebookAI/roberta-base", "12 layers x 768 (Liu et al. 2019)"),
    (
        "distilbert-base-uncased",
        "distilbert/distilbert-base-uncased",
        "6 layers x 768 (Sanh et al. 2019)",
    ),
    ("electra-base", "google/electra-base-discriminator", "12 layers x 768 (Clark et al. 2020)"),
    ("albert-base", "albert/albert-base-v2", "12 shared layers x 768 (Lan et al. 2020)"),
    ("deberta-base", "microsoft/deberta-base", "12 layers x 768 (He et al. 2021)"),
)
"""Name, hub id and summary of encoders without recommended options."""


def _encoders() -> dict[str, EncoderInfo]:
    encoders = {_TINY.name: _TINY}
    for name, each in FETCHED.items():
        summary = f"{each.summary}; 'robench fetch {name}' gets it"
        encoders[name] = EncoderInfo(
            name, str(each.folder), each.recommended, summary, fetched=each
        )
    for name, location, summary in _FROM_HUB:
        encoders[name] = EncoderInfo(name, location, {}, f"{summary}; from the hub")
    return encoders


ENCODERS = _encoders()


def find_encoder(name: str, foreign_code: bool | None = None) -> EncoderInfo:
    """Return the named encoder; any other hub id or folder has no recommended options.

    Args:
        name: a short name, a hub id or a folder.
        foreign_code: see ``EncoderInfo``. None is right wherever a victim is trained.
    """
    return ENCODERS.get(name, EncoderInfo(name, name, foreign_code=foreign_code))


TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "spm.model",
    "sentencepiece.bpe.model",
    # Further names go to the end, so that the fingerprints of other encoders stay as they are.
    "sentencepiece.model",
    "spm_char.model",
    "prophetnet.tokenizer",
    "bpe.codes",
    "dict.txt",
    "entity_vocab.json",
    "word_shape.json",
    "word_pronunciation.json",
)
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def fingerprint(info: EncoderInfo, code: bool = False) -> str:
    """Return a SHA-256 over an encoder's configuration, tokenizer and weights.

    It is the same for a local folder and for the hub. Files on the hub are downloaded.

    Args:
        info: the encoder.
        code: whether code of its folder runs; then every Python file there counts as well.

    Raises:
        UsageError: there is no such folder or hub id, or it holds no weights; or the files of a
            fetched encoder are not the published ones.
    """
    present = (
        name for name in WEIGHT_FILES if resolve_file(info, name, required=False) is not None
    )
    weights = next(present, None)
    config = resolve_file(info, "config.json")
    if weights is None:
        raise UsageError(
            f"{info.noun} '{info.name}' has no weights: "
            f"'{info.location}' holds none of {', '.join(WEIGHT_FILES)}."
        )
    resolved = (resolve_file(info, name, required=False) for name in TOKENIZER_FILES)
    tokenizer = [path for path in resolved if path is not None]
    # Large encoders split their weights into several files, which an index file lists.
    index = resolve_file(info, weights)
    shards = [resolve_file(info, shard) for shard in sorted(_shards(index))]
    digest = hashlib.sha256()
    for path in (config, *tokenizer, index, *shards):
        with open_bounded(path, None) as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    if code:
        digest.update(code_sha256(info.model_files).encode())
    elif info.fetched is not None and digest.hexdigest() != info.fetched.sha256:
        raise info.fetched.damaged()
    return digest.hexdigest()


def _shards(path: Path) -> set[str]:
    if not path.name.endswith(".index.json"):
        return set()
    index = read_json(path)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    found = set(shards.values()) if isinstance(shards, dict) and _are_texts(shards) else {""}
    # A name with a folder in it could lead out of the encoder's folder.
    if any(PurePath(name).name != name or "\\" in name or name in {"", ".."} for name in found):
        raise UsageError(
            f"'{path}' is damaged: its 'weight_map' must name files beside it. Get the encoder's "
            "files again."
        )
    return found


def _are_texts(shards: Mapping[str, Any]) -> bool:
    return all(isinstance(name, str) for name in shards.values())


def resolve_file(info: EncoderInfo, file: str, required: bool = True) -> Any:
    """Return the path of one of the encoder's files, downloaded unless the encoder is a folder.

    A missing optional file gives None.

    Raises:
        UsageError: the file is required and missing, or the encoder cannot be found.
    """
    if info.fetched is not None:
        info.fetched.check()
    folder = Path(info.location)
    if folder.is_dir():
        path = folder / file
        if path.is_file() or not required:
            return path if path.is_file() else None
        raise UsageError(
            f"{info.noun} '{info.name}': there is no '{file}' in the folder '{folder}'."
        )
    if is_local_path(info.location):
        raise UsageError(f"{info.noun}: there is no folder '{info.location}'. Check the path.")
    from transformers.utils import cached_file

    try:
        found = cached_file(info.location, file, _raise_exceptions_for_missing_entries=required)
    except (OSError, ValueError) as error:
        encoder = info.noun == "Encoder"
        shown = info.name if encoder else info.location
        # A known name is spelled right, whatever keeps its files away.
        guess = encoder and info.name not in ENCODERS
        hint = did_you_mean(info.name, ENCODERS) if guess else ""
        hint += _fetched_hint(info.location)
        raise UsageError(
            f"{info.noun} '{shown}' is not a folder, and it cannot be loaded "
            f"from the Hugging Face hub ({first_line(error)})."
            f"{hint} Check the name, or give a local folder."
        ) from error
    return None if found is None else Path(found)


def _fetched_hint(location: str) -> str:
    """Return a sentence for the hub id of an encoder that can be fetched from elsewhere."""
    name = next((each.name for each in FETCHED.values() if each.hub == location), None)
    return f" 'robench fetch {name}' also gets it; then say --encoder {name}." if name else ""


def attention_for(device: str, precision: str) -> str | None:
    """Return the fastest attention implementation for training.

    In bf16 on a CPU it is plain matrix products. Elsewhere it is the encoder's default, which
    is torch's fused attention where the encoder has it. Measured for 2 layers x 128, batch 32,
    on two Zen-4 cores (``docs/decisions/0003-training.md``).
    """
    return "eager" if precision == "bf16" and device.startswith("cpu") else None


def load_encoder(info: EncoderInfo, attention: str | None = None) -> Any:
    """Return the bare encoder with its pre-trained weights in fp32, in eval mode.

    Layers that the files do not hold (a pooler) get random weights from torch's global
    generator.

    Args:
        attention: transformers' ``attn_implementation``.

    Raises:
        UsageError: it cannot be found or read.
    """
    resolve_file(info, "config.json")
    code = check_model(info.model_files, ("AutoModel",))
    try:
        with quiet_models():
            encoder = read_model(
                "AutoModel", info.location, code, dtype="float32", attn_implementation=attention
            )
    # A broken file makes transformers, safetensors and torch raise errors of many types.
    except Exception as error:
        raise UsageError(
            f"{info.noun} '{info.name}' cannot be loaded from '{info.location}' "
            f"({first_line(error)}). Check or replace its files."
        ) from error
    # Saved victims must not name a folder of this machine.
    encoder.config._name_or_path = info.name
    return encoder


def skeleton(info: EncoderInfo) -> Any:
    """Return the encoder that the configuration describes, without weights.

    It is on torch's ``meta`` device. This takes a fraction of a second and is enough to look at
    the encoder's parts.

    Raises:
        UsageError: the configuration cannot be found or read.
    """
    import torch

    resolve_file(info, "config.json")
    code = check_model(info.model_files, ("AutoModel",))
    try:
        with torch.device("meta"):
            return make_model("AutoModel", read_config(info.location, code), code)
    except Exception as error:
        raise UsageError(
            f"{info.noun} '{info.name}' cannot be made from the configuration in "
            f"'{info.location}' ({first_line(error)})."
        ) from error


def load_tokenizer(info: EncoderInfo) -> Any:
    """Return the encoder's tokenizer; raise UsageError when it cannot be found or read."""
    resolve_file(info, "config.json")
    # Without files transformers 5 returns a tokenizer with an empty vocabulary.
    if all(resolve_file(info, name, required=False) is None for name in TOKENIZER_FILES):
        raise UsageError(
            f"The tokenizer of {info.noun.lower()} '{info.name}' cannot be loaded: "
            f"'{info.location}' holds none of {', '.join(TOKENIZER_FILES)}."
        )
    code = check_tokenizer(info.model_files)
    try:
        with quiet_models():
            return read_tokenizer(info.location, code)
    except Exception as error:
        raise UsageError(
            f"The tokenizer of {info.noun.lower()} '{info.name}' cannot be loaded from "
            f"'{info.location}' ({first_line(error)})."
        ) from error
