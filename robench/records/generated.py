"""Every page that ``robench leaderboard`` makes: of a board, and of the reported numbers."""

from __future__ import annotations

from pathlib import Path

from robench._base.files import write_text
from robench.records.leaderboard import differences, markdown_path, render_board
from robench.records.record_files import KnownRecords
from robench.records.reported import REPORTED
from robench.records.reported_pages import reported_pages


def pages_of(path: Path, known: KnownRecords | None = None) -> dict[Path, str]:
    """Return file -> content of the pages that are made from a TOML file.

    Args:
        path: the TOML file of a board, or the file of reported numbers.
        known: the records of an earlier call, which are not read again.

    Raises:
        UsageError: the file is missing or wrong.
        RobenchError: a record cannot be read, or the records of a board disagree.
    """
    if path.name == REPORTED:
        return reported_pages(path, known)
    return {markdown_path(path): render_board(path, known)}


def write_pages(path: Path, known: KnownRecords | None = None) -> list[Path]:
    """Write the pages that are made from a TOML file, and return their paths; see ``pages_of``."""
    pages = pages_of(path, known)
    for target, text in pages.items():
        write_text(target, text)
    return list(pages)


def check_pages(path: Path, known: KnownRecords | None = None) -> dict[Path, list[str]]:
    """Return page -> lines of a diff between the disk and ``pages_of``; empty where they agree."""
    return {target: differences(target, text) for target, text in pages_of(path, known).items()}
