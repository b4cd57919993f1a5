"""Text of others made harmless: for Markdown, HTML, terminals, figures and JSON.

Names, labels, messages and texts come from plugins, records, models and data. Whoever wrote them
may have put in control codes, markup, or ten million characters. Every place that shows such a text
passes it through one of these functions, as late as possible:

- ``one_line`` for a message in a sentence,
- ``markdown``, ``cell``, ``code``, ``strong`` and ``prose`` for Markdown,
- ``html`` for HTML,
- ``terminal`` and ``terminal_lines`` for a terminal,
- ``figure_text`` for the texts of a figure,
- ``json_text`` for a JSON document that a terminal may show.

Characters that cannot be seen are shown as Python writes them: ``\\x1b``, ``\\n``, ``\\u202e``.
A text that is too long ends in ``…`` and its whole length. Nothing is cut silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any, Final

NAME: Final = 200
"""Characters of a name or a label that are shown. The labels of the built-in methods are shorter,
also with all of their options."""
MESSAGE: Final = 4_000
"""Characters of a message or a sentence that are shown."""
TEXT: Final = 100_000
"""Characters of a text of data that are shown, or of a paragraph."""
FIGURE: Final = 120
"""Characters of a name that a figure shows."""

_BREAK = "&#8203;"
"""A space of no width, as an entity: it keeps GitHub from making a link or a mention."""
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# Controls, format characters, fillers, bidi controls, tags, lone surrogates and noncharacters.
_UNSEEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
# Four marks on one letter are enough for every language. More of them cover the lines around.
_HIDDEN = re.compile(f"[{_UNSEEN}]|(?<=[{_MARKS}]{{4}})[{_MARKS}]")
_JOINERS = "\u200c\u200d"
_SELECTORS = "\ufe0e\ufe0f"


def text_of(thing: object) -> str:
    """Return ``str(thing)``, or the name of its class where a plugin's ``__str__`` fails."""
    try:
        return str(thing)
    except Exception:
        return type(thing).__name__


def visible(text: str, keep: str = "") -> str:
    """Return ``text`` with every character that cannot be seen written as Python writes it.

    Joiners and variation selectors stay inside emoji and inside the scripts that need them.

    Args:
        text: any text.
        keep: characters that stay, such as line ends.
    """
    if text.isascii() and text.isprintable():
        return text

    def shown(found: re.Match[str]) -> str:
        character = found[0]
        return character if character in keep or _is_needed(found) else _written(character)

    return _HIDDEN.sub(shown, text)


def _is_needed(found: re.Match[str]) -> bool:
    """Return whether a joiner or a selector stands where a script or an emoji needs it."""
    character = found[0]
    before, after = _around(found)
    if character in _JOINERS:
        return bool(before) and bool(after) and before >= "\u0590" and after >= "\u0590"
    if character in _SELECTORS:
        return before >= "\xa9" or (before in {*"#*0123456789"} and after == "\u20e3")
    return False


def _around(found: re.Match[str]) -> tuple[str, str]:
    """Return the characters before and after a match; empty at the ends of the text."""
    start, end = found.span()
    return found.string[max(0, start - 1) : start], found.string[end : end + 1]


def _written(character: str) -> str:
    number = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shorten(text: str, limit: int) -> str:
    """Return ``text``, or its beginning with ``…`` and the whole length.

    Args:
        text: any text.
        limit: characters that are shown.
    """
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def _bounded(text: object, limit: int, keep: str = "") -> str:
    """Return what a reader sees of ``text``: at most ``limit`` characters, all of them visible."""
    raw = text_of(text)
    return _seen(shorten(raw, limit), limit, len(raw), keep)


def _seen(text: str, limit: int, whole: int, keep: str = "") -> str:
    """Return ``text`` visible, and cut once more where that made it much longer."""
    shown = visible(text, keep)
    return shown if len(shown) <= 2 * limit else f"{shown[:limit]}… ({whole:,} characters)"


def one_line(text: object, limit: int = MESSAGE) -> str:
    """Return a message on one line: line ends and runs of blanks become one blank.

    Args:
        text: a message, or an exception.
        limit: characters that are shown.
    """
    raw = text_of(text)
    # A message of many megabytes is not worked through; blanks take no more than this.
    words = " ".join(raw[: 16 * limit].split())
    if len(raw) > 16 * limit or len(words) > limit:
        words = f"{words[:limit]}… ({len(raw):,} characters)"
    return _seen(words, limit, len(raw))


