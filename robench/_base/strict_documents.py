"""Parse JSON and TOML of strangers, more strictly than the standard library does.

Refused are repeated keys, NaN and infinity, numbers of thousands of digits, deep nesting, and
halves of characters (lone surrogates).
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from typing import Any, NoReturn

from robench._base.errors import first_line
from robench._base.regular_files import (
    BY_HAND,
    DOCUMENT,
    Bounds,
    Unreadable,
    decoded,
    how_to_raise,
    limit_of,
)


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


def parse_toml(text: str, where: object, bounds: Bounds = BY_HAND) -> dict[str, Any]:
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
        raise Unreadable(where, f"it is not valid TOML: {first_line(error)}") from error
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
        parse_constant=_constant if bounds.finite else float,
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
    if bounds.finite and not math.isfinite(value):
        raise _Refused(f"it holds {digits}, which is no finite number")
    return value


def _too_deep(bounds: Bounds) -> str:
    return f"it nests lists or objects more than {bounds.depth} deep"


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
