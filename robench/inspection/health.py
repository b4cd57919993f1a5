"""Whether guest plugins, those of other packages, can be imported.

``robench list`` must be quick and must say which guest is broken. It must not import one: a guest
may be slow or may end the process. So a child process imports each guest once. The result stays in
the user's cache until the guest or the installed packages change.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from robench._base.bounded_reading import Unreadable, read_json
from robench._base.errors import RobenchError, one_line
from robench._base.files import atomic_file
from robench._base.seals import with_seal, without_seal
from robench.plugins.registry import Registry
from robench.search.registry import ATTACK_FAMILIES, ATTACKS
from robench.tasks.registry import TASKS
from robench.training.registry import DEFENSES

CHECK_SECONDS = 120.0
"""Seconds that the import of one guest may take; a slower guest counts as broken."""

CHECKED_REGISTRIES: tuple[Registry[Any], ...] = (ATTACKS, ATTACK_FAMILIES, DEFENSES, TASKS)
"""The registries that guests can add to."""

GuestId = tuple[str, str]
"""The kind and the name of a guest."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether one guest works.

    Attributes:
        problem: one sentence that says why it cannot be used; None where it can.
        summary: the first line of its docstring.
        sees: what an attack may see of a victim; empty for the other kinds.
    """

    problem: str | None
    summary: str = ""
    sees: str = ""


def check_guests(*, force: bool = False, cache: Path | None = None) -> dict[GuestId, Health]:
    """Return the health of every guest, and import none of them in this process.

    Args:
        force: check again, even where a remembered result is still valid.
        cache: the folder of remembered results; by default in the user's cache folder.
    """
    guests: dict[GuestId, EntryPoint] = {}
    for registry in CHECKED_REGISTRIES:
        for point in registry.guests():
            guests[registry.kind, point.name] = point
    if not guests:
        return {}
    folder = cache if cache is not None else cache_folder()
    files = {
        guest: folder / f"{health_key(guest[0], point)}.json" for guest, point in guests.items()
    }
    known: dict[GuestId, Health] = {}
    for guest, file in files.items():
        remembered = None if force else _recall(file)
        if remembered is not None:
            known[guest] = remembered
    for guest, health in check_in_child([guest for guest in guests if guest not in known]).items():
        known[guest] = health
        _remember(files[guest], health)
    return {guest: known[guest] for guest in guests}


def cache_folder() -> Path:
    """Return the folder of remembered results."""
    from platformdirs import user_cache_path

    return user_cache_path("robench") / "plugin-health"


def health_key(kind: str, point: EntryPoint) -> str:
    """Return a key that changes when the guest, its files or the installed packages change."""
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
        _change_times(_source_files(point)),
        _change_times(_installation_folders(point)),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _source_files(point: EntryPoint) -> list[Path]:
    # Only the top-level package is looked up: looking up a submodule would import its parents.
    try:
        spec = find_spec(point.module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    files: list[Path] = []
    for folder in spec.submodule_search_locations:
        files += sorted(Path(folder).rglob("*.py"))
    return files


def _installation_folders(point: EntryPoint) -> list[Path]:
    # Installing or removing any package changes the time of the folder that it is in. A dependency
    # that the guest lacked may have been installed.
    folders = [
        Path(entry) for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"}
    ]
    if point.dist is not None:
        folders.append(Path(str(point.dist.locate_file(""))))
    return folders


def _change_times(paths: Iterable[Path]) -> list[list[Any]]:
    return [[str(path), path.stat().st_mtime_ns] for path in paths if path.exists()]


def _recall(file: Path) -> Health | None:
    try:
        return Health(**without_seal(read_json(file)))
    except (Unreadable, ValueError, TypeError):
        return None


def _remember(file: Path, health: Health) -> None:
    # Where the result cannot be written (a read-only home), the next command checks again.
    try:
        with atomic_file(file) as temporary:
            temporary.write_text(json.dumps(with_seal(asdict(health))), "utf-8")
    except OSError:
        return


def check_in_child(guests: Iterable[GuestId]) -> dict[GuestId, Health]:
    """Import the given guests in a child process and return the health of each.

    A guest that ends the child counts as broken. The next child continues with the rest.
    """
    waiting = list(guests)
    results: dict[GuestId, Health] = {}
    while waiting:
        checked, ending = _run_child(waiting)
        results |= checked
        waiting = [guest for guest in waiting if guest not in checked]
        # The first guest without a result is the one that ended the child.
        if waiting:
            results[waiting.pop(0)] = Health(problem=f"Importing it {ending}.")
    return results


def _run_child(guests: list[GuestId]) -> tuple[dict[GuestId, Health], str]:
    """Check guests in one child process; return what it found and how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.jsonl"
        # -P keeps the working directory off the path of the child.
        command = [sys.executable, "-P", "-m", "robench.inspection.health"]
        try:
            done = subprocess.run(
                [*command, str(answers), json.dumps(guests)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=CHECK_SECONDS * len(guests),
                check=False,
            )
            ending = f"ended the process (exit code {done.returncode})"
        except subprocess.TimeoutExpired:
            ending = f"took longer than {CHECK_SECONDS:.0f} seconds"
        lines = answers.read_text("utf-8").splitlines() if answers.exists() else []
    checked = {}
    for line in lines:
        row = json.loads(line)
        checked[row["kind"], row["name"]] = Health(
            row["problem"], row["summary"], row.get("sees", "")
        )
    return checked, ending


def check_here(registry: Registry[Any], name: str) -> Health:
    """Import one plugin in this process and return its health."""
    try:
        plugin = registry.get(name)
    except RobenchError as error:
        return Health(problem=one_line(error))
    summary = (plugin.__doc__ or "").strip().partition("\n")[0]
    sees = getattr(plugin, "access", "") if getattr(plugin, "searches", True) else "nothing"
    return Health(problem=None, summary=summary, sees=str(sees))


def main(arguments: list[str]) -> None:
    """Check guests, in the child process.

    Each result is written at once, so that a crash shows which guest caused it.

    Args:
        arguments: the file to write results to, and the guests as JSON.
    """
    registry_of_kind = {registry.kind: registry for registry in CHECKED_REGISTRIES}
    with Path(arguments[0]).open("w", encoding="utf-8") as answers:
        for kind, name in json.loads(arguments[1]):
            health = check_here(registry_of_kind[kind], name)
            answers.write(json.dumps({"kind": kind, "name": name} | asdict(health)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
