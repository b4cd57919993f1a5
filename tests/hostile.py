"""Texts that someone may have put into a name to break a page, a table or a terminal."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

TEXTS: Final = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "closing tags": "</td></table></p></body><h1>owned</h1>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "comment": "--><!-- <b>",
    "heading": "# owned",
    "heading after a line": "a\n\n# owned\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "second line of a heading": "owned\n=====\n",
    "bar": "a | 99.9 | b",
    "bar behind a backslash": "a \\| 99.9 \\\\| b",
    "link": "[click](http://evil.example)",
    "reference": "[a]: http://evil.example 'title'",
    "image": "![x](https://evil.example/pixel.png)",
    "footnote": "[^1] and [^1]: text",
    "autolinks": "<http://evil.example> https://evil.example www.evil.example a@evil.example",
    "mention": "@octocat see #12, GH-12 and octocat/repo#12",
    "emphasis": "**bold** *em* __bold__ _em_ ~~gone~~ `code` ``more``",
    "formula": "$\\frac{1}{0}$ $$x$$ \\$",
    "open formula": "$\\frac{",
    "list": "- item",
    "numbered": "1. item",
    "task list": "[x] done",
    "quotation": "> quoted",
    "fence": "```\n</code>\n```",
    "rule": "---",
    "front matter": "x\n---\nlicense: mit\nmodel-index: []\n---\n# owned",
    "entity": "&lt;b&gt; &#35;",
    "backslash": "ends in \\",
    "colours": "\x1b[31mred\x1b[0m\x1b[2J\x1b[1;1H",
    "link of a terminal": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "title of a terminal": "\x1b]0;owned\x07",
    "C1": "\x9b31mred\x9d0;owned\x9c",
    "overwritten": "good\rbad \b\b\bworse\x7f",
    "lines": "a\nb\r\nc\x0bd\x0ce\x85f\u2028g\u2029h",
    "bidi": "\u202egnp.exe\u202c \u2066x\u2069 \u200f",
    "unseen": "a\u200bb\u200dc\ufeffd\u2060e\u00adf\u3164g\U000e0041h\ufe01",
    "stacked marks": "z" + "\u0301" * 60,
    "surrogate": "a\ud800b",
    "nul": "a\x00b",
    "spreadsheet": "=cmd|' /C calc'!A0",
    "markup of rich": "[bold red]x[/] :boom: [link=http://evil.example]y[/link]",
    "template": "{0} %s ${HOME} {self}",
    "shell": "$(touch owned); `touch owned` && 'x' \"y\"",
    "path": "../../etc/passwd",
    "long": "long " * 20_000,
}
"""What it tries -> the text."""

HOSTILE: Final = " ".join(text for name, text in TEXTS.items() if name != "long")
"""All of them in one text."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f]")


def controls(text: str) -> list[str]:
    """Return the control and bidi characters of a text, apart from line ends and tabs."""
    return _CONTROLS.findall(text)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(" ".join([tag, *(name for name, _ in attrs)]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"!{decl}")


def tags(page: str) -> list[str]:
    """Return the tags of an HTML page with the names of their attributes, in their order."""
    parser = _Tags()
    parser.feed(page)
    parser.close()
    return parser.found
