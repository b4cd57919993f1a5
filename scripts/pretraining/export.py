"""Write the Hugging Face files of the embedded encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from scripts.pretraining.card import LICENCE, model_card
from scripts.pretraining.model import Pretraining
from scripts.pretraining.text import SPECIAL, Corpus

# Tied to the word embeddings and to cls.predictions.bias: loading restores them.
_TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")


def export_state(model: Pretraining) -> dict[str, torch.Tensor]:
    """Return half-precision weights by BERT name: bert.*, bert.pooler.*, cls.predictions.*."""
    state = model.bert.state_dict()
    # Only segment 0 was trained. The second sentence of a pair starts with the same embedding.
    name = "bert.embeddings.token_type_embeddings.weight"
    state[name] = state[name][:1].repeat(2, 1)
    return {
        name: tensor.detach().to(torch.float16).contiguous().clone()
        for name, tensor in state.items()
        if name not in _TIED
        and not name.startswith("cls.seq_relationship")
        and tensor.is_floating_point()
    }


def write_config(model: Pretraining, out: Path) -> None:
    """Write ``config.json`` of a BertForMaskedLM.

    Its dtype is float32, so that loaders do not compute in fp16.
    """
    config: dict[str, Any] = json.loads(model.bert.config.to_json_string(use_diff=True))
    config |= {"architectures": ["BertForMaskedLM"], "model_type": "bert", "dtype": "float32"}
    config.pop("torch_dtype", None)
    (out / "config.json").write_text(
        json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


def write_tokenizer(corpus: Corpus, out: Path) -> None:
    """Write tokenizer.json, vocab.txt and tokenizer_config.json of a fast BertTokenizer."""
    (out / "tokenizer.json").write_text(
        corpus.tokenizer_file.read_text(encoding="utf-8"), encoding="utf-8"
    )
    (out / "vocab.txt").write_text("\n".join(corpus.vocabulary) + "\n", encoding="utf-8")
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    roles = dict(zip(names, SPECIAL, strict=True))
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": 512,
        **roles,
    }
    (out / "tokenizer_config.json").write_text(
        json.dumps(config, indent=2) + "\n", encoding="utf-8"
    )


def export(model: Pretraining, corpus: Corpus, training: dict[str, Any], out: Path) -> None:
    """Write the model folder ``out``.

    It holds the weights, the config, the tokenizer, the licence, the model card and training.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    state = export_state(model)
    # Write under a temporary name first: another process may be loading the previous file.
    partial = out / "model.safetensors.partial"
    save_file(state, str(partial), metadata={"format": "pt"})
    training["model"]["bytes"] = partial.stat().st_size
    training["model"]["parameters"] = sum(tensor.numel() for tensor in state.values())
    partial.chmod(0o644)
    partial.replace(out / "model.safetensors")
    write_config(model, out)
    write_tokenizer(corpus, out)
    (out / "training.json").write_text(json.dumps(training, indent=2) + "\n", encoding="utf-8")
    (out / "LICENSE").write_text(LICENCE, encoding="utf-8")
    (out / "README.md").write_text(model_card(training), encoding="utf-8")
