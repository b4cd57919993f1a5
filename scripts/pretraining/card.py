"""Model card and licence of the embedded encoder."""

from __future__ import annotations

from typing import Any

LICENCE = """\
The files of this folder (weights, vocabulary, tokenizer and configuration of the encoder "tiny") \
are derived from the Large Movie Review Dataset
(Maas et al. 2011, Learning Word Vectors for Sentiment Analysis), which was published for research.

They may be used, copied, changed and passed on for research and other non-commercial purposes, \
together with this notice and with a reference to
that paper. No other use is granted. They come without warranty of any kind.

The MIT licence of robench covers its code and not these files.
"""


def model_card(training: dict[str, Any]) -> str:
    """Return the model card; all its numbers come from ``training``, as in training.json."""
    parts = (_what_it_is, _text_and_licence, _held_out, _training, _limits)
    return "\n".join(part(training) for part in parts)


def _what_it_is(training: dict[str, Any]) -> str:
    model = training["model"]
    return f"""\
---
license: other
license_name: imdb-research-use
license_link: LICENSE
language: en
pipeline_tag: fill-mask
tags: [bert, imdb, robench]
---
# tiny: the embedded encoder of robench

A lower-case BERT of {model["layers"]} layers x {model["hidden"]} ({model["heads"]} heads, \
{model["parameters"] / 1e6:.2f} M parameters,
{model["bytes"] / 1e6:.1f} MB in fp16), pre-trained from random weights by `python -m \
scripts.pretrain_encoder`. It lets every part of
robench run end to end without a download; its robustness figures are not those of BERT or RoBERTa.
"""


def _text_and_licence(training: dict[str, Any]) -> str:
    text = training["text"]
    return f"""\
## Text and licence

Large Movie Review Dataset (Maas et al. 2011): {text["read"]:,} unlabelled and training reviews, \
labels unused.
Dropped: {text["equal_test_unlabelled"]} unlabelled and {text["equal_test_train"]} training \
reviews equal to a test review (up to case,
punctuation and spacing) and {text["duplicate"]} further duplicates. Of the {text["kept"]:,} \
left, {text["held_out_reviews"]} (1 %) were held out.
The dataset was published for research; these weights are derived from it: **research and other \
non-commercial use only** (`LICENSE`).

Two input forms, each review in one of them by the toss of a coin in every epoch: WordPiece pieces
({text["pieces"] / 1e6:.1f} M) and the one-token-a-word form ({text["words"] / 1e6:.1f} M \
lower-case NLTK Treebank words,
{100 * text["unknown_words"] / text["words"]:.1f} % of them [UNK]). `n't`, `'s` and other words \
that WordPiece cannot make are plain entries of `vocab.txt`.
"""


def _held_out(training: dict[str, Any]) -> str:
    scores, unigram = training["held_out"], training["unigram_guess"]
    return f"""\
## Held-out masked accuracy

{100 * training["hyper_parameters"]["mask_rate"]:.0f} % of the words (never [UNK]) of the first \
window of each held-out review hidden by [MASK]:

| form | accuracy | loss (nats) | masked tokens | always the most frequent token |
|---|---:|---:|---:|---:|
| pieces | {100 * scores["pieces"]["accuracy"]:.2f} % | {scores["pieces"]["loss"]:.3f} | \
{scores["pieces"]["masked"]:.0f} | {100 * unigram["pieces"]:.2f} % |
| words | {100 * scores["words"]["accuracy"]:.2f} % | {scores["words"]["loss"]:.3f} | \
{scores["words"]["masked"]:.0f} | {100 * unigram["words"]:.2f} % |
"""


def _training(training: dict[str, Any]) -> str:
    run = training["run"]
    settings = "\n".join(
        f"| {name} | {value} |" for name, value in training["hyper_parameters"].items()
    )
    return f"""\
## Training

- {run["steps"]:,} steps, {run["tokens"] / 1e6:.1f} M tokens ({run["epochs"]:.2f} passes over the \
text)
- {run["minutes"]:.1f} minutes on {run["threads"]} CPU threads
- precision {run["precision"]}, seed {run["seed"]}

The pooler is trained: the pooled [CLS] predicts the bag of words of another window of the same \
review.

    {run["command"]}

{_curve(training["history"])}

| hyper-parameter | value |
|---|---|
{settings}

The rate follows the share of the time used, so a rerun on another machine takes another number \
of steps:
the weights are reproducible in kind, not bit by bit.
"""


def _curve(history: list[dict[str, float]], rows: int = 12) -> str:
    """Return at most ``rows`` evenly spread lines of the history as a Markdown table."""
    picks: list[int] = []
    if history:
        picks = sorted({round(i * (len(history) - 1) / max(1, rows - 1)) for i in range(rows)})
    lines = [
        "| minutes | steps | tokens (M) | training loss | bag loss "
        "| held-out acc., pieces | held-out acc., words |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for entry in (history[i] for i in picks):
        lines.append(
            f"| {entry['minutes']:.1f} | {entry['steps']:.0f} | {entry['tokens'] / 1e6:.1f} "
            f"| {entry['loss']:.3f} | {entry['bag_loss']:.3f} "
            f"| {100 * entry['accuracy_pieces']:.1f} % | {100 * entry['accuracy_words']:.1f} % |"
        )
    return "\n".join(lines)


def _limits(training: dict[str, Any]) -> str:
    return f"""\
## Limits

Film reviews only; English; lower case. Small: a weak language model beside BERT. Trained on \
windows of {training["hyper_parameters"]["window"]}
tokens (at shifted positions up to {training["model"]["positions"]}): attention over longer \
distances was never trained. Reviews carry
the opinions and biases of their authors.
"""
