"""Tests of the texts that ``robench attack`` gets."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from robench._base.errors import UsageError
from robench.commands.text_input import TextLine, fields_of_texts, read_texts

Send = Callable[..., None]
PAIR = ("premise", "hypothesis")


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Send:
    """Return a function that sets standard input."""

    def put(content: bytes, terminal: bool = False) -> None:
        stream = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: terminal)
        monkeypatch.setattr(sys, "stdin", stream)

    return put


def test_an_argument_is_one_text_as_it_is() -> None:
    assert read_texts(" a\tb\n", None) == [TextLine((" a\tb\n",))]
    assert read_texts("a", "b") == [TextLine(("a", "b"))]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"one\ntwo\n", [TextLine(("one",), 1), TextLine(("two",), 2)]),
        (b"\xef\xbb\xbfone\r\n\r\n \ntwo", [TextLine(("one",), 1), TextLine(("two",), 4)]),
        (b"a\tb\n", [TextLine(("a", "b"), 1)]),
        ("é\u2028b\n".encode(), [TextLine(("é\u2028b",), 1)]),
    ],
)
def test_every_line_with_a_word_is_a_text(
    send: Send, content: bytes, lines: list[TextLine]
) -> None:
    send(content)
    assert read_texts("-", None) == lines


def test_a_terminal_without_a_text_is_asked_for_one(send: Send) -> None:
    send(b"", terminal=True)
    with pytest.raises(UsageError, match="There is no text"):
        read_texts(None, None)


def test_fields_get_their_names() -> None:
    assert fields_of_texts([TextLine(("a", "b"), 1)], PAIR) == [{"premise": "a", "hypothesis": "b"}]
    assert fields_of_texts([TextLine(("a", "b"), 1)], ("text",)) == [{"text": "a\tb"}]


@pytest.mark.parametrize(
    ("line", "fields", "sentence"),
    [
        (TextLine(("a",)), PAIR, r'and there are 1\. Add --pair "…"\.'),
        (TextLine(("a",), 3), PAIR, r"^Line 3 of standard input: .* Separate the two by one tab"),
        (TextLine(("a", "b", "c"), 1), PAIR, "and there are 3"),
        (TextLine(("a", "b")), ("text",), r"no pair\. Leave --pair out"),
    ],
)
def test_a_wrong_number_of_texts_is_told(
    line: TextLine, fields: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        fields_of_texts([line], fields)
