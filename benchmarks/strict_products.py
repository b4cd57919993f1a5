"""What strict products cost: bare forward passes with ``MKL_CBWR=AUTO,STRICT`` and without it.

    python benchmarks/strict_products.py [--seconds 2] [--repeats 5]

MKL reads the variable once in a process (``robench._base.arithmetic``). So two processes hold the
same models of random weights, one with the variable and one without. They are timed in turns, a
slice each, so that a machine that slows down does so for both. Each figure is the median over the
repetitions of (seconds with the variable) / (seconds without it), fp32, one thread, CPU time. The
last line is JSON.
"""

from __future__ import annotations

import json
import os
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from time import process_time
from typing import Any

import click

SHAPES = {"2 x 128": (2, 128), "4 x 256": (4, 256), "6 x 384": (6, 384)}
LENGTHS = (22, 102, 252)
TOKENS = 2400
"""Tokens of a forward pass, as in a search on a CPU."""


def serve(line: Connection, value: str | None) -> None:
    """Answer (shape, length, seconds) with the forward passes and the CPU seconds of a slice."""
    os.environ.pop("MKL_CBWR", None)
    if value is not None:
        os.environ["MKL_CBWR"] = value
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch
    from transformers import BertConfig, BertModel

    torch.set_num_threads(1)
    models: dict[str, Any] = {}
    while (asked := line.recv()) is not None:
        name, length, seconds = asked
        if name not in models:
            layers, width = SHAPES[name]
            config = BertConfig(
                num_hidden_layers=layers,
                hidden_size=width,
                num_attention_heads=width // 64 or 1,
                intermediate_size=4 * width,
                vocab_size=24_000,
            )
            models[name] = BertModel(config).eval()
        ids = torch.randint(5, 24_000, (max(8, TOKENS // length), length))
        with torch.inference_mode():
            models[name](ids)  # the first pass sets up memory
            began, passes = process_time(), 0
            while process_time() - began < seconds:
                models[name](ids)
                passes += 1
            line.send((passes, process_time() - began))


@click.command()
@click.option("--seconds", default=2.0, show_default=True, help="CPU time of a slice.")
@click.option("--repeats", default=5, show_default=True, help="Slices of each process.")
def main(seconds: float, repeats: int) -> None:
    """Time both processes in turns and print the ratios."""
    context, lines = get_context("spawn"), []
    for value in ("AUTO,STRICT", None):
        here, there = context.Pipe()
        context.Process(target=serve, args=(there, value), daemon=True).start()
        lines.append(here)
    found: dict[str, float] = {}
    for name in SHAPES:
        for length in LENGTHS:
            ratios = []
            for _ in range(repeats):
                costs = []
                for line in lines:
                    line.send((name, length, seconds))
                    passes, spent = line.recv()
                    costs.append(spent / passes)
                ratios.append(costs[0] / costs[1])
            found[f"{name}, {length} tokens"] = round(median(ratios), 3)
            click.echo(f"{name}, {length} tokens: {median(ratios):.3f} of the time without")
    for line in lines:
        line.send(None)
    click.echo(json.dumps({"strict_over_default": found}))


if __name__ == "__main__":
    main()
