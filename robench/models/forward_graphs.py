"""Replay forward passes of a shape as one CUDA graph, where this changes nothing and is faster.

A small classifier computes faster than the processor can launch its kernels. A graph launches all
of them at once. For large ones it gains nothing, or loses.

A graph may use other kernels than single launches. Then a row's last bits would depend on how many
forward passes of its shape came before. So a graph is used only if it gives the features of its
first rows bit for bit. Which of the two is faster is then free to depend on the moment.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from time import perf_counter

import torch
from torch import Tensor

Forward = Callable[..., Tensor]
"""Computes features ``(rows, size)`` from tensors on the device."""
Replay = Callable[[], None]
"""Computes a captured forward pass again, from the same tensors into the same."""

WORTH = 8
"""Forward passes of a shape before a graph is tried. A capture costs as much as some of them."""
MOST = 48
"""Shapes at most that have a graph, because each one keeps memory."""
ROUNDS = 5
"""Forward passes that are timed of each kind."""
GAIN = 0.95
"""Share of the plain time below which a graph is used."""


class ForwardGraphs:
    """The graphs of one classifier.

    Args:
        device: a CUDA device.
        capture: runs a function once and returns what runs it again; only tests change it.
        finished: waits until the device has nothing to do.
    """

    def __init__(
        self,
        device: torch.device,
        capture: Callable[[Callable[[], None]], Replay] | None = None,
        finished: Callable[[], None] | None = None,
    ) -> None:
        self._capture = capture or _cuda_capture
        self._finished = finished or (lambda: torch.cuda.synchronize(device))
        self._uses: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, _Graph] = {}
        self._usable = True

    def run(self, key: Hashable, forward: Forward, rows: Sequence[Tensor]) -> Tensor:
        """Return ``forward(*rows)``, from a graph where there is one.

        Args:
            key: of the shape and of everything else that ``forward`` depends on.

        Returns:
            Features that the next forward pass of this key may overwrite. Whatever is queued
            before that sees them as they are.
        """
        graph = self._graphs.get(key)
        if graph is not None:
            return graph.run(rows)
        features = forward(*rows)
        self._uses[key] = uses = self._uses.get(key, 0) + 1
        if uses == WORTH and self._usable and len(self._graphs) < MOST:
            self._try(key, forward, rows, features)
        return features

    def _try(
        self, key: Hashable, forward: Forward, rows: Sequence[Tensor], features: Tensor
    ) -> None:
        """Make a graph, and keep it if it gives ``features`` and is faster."""
        # Some encoders cannot be captured, and memory may be short. Then nothing is captured any
        # more, and forward passes go on as they did.
        try:
            graph = _Graph(forward, rows, self._capture)
            if not torch.equal(graph.run(rows), features):
                return
            plain = self._seconds(lambda: forward(*rows))
            if self._seconds(lambda: graph.run(rows)) < GAIN * plain:
                self._graphs[key] = graph
        except Exception:
            self._usable = False

    def _seconds(self, compute: Callable[[], object]) -> float:
        """Return the seconds of some forward passes, launched one after the other."""
        self._finished()
        began = perf_counter()
        for _ in range(ROUNDS):
            compute()
        self._finished()
        return perf_counter() - began


class _Graph:
    """One captured forward pass, with the tensors that it reads and writes."""

    def __init__(
        self,
        forward: Forward,
        rows: Sequence[Tensor],
        capture: Callable[[Callable[[], None]], Replay],
    ) -> None:
        self._inputs = [row.clone() for row in rows]
        self._features: list[Tensor] = []

        def compute() -> None:
            self._features[:] = [forward(*self._inputs)]

        self._replay = capture(compute)

    def run(self, rows: Sequence[Tensor]) -> Tensor:
        """Compute the features of ``rows``."""
        for own, row in zip(self._inputs, rows, strict=True):
            own.copy_(row)
        self._replay()
        return self._features[0]


def _cuda_capture(compute: Callable[[], None]) -> Replay:
    """Capture what ``compute`` launches on the present device."""
    # Libraries set themselves up in their first calls, which must not be captured.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            compute()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        compute()
    return graph.replay
