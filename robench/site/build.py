"""Build the static site: one folder of pages that open from the disk and need no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from robench._base.bounded_reading import MB, Bounds, Missing, Unreadable, read_json
from robench._base.errors import RobenchError, UsageError
from robench._base.files import write_text
from robench._base.release import __version__
from robench.records.board import board_files
from robench.records.record_files import KnownRecords
from robench.records.reported import REPORTED
from robench.site import bundled
from robench.site.example_data import NO_EXAMPLES, read_examples
from robench.site.pages import Frame, SitePages
from robench.site.tables import Table, board_table

MANIFEST: Final = "robench-site.json"
"""File that marks a folder as a site of robench and lists its files."""
MOST_EXAMPLES: Final = 120
"""Number of adversarial examples on the site, unless the user says another one."""
_BOUND: Final = Bounds(size=4 * MB)


@dataclass(frozen=True)
class SiteRequest:
    """What to build.

    Attributes:
        boards: folder of the boards.
        runs: folders of runs whose trials give examples and whose trainings are drawn.
        examples: number of adversarial examples in all.
    """

    boards: Path
    runs: Sequence[Path] = ()
    examples: int = MOST_EXAMPLES


@dataclass(frozen=True)
class Site:
    """A site in memory.

    Attributes:
        files: path in its folder -> content.
        problems: sentences about what is left out.
    """

    files: Mapping[str, str]
    problems: Sequence[str] = ()

    @property
    def size(self) -> int:
        """Number of bytes of all files."""
        return sum(len(text.encode()) for text in self.files.values())


def build(request: SiteRequest) -> Site:
    """Make all pages.

    The same boards, runs and version of robench give the same bytes.

    Raises:
        UsageError: there is no board, or a folder of a run holds no record.
        RobenchError: a record or a certificate of a board cannot be read.
    """
    paths = board_files(request.boards) if request.boards.is_dir() else []
    if not paths:
        raise UsageError(
            f"There is no board: '{request.boards}' has no .toml file of a board. Name a folder "
            "such as leaderboards with --boards."
        )
    known = KnownRecords()
    tables = sorted((board_table(path, known) for path in paths), key=_place)
    examples = read_examples(request.runs, request.examples) if request.runs else NO_EXAMPLES
    reported = request.boards / REPORTED
    pages = SitePages(
        Frame(made_by="robench site build", tables=tables),
        examples,
        runs=request.runs,
        reported=reported if reported.is_file() else None,
    )
    files = dict(pages.all())
    for name in (*bundled.SCRIPTS, "site.css", bundled.LICENSES):
        files[f"assets/{name}"] = bundled.text_of(name)
    return Site(files, [*examples.problems, *pages.problems])


def _place(table: Table) -> tuple[bool, int, str]:
    """Return the place of a board: those with a worst case and with many rows come first."""
    return (not table.columns.worst_over, -len(table.rows), table.name)


def write(site: Site, out: Path) -> None:
    """Write a site into ``out``. Pages of an earlier site that this one lacks are removed.

    Raises:
        UsageError: the folder holds other files than a site of robench.
        RobenchError: a file cannot be written.
    """
    old = _listed(out)
    for name, text in site.files.items():
        write_text(out / name, text)
    manifest: dict[str, Any] = {"robench": __version__, "files": sorted(site.files)}
    write_text(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    for name in sorted(old - set(site.files)):
        _remove(out, name)


def _listed(out: Path) -> set[str]:
    """Return the files that an earlier site in ``out`` lists.

    Raises:
        UsageError: see ``write``.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return set()
    if not out.is_dir():
        raise UsageError(f"'{out}' is a file. Name a folder with --out.")
    try:
        content = read_json(out / MANIFEST, _BOUND)
        files = {str(name) for name in content["files"]}
    except Missing as error:
        raise UsageError(
            f"'{out}' holds files that 'robench site build' did not write. Name another folder "
            "with --out, or an empty one."
        ) from error
    except (Unreadable, KeyError, TypeError) as error:
        raise UsageError(
            f"'{out / MANIFEST}' is damaged, so nothing says which files are the site's. Remove "
            "the folder, or name another one with --out."
        ) from error
    return files


def _remove(out: Path, name: str) -> None:
    """Remove a page of an earlier site. A name that leads out of the folder is left alone."""
    path = out / name
    if ".." in Path(name).parts or Path(name).is_absolute() or path.is_symlink():
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RobenchError(
            f"The old page '{path}' cannot be removed ({error.strerror}). Remove it by hand."
        ) from error
