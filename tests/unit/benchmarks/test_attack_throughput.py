"""The throughput benchmark runs from end to end, and its limit uses the engine's rows."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner

# Each test trains or attacks in earnest.
pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    module = import_module("attack_throughput")
    subjects = import_module("throughput.subjects")
    monkeypatch.setattr(subjects, "STEPS", 2)
    return module


@pytest.fixture
def victim(benchmark: ModuleType, tmp_path: Path) -> Any:
    subjects = import_module("throughput.subjects")
    subjects.make_victim("tiny", tmp_path / "tiny")
    return subjects.load_victim(tmp_path / "tiny")


def test_texts_have_the_given_length_and_substitutes(victim: Any) -> None:
    subjects = import_module("throughput.subjects")
    jobs = list(subjects.make_jobs(victim, 12, 18))
    assert len({job.example.id for job in jobs}) == 18
    assert all(len(job.space.words) == 12 for job in jobs)
    assert [job.example.fields for job in jobs] == [
        job.example.fields for job in subjects.make_jobs(victim, 12, 18)
    ]
    share, each = subjects.density(jobs)
    assert 0 < share < 1
    assert each >= 1
    assert [job.example.label for job in jobs] == victim.predict(
        [job.example.fields for job in jobs]
    ).tolist()


def limits(victim: Any, words: int) -> tuple[Any, Any]:
    """Return the proper limit and the whole forwards."""
    limit = import_module("throughput.limit").Limit
    return limit(victim, words), limit(victim, words, whole=True)


def test_beside_a_queue_the_limit_repeats_the_rows_after_the_run(
    victim: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = import_module("robench.models.device_queue")
    limit, whole = limits(victim, 10)
    limit.batch = whole.batch = 3

    def make() -> Any:
        return queues.DeviceQueue(victim.model, "cpu", False)

    victim.forward_queue = make
    ids = np.arange(7 * 12, dtype=np.int32).reshape(7, 12) + 1000
    lengths = np.full(7, 12, dtype=np.int32)
    expected = victim.logits(ids, lengths)
    with limit.listening(), whole.listening():
        queue = victim.forward_queue()
        assert queue.depth == make().depth
        assert np.array_equal(queue.submit(ids, lengths, None, "fp32").result(), expected)
        assert limit.clock.rows == 0
    assert (limit.clock.rows, whole.clock.rows) == (6, 6)
    assert limit.away == whole.away == 0
    assert victim.forward_queue is make


def test_the_limit_repeats_the_engines_rows_and_keeps_its_answers(
    victim: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = import_module("throughput.limit").Limit(victim, 10)
    limit.batch = 4
    ids, lengths = (
        np.arange(7 * 12, dtype=np.int32).reshape(7, 12) + 1000,
        np.full(7, 12, dtype=np.int32),
    )
    expected = victim.logits(ids, lengths)
    seen: list[np.ndarray] = []

    def forward(rows: torch.Tensor, mask: torch.Tensor) -> float:
        seen.append(rows.numpy())
        return 0.5

    monkeypatch.setattr(limit, "_forward", forward)
    with limit.listening():
        assert (victim.logits(ids, lengths) == expected).all()
        victim.logits(ids[:1], lengths[:1])
    assert np.array_equal(np.concatenate(seen), np.concatenate([ids, ids[:1]]))
    assert (limit.clock.rows, limit.clock.seconds) == (8, 1.0)
    victim.logits(ids, lengths)
    assert len(seen) == 2


def test_two_limits_listen_to_the_same_rows_and_give_the_same_logits(victim: Any) -> None:
    limit, whole = limits(victim, 10)
    limit.batch = whole.batch = 2
    ids, lengths = (
        np.arange(8 * 12, dtype=np.int32).reshape(8, 12) + 1000,
        np.full(8, 12, dtype=np.int32),
    )
    expected = victim.logits(ids, lengths)
    with limit.listening(), whole.listening():
        assert (victim.logits(ids, lengths) == expected).all()
    assert limit.clock.rows == whole.clock.rows == 8
    assert limit.away > 0 < whole.away
    tensors = whole._tensors(ids)
    for each in (limit, whole):
        np.testing.assert_allclose(
            each._logits_of(*tensors).detach().numpy(), expected, rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize("attack", ["pwws", "genetic"])
def test_the_clean_text_counts_once(
    victim: Any, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    searches, (limit, whole) = import_module("throughput.searches"), limits(victim, 8)
    limit.batch = whole.batch = 1
    load = searches.make_load(victim, attack, 8, 1.0, 2)
    asked: list[int] = []
    real = searches.run

    def looking(*args: Any, **settings: Any) -> Any:
        for trial in real(*args, **settings):
            asked.append(trial.forwarded)
            yield trial

    monkeypatch.setattr(searches, "run", looking)
    rows = searches.measure(victim, limit, whole, attack, load).engine.rows
    assert rows == sum(asked) + {"pwws": 0, "genetic": 2}[attack]


def test_too_few_rows_for_the_limit_are_one_sentence(victim: Any) -> None:
    searches, (limit, whole) = import_module("throughput.searches"), limits(victim, 8)
    limit.batch = 10**6
    with pytest.raises(
        click.UsageError,
        match=(
            r"do not fill one bare forward of 1000000 rows\. "
            r"Give them more with --examples or --seconds\."
        ),
    ):
        searches.measure(
            victim, limit, whole, "pwws", searches.make_load(victim, "pwws", 8, 1.0, 1)
        )


def test_the_last_line_of_the_output_is_json(benchmark: ModuleType) -> None:
    skipped: list[str] = []
    for name in ("textattack", "workers", "memory", "gpu"):
        assert name in benchmark.PARTS
        skipped += ["--skip", name]
    result = CliRunner().invoke(
        benchmark.main,
        ["--quick", "--victim", "tiny", "--words", "8", "--attack", "pwws", *skipped],
        catch_exceptions=False,
    )
    report = json.loads(result.stdout.splitlines()[-1])
    assert set(report) == {
        "engine_over_limit",
        "engine_rows_per_cpu_second",
        "limit_rows_per_cpu_second",
        "engine_over_whole_forwards",
        "whole_forwards_rows_per_cpu_second",
        "reduced_over_limit",
        "reduced_over_whole_forwards",
        "reduced_limit_over_limit",
    }
    assert all(value > 0 for figure in report.values() for value in figure.values())


@pytest.mark.slow
def test_textattack_queries_rows_with_both_paddings(
    benchmark: ModuleType, victim: Any, tmp_path: Path
) -> None:
    if find_spec("textattack") is None:
        pytest.skip("the extra 'textattack' is not installed")
    # Another test may have imported it.
    loaded = "textattack" in sys.modules
    with import_module("throughput.peer").Peer(tmp_path) as peer:
        for fixed in (False, True):
            assert peer.measure("tiny", "pwws", 8, fixed=fixed, seconds=0.1).rate > 0
    assert ("textattack" in sys.modules) == loaded
