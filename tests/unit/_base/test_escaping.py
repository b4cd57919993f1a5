from __future__ import annotations

import html as html_library
import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hostile import HOSTILE, TEXTS, controls
from markdown_it import MarkdownIt
from markdown_it.token import Token

from robench._base import escaping
from robench._base.escaping import (
    MESSAGE,
    NAME,
    Markdown,
    cell,
    code,
    figure_text,
    html,
    json_text,
    markdown,
    one_line,
    prose,
    shown_data,
    strong,
    terminal,
    terminal_lines,
    visible,
)

EVERY = [pytest.param(text, id=name) for name, text in TEXTS.items()] + [
    pytest.param(HOSTILE, id="all")
]
PLAIN = {"paragraph_open", "paragraph_close", "inline"}
HONEST = [
    "standard",
    "rift(alpha=0.1, beta=1.0, learning_rate=0.0005)",
    "pwws@held-out",
    "pwws@set.json",
    "pwws*: not bound by the language model, so it may use substitutes",
    "78.5 ± 1.2 [75.1, 81.2]",
    "-1.2 [-3.0, +0.6]",
    "+1.2",
    "p < 0.001",
    "mean ± deviation [interval at the mean for n examples, not for other trainings].",
    "'--unknown forbidden' removes the unknown substitutes.",
    "saturated on 3 of 10 examples",
    "max_length & co",
    "I(S; T | Y)",
    "naïve café 中文 العربية हिन्दी 👩‍👩‍👧 🏳️‍🌈 1️⃣",
    "—",
]


