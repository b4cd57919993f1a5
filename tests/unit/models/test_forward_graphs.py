"""When a forward pass is replayed from a graph. The graphs of these tests run on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from robench.models import forward_graphs  # noqa: E402
from robench.models.forward_graphs import WORTH, ForwardGraphs  # noqa: E402

KEY = ((2, 3), True, "fp32")


class FakeCuda:
    """Captures by keeping the function, and has a clock of its own.

    Attributes:
        captured: number of captures.
        replays: number of replays.
        plain, replayed: seconds of a forward pass, launched and replayed.
    """

    def __init__(self, plain: float = 1.0, replayed: float = 0.1) -> None:
        self.captured = self.replays = 0
        self.plain, self.replayed = plain, replayed
        self.now = 0.0
        self.inside = False
        self.twist = 0.0

    def capture(self, compute: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1

        def replay() -> None:
            self.replays += 1
            self.inside = True
            compute()
            self.inside = False
            self.now += self.replayed

        return replay

    def forward(self, rows: Any) -> Any:
        if self.inside:
            return rows * 2.0 + self.twist
        self.now += self.plain
        return rows * 2.0


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setattr(forward_graphs, "perf_counter", lambda: fake.now)
    return fake


def make(cuda: FakeCuda) -> ForwardGraphs:
    return ForwardGraphs(torch.device("cpu"), cuda.capture, lambda: None)


def ask(graphs: ForwardGraphs, cuda: FakeCuda, times: int, key: Any = KEY) -> None:
    for number in range(times):
        rows = torch.full((2, 3), float(number))
        assert torch.equal(graphs.run(key, cuda.forward, [rows]), rows * 2)


def test_a_shape_that_is_used_often_is_replayed(cuda: FakeCuda) -> None:
    graphs = make(cuda)
    ask(graphs, cuda, WORTH - 1)
    assert cuda.captured == 0
    ask(graphs, cuda, 1)
    assert cuda.captured == 1
    replays = cuda.replays
    ask(graphs, cuda, 5)
    assert cuda.replays == replays + 5
    assert cuda.captured == 1


def test_each_shape_counts_for_itself(cuda: FakeCuda) -> None:
    graphs = make(cuda)
    for key in ("one", "two"):
        ask(graphs, cuda, WORTH - 1, key)
    assert cuda.captured == 0
    ask(graphs, cuda, 1, "two")
    assert cuda.captured == 1


def test_a_graph_with_another_last_bit_is_never_used(cuda: FakeCuda) -> None:
    graphs, cuda.twist = make(cuda), 1e-4
    ask(graphs, cuda, 3 * WORTH)
    assert cuda.captured == 1
    assert cuda.replays == 1


@pytest.mark.parametrize("replayed", [1.0, 0.97, 3.0])
def test_a_graph_that_gains_nothing_is_not_used(cuda: FakeCuda, replayed: float) -> None:
    graphs, cuda.replayed = make(cuda), replayed
    ask(graphs, cuda, WORTH)
    replays = cuda.replays
    ask(graphs, cuda, 2 * WORTH)
    assert (cuda.captured, cuda.replays) == (1, replays)


def test_after_a_failed_capture_everything_goes_on_as_before(cuda: FakeCuda) -> None:
    def refuse(compute: Callable[[], None]) -> Callable[[], None]:
        cuda.captured += 1
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs = ForwardGraphs(torch.device("cpu"), refuse, lambda: None)
    for key in ("one", "two"):
        ask(graphs, cuda, 2 * WORTH, key)
    assert cuda.captured == 1


def test_only_so_many_shapes_have_graphs(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_graphs, "MOST", 2)
    graphs = make(cuda)
    for key in ("one", "two", "three"):
        ask(graphs, cuda, WORTH + 1, key)
    assert cuda.captured == 2


def test_rows_in_other_memory_are_copied_into_the_graph(cuda: FakeCuda) -> None:
    graphs = make(cuda)
    ask(graphs, cuda, WORTH)
    first, second = torch.ones(2, 3), torch.zeros(2, 3)
    answer = graphs.run(KEY, cuda.forward, [first]).clone()
    assert torch.equal(graphs.run(KEY, cuda.forward, [second]), second)
    assert torch.equal(answer, torch.full((2, 3), 2.0))
    assert torch.equal(first, torch.ones(2, 3))
