"""Programs that call robench.evaluate with worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CALL = """import robench

found = robench.evaluate(
    defenses="standard", attacks="pwws", limit=6, workers=2, lm="none", progress=False,
    options={"defense.epochs": 1, "defense.train_examples": 64},
)
print("trials:", len(found.trials))
"""


def run(
    folder: Path, *words: str, given: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        input=given,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("server", ["1", "0"])
def test_a_program_that_its_workers_run_again_ends_with_one_sentence(
    tmp_path: Path, server: str
) -> None:
    (tmp_path / "program.py").write_text(CALL)
    done = run(tmp_path, "program.py", ROBENCH_FORK_SERVER=server)
    assert done.returncode == 1
    assert "Put the call under \"if __name__ == '__main__':\", or give workers=1." in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "3 worker processes in a row ended (exit code 1)" in last
    assert "What they said stands above" in last
    assert "memory" not in last


def test_a_guarded_program_has_workers(tmp_path: Path) -> None:
    lines = ["if __name__ == '__main__':", *(f"    {line}" for line in CALL.splitlines())]
    (tmp_path / "program.py").write_text("\n".join(lines))
    assert run(tmp_path, "program.py").stdout == "trials: 6\n"


@pytest.mark.parametrize("words", [("-",), ("-c", CALL)])
def test_a_program_without_a_file_has_workers(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, *words, given=CALL if words == ("-",) else None)
    assert done.stdout == "trials: 6\n", done.stderr
