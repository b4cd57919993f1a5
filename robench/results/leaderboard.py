"""Leaderboards: Markdown made from records and nothing else. The same records give the same bytes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from robench._base.errors import RobenchError
from robench.results.atomic import write_text
from robench.results.board import board_records, load_board
from robench.results.comparable import attacks_of, comparable, newest_that_agree
from robench.results.notes import MEANINGS
from robench.results.record import Record
from robench.results.render import section, terminal_table
from robench.results.run_folder import Found

GENERATED = "<!-- Made by `robench leaderboard` from records. Edit the records or the board's TOML, not this file. -->"


def render_board(path: Path) -> str:
    """Markdown of the board whose TOML is ``path``.

    Raises:
        UsageError: the TOML is missing or wrong. RobenchError: a record cannot be read, or the records disagree.
    """
    board = load_board(path)
    admitted = board_records(path, board)
    body = section(board.attacks, admitted, expected=board.defenses, about=board.about)
    return "\n".join(
        [GENERATED, "", f"# {board.title}", "", *body, "## What the columns mean", "", MEANINGS, ""]
    )


def markdown_path(path: Path) -> Path:
    """Where the Markdown of the board whose TOML is ``path`` stands: beside it."""
    return path.with_suffix(".md")


def write_board(path: Path) -> Path:
    """Write the Markdown of a board and return its path."""
    target = markdown_path(path)
    write_text(target, render_board(path))
    return target


def check(path: Path) -> list[str]:
    """Lines (unified diff) by which the committed Markdown differs from what the records give; empty when they agree."""
    target = markdown_path(path)
    try:
        committed = target.read_bytes().decode("utf-8")
    except FileNotFoundError:
        committed = ""
    except (OSError, UnicodeDecodeError) as error:
        raise RobenchError(
            f"Cannot read {target}: {error}. Restore it or write it again with 'robench leaderboard'."
        ) from error
    given = render_board(path)
    # Splitting at "\n" alone keeps a missing last newline and foreign line ends visible.
    return list(
        difflib.unified_diff(
            committed.split("\n"),
            given.split("\n"),
            target.name,
            "what the records give",
            n=0,
            lineterm="",
        )
    )


def render_run(found: Found) -> str:
    """Markdown of a run's records: one section for each set of records that compare. Those that cannot be read come first, for what they say is missing."""
    parts = [GENERATED, "", "# Results of this folder", ""]
    if found.damaged:
        parts += [
            "## Records that cannot be read",
            "",
            *[f"- `{name}`: {reason}" for name, reason in found.damaged.items()],
            "",
        ]
    groups = comparable(found.records)
    if not groups:
        parts += ["There are no records yet.", ""]
    for title, members in groups.items():
        parts += [
            f"## {title}",
            "",
            *section(attacks_of(members.values()), newest_that_agree(members), level=3),
        ]
    return "\n".join([*parts, "## What the columns mean", "", MEANINGS, ""])


def results_table(records: Sequence[Record], width: int | None = None) -> str:
    """Tables for a terminal of ``width`` columns (None: any), with the rows of a board: one for each set of records that compare."""
    groups = comparable({record.file_name: record for record in records})
    return "\n\n".join(
        f"{title if width is None else fill(title, width)}\n{terminal_table(attacks_of(members.values()), newest_that_agree(members), width)}"
        for title, members in groups.items()
    )
