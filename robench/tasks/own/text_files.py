"""Text files of others: their encoding, their separator, and whether cells have quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from robench._base.bounded_reading import DATA, Unreadable, limit_of, raw_lines, read_bytes
from robench._base.errors import UsageError
from robench._base.regular_files import how_to_raise

_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_SEPARATORS = {".csv": ",;\t", ".tsv": "\t,;"}
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    Raises:
        UsageError: the file is empty or has another encoding; the sentence names it.
        Unreadable: the file cannot be read, or has more than 2 GB.
    """
    content = read_bytes(path, DATA)
    _check_beginning(path, content[:2000])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _no_utf8(path, content[error.start], line) from error
    if not text.strip():
        raise UsageError(f"The file {path} is empty.")
    return text


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each line that is not blank, from 1, and its text.

    Memory holds one line at a time, because a jsonl file may have gigabytes.

    Raises:
        UsageError, Unreadable: see ``read_text``; or a line has more than 16 MB.
    """
    # Not splitlines(): a JSON string may hold U+2028, which is no end of a line here.
    blank = True
    for number, line in enumerate(raw_lines(path, DATA), start=1):
        if line is None:
            longest = limit_of(DATA.line)
            raise Unreadable(
                path,
                f"line {number:,} has more than {longest:,} bytes; "
                f"{how_to_raise(longest + 1, longest)}",
            )
        if number == 1:
            _check_beginning(path, line[:2000])
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise _no_utf8(path, line[error.start], number) from error
        if text.strip():
            blank = False
            yield number, text
    if blank:
        raise UsageError(f"The file {path} is empty.")


def _check_beginning(path: Path, content: bytes) -> None:
    """Raise UsageError if the first bytes of a file are those of another encoding."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            raise _other_encoding(path, f"is {encoding}", encoding)
    # UTF-16 without a mark: in Latin text every second byte is zero.
    if b"\x00" in content:
        raise _other_encoding(path, "holds zero bytes, so it is UTF-16 or no text", "UTF-16")


def _no_utf8(path: Path, byte: int, line: int) -> UsageError:
    found = f"is not UTF-8 (byte 0x{byte:02x} in line {line:,})"
    return _other_encoding(path, f"{found}; cp1252 is likely", "CP1252")


def _other_encoding(path: Path, what: str, encoding: str) -> UsageError:
    return UsageError(
        f"The file {path} {what}. Save it as UTF-8 (in Excel: 'CSV UTF-8'), or convert it: "
        f"iconv -f {encoding} -t UTF-8 {path.name} > new{path.suffix}"
    )


def separator_of(text: str, suffix: str) -> tuple[str, tuple[str, ...]]:
    """Return the separator of a table, and a remark where it is not the usual one.

    The first line decides: the separator that its suffix stands for, or else another one that the
    line has.

    Args:
        text: the whole file.
        suffix: ``".csv"`` or ``".tsv"``.
    """
    header = next(line for line in text.splitlines() if line.strip())
    usual = _SEPARATORS[suffix][0]
    found = next((sign for sign in _SEPARATORS[suffix] if sign in header), usual)
    if found == usual:
        return found, ()
    return found, (f"The columns of the {suffix[1:]} file are separated by {_NAMES[found]}.",)


def uses_quotes(text: str) -> bool:
    """Return whether the cells of a tab-separated file stand in quotes where they need them.

    GLUE's files use no quotes, so that a quote is a part of the text. pandas and spreadsheets
    write quotes. A file counts as written with quotes if writing what was read gives the same file.
    It does not if a cell in quotes would have a line break although every line is a complete row.
    """
    if '"' not in text:
        return False
    lines = _without_blank_lines(text)
    try:
        rows = list(csv.reader(StringIO(text, newline=""), delimiter="\t", strict=True))
    except csv.Error:
        return False
    rows = [row for row in rows if row]
    cells = lines[0].count("\t")
    if all(line.count("\t") == cells for line in lines) and len(rows) < len(lines):
        return False
    for style in (csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC):
        written = StringIO(newline="")
        csv.writer(written, delimiter="\t", lineterminator="\n", quoting=style).writerows(rows)
        if _without_blank_lines(written.getvalue()) == lines:
            return True
    return False


def _without_blank_lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
