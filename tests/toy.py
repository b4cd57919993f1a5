"""A task that is small enough to be trained, attacked and tabulated in seconds.

``toy_task`` registers it, and ``TOY_OPTIONS`` keep training and search short.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robench import TASKS, DataSource, Example, Splits, Task
from robench.tasks.frozen import digest, make_examples

GOOD = ("good", "fine", "great", "lovely", "nice", "superb")
BAD = ("bad", "poor", "awful", "dull", "weak", "dreadful")
NEUTRAL = ("film", "movie", "story", "plot", "actor", "scene", "music", "ending")


def _swaps() -> dict[str, list[str]]:
    """Return word -> substitutes: the other words of its group, and "film"."""
    swaps = {}
    for group in (GOOD, BAD, NEUTRAL):
        for word in group:
            # A neutral word can replace an opinion, so that searches have something to find.
            swaps[word] = [other for other in (*group, "film") if other != word]
    return swaps


SWAPS = _swaps()

TOY_OPTIONS = {
    # With one epoch there is no epoch to select.
    "defense.epochs": "1",
    "defense.batch_size": "8",
    "defense.learning_rate": "0.01",
    "attack.population": "4",
    "attack.iterations": "2",
}


def _rows(split: str, size: int) -> list[tuple[dict[str, str], int]]:
    draw = random.Random(split)
    rows = []
    for index in range(size):
        label = index % 2
        words = [draw.choice(NEUTRAL) for _ in range(draw.randint(3, 8))]
        for _ in range(draw.randint(1, 2)):
            words.insert(draw.randrange(len(words) + 1), draw.choice(GOOD if label else BAD))
        rows.append(({"text": f"the {' '.join(words)} number {index} of {split}"}, label))
    return rows


@contextmanager
def toy_task(folder: Path) -> Iterator[str]:
    """Register the task ``toy``, with its substitutions in ``folder``, and yield its name."""
    swaps = folder / "swaps.json"
    swaps.write_text(json.dumps(SWAPS))

    class Toy(Task):
        """Opinions and neutral words in random order."""

        labels = ("negative", "positive")
        attackable = "text"
        max_tokens = 32
        substitutions = str(swaps)
        synthetic = True

        def load(
            self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
        ) -> Splits:
            test = self._examples("test", 30)
            return Splits(
                train=self._examples("train", 480),
                dev=self._examples("dev", 40),
                test=test,
                train_pool="train",
                test_name="frozen-1000",
                digest=digest(test),
                origin="made up",
            )

        def _examples(self, split: str, size: int) -> list[Example]:
            return make_examples("toy", _rows(split, size))

    with TASKS.temporarily("toy", Toy):
        yield "toy"


def make_toy_encoder(folder: Path) -> str:
    """Write an untrained encoder of one layer into ``folder`` and return its path.

    Its vocabulary holds the words of the toy task. The path is a value for ``--encoder``.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    found: set[str] = set()
    for split, size in (("train", 480), ("dev", 40), ("test", 30)):
        for fields, _ in _rows(split, size):
            found.update(fields["text"].split())
    words = sorted(found)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n"
    )
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(
        folder
    )
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
    BertModel(BertConfig(vocab_size=len(words) + 5, **sizes)).save_pretrained(folder)
    return str(folder)
