"""Every program of ``examples/`` runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
SHOWN = {
    "export_for_training.py": "adversarial texts are in adversarial.jsonl",
    "own_attack.py": "first-word",
    "own_data.py": "reviews.csv",
    "own_defense.py": "focal",
    "own_function.py": "bag of words",
    "own_model.py": "my-model (given)",
}


def test_every_program_says_what_it_must_show() -> None:
    assert sorted(SHOWN) == [path.name for path in PROGRAMS]


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_a_program_runs_as_it_stands(program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SHOWN[program.name] in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    notebook = nbformat.read(ROOT / "examples" / "quick_start.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    old = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        client.NotebookClient(notebook, timeout=300, resources=resources).execute()
    finally:
        if old is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = old
    kinds = [output.output_type for cell in notebook.cells for output in cell.get("outputs", ())]
    assert "error" not in kinds
    assert "execute_result" in kinds
