"""Guest packages as an installer leaves them: modules and a .dist-info folder with entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WORKING_ATTACK = '''"""A guest."""
from robench import ATTACKS, Attack

@ATTACKS.register("{name}")
class Guest(Attack):
    """Tries nothing."""

    def search(self, space, oracle, label, rng):
        return None
'''


def install_guest(
    folder: Path, package: str, points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]
) -> Path:
    """Write a package into ``folder``, as an installer would.

    Args:
        folder: what stands for site-packages.
        package: the name of the package.
        points: entry-point group -> name -> value.
        modules: name -> source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, "utf-8")
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8"
    )
    lines = []
    for group, entries in points.items():
        lines.append(f"[{group}]")
        lines += [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def environment(folder: Path, cache: Path) -> dict[str, str]:
    """Return the environment of a process with ``folder`` on its path that caches in ``cache``."""
    return {
        **os.environ,
        "PYTHONPATH": str(folder),
        "XDG_CACHE_HOME": str(cache),
        "HOME": str(cache),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }


SEVERAL = """
import json, sys
from click.testing import CliRunner
from robench.cli import main
results = []
for arguments in json.loads(sys.stdin.read()):
    done = CliRunner().invoke(main, arguments, prog_name="robench")
    results.append([done.exit_code, done.stdout, done.stderr])
print(json.dumps(results))
"""


@dataclass(frozen=True)
class Done:
    """The exit code and the output of one of several commands."""

    returncode: int
    stdout: str
    stderr: str


def several(*commands: Sequence[str], env: Mapping[str, str], cwd: Path) -> list[Done]:
    """Run commands one after another in one new process.

    So torch, which takes seconds to import, is imported only once.
    """
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        env=dict(env),
        cwd=cwd,
        timeout=300,
        check=True,
    )
    return [Done(*result) for result in json.loads(done.stdout)]


def robench(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    command = [
        sys.executable,
        "-c",
        "from robench.cli import main; main(prog_name='robench')",
        *arguments,
    ]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        timeout=300,
        check=False,
    )