def terminal(text: object, limit: int = MESSAGE) -> str:
    """Return a text for one line of a terminal. Line ends are shown as ``\\n``.

    Args:
        text: a name, a label or a sentence.
        limit: characters that are shown.
    """
    return _bounded(text, limit)


def terminal_lines(text: str) -> str:
    """Return several lines for a terminal. Their line ends and tabs stay, and nothing is cut.

    It is the last step before a terminal. The parts of the lines have gone through ``terminal``.
    """
    return visible(text, keep="\n\t")


def html(text: object, limit: int = TEXT, *, lines: bool = False) -> str:
    """Return a text for HTML, between tags or in a quoted attribute.

    Args:
        text: any text.
        limit: characters that are shown.
        lines: whether line ends and tabs stay.
    """
    return escape(_bounded(text, limit, "\n\t" if lines else ""), quote=True)


def figure_text(text: object, limit: int = FIGURE) -> str:
    """Return a text for a figure of matplotlib: no formula, and no name that a legend leaves out.

    Args:
        text: a name or a label.
        limit: characters that are shown.
    """
    shown = _bounded(text, limit).replace("$", "\\$")
    return f" {shown}" if shown.startswith("_") else shown


def json_text(text: str) -> str:
    """Return a JSON document in which every character that cannot be seen is written ``\\uXXXX``.

    The document means the same. Outside of its strings JSON has no such character but line ends.
    """

    def written(character: str) -> str:
        units = character.encode("utf-16-be", "surrogatepass")
        pairs = [units[start : start + 2].hex() for start in range(0, len(units), 2)]
        return "".join(f"\\u{pair}" for pair in pairs)

    return _spelled(text, written)


def toml_text(text: str) -> str:
    """Return a quoted string of TOML in which no character is unseen; it means the same."""
    return _spelled(text, lambda character: f"\\U{ord(character):08x}")


def _spelled(text: str, written: Callable[[str], str]) -> str:
    """Return ``text`` with its unseen characters as ``written``, apart from line ends and tabs."""

    def spell(found: re.Match[str]) -> str:
        kept = found[0] in "\n\r\t" or _is_needed(found)
        return found[0] if kept else written(found[0])

    return text if text.isascii() and "\x7f" not in text else _HIDDEN.sub(spell, text)


class Markdown(str):
    """Text that is Markdown already. The functions of this module leave it as it is.

    Joining it with ordinary text by an f-string gives ordinary text, which is escaped again. So a
    mistake is seen on the page and does no harm.
    """

    __slots__ = ()


_PUNCTUATION = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_MARKUP = re.compile(
    rf"""
    (?P<scheme>(?i:https?|ftp):)(?=//)
    | (?P<www>(?i:\bwww))(?=\.)
    | (?P<mention>(?<!\w)@(?=\w)|@(?=[\w-]+\.\w)(?![\w.-]*\.json))
    | (?P<issue>\#(?=\d)|(?i:\bgh-)(?=\d))
    | (?P<entity>[~$]|<(?=[A-Za-z/!?]|$)|&(?=\#?\w+;))
    | (?P<inert>\[(?![\^\s]*\])(?!\^)[^\[\]]*\](?![(\[:]))
    | (?P<star>\*)
    | (?P<underscore>_+)
    | (?P<slash>[\[\]`]|\\(?=[{_PUNCTUATION}]|$))
    """,
    re.VERBOSE,
)
_BARE_STAR = re.compile(r"(?<!\\)[*]")
_ENTITIES = {"<": "&lt;", "&": "&amp;", "~": "&#126;", "$": "&#36;"}
_BRACKETED = re.compile(r"\[(?:[xX]\](?:\s|$)|[^\[\]]*\]$)")
# What begins a block: a heading, a list, a quotation, a line, a table.
_BLOCK = re.compile(r"^(?:(?P<number>\d{1,9})(?=[.)](?:\s|$))|(?=[#>|]|[-+=](?:[-+=\s]|$)))")


