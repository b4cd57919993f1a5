"""'python -m robench' in the folder of a stranger runs no file of that folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVIL = "from pathlib import Path\nPath({mark!r}).write_text('ran')\nraise SystemExit('ran')\n"


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder with modules that robench and Python import, and a package with an entry point."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    mark = str(tmp_path / "mark")
    for name in ("scipy", "csv", "platform", "__future__", "torch", "evil"):
        (folder / f"{name}.py").write_text(EVIL.format(mark=mark))
    about = folder / "evil-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[robench.attacks]\nevil = evil:Evil\n")
    return folder


def run(folder: Path, *arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with robench on the path as an installation has it or not at all."""
    without = {"PYTHONPATH", "PYTHONSAFEPATH"}
    variables = {name: value for name, value in os.environ.items() if name not in without}
    if installed:
        variables["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("start", [("-m", "robench"), ("-mrobench",)])
def test_the_command_line_runs_nothing_of_the_folder(
    stranger: Path, start: tuple[str, ...]
) -> None:
    done = run(stranger, *start, "list", "attacks")
    assert done.returncode == 0, done.stderr
    assert "pwws" in done.stdout
    assert "evil" not in done.stdout
    assert not (stranger.parent / "mark").exists()


def test_a_checkout_that_is_not_installed_still_works() -> None:
    done = run(ROOT, "-m", "robench", "--version", installed=False)
    assert done.returncode == 0, done.stderr
    assert "robench" in done.stdout


def test_processes_of_the_command_line_leave_the_folder_out(stranger: Path) -> None:
    """A worker begins with 'python -c', which would put the current folder in front again."""
    program = (
        "import sys\nsys.argv = ['/usr/bin/robench']\nimport robench, os, subprocess\n"
        "found = subprocess.run([sys.executable, '-c', 'import csv, robench; print(csv.__file__)'],"
        " capture_output=True, text=True)\nprint(found.stdout, found.stderr)"
    )
    done = run(stranger, "-P", "-c", program)
    assert done.returncode == 0, done.stderr
    assert str(stranger) not in done.stdout
    assert not (stranger.parent / "mark").exists()


def test_a_program_that_imports_robench_keeps_its_folder(tmp_path: Path) -> None:
    """Only the command line changes the search path; a script's own modules stay importable."""
    (tmp_path / "mine.py").write_text("VALUE = 3\n")
    (tmp_path / "script.py").write_text("import robench\nimport mine\nprint(mine.VALUE)\n")
    done = run(tmp_path, "script.py")
    assert done.stdout.strip() == "3", done.stderr
    done = run(tmp_path, "-c", "import robench, mine; print(mine.VALUE)")
    assert done.stdout.strip() == "3", done.stderr
