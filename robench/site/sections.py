"""Sections of a table's Markdown as HTML, so that the site says what the Markdown says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from robench._base.escaping import Markdown
from robench.site.rendering import markdown_html

ON_RUN_PAGES = ("Every cell", "Accuracy under attack by")
"""Beginnings of headings whose tables stand on the pages of the rows."""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        id: its anchor.
        title: its heading.
        body: its HTML.
    """

    id: str
    title: str
    body: Markup


@dataclass(frozen=True)
class Split:
    """Markdown of a table, split at its headings.

    Attributes:
        notes: what stands before the first heading, without the table of all rows.
        sections: the rest.
    """

    notes: Markup
    sections: tuple[Section, ...]


def split(
    lines: Iterable[str],
    leave_out: Sequence[str] = ON_RUN_PAGES,
    label: str = "",
    shown_above: str = "",
) -> Split:
    """Split the Markdown of a table.

    No text of others can add a heading, because ``robench._base.escaping`` made the lines.

    Args:
        lines: the Markdown; the headings of its parts have level 2.
        leave_out: beginnings of headings whose parts are left out.
        label: what the names of the tables begin with, for a page with several of these.
        shown_above: a notice that the page shows before its table, and not again in the notes.
    """
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in "\n".join(lines).split("\n"):
        if line.startswith("## "):
            parts.append((line.removeprefix("## "), []))
        else:
            parts[-1][1].append(line)
    (_, first), *rest = parts
    notes = [line for line in first if not line.startswith("|") and line != f"> {shown_above}"]
    kept = [(title, body) for title, body in rest if not title.startswith(tuple(leave_out))]
    found = (Section(anchor(t), t, _html(body, f"{label}{t}, table")) for t, body in kept)
    return Split(_html(notes, f"{label}notes, table"), tuple(found))


def anchor(title: str) -> str:
    """Return the anchor of a heading: its letters and digits, with hyphens between the words."""
    letters = "".join(each if each.isalnum() else " " for each in title.lower())
    return "-".join(letters.split())


def _html(lines: Sequence[str], label: str) -> Markup:
    return markdown_html(Markdown("\n".join(lines)), label=label)
