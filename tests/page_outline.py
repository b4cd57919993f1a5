"""The outline of a page: what a reader meets, in its order, without styles and scripts."""

from __future__ import annotations

import json
from html.parser import HTMLParser

BLOCKS = {
    *("h1", "h2", "h3", "h4", "p", "li", "dt", "dd", "caption", "figcaption", "label", "option"),
    *("th", "td", "pre", "summary", "button", "title"),
}
"""Elements that each have a line."""
KEPT = (
    "id",
    "href",
    "aria-label",
    "aria-current",
    "role",
    "data-key",
    "data-sort",
    "scope",
    "title",
)
"""Attributes that are part of the outline."""
CHANGES = {"del": ("[-", "-]"), "ins": ("{+", "+}")}
"""Elements inside a line that are marked."""
HIDDEN = {"style", "script"}


class Outline(HTMLParser):
    """Collects the lines of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._text: list[str] = []
        self._within: list[str] = []
        self._chart = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line for a block, and for other elements with an attribute that counts."""
        known = {name: value for name, value in attrs if name in KEPT}
        if tag in HIDDEN:
            self._chart = ("type", "application/json") in attrs
            self._within.append(tag)
            self._text = []
            return
        if tag in CHANGES:
            self._text.append(CHANGES[tag][0])
        elif tag in BLOCKS or known:
            self._flush()
            told = "".join(f" {name}={value}" for name, value in known.items())
            self.lines.append(f"{tag}{told}")

    def handle_endtag(self, tag: str) -> None:
        """End a line, or a script; the data of a chart become a line of their own."""
        if tag in HIDDEN and self._within:
            self._within.pop()
            if self._chart:
                self.lines.append(f"chart {chart_line(''.join(self._text))}")
            self._text, self._chart = [], False
        elif tag in CHANGES:
            self._text.append(CHANGES[tag][1])
        elif tag in BLOCKS:
            self._flush()

    def handle_data(self, data: str) -> None:
        """Collect text."""
        if not self._within or self._chart:
            self._text.append(data)

    def _flush(self) -> None:
        text = " ".join("".join(self._text).split())
        if text and self.lines:
            self.lines[-1] += f": {text}"
        self._text = []


def chart_line(text: str) -> str:
    """Return what a chart draws: its marks, its channels and the number of its values."""
    spec = json.loads(text)
    layers = spec.get("layer", [spec])
    marks = [each["mark"]["type"] for each in layers]
    fields = {
        f"{channel} {each['field']}"
        for layer in [spec, *layers]
        for channel, each in layer.get("encoding", {}).items()
        if isinstance(each, dict) and "field" in each
    }
    number = len(spec["data"]["rows" if "rows" in spec["data"] else "values"])
    return f"{'+'.join(marks)}, {', '.join(sorted(fields))}, {number} values"


def outline(page: str) -> str:
    """Return the outline of a page, one line for each block."""
    reader = Outline()
    reader.feed(page)
    reader.close()
    return "\n".join(reader.lines) + "\n"
