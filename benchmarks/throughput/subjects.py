"""Victims and texts, the same for all contestants.

Texts are synthetic: mini-reviews of one class, joined together and cut at the wanted number of
words. Punctuation and words that the tokenizer takes apart are left out, so that the engine and
TextAttack split the texts in the same way and their rows are equally long. The substitutes are
those of that task.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertModel

from robench import TASKS, DataSource, Example, SearchSpace
from robench.models.classifier import TextClassifier
from robench.models.encoders import find_encoder, load_encoder, load_tokenizer
from robench.models.victim import Victim
from robench.search.jobs import Job
from robench.text.substitutions import SubstitutionSet, load_substitutions
from robench.text.words import join_words, split_words

SHAPES: Final = {"small": (2, 128), "wide": (4, 256), "minilm": (6, 384), "base": (12, 768)}
"""Layers and width of the victims with random weights, which cost as much as trained ones."""
MARGIN = 5.0
"""Mean margin (logits) to which a random victim's head is scaled.

A search in bf16 repeats doubtful queries, and a trained victim has few of them.
"""
MAX_TOKENS = 300
STEPS, ROWS = 150, 32


class Reviews:
    """The words of one split's reviews, by class."""

    def __init__(self, split: str) -> None:
        whole = set(load_tokenizer(find_encoder("tiny")).get_vocab())
        self._reviews: list[list[list[str]]] = [[], []]
        for example in getattr(_splits(), split):
            words = [
                word
                for word in split_words(example.fields["text"])
                if word.isalpha() and word.lower() in whole
            ]
            self._reviews[example.label].append(words)

    def text(self, words: int, label: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return a text of exactly ``words`` words."""
        while True:
            strung: list[str] = []
            while len(strung) < words:
                strung += self._reviews[label][rng.integers(len(self._reviews[label]))]
            if split_words(join_words(strung[:words])) == strung[:words]:
                return tuple(strung[:words])


@cache
def _splits() -> Any:
    return TASKS.get("mini-reviews")().load(DataSource(hub=False))


@cache
def substitutions() -> SubstitutionSet:
    """Return the embedded substitution set."""
    return load_substitutions("mini")


def make_jobs(victim: Victim, words: int, number: int, seed: int = 0) -> Iterator[Job]:
    """Yield texts whose label is the victim's prediction, so that it is right on all of them.

    The texts are made when they are needed, 16 at a time.
    """
    reviews, rng = Reviews("test"), np.random.default_rng(seed)
    for start in range(0, number, 16):
        texts = [
            reviews.text(words, index % 2, rng) for index in range(start, min(start + 16, number))
        ]
        fields = [{"text": join_words(text)} for text in texts]
        for index, (text, field, label) in enumerate(
            zip(texts, fields, victim.predict(fields).tolist(), strict=True), start
        ):
            options = tuple((word, *substitutions().of(word, "cased")) for word in text)
            yield Job(
                Example(f"strung/{words}-{seed}-{index}", field, label),
                {"text": text},
                SearchSpace(text, options, words),
            )


def density(jobs: Sequence[Job]) -> tuple[float, float]:
    """Return the share of words with substitutes, and their mean number of substitutes."""
    sizes = np.concatenate([job.space.sizes for job in jobs])
    return float((sizes > 1).mean()), float((sizes[sizes > 1] - 1).mean())


def make_victim(name: str, folder: Path) -> None:
    """Write the victim called ``name`` into ``folder``.

    ``tiny`` is trained for seconds on joined texts; the others have random weights.
    """
    torch.manual_seed(0)
    tokenizer = load_tokenizer(find_encoder("tiny"))
    card: dict[str, Any] = {
        "name": name,
        "task": "strung",
        "labels": ["negative", "positive"],
        "attackable": "text",
        "fields": ["text"],
    }
    card |= {"max_tokens": MAX_TOKENS, "protocol": "rift2021"}
    if name == "tiny":
        victim = Victim(TextClassifier(load_encoder(find_encoder("tiny")), 2), tokenizer, card)
        _train(victim)
    else:
        layers, width = SHAPES[name]
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            intermediate_size=4 * width,
        )
        victim = Victim(TextClassifier(BertModel(config), 2), tokenizer, card)
        _decide(victim)
    victim.save(folder)


def load_victim(folder: Path, device: str = "cpu") -> Victim:
    """Load a victim and query it once, so that later queries import nothing."""
    victim = Victim.load(folder, device)
    victim.predict([{"text": "warm up"}])
    return victim


def _train(victim: Victim) -> None:
    """Fine-tune for some seconds.

    The victim then has the margins of a trained one, and some searches succeed while others fail.
    """
    reviews, rng = Reviews("train"), np.random.default_rng(0)
    model = victim.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    for _ in range(STEPS):
        words = int(rng.integers(8, 60))
        texts = [reviews.text(words, index % 2, rng) for index in range(ROWS)]
        ids = torch.tensor(
            np.stack([victim.encoder_fields.encode({"text": text}).ids for text in texts]),
            dtype=torch.long,
        )
        loss = cross_entropy(model(ids, torch.ones_like(ids)), torch.arange(ROWS) % 2)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def _decide(victim: Victim) -> None:
    """Scale a random head so that its answers have clear margins."""
    rng, reviews = np.random.default_rng(0), Reviews("train")
    ids = np.stack(
        [
            victim.encoder_fields.encode({"text": reviews.text(50, index % 2, rng)}).ids
            for index in range(16)
        ]
    )
    logits = victim.logits(ids, np.full(len(ids), ids.shape[1]))
    last = victim.model.head[-1]
    with torch.no_grad():
        scale = MARGIN / float(np.abs(logits[:, 0] - logits[:, 1]).mean())
        for parameter in last.parameters():
            parameter.mul_(scale)


def write_line(stream: Any, content: Any) -> None:
    """Write one line of JSON and flush; the measured processes communicate in this way."""
    stream.write(json.dumps(content, allow_nan=False) + "\n")
    stream.flush()