def tokens(text: str) -> list[Token]:
    """Return all tokens of a Markdown text, those inside of lines as well."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return [each for block in parser.parse(text) for each in (block, *(block.children or ()))]


def read(text: str) -> str:
    """Return what a reader of rendered Markdown sees."""
    return "".join(
        each.content
        for each in tokens(text)
        if each.type in ("text", "text_special", "code_inline")
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(f"{tag} {attrs}")

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"!{data}")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"!{decl}")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", EVERY)
def test_markdown_of_any_text_is_text_only(text: str) -> None:
    found = tokens(f"{markdown(text)}\n")
    assert {each.type for each in found} <= PLAIN | {"text", "text_special"}
    # A reader sees the text: the characters, the unseen ones as Python writes them.
    assert read(markdown(text)).replace("\u200b", "") == terminal(text).strip()


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("frame", ["- {}", "> {}", "before {} after", "{}: {}", "# {}"])
def test_markdown_stays_text_inside_of_a_line(text: str, frame: str) -> None:
    shown = frame.format(*[markdown(text)] * frame.count("{}"))
    plain = frame.format(*["x"] * frame.count("{}"))
    assert _structure(shown) == _structure(plain)


def _structure(text: str) -> list[str]:
    """Return the types of the tokens; neighbouring texts count as one."""
    types = ["text" if t.type == "text_special" else t.type for t in tokens(text)]
    return [each for place, each in enumerate(types) if place == 0 or each != types[place - 1]]


@pytest.mark.parametrize("text", EVERY)
def test_a_cell_of_a_table_stays_one_cell(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {cell(text)} | 1 |\n| 2 | {cell(text)} |\n"
    plain = "| a | b |\n|---|---|\n| x | 1 |\n| 2 | x |\n"
    assert _structure(table) == _structure(plain)
    shown = terminal(text).strip()
    cells = [each for each in tokens(table) if each.type == "inline"]
    seen = "".join(child.content for child in cells[2].children or ()).replace("\u200b", "")
    assert seen == shown


@pytest.mark.parametrize("text", EVERY)
def test_bold_text_and_code_stay_what_they_are(text: str) -> None:
    bold = {each.type for each in tokens(strong(text))} - {"text_special"}
    assert bold <= PLAIN | {"text", "strong_open", "strong_close"}
    assert len([each for each in tokens(strong(text)) if each.type == "strong_open"]) == 1
    coded = [each.type for each in tokens(f"{code(text)}: x") if each.type not in PLAIN]
    assert coded == ["code_inline", "text"]


@pytest.mark.parametrize("text", EVERY)
def test_prose_holds_paragraphs_and_code_only(text: str) -> None:
    found = {each.type for each in tokens(prose(text))} - {"text_special"}
    assert found <= PLAIN | {"text", "softbreak", "code_inline"}


def test_prose_keeps_code_spans_and_paragraphs() -> None:
    text = "Made by `robench evaluate --defense rift`, not *by hand*.\n\n`x` # 1 [a](b)"
    assert prose(text) == (
        "Made by `robench evaluate --defense rift`, not \\*by hand*.\n\n`x` # 1 \\[a\\](b)"
    )


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_stays_byte_by_byte(text: str) -> None:
    assert markdown(text) == text
    assert terminal(text) == text
    assert one_line(text) == text
    assert html_library.unescape(html(text)) == text
    assert json_text(json.dumps(text, ensure_ascii=False)) == json.dumps(text, ensure_ascii=False)


def test_what_github_would_link_is_not_linked() -> None:
    text = "@octocat #12 a/b#3 GH-4 http://x.org www.x.org me@x.org pwws@held-out"
    assert markdown(text) == (
        "@&#8203;octocat #&#8203;12 a/b#&#8203;3 GH-&#8203;4 http:&#8203;//x.org www&#8203;.x.org "
        "me@&#8203;x.org pwws@held-out"
    )


def test_markdown_is_escaped_once() -> None:
    once = markdown("*a*")
    assert markdown(once) == once == "\\*a*"
    assert cell(cell("a|b")) != cell("a|b")  # so a table escapes its cells itself, and only once
    # Text that was put together without care is escaped again.
    assert not isinstance(f"{Markdown('**a**')}", Markdown)


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("lines", [False, True])
def test_html_has_no_tag_and_no_attribute_of_the_text(text: str, lines: bool) -> None:
    shown = html(text, lines=lines)
    parser = _Tags()
    parser.feed(f'<p title="{shown}">{shown}</p>')
    parser.close()
    (opened, closed) = parser.found
    seen = parser.text
    assert opened == f"p {[('title', seen)]}"
    assert closed == "/p"
    assert not controls(seen)
    assert ("\n" in seen) == (lines and "\n" in text)


@pytest.mark.parametrize("text", EVERY)
def test_a_terminal_gets_one_line_without_controls(text: str) -> None:
    for shown in (terminal(text), one_line(text)):
        assert shown.splitlines() == [shown]
        assert not controls(shown)
        assert "\t" not in shown
        shown.encode()  # no lone surrogate
    assert not controls(terminal_lines(text))
    terminal_lines(text).encode()


def test_unseen_characters_are_written_as_python_writes_them() -> None:
    assert terminal("a\x1b[1mb\nc\u202ed\U000e0041\t") == "a\\x1b[1mb\\nc\\u202ed\\U000e0041\\t"
    assert terminal_lines("a\x07\n\tb") == "a\\x07\n\tb"
    assert one_line("  a\n\n b\t\x07 ") == "a b \\x07"


def test_marks_pile_up_to_four_only() -> None:
    assert visible("e" + "\u0301" * 6) == "e" + "\u0301" * 4 + "\\u0301" * 2


@pytest.mark.parametrize(
    ("function", "limit"), [(markdown, MESSAGE), (terminal, MESSAGE), (one_line, MESSAGE)]
)
def test_a_long_text_is_cut_and_says_so(function: Any, limit: int) -> None:
    kept = "x" * limit
    assert function(kept) == kept
    assert function(kept + "yz") == f"{kept}… ({limit + 2:,} characters)"
    assert function("x" * 500, NAME) == f"{'x' * NAME}… (500 characters)"


@pytest.mark.parametrize("character", ["\U000e0041", "\x00", "<", "*", "@a ", " \n"])
@pytest.mark.parametrize("function", [markdown, terminal, one_line, html, code, prose, figure_text])
def test_ten_million_characters_stay_small(function: Any, character: str) -> None:
    shown = function(character * (10_000_000 // len(character)))
    assert len(shown) < 12 * escaping.TEXT


class _Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_cannot_be_written_gives_its_class() -> None:
    assert one_line(_Broken()) == "_Broken"
    assert one_line(ValueError("a\nb")) == "a b"


@pytest.mark.parametrize("text", EVERY)
def test_json_means_the_same_and_shows_no_control(text: str) -> None:
    data = {text[:1000]: [text[:1000], 1]}
    shown = json_text(json.dumps(data, ensure_ascii=False, indent=1))
    assert json.loads(shown) == data
    assert not controls(shown)
    assert len(shown.splitlines()) == len(json.dumps(data, indent=1).splitlines())
    shown.encode()


def test_a_figure_has_no_formula_and_leaves_no_name_out() -> None:
    assert figure_text("$a$") == "\\$a\\$"
    assert figure_text("_hidden") == " _hidden"


def test_data_are_shown_with_their_structure() -> None:
    data = {"a\n": ["b\x1b", 1, None, ("c", True)]}
    assert shown_data(data) == {"a\\n": ["b\\x1b", 1, None, ["c", True]]}
