"""Hugging Face files and model card of the embedded encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from scripts.pretraining.model import Pretraining
from scripts.pretraining.text import SPECIAL, Corpus

# Tied to the word embeddings and to cls.predictions.bias: loading restores them.
_TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")


def export_state(model: Pretraining) -> dict[str, torch.Tensor]:
    """Half-precision weights under their BERT names: bert.*, bert.pooler.*, cls.predictions.*."""
    state = model.bert.state_dict()
    # Only segment 0 was trained: the second sentence of a pair starts from the same place.
    name = "bert.embeddings.token_type_embeddings.weight"
    state[name] = state[name][:1].repeat(2, 1)
    return {
        name: tensor.detach().to(torch.float16).contiguous().clone()
        for name, tensor in state.items()
        if name not in _TIED and not name.startswith("cls.seq_relationship") and tensor.is_floating_point()
    }


def write_config(model: Pretraining, out: Path) -> None:
    """``config.json`` of a BertForMaskedLM; dtype float32, so that loaders do not compute in fp16."""
    config: dict[str, Any] = json.loads(model.bert.config.to_json_string(use_diff=True))
    config |= {"architectures": ["BertForMaskedLM"], "model_type": "bert", "dtype": "float32"}
    config.pop("torch_dtype", None)
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_tokenizer(corpus: Corpus, out: Path) -> None:
    """``tokenizer.json``, ``vocab.txt`` and ``tokenizer_config.json`` of a fast BertTokenizer."""
    (out / "tokenizer.json").write_text(corpus.tokenizer_file.read_text(encoding="utf-8"), encoding="utf-8")
    (out / "vocab.txt").write_text("\n".join(corpus.vocabulary) + "\n", encoding="utf-8")
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512, **roles}
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _curve(history: list[dict[str, float]], rows: int = 12) -> str:
    """At most ``rows`` evenly spread lines of the training history as a Markdown table."""
    picks = sorted({round(i * (len(history) - 1) / max(1, rows - 1)) for i in range(rows)}) if history else []
    lines = [
        "| minutes | steps | tokens (M) | training loss | bag loss | held-out acc., pieces | held-out acc., words |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for entry in (history[i] for i in picks):
        lines.append(
            f"| {entry['minutes']:.1f} | {entry['steps']:.0f} | {entry['tokens'] / 1e6:.1f} | {entry['loss']:.3f} "
            f"| {entry['bag_loss']:.3f} | {100 * entry['accuracy_pieces']:.1f} % | {100 * entry['accuracy_words']:.1f} % |"
        )
    return "\n".join(lines)


def model_card(training: dict[str, Any]) -> str:
    """The model card, every number of it taken from ``training`` (what goes into training.json)."""
    text, model, run = training["text"], training["model"], training["run"]
    scores, unigram = training["held_out"], training["unigram_guess"]
    settings = "\n".join(f"| {name} | {value} |" for name, value in training["hyper_parameters"].items())
    return f"""---
license: other
license_name: imdb-research-use
language: en
pipeline_tag: fill-mask
tags: [bert, imdb, robench]
---
# tiny: the embedded encoder of robench

A lower-case BERT of {model["layers"]} layers x {model["hidden"]} ({model["heads"]} heads, {model["parameters"] / 1e6:.2f} M parameters,
{model["bytes"] / 1e6:.1f} MB in fp16), pre-trained from random weights by `python -m scripts.pretrain_encoder`. It lets every part of
robench run end to end without a download; its robustness figures are not those of BERT or RoBERTa.

## Text and licence

Large Movie Review Dataset (Maas et al. 2011): {text["read"]:,} unlabelled and training reviews, labels unused.
Dropped: {text["equal_test_unlabelled"]} unlabelled and {text["equal_test_train"]} training reviews equal to a test review (up to case,
punctuation and spacing) and {text["duplicate"]} further duplicates. Of the {text["kept"]:,} left, {text["held_out_reviews"]} (1 %) were held out.
The dataset was published for research; these weights are derived from it: **research and other non-commercial use only**.

Two input forms, each review in one of them by the toss of a coin in every epoch: WordPiece pieces
({text["pieces"] / 1e6:.1f} M) and the one-token-a-word form ({text["words"] / 1e6:.1f} M lower-case NLTK Treebank words,
{100 * text["unknown_words"] / text["words"]:.1f} % of them [UNK]). `n't`, `'s` and other words that WordPiece cannot make are plain entries of `vocab.txt`.

## Held-out masked accuracy

{100 * training["hyper_parameters"]["mask_rate"]:.0f} % of the words (never [UNK]) of the first window of each held-out review hidden by [MASK]:

| form | accuracy | loss (nats) | masked tokens | always the most frequent token |
|---|---:|---:|---:|---:|
| pieces | {100 * scores["pieces"]["accuracy"]:.2f} % | {scores["pieces"]["loss"]:.3f} | {scores["pieces"]["masked"]:.0f} | {100 * unigram["pieces"]:.2f} % |
| words | {100 * scores["words"]["accuracy"]:.2f} % | {scores["words"]["loss"]:.3f} | {scores["words"]["masked"]:.0f} | {100 * unigram["words"]:.2f} % |

## Training

- {run["steps"]:,} steps, {run["tokens"] / 1e6:.1f} M tokens ({run["epochs"]:.2f} passes over the text)
- {run["minutes"]:.1f} minutes on {run["threads"]} CPU threads
- precision {run["precision"]}, seed {run["seed"]}

The pooler is trained: the pooled [CLS] predicts the bag of words of another window of the same review.

    {run["command"]}

{_curve(training["history"])}

| hyper-parameter | value |
|---|---|
{settings}

The rate follows the share of the time used, so a rerun on another machine takes another number of steps:
the weights are reproducible in kind, not bit by bit.

## Limits

Film reviews only; English; lower case. Small: a weak language model beside BERT. Trained on windows of {training["hyper_parameters"]["window"]}
tokens (at shifted positions up to {model["positions"]}): attention over longer distances was never trained. Reviews carry
the opinions and biases of their authors.
"""


def export(model: Pretraining, corpus: Corpus, training: dict[str, Any], out: Path) -> None:
    """Write the model folder ``out``: weights, config, tokenizer, model card and training.json."""
    out.mkdir(parents=True, exist_ok=True)
    state = export_state(model)
    # Via a temporary name: colleagues may be loading the previous file.
    partial = out / "model.safetensors.partial"
    save_file(state, str(partial), metadata={"format": "pt"})
    training["model"]["bytes"] = partial.stat().st_size
    training["model"]["parameters"] = sum(tensor.numel() for tensor in state.values())
    partial.chmod(0o644)
    partial.replace(out / "model.safetensors")
    write_config(model, out)
    write_tokenizer(corpus, out)
    (out / "training.json").write_text(json.dumps(training, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(model_card(training), encoding="utf-8")
