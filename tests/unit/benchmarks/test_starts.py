"""The comparison of ways to start processes: which commands are timed, and whose time counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from click import ClickException
from click.testing import CliRunner

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = import_module("starts")
    monkeypatch.setattr(module, "adopt_orphans", lambda: None)
    # The process of the tests has children that go on, such as a fork server.
    monkeypatch.setattr(module, "collect_orphans", lambda: None)
    return module


def test_the_ways_take_turns_and_start_from_the_same_victim(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    seconds = {("1", "1"): 20.0, ("2", "1"): 30.0, ("2", "0"): 90.0}

    def run(words: Sequence[str], server: str) -> tuple[float, float]:
        folder = Path(words[words.index("--out") + 1])
        if words[-1] == "none":
            (folder / "victims").mkdir(parents=True)
            return 1.0, 1.0
        assert (folder / "victims").is_dir()
        assert words.count("--attack") == len(benchmark.ATTACKS)
        way = words[-1], server
        seen.append(way)
        # The first round is slower; the medians do not show it.
        taken = seconds[way] + (100 if len(seen) <= 3 else 0)
        return taken, 2 * taken

    monkeypatch.setattr(benchmark, "run", run)
    result = CliRunner().invoke(benchmark.main, ["--repetitions", "3", "--limit", "5"])
    assert result.exit_code == 0, result.output
    assert seen == 3 * [("1", "1"), ("2", "1"), ("2", "0")]
    assert json.loads(result.stdout.splitlines()[-1]) == {
        "starts": {
            "one process": {"seconds": 20.0, "cpu_seconds": 40.0},
            "fork server": {"seconds": 30.0, "cpu_seconds": 60.0},
            "new processes": {"seconds": 90.0, "cpu_seconds": 180.0},
        },
        "new_over_forked": 3.0,
    }


def test_a_real_command_is_timed(benchmark: ModuleType) -> None:
    seconds, cpu = benchmark.run(["--version"], "1")
    assert seconds > 0
    assert cpu > 0
    with pytest.raises(ClickException, match=r"'robench --no-such-option' failed:\n.*no option"):
        benchmark.run(["--no-such-option"], "1")


def test_processes_that_outlive_their_parent_count() -> None:
    """The grandchild computes for half a second; its parent ends at once."""
    program = """
import resource, subprocess, sys
sys.path.insert(0, sys.argv[1])
from starts import adopt_orphans, collect_orphans

adopt_orphans()
work = "import time\\nwhile time.process_time() < 0.5: pass"
start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {work!r}])"
subprocess.run([sys.executable, "-c", start], check=True)
collect_orphans()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(BENCHMARKS)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) >= 0.5
