"""Queries per CPU second: the engine against bare forwards on pre-tokenised input, in one run.

    python benchmarks/attack_throughput.py [--attack pwws] [--words 20 100 250] [--tokens 200000]

Texts are made-up words; the victim has random weights, which costs what a trained one costs. About 45 % of the words have five substitutes each, as
the Alzantot set has on film reviews. A query is a row that went through the victim; repeats answered from memory are not counted. The limit is the same
model asked about rows of the same length in batches of the same size, token ids at hand as tensors, nothing else done. Both are timed in turns, so a
machine that speeds up or slows down does so for both. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertModel, BertTokenizerFast

from robench import ATTACKS, Attack, Example, SearchSpace
from robench.search.batching import Shapes
from robench.search.engine import Job, run
from robench.victims.classifier import TextClassifier
from robench.victims.victim import Victim

VOCABULARY = 16_000
SHAPES = {"tiny": (2, 128), "mini": (4, 256), "base": (12, 768)}
SUBSTITUTABLE, SUBSTITUTES = 0.45, 5


@dataclass
class Clock:
    """CPU seconds and rows of one contestant."""

    seconds: float = 0.0
    rows: int = 0

    @property
    def rate(self) -> float:
        """Rows per CPU second."""
        return self.rows / self.seconds


def make_victim(shape: str, max_tokens: int) -> Victim:
    """A classifier of random weights over made-up words, in the paper's protocol."""
    layers, width = SHAPES[shape]
    torch.manual_seed(0)
    heads = width // 64
    config = BertConfig(vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(VOCABULARY - 5))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join([*words, "a", "film"][:VOCABULARY]) + "\n", encoding="utf-8")
        tokenizer = BertTokenizerFast(str(path))
    card = {"name": "random", "task": "made-up", "labels": ["no", "yes"], "attackable": "text", "fields": ["text"], "max_tokens": max_tokens}
    return Victim(TextClassifier(BertModel(config), 2), tokenizer, card | {"protocol": "rift2021"})


def make_jobs(victim: Victim, words: int, number: int) -> list[Job]:
    """Texts that the victim has right, since their label is what it says."""
    rng = np.random.default_rng(0)
    jobs = []
    for index in range(number):
        text = tuple(f"w{word}" for word in rng.integers(0, VOCABULARY - 5, size=words))
        options = tuple(
            (word, *(f"w{other}" for other in rng.integers(0, VOCABULARY - 5, size=SUBSTITUTES))) if rng.random() < SUBSTITUTABLE else (word,) for word in text
        )
        fields = {"text": " ".join(text)}
        label = int(victim.predict([fields])[0])
        jobs.append(Job(Example(f"made-up/{index}", fields, label), {"text": text}, SearchSpace(text, options, words)))
    return jobs


class Bare:
    """The model itself, asked about ready-made full batches: 32 different ones in turn, since a search does not ask the same rows over and over."""

    def __init__(self, victim: Victim, words: int) -> None:
        self._model, length = victim.model, words + 2
        self.batch = Shapes.of(victim).rows(length)
        self._batches = cycle([torch.randint(5, VOCABULARY, (self.batch, length)) for _ in range(32)])
        self._mask = torch.ones((self.batch, length), dtype=torch.long)

    def ask(self, rows: int) -> int:
        """Forward at least ``rows`` rows; returns how many it were."""
        batches = -(-rows // self.batch)
        with torch.inference_mode():
            for ids in islice(self._batches, batches):
                self._model(ids, self._mask).numpy()
        return batches * self.batch


def measure(victim: Victim, attack: Attack, name: str, words: int, tokens: int) -> dict[str, float]:
    """One run of the engine; after each of its forwards the limit catches up with the rows that it took, so both see the same machine."""
    limit, bare, answer = Clock(), Bare(victim, words), victim.logits
    through = 0

    def logits(*question: Any) -> NDArray[np.float32]:
        nonlocal through
        answers = answer(*question)
        through += len(answers)
        if through >= limit.rows + bare.batch:
            start = process_time()
            limit.rows += bare.ask(through - limit.rows)
            limit.seconds += process_time() - start
        return answers

    jobs = make_jobs(victim, words, max(3, tokens // int(words * words * (1 + SUBSTITUTABLE * SUBSTITUTES))))
    bare.ask(100)
    victim.logits = logits  # type: ignore[method-assign, assignment]
    start = process_time()
    trials = list(run(victim, attack, name, jobs, seed=0))
    engine = Clock(process_time() - start - limit.seconds, sum(trial.forwarded for trial in trials))
    victim.logits = answer  # type: ignore[method-assign]
    if any(trial.verdict == "error" for trial in trials):
        sys.exit(f"a trial failed: {next(trial.problem for trial in trials if trial.problem)}")
    asked = sum(trial.asked for trial in trials)
    return {"engine": engine.rate, "limit": limit.rate, "over_limit": engine.rate / limit.rate, "asked_over_forwarded": asked / engine.rows}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--attack", default="pwws")
    parser.add_argument("--words", type=int, nargs="+", default=[20, 100, 250])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="tiny")
    parser.add_argument("--tokens", type=int, default=200_000, help="about as many tokens of queries for each length, 3 texts at least")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    victim = make_victim(chosen.shape, 300)
    attack = ATTACKS.get(chosen.attack)()
    rows = {words: measure(victim, attack, chosen.attack, words, chosen.tokens) for words in chosen.words}
    lines = [
        f"{chosen.attack}, {chosen.shape}, fp32, one thread; queries per CPU second",
        f"{'words':>6} {'engine':>10} {'limit':>10} {'ratio':>7} {'asked/fwd':>10}",
    ]
    lines += [f"{words:>6} {r['engine']:>10.0f} {r['limit']:>10.0f} {r['over_limit']:>7.3f} {r['asked_over_forwarded']:>10.2f}" for words, r in rows.items()]
    report = {
        "attack": chosen.attack,
        "shape": chosen.shape,
        "engine_over_limit": {str(words): round(row["over_limit"], 4) for words, row in rows.items()},
        "engine_queries_per_cpu_second": {str(words): round(row["engine"], 1) for words, row in rows.items()},
        "limit_queries_per_cpu_second": {str(words): round(row["limit"], 1) for words, row in rows.items()},
    }
    sys.stdout.write("\n".join([*lines, json.dumps(report, allow_nan=False)]) + "\n")


if __name__ == "__main__":
    main()