def markdown(text: object, limit: int = MESSAGE) -> Markdown:
    """Return a text of one line for Markdown. It is no heading, list, link, image, HTML or mention.

    Honest text mostly stays byte by byte as it is, also ``pwws*`` and ``80.0 [70.1, 87.2]``.

    Args:
        text: a name, a label or a sentence. A ``Markdown`` is returned as it is.
        limit: characters that are shown.
    """
    if isinstance(text, Markdown):
        return text
    escaped = _MARKUP.sub(_neutral, _bounded(text, limit).strip())
    # Before a colon, a text in brackets would define a link. "[x]" would be a box to tick.
    if _BRACKETED.match(escaped):
        escaped = f"\\{escaped}"
    return Markdown(_BLOCK.sub(_no_block, escaped))


def _no_block(found: re.Match[str]) -> str:
    return "\\" if found["number"] is None else f"{found['number']}\\"


def _neutral(found: re.Match[str]) -> str:
    """Return what stands for a piece of markup."""
    piece = found[0]
    match found.lastgroup:
        case "scheme" | "www" | "mention" | "issue":
            return f"{piece}{_BREAK}"
        case "entity":
            return _ENTITIES[piece]
        case "inert":
            return f"[{_MARKUP.sub(_neutral, piece[1:-1])}]"
        case "star":
            return piece if _is_mark(found) else "\\*"
        case "underscore":
            return piece if _is_inside_word(found) else "\\_" * len(piece)
        case _:
            return f"\\{piece}"


def _is_mark(found: re.Match[str]) -> bool:
    """Return whether a star stands behind a word, as the mark of a column does: ``pwws*``."""
    before, after = _around(found)
    return bool(before) and not before.isspace() and before != "*" and after in " ,:;.)"


def _is_inside_word(found: re.Match[str]) -> bool:
    before, after = _around(found)
    return before.isalnum() and after.isalnum()


def cell(text: object, limit: int = MESSAGE) -> Markdown:
    """Return a text for a cell of a Markdown table, where a bar would end the cell."""
    return Markdown(markdown(text, limit).replace("|", "\\|"))


def strong(text: object, limit: int = MESSAGE) -> Markdown:
    """Return a text in bold for Markdown."""
    inner = _BARE_STAR.sub(r"\\*", markdown(text, limit))
    return Markdown(f"**{inner}**")


def code(text: object, limit: int = NAME) -> Markdown:
    """Return a text as a code span for Markdown.

    Args:
        text: a name, a file or a hash.
        limit: characters that are shown.
    """
    shown = _bounded(text, limit)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    edge = " " if longest or not shown.strip() or shown[0] == shown[-1] == " " else ""
    return Markdown(f"{fence}{edge}{shown or ' '}{edge}{fence}")


_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def prose(text: object, limit: int = TEXT) -> Markdown:
    """Return paragraphs that a person wrote, for Markdown. Code spans work, other markup does not.

    Args:
        text: the text. A blank line separates paragraphs.
        limit: characters that are shown.
    """
    lines = shorten(text_of(text), limit).splitlines()
    return Markdown("\n".join(_prose_line(line.strip()) for line in lines))


def _prose_line(line: str) -> str:
    """Return one line. Every second piece is the inside of a code span."""
    pieces = _CODE.split(line)
    shown = [
        code(piece, TEXT) if number % 2 else _inner(piece, first=number == 0)
        for number, piece in enumerate(pieces)
    ]
    return "".join(shown)


def _inner(piece: str, *, first: bool) -> str:
    """Return a piece of a line with the blanks at its ends."""
    before = piece[: len(piece) - len(piece.lstrip())]
    after = piece[len(piece.rstrip()) :] if piece.strip() else ""
    # A piece that does not begin its line begins no block. A full stop before it shows that.
    body = markdown(piece, TEXT) if first else markdown(f".{piece.strip()}", TEXT)[1:]
    return f"{before}{body}{after}"


def shown_data(value: Any) -> Any:
    """Return plain data in which every text, also of keys, is as ``terminal`` shows it.

    Args:
        value: texts, numbers, lists, tuples and dictionaries, also nested.
    """
    if isinstance(value, str):
        return terminal(value)
    if isinstance(value, dict):
        return {shown_data(key): shown_data(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown_data(each) for each in value]
    return value
