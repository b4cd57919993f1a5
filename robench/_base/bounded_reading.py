"""Read what is in a file that a stranger may have made: bytes, text, lines, JSON and TOML.

``regular_files`` opens the files. What the standard library lets through is refused here: repeated
keys, NaN and infinity, numbers of thousands of digits, deep nesting, and halves of characters (lone
surrogates). Every error is one ``Unreadable`` sentence.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from robench._base.errors import first_line
from robench._base.regular_files import (
    DATA,
    DOCUMENT,
    LINES,
    LISTING,
    RECORD,
    SETTINGS,
    Bounds,
    Missing,
    Unreadable,
    how_to_raise,
    limit_of,
    open_bounded,
    why_not,
)

__all__ = [
    "DATA",
    "DOCUMENT",
    "LINES",
    "LISTING",
    "RECORD",
    "SETTINGS",
    "Bounds",
    "Missing",
    "Unreadable",
    "check_value",
    "decoded",
    "json_lines",
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


def decoded(content: bytes, where: object) -> str:
    """Return UTF-8 bytes as text, without a byte order mark.

    Raises:
        Unreadable: the bytes are not UTF-8. The reason names the line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x} in line {line:,}"
        raise Unreadable(where, f"it is not UTF-8 text ({found})") from error


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

    A line of more than ``bounds.line`` bytes is None.

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
            if not ended and len(piece) > longest:
                long = True
                continue
            yield None if long else piece.removesuffix(b"\n"), ended
            long = False
    except OSError as error:
        raise Unreadable(where, why_not(error)) from error
    if long:
        yield None, False


def read_json(path: Path, bounds: Bounds = DOCUMENT, inside: Path | None = None) -> Any:
    """Return the value in a JSON file.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded`` and ``parse_json``.
    """
    return parse_json(read_bytes(path, bounds, inside), path, bounds)


def parse_json(content: bytes | str, where: object, bounds: Bounds = DOCUMENT) -> Any:
    """Return the value of a JSON text.

    Args:
        content: the text; a byte order mark is dropped.
        where: what the text is, for the error.
        bounds: ``text``, ``depth`` and ``digits`` are checked, not ``size``.

    Raises:
        Unreadable: it is not JSON, or goes beyond the bounds.
    """
    text = decoded(content, where) if isinstance(content, bytes) else content
    try:
        return _parse(text, bounds)
    except RecursionError as error:
        raise Unreadable(where, _too_deep(bounds)) from error
    except ValueError as error:
        raise Unreadable(where, _json_reason(error)) from error


def check_value(value: Any, where: object, bounds: Bounds) -> None:
    """Check a value that was read with wider bounds.

    Raises:
        Unreadable: it goes beyond ``text``, ``depth``, ``digits`` or ``largest`` of ``bounds``.
    """
    try:
        _check(value, bounds)
    except _Refused as error:
        raise Unreadable(where, str(error)) from error


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
        reason = error.reason.removeprefix("it ").replace(" in line 1)", ")")
        raise Unreadable(path, f"line {number:,} {reason}") from error


def read_toml(path: Path, bounds: Bounds = SETTINGS, inside: Path | None = None) -> dict[str, Any]:
    """Return the table in a TOML file.

    Raises:
        Missing, Unreadable: see ``regular_files.open_bounded``; or the file is not TOML, or goes
            beyond the bounds.
    """
    return parse_toml(decoded(read_bytes(path, bounds, inside), path), path, bounds)


def parse_toml(text: str, where: object, bounds: Bounds = SETTINGS) -> dict[str, Any]:
    """Return the table of a TOML text.

    Raises:
        Unreadable: it is not TOML, or goes beyond the bounds.
    """
    # tomllib needs time that grows with the square of the parts of a dotted key.
    longest = limit_of(bounds.line)
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > longest:
            reason = f"line {number:,} has {len(line):,} characters, and the limit is {longest:,}"
            raise Unreadable(where, f"{reason}; {how_to_raise(len(line), longest)}")
    try:
        table = tomllib.loads(text.replace("\r\n", "\n"), parse_float=lambda s: _float(s, bounds))
        _check(table, bounds)
    except RecursionError as error:
        raise Unreadable(where, _too_deep(bounds)) from error
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(where, f"it is not valid TOML ({first_line(error)})") from error
    except _Refused as error:
        raise Unreadable(where, str(error)) from error
    except ValueError as error:
        # Python refuses to convert thousands of digits.
        raise Unreadable(where, "it holds a number of thousands of digits") from error
    return table


class _Refused(ValueError):
    """Something that is valid in its format but that robench does not read."""


def _parse(text: str, bounds: Bounds) -> Any:
    value = json.loads(
        text,
        object_pairs_hook=_object,
        parse_constant=_constant,
        parse_int=lambda digits: _int(digits, bounds),
        parse_float=lambda digits: _float(digits, bounds),
    )
    _check(value, bounds)
    return value


def _json_reason(error: ValueError) -> str:
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON: {error.msg} in line {error.lineno:,}, column {error.colno:,}"
    return f"it is not JSON: {first_line(error)}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise _Refused(f"it holds the key {_shown(twice)} twice in one object")
    return value


def _constant(name: str) -> NoReturn:
    raise _Refused(f"it holds {name}, which is no number")


def _int(digits: str, bounds: Bounds) -> int:
    if len(digits) > bounds.digits:
        raise _Refused(f"it holds a number of {len(digits):,} digits")
    return int(digits)


def _float(digits: str, bounds: Bounds) -> float:
    if len(digits) > bounds.digits:
        raise _Refused(f"it holds a number of {len(digits):,} digits")
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused(f"it holds {digits}, which is no finite number")
    return value


def _too_deep(bounds: Bounds) -> str:
    return f"its lists or objects lie more than {bounds.depth} deep in each other"


def _check(value: Any, bounds: Bounds) -> None:
    """Raise _Refused where a value goes beyond the bounds on depth, strings and numbers.

    It does not call itself: a deep value must not use up the stack.
    """
    longest = limit_of(bounds.text)
    level: list[Any] = [value]
    for _ in range(bounds.depth + 1):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                for key in each:
                    _check_text(key, longest)
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
            elif isinstance(each, str):
                _check_text(each, longest)
            elif isinstance(each, (int, float)):
                _check_number(each, bounds)
        if not inner:
            return
        level = inner
    raise _Refused(_too_deep(bounds))


def _check_number(number: float, bounds: Bounds) -> None:
    if isinstance(number, int) and number.bit_length() > 4 * bounds.digits:
        raise _Refused(f"it holds a number of more than {bounds.digits} digits")
    if abs(number) > bounds.largest:
        raise _Refused(f"it holds the number {number:g}, and the limit is {bounds.largest:g}")


def _check_text(text: str, longest: int) -> None:
    if len(text) > longest:
        raise _Refused(
            f"it holds a text of {len(text):,} characters, and the limit is {longest:,}; "
            f"{how_to_raise(len(text), longest)}"
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = ord(text[error.start])
            raise _Refused(
                f"it holds half a character (the lone surrogate \\u{half:04x})"
            ) from error


def _shown(key: str) -> str:
    return repr(key if len(key) <= 40 else f"{key[:40]}…")
