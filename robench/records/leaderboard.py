"""Leaderboards: Markdown made from records only. The same records give the same bytes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from robench._base.bounded_reading import MB, Bounds, Missing, Unreadable, read_bytes
from robench._base.errors import RobenchError
from robench._base.escaping import code, markdown
from robench._base.files import write_text
from robench.records import certified_table
from robench.records.board_contents import read_board
from robench.records.certificate_files import NO_CERTIFICATES, CertificatesOnDisk
from robench.records.columns import Columns, run_columns
from robench.records.comparable import Admitted, comparable_groups, newest_that_agree
from robench.records.flags import Flag
from robench.records.marks import NO_MARKS, Marks
from robench.records.meanings import meanings_of_board, meanings_of_run
from robench.records.record import Record
from robench.records.record_dates import future_remark
from robench.records.record_files import KnownRecords, RecordsOnDisk
from robench.records.render import paragraph, reason_bullets, section
from robench.records.run_folder import RunFolder
from robench.records.sandwich import sandwiches
from robench.records.shown_records import shown_records
from robench.records.terminal import terminal_table, wrapped
from robench.records.transfer_flags import NOT_TRANSFERRED, Transferred, table_flags

_BOARD = Bounds(size=256 * MB)
GENERATED = (
    "<!-- Made by `robench leaderboard` from records. "
    "Edit the records or the board's TOML, not this file. -->"
)


def render_board(path: Path, known: KnownRecords | None = None) -> str:
    """Return the Markdown of the board whose TOML file is ``path``.

    Args:
        path: the TOML file.
        known: the records of an earlier call, which are not read again.

    Raises:
        UsageError: the TOML file is missing or wrong.
        RobenchError: a record or a certificate cannot be read, or the records disagree.
    """
    contents = read_board(path, known)
    body = contents.section()
    body += certified_table.markdown(contents.sandwiches, refused=contents.refused_certificates)
    body += [meanings_of_board(contents.columns), "", *_joining(path.name, contents.board.commit)]
    return "\n".join([GENERATED, "", f"# {markdown(contents.board.title)}", "", *body])


def _joining(name: str, commit: str | None) -> list[str]:
    """Return how a reader makes another row of the board called ``name``."""
    made = "" if commit is None else f"robench's code of commit {code(commit)} made the records. "
    command = code(f"robench submit start {name}")
    return ["## Add a row", "", f"{made}{command} says what a new row needs.", ""]


def markdown_path(path: Path) -> Path:
    """Return the path of a board's Markdown, which lies beside its TOML file ``path``."""
    return path.with_suffix(".md")


def write_board(path: Path) -> Path:
    """Write the Markdown of a board and return its path."""
    target = markdown_path(path)
    write_text(target, render_board(path))
    return target


def check(path: Path, known: KnownRecords | None = None) -> list[str]:
    """Compare the Markdown of a board on disk with what its records give.

    Args:
        path: the board's TOML file.
        known: the records of an earlier call, which are not read again.

    Returns:
        Lines of a unified diff. The list is empty if the two are equal.

    Raises:
        UsageError: the TOML file is missing or wrong.
        RobenchError: a file cannot be read, or the records disagree.
    """
    return differences(markdown_path(path), render_board(path, known))


def differences(target: Path, given: str) -> list[str]:
    """Compare a generated file on disk with what it should be.

    Returns:
        Lines of a unified diff. The list is empty if the two are equal.

    Raises:
        RobenchError: the file cannot be read.
    """
    try:
        committed = read_bytes(target, _BOARD).decode("utf-8")
    except Missing:
        committed = ""
    except (Unreadable, UnicodeDecodeError) as error:
        reason = error.reason if isinstance(error, Unreadable) else "it is not UTF-8 text"
        raise RobenchError(
            f"Cannot read {target}: {reason}. Restore it, or write it again with "
            "'robench leaderboard'."
        ) from error
    # Splitting at "\n" only keeps a missing last newline and foreign line ends visible.
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


def render_run(
    found: RecordsOnDisk,
    certified: CertificatesOnDisk = NO_CERTIFICATES,
    transferred: Transferred = NOT_TRANSFERRED,
    marks: Marks = NO_MARKS,
) -> str:
    """Return the Markdown of a run's records, with one section per group that compares.

    Files that cannot be read come first, because they may be missing below. Certificates come
    after the records.

    Args:
        found: the records.
        certified: the certificates.
        transferred: what ``robench transfer`` found in the run.
        marks: what ``robench verify`` found.
    """
    parts = [GENERATED, "", "# Results of this folder", ""]
    if found.damaged:
        parts += ["## Records that cannot be read", "", *reason_bullets(found.damaged), ""]
    if transferred.damaged is not None:
        name = code(RunFolder(Path()).transfer.name)
        parts += [f"The file {name} gives no flags. {paragraph(transferred.damaged)}", ""]
    future = future_remark(found.records)
    if future is not None:
        parts += ["## Dates in the future", "", paragraph(future), ""]
    known = shown_records(found.records)
    groups = comparable_groups(known)
    if not groups:
        parts += ["There are no records yet.", ""]
    for title, members in groups.items():
        admitted = newest_that_agree(members)
        # A pair is shown once, below the table with all substitutes.
        twins = [r for r in known.values() if r.protocol.unknown == "forbidden"]
        columns = _columns_of(admitted)
        lines = section(
            columns, admitted, level=3, variants=twins, transferred=transferred, marks=marks
        )
        parts += [f"## {markdown(title)}", "", *lines]
    made = sandwiches(certified.certificates.values(), known.values())
    parts += certified_table.markdown(made, list(certified.damaged.values()))
    return "\n".join([*parts, meanings_of_run(), ""])


def _columns_of(admitted: Admitted) -> Columns:
    return run_columns([*admitted.records.values(), *admitted.failed.values()])


def flags_of(
    records: Mapping[str, Record], transferred: Transferred = NOT_TRANSFERRED
) -> list[Flag]:
    """Return the flags of a run's tables.

    Args:
        records: file name -> record.
        transferred: what ``robench transfer`` found in the run.
    """
    groups = comparable_groups(shown_records(records)).values()
    return [
        flag
        for members in groups
        for flag in table_flags(newest_that_agree(members).records.values(), transferred)
    ]


def results_table(
    records: Sequence[Record] | Mapping[str, Record],
    width: int | None = None,
    transferred: Transferred = NOT_TRANSFERRED,
    marks: Marks | None = None,
) -> str:
    """Return the tables that a run prints, one per group of records that compare.

    Args:
        records: the records; with the names of their files, where these may be others than
            their own.
        width: columns of the terminal, or None for any width.
        transferred: what ``robench transfer`` found in the run.
        marks: what ``robench verify`` and the trials say. None: nothing is said of it.
    """
    if not isinstance(records, Mapping):
        records = {record.file_name: record for record in records}
    groups = comparable_groups(shown_records(records))
    tables = []
    for title, members in groups.items():
        heading = wrapped(title, width)
        admitted = newest_that_agree(members)
        table = terminal_table(_columns_of(admitted), admitted, width, transferred, marks)
        tables.append(f"{heading}\n{table}")
    return "\n\n".join(tables)
