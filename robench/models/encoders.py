"""Which encoders have a short name here, which training settings their size asks for, and how one is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError, first_line
from robench._base.hints import did_you_mean
from robench._base.quiet import quiet_models


@dataclass(frozen=True)
class EncoderInfo:
    """A named encoder.

    Attributes:
        name: what ``--encoder`` takes. Any other hub id or local folder works as well.
        location: a hub id or a local folder, for ``from_pretrained``.
        recommended: training options that its size asks for; they stand over a defense's paper defaults and under the user's options.
        summary: one line for people.
    """

    name: str
    location: str
    recommended: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""


def embedded_folder(name: str) -> Path:
    """Folder of an encoder that ships inside the package."""
    return Path(str(files("robench.embedded") / name))


ENCODERS = {
    info.name: info
    for info in (
        EncoderInfo(
            "tiny",
            str(embedded_folder("tiny")),
            {
                "learning_rate": 1e-3,
                "epochs": 4,
            },  # chosen on dev of mini-reviews, docs/decisions/0003-training.md
            "2 layers x 128, pre-trained on film reviews; ships with robench",
        ),
        EncoderInfo(
            "bert-base-uncased",
            "google-bert/bert-base-uncased",
            {},
            "12 layers x 768 (Devlin et al. 2019); from the hub",
        ),
        EncoderInfo(
            "roberta-base",
            "FacebookAI/roberta-base",
            {},
            "12 layers x 768 (Liu et al. 2019); from the hub",
        ),
        EncoderInfo(
            "distilbert-base-uncased",
            "distilbert/distilbert-base-uncased",
            {},
            "6 layers x 768 (Sanh et al. 2019); from the hub",
        ),
        EncoderInfo(
            "electra-base",
            "google/electra-base-discriminator",
            {},
            "12 layers x 768 (Clark et al. 2020); from the hub",
        ),
        EncoderInfo(
            "albert-base",
            "albert/albert-base-v2",
            {},
            "12 shared layers x 768 (Lan et al. 2020); from the hub",
        ),
        EncoderInfo(
            "deberta-base",
            "microsoft/deberta-base",
            {},
            "12 layers x 768 (He et al. 2021); from the hub",
        ),
    )
}


def find_encoder(name: str) -> EncoderInfo:
    """The named encoder, or, for any other hub id or folder, one without recommendations."""
    return ENCODERS.get(name, EncoderInfo(name, name))


TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
)
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def fingerprint(info: EncoderInfo) -> str:
    """SHA-256 over an encoder's configuration, tokenizer and weights, the same from a folder and from the hub (whose files it fetches).

    Raises:
        UsageError: there is no such folder or hub id, or it holds no weights.
    """
    weights = next(
        (name for name in WEIGHT_FILES if _resolve(info, name, required=False) is not None), None
    )
    config = _resolve(info, "config.json")
    if weights is None:
        raise UsageError(
            f"Encoder '{info.name}' has no weights: none of {', '.join(WEIGHT_FILES)} in '{info.location}'."
        )
    tokenizer = [
        path
        for path in (_resolve(info, name, required=False) for name in TOKENIZER_FILES)
        if path is not None
    ]
    index = _resolve(info, weights)
    shards = [_resolve(info, shard) for shard in sorted(_shards(index))]
    digest = hashlib.sha256()
    for path in (config, *tokenizer, index, *shards):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _shards(path: Path) -> set[str]:
    return (
        set(json.loads(path.read_text())["weight_map"].values())
        if path.name.endswith(".index.json")
        else set()
    )


def _resolve(info: EncoderInfo, file: str, required: bool = True) -> Any:
    """Path of one of the encoder's files, fetched from the hub where it is not a folder; None for an optional one that is missing."""
    folder = Path(info.location)
    if folder.is_dir():
        path = folder / file
        if path.is_file() or not required:
            return path if path.is_file() else None
        raise UsageError(f"Encoder '{info.name}': there is no '{file}' in the folder '{folder}'.")
    from transformers.utils import cached_file

    try:
        found = cached_file(info.location, file, _raise_exceptions_for_missing_entries=required)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Encoder '{info.name}' is neither a folder nor to be had from the Hugging Face hub ({first_line(error)})."
            f"{did_you_mean(info.name, ENCODERS)} Check the name, or give a local folder."
        ) from error
    return None if found is None else Path(found)


def attention_for(device: str, precision: str) -> str | None:
    """Attention to train with: plain matrix products in bf16 on a CPU, elsewhere the encoder's default (torch's fused one where it has it).

    Measured for 2 layers x 128, batch 32, on two Zen-4 cores (``docs/decisions/0003-training.md``).
    """
    return "eager" if precision == "bf16" and device.startswith("cpu") else None


def load_encoder(info: EncoderInfo, attention: str | None = None) -> Any:
    """The bare encoder with its pre-trained weights in fp32, in eval mode as transformers returns it.

    Layers that the files do not hold (a pooler) are drawn from torch's global generator.

    Args:
        attention: transformers' ``attn_implementation``.

    Raises:
        UsageError: it cannot be found or read.
    """
    from transformers import AutoModel

    _resolve(info, "config.json")
    try:
        with quiet_models():
            encoder = AutoModel.from_pretrained(
                info.location, dtype="float32", attn_implementation=attention
            )
    except (
        Exception
    ) as error:  # transformers, safetensors and torch raise what they like on a broken file
        raise UsageError(
            f"Encoder '{info.name}' cannot be loaded from '{info.location}' ({first_line(error)}). Check or replace its files."
        ) from error
    encoder.config._name_or_path = (
        info.name
    )  # what is saved later must not name this machine's folders
    return encoder


def skeleton(info: EncoderInfo) -> Any:
    """The encoder as its configuration describes it, without weights (on torch's ``meta`` device): enough to look at its parts, in a fraction of a second.

    Raises:
        UsageError: the configuration cannot be found or read.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    _resolve(info, "config.json")
    try:
        with torch.device("meta"):
            return AutoModel.from_config(AutoConfig.from_pretrained(info.location))
    except Exception as error:
        raise UsageError(
            f"Encoder '{info.name}' cannot be made from the configuration in '{info.location}' ({first_line(error)})."
        ) from error


def load_tokenizer(info: EncoderInfo) -> Any:
    """The encoder's tokenizer; raises UsageError when it cannot be found or read."""
    from transformers import AutoTokenizer

    _resolve(info, "config.json")
    try:
        return AutoTokenizer.from_pretrained(info.location)
    except Exception as error:
        raise UsageError(
            f"The tokenizer of encoder '{info.name}' cannot be loaded from '{info.location}' ({first_line(error)})."
        ) from error
