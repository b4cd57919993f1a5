"""Whether guest plugins can be imported, found out in another process and remembered.

``robench list`` must tell that a plugin is broken, must not import one (a guest may be slow, or may end the process), and must be quick. So a child
process imports each guest once and writes down what it found; the verdict is kept in the user's cache until the guest or the environment changes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from robench.plugins.registry import Registry
from robench.search.registry import ATTACK_FAMILIES, ATTACKS
from robench.tasks.registry import TASKS
from robench.training.registry import DEFENSES

CHECK_SECONDS = 120.0  # a guest whose import takes longer counts as broken
REGISTRIES: tuple[Registry[Any], ...] = (ATTACKS, ATTACK_FAMILIES, DEFENSES, TASKS)


@dataclass(frozen=True, slots=True)
class Health:
    """Verdict on one guest.

    Attributes:
        problem: why it cannot be used, one sentence; None where it can.
        summary: the first line of its docstring.
    """

    problem: str | None
    summary: str = ""


def guest_health(
    *, force: bool = False, cache: Path | None = None
) -> dict[tuple[str, str], Health]:
    """Verdicts on every guest, ``(kind, name) -> Health``; imports none of them in this process.

    Args:
        force: ask again although a remembered verdict still fits.
        cache: folder of remembered verdicts; the user's cache folder unless given.
    """
    guests = {
        (registry.kind, point.name): point for registry in REGISTRIES for point in registry.guests()
    }
    if not guests:
        return {}
    folder = cache if cache is not None else cache_folder()
    keys = {who: verdict_key(who[0], point) for who, point in guests.items()}
    known = (
        {}
        if force
        else {
            who: health
            for who, key in keys.items()
            if (health := _recall(folder / f"{key}.json")) is not None
        }
    )
    for who, health in check_in_child([who for who in guests if who not in known]).items():
        known[who] = health
        _remember(folder / f"{keys[who]}.json", health)
    return {who: known[who] for who in guests}


def cache_folder() -> Path:
    """Where verdicts are remembered."""
    from platformdirs import user_cache_path

    return user_cache_path("robench") / "plugin-health"


def verdict_key(kind: str, point: EntryPoint) -> str:
    """Changes when the guest, its files, or what is installed beside it change."""
    from robench import __version__

    version = point.dist.version if point.dist is not None else ""
    facts = [
        __version__,
        sys.version,
        sys.prefix,
        kind,
        point.name,
        point.value,
        version,
        _newest(_files_of(point)),
        _newest(_installation_folders(point)),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _files_of(point: EntryPoint) -> list[Path]:
    # Only the top-level package is looked up: finding a submodule would import its parents.
    try:
        spec = find_spec(point.module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    return [
        file
        for folder in spec.submodule_search_locations
        for file in sorted(Path(folder).rglob("*.py"))
    ]


def _installation_folders(point: EntryPoint) -> list[Path]:
    # Installing or removing any package touches the folder it lives in: a missing dependency may have come.
    folders = [
        Path(entry) for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"}
    ]
    return [*folders, Path(str(point.dist.locate_file("")))] if point.dist is not None else folders


def _newest(paths: Iterable[Path]) -> list[list[Any]]:
    return [[str(path), path.stat().st_mtime_ns] for path in paths if path.exists()]


def _recall(file: Path) -> Health | None:
    try:
        return Health(**json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _remember(file: Path, health: Health) -> None:
    # A verdict that cannot be remembered (a read-only home) is only asked for again.
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(".tmp")
        scratch.write_text(json.dumps(asdict(health)), "utf-8")
        scratch.replace(file)
    except OSError:
        return


def check_in_child(guests: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Health]:
    """Import the named guests in a child process, ``(kind, name) -> Health``; a guest that ends the child is the broken one."""
    waiting = list(guests)
    verdicts: dict[tuple[str, str], Health] = {}
    while waiting:
        found, end = _run_child(waiting)
        verdicts |= found
        waiting = [who for who in waiting if who not in found]
        if waiting:
            verdicts[waiting.pop(0)] = Health(problem=f"Importing it {end}.")
    return verdicts


def _run_child(guests: list[tuple[str, str]]) -> tuple[dict[tuple[str, str], Health], str]:
    """What one child found before it ended, and how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.jsonl"
        command = [
            sys.executable,
            "-P",
            "-m",
            "robench.inspection.health",
            str(answers),
            json.dumps(guests),
        ]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=CHECK_SECONDS * len(guests),
                check=False,
            )
            end = f"ended the process (exit code {done.returncode})"
        except subprocess.TimeoutExpired:
            end = f"took longer than {CHECK_SECONDS:.0f} seconds"
        lines = answers.read_text("utf-8").splitlines() if answers.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["kind"], row["name"]): Health(row["problem"], row["summary"]) for row in rows}, end


def examine(registry: Registry[Any], name: str) -> Health:
    """Import one plugin here and now and say how it is."""
    from robench._base.errors import RobenchError

    try:
        plugin = registry.get(name)
    except RobenchError as error:
        return Health(problem=" ".join(str(error).split()))
    lines = (plugin.__doc__ or "").strip().splitlines()
    return Health(problem=None, summary=lines[0] if lines else "")


def main(arguments: list[str]) -> None:
    """In the child: examine each guest and append its verdict at once, so that a crash shows which guest caused it."""
    by_kind: Mapping[str, Registry[Any]] = {registry.kind: registry for registry in REGISTRIES}
    with Path(arguments[0]).open("w", encoding="utf-8") as answers:
        for kind, name in json.loads(arguments[1]):
            health = examine(by_kind[kind], name)
            answers.write(json.dumps({"kind": kind, "name": name} | asdict(health)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
