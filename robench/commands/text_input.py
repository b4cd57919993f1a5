"""The texts that ``robench attack`` gets: from its arguments or from standard input."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from robench._base.bounded_reading import MB, Bounds, Unreadable, check_length, read_stream
from robench._base.errors import UsageError

STDIN = "-"
"""The argument that means standard input."""
_STDIN = Bounds(size=64 * MB)


@dataclass(frozen=True)
class TextLine:
    """One text, or the two texts of a pair.

    Attributes:
        parts: the texts.
        number: its line in standard input, from 1; None for an argument.
    """

    parts: tuple[str, ...]
    number: int | None = None


def read_texts(text: str | None, pair: str | None) -> list[TextLine]:
    """Return the texts of a call.

    Args:
        text: the argument; ``"-"`` or None reads standard input, one text a line.
        pair: the second text of a pair.

    Raises:
        UsageError: there is no text, or standard input is not UTF-8 text.
    """
    if text is not None and text != STDIN:
        return [TextLine((text,) if pair is None else (text, pair))]
    if pair is not None:
        raise UsageError(
            "--pair belongs to a text on the command line. In standard input a tab separates the "
            "two texts of a pair."
        )
    if text is None and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError(
            'There is no text. Say robench attack "some text", or send one text a line into '
            "robench attack -."
        )
    return _lines()


def _lines() -> list[TextLine]:
    try:
        content = read_stream(sys.stdin.buffer, "standard input", _STDIN)
    except Unreadable as error:
        raise UsageError(
            f"Standard input cannot be read: {error.reason}. Send fewer texts at once."
        ) from error
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"Line {at} of standard input is not UTF-8 text. Convert it first, for example with "
            "iconv."
        ) from error
    if "\0" in decoded:
        at = decoded.count("\n", 0, decoded.index("\0")) + 1
        raise UsageError(f"Line {at} of standard input holds a NUL, so it is no text.")
    found = []
    for number, line in enumerate(decoded.split("\n"), start=1):
        # A line without a word has nothing to attack; most files end with one.
        if line.strip():
            check_length(line, f"Line {number} of standard input")
            found.append(TextLine(tuple(line.removesuffix("\r").split("\t")), number))
    if not found:
        raise UsageError("Standard input holds no text. Send one text a line.")
    return found


def fields_of_texts(lines: list[TextLine], fields: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the fields of each text by name.

    A victim of single texts reads a line with tabs as one text.

    Raises:
        UsageError: a text has another number of parts than the victim reads.
    """
    texts = []
    for line in lines:
        parts = line.parts
        if len(fields) == 1 and line.number is not None:
            parts = ("\t".join(parts),)
        if len(parts) != len(fields):
            where = "" if line.number is None else f"Line {line.number} of standard input: "
            raise UsageError(f"{where}{_wrong_number(len(parts), fields, line.number is None)}")
        texts.append(dict(zip(fields, parts, strict=True)))
    return texts


def _wrong_number(parts: int, fields: tuple[str, ...], argument: bool) -> str:
    names = " and ".join(fields)
    if len(fields) == 1:
        return f"this victim reads one text ({names}) and no pair. Leave --pair out."
    way = 'Add --pair "…".' if argument else "Separate the two by one tab."
    return f"this victim reads {len(fields)} texts ({names}), and there are {parts}. {way}"
