"""Bare forwards on full batches of made-up tokens: the most that a device gives an encoder.

There are three ways: autocast over fp32 weights, weights that are bf16 themselves, and the latter
as a CUDA graph, which starts all kernels at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from robench.models.victim import Victim
from throughput.limit import now

Pass = Callable[[], Tensor]
FORWARDS = 8


def bare_rates(victim: Victim, words: int, sizes: Sequence[int], seconds: float) -> dict[str, int]:
    """Return the rows per second of each way at its best batch size.

    A way that a device or a release of torch does not know is missing.

    Args:
        victim: the model.
        words: length of the texts.
        sizes: batch sizes to try.
        seconds: when this time is over, no further batch size is tried.
    """
    best: dict[str, float] = {}
    started, cast = perf_counter(), deepcopy(victim.model).to(torch.bfloat16).eval()
    for size in sizes:
        ids = torch.randint(1000, 9000, (size, words + 2), device=victim.device)
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            for way, forward in _ways(victim, cast, ids, mask).items():
                rate = _rate(forward, size, victim.device)
                best[way] = max(best.get(way, 0.0), rate)
        if perf_counter() - started > seconds:
            break
    return {way: round(rate) for way, rate in best.items()}


def _ways(victim: Victim, cast: Any, ids: Tensor, mask: Tensor) -> dict[str, Pass]:
    kind = torch.device(victim.device).type

    def autocast() -> Tensor:
        with torch.autocast(kind, torch.bfloat16):
            logits: Tensor = victim.model(ids, mask)
        return logits

    def bf16_weights() -> Tensor:
        logits: Tensor = cast(ids, mask)
        return logits

    ways: dict[str, Pass] = {"autocast": autocast, "bf16_weights": bf16_weights}
    if kind == "cuda":
        replay = _graph(lambda: cast.classify(cast.features(ids, None)))
        if replay is not None:
            ways["graph"] = replay
    return ways


def _graph(forward: Pass) -> Pass | None:
    """Return a replay of ``forward``; None where it cannot be captured."""
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                forward()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = forward()
    # A release of transformers that reads a value of the mask cannot be captured.
    except RuntimeError:
        torch.cuda.synchronize()
        return None

    def replay() -> Tensor:
        graph.replay()
        return answer

    return replay


def _rate(forward: Pass, rows: int, device: str) -> float:
    for _ in range(2):
        forward()
    began = now(device)
    for _ in range(FORWARDS):
        forward()
    return rows * FORWARDS / (now(device) - began)
