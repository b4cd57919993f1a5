"""Read what is in a file that a stranger may have made: bytes, text, lines, JSON and TOML.

``regular_files`` opens the files, and ``strict_documents`` parses JSON and TOML. Every error is one
``Unreadable`` sentence. This module offers the names of all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from robench._base.errors import UsageError
from robench._base.regular_files import (
    BY_HAND,
    DATA,
    DOCUMENT,
    GB,
    LINES,
    LISTING,
    MB,
    RECORD,
    TEXT,
    Bounds,
    Missing,
    NoRegularFile,
    Unreadable,
    decoded,
    how_to_raise,
    limit_of,
    open_bounded,
    why_not,
)
from robench._base.strict_documents import check_value, parse_json, parse_toml

__all__ = [
    "BY_HAND",
    "DATA",
    "DOCUMENT",
    "GB",
    "LINES",
    "LISTING",
    "MB",
    "RECORD",
    "TEXT",
    "Bounds",
    "Missing",
    "NoRegularFile",
    "Unreadable",
    "check_length",
    "check_value",
    "decoded",
    "json_lines",
    "limit_of",
    "open_bounded",
    "parse_json",
    "parse_toml",
    "raw_lines",
    "read_bytes",
    "read_json",
    "read_stream",
    "read_text",
    "read_toml",
    "stream_lines",
]


def read_bytes(path: Path, bounds: Bounds = DOCUMENT, inside: Path | None = None) -> bytes:
    """Return the bytes of a file; see ``regular_files.open_bounded``.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded``.
    """
    with open_bounded(path, bounds.size, inside) as stream:
        return read_stream(stream, path, bounds)


def read_stream(stream: BinaryIO, where: object, bounds: Bounds = DOCUMENT) -> bytes:
    """Return everything that is left in a stream, such as standard input.

    Raises:
        Unreadable: it holds more than ``bounds.size`` bytes, or reading failed.
    """
    limit = limit_of(bounds.size)
    try:
        # A file may have grown since its size was looked at.
        content = stream.read(limit + 1)
    except OSError as error:
        raise Unreadable(where, why_not(error)) from error
    if len(content) > limit:
        raise Unreadable(
            where, f"it has more than {limit:,} bytes; {how_to_raise(limit + 1, limit)}"
        )
    return content


def read_text(path: Path, bounds: Bounds = DOCUMENT, inside: Path | None = None) -> str:
    """Return the text of a UTF-8 file without a byte order mark; its line ends are kept.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded``; or the file is not UTF-8.
    """
    return decoded(read_bytes(path, bounds, inside), path)


def raw_lines(
    path: Path, bounds: Bounds = LINES, inside: Path | None = None
) -> Iterator[bytes | None]:
    """Yield the lines of a file without their newlines; None for a line that is too long.

    A last line without a newline is yielded too. Memory holds one line at a time.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded``.
    """
    with open_bounded(path, bounds.size, inside) as stream:
        for line, _ in stream_lines(stream, path, bounds):
            yield line


def stream_lines(
    stream: BinaryIO, where: object, bounds: Bounds = LINES
) -> Iterator[tuple[bytes | None, bool]]:
    """Yield each line of a stream without its newline, and whether it had one.

    A line of more than ``bounds.line`` bytes is None. It is yielded before its end is found, as if
    it had a newline.

    Raises:
        Unreadable: reading failed, or the stream holds more than ``bounds.size`` bytes.
    """
    longest, left = limit_of(bounds.line), limit_of(bounds.size)
    long = False
    try:
        while piece := stream.readline(longest + 1):
            left -= len(piece)
            if left < 0:
                limit = limit_of(bounds.size)
                raise Unreadable(
                    where, f"it has more than {limit:,} bytes; {how_to_raise(limit + 1, limit)}"
                )
            ended = piece.endswith(b"\n")
            if long:
                long = not ended
                continue
            long = not ended and len(piece) > longest
            yield (None, True) if long else (piece.removesuffix(b"\n"), ended)
    except OSError as error:
        raise Unreadable(where, why_not(error)) from error


def read_json(path: Path, bounds: Bounds = DOCUMENT, inside: Path | None = None) -> Any:
    """Return the value in a JSON file.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded`` and ``parse_json``.
    """
    return parse_json(read_bytes(path, bounds, inside), path, bounds)


def check_length(text: str, what: str, bounds: Bounds = TEXT) -> None:
    """Check the length of one text of a user.

    Raises:
        UsageError: it has more than ``bounds.text`` characters. ``what`` begins the sentence.
    """
    longest = limit_of(bounds.text)
    if len(text) > longest:
        raise UsageError(
            f"{what} has {len(text):,} characters, and the limit is {longest:,}. Cut it: a victim "
            f"reads a few hundred words. Or raise the limit: {how_to_raise(len(text), longest)}."
        )


def json_lines(
    path: Path, bounds: Bounds = LINES, inside: Path | None = None
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each line that is not blank, from 1, and its JSON value.

    Raises:
        Missing, Unreadable: see ``read_json``. The reason names the line.
    """
    with open_bounded(path, bounds.size, inside) as stream:
        for number, (line, _) in enumerate(stream_lines(stream, path, bounds), start=1):
            if line is None:
                limit = limit_of(bounds.line)
                reason = f"line {number:,} has more than {limit:,} bytes"
                raise Unreadable(path, f"{reason}; {how_to_raise(limit + 1, limit)}")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, _parse_line(line, number, path, bounds)


def _parse_line(line: bytes, number: int, path: Path, bounds: Bounds) -> Any:
    try:
        return parse_json(line, path, bounds)
    except Unreadable as error:
        reason = (
            error.reason.removeprefix("it ")
            .replace(" in line 1)", ")")
            .replace(" in line 1,", " in")
        )
        raise Unreadable(path, f"line {number:,} {reason}") from error


def read_toml(path: Path, bounds: Bounds = BY_HAND, inside: Path | None = None) -> dict[str, Any]:
    """Return the table in a TOML file.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded``; or the file is not TOML, or goes
            beyond the bounds.
    """
    return parse_toml(decoded(read_bytes(path, bounds, inside), path), path, bounds)
