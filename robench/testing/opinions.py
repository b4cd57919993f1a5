"""Two tasks that are learnt in a dozen steps, and an encoder for them.

They are synthetic, so no figure made with them means anything. The label of a text is that of the
opinion words in it. The words of a group are substitutes of each other. The last word of each group
occurs as a substitute only, and the encoder does not know it. So a search finds something to fool
the model with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from robench._base.quiet import quiet_models
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.example import Example
from robench.tasks.frozen import digest, make_examples
from robench.tasks.registry import TASKS

GOOD = ("good", "fine", "great", "superb")
BAD = ("bad", "poor", "awful", "dreadful")
NEUTRAL = tuple(f"noun{index}" for index in range(12))
MAX_TOKENS = 310
"""Enough for a text of 300 words."""


class Synonyms:
    """A substitution set: the words of one group are substitutes of each other."""

    name = "planted"
    sha256 = "0" * 64

    def of(self, word: str, lookup: str) -> tuple[str, ...]:
        """Return the other words of the group of ``word``; none for a neutral word."""
        for group in (GOOD, BAD):
            if word in group:
                return tuple(other for other in group if other != word)
        return ()


def tokenizer(words: Sequence[str] = (*NEUTRAL, *GOOD, *BAD)) -> PreTrainedTokenizerFast:
    """Make a WordPiece tokenizer of whole words."""
    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", *words)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    names = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def write_encoder(folder: Path, width: int = 32) -> Path:
    """Write a BERT of one layer in the Hugging Face layout and return its folder.

    It is random, except that the word embeddings of good and of bad words lie on two sides.
    """
    made = tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        shape = {
            "hidden_size": width,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": width,
            "max_position_embeddings": MAX_TOKENS + 10,
        }
        encoder = BertModel(
            BertConfig(vocab_size=len(made), pad_token_id=0, initializer_range=0.2, **shape)
        )
        side = 0.5 * torch.randn(width)
    table, numbers = encoder.get_input_embeddings().weight, made.get_vocab()
    with torch.no_grad():
        for sign, group in ((1.0, GOOD), (-1.0, BAD)):
            for word in group[:-1]:
                table[numbers[word]] += sign * side
    with quiet_models():
        encoder.save_pretrained(folder)
        made.save_pretrained(folder)
    return folder


def opinionated(label: int, draw: np.random.Generator) -> str:
    """Draw a text of three known opinion words of a class.

    Half of the texts have a neutral word too.
    """
    words = (
        draw.choice((BAD, GOOD)[label][:-1], 3).tolist()
        + draw.choice(NEUTRAL, draw.integers(0, 2)).tolist()
    )
    return " ".join(draw.permutation(words))


class _Toy(Task):
    synthetic = True
    max_tokens = MAX_TOKENS

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Return the small splits; the arguments change nothing."""
        return splits(type(self))


@TASKS.register("toy-opinions")
class Opinions(_Toy):
    """A toy task of texts with opinion words of one kind."""

    labels = ("negative", "positive")
    attackable = "text"


@TASKS.register("toy-pairs")
class Pairs(_Toy):
    """A toy task of a neutral premise and a hypothesis that is bad, good or neither."""

    labels = ("negative", "positive", "neither")
    attackable = "hypothesis"


def examples(task: type[Task], split: str, size: int) -> list[Example]:
    """Make ``size`` balanced examples of a toy task.

    Each text ends with an unknown word of its own, so that no text is in two splits.
    """
    draw, count = np.random.default_rng(len(split)), len(task.labels)
    rows = []
    for index in range(size):
        label, tail = index % count, f"{split}{index}"
        neutral = " ".join(draw.choice(NEUTRAL, 3))
        text = opinionated(label, draw) if label < 2 else neutral
        fields = (
            {"text": f"{text} {tail}"}
            if task.attackable == "text"
            else {"premise": neutral, "hypothesis": f"{text} {tail}"}
        )
        rows.append((fields, label))
    return make_examples(TASKS.name_of(task), rows)


def splits(task: type[Task], train: int = 40, dev: int = 16, test: int = 8) -> Splits:
    """Make small splits of a toy task."""
    judged = examples(task, "test", test)
    return Splits(
        train=examples(task, "train", train),
        dev=examples(task, "dev", dev),
        test=judged,
        train_pool="train",
        test_name="toy",
        digest=digest(judged),
        origin="made up",
    )
