"""Make HTML from templates. Every text of others is escaped, whatever a template forgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from jinja2.utils import htmlsafe_json_dumps
from markdown_it import MarkdownIt
from markupsafe import Markup

from robench._base.escaping import TEXT, Markdown, html, shown_data
from robench.site import bundled

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """Return the environment of all templates.

    Each value goes through robench's own escaper, which also shows control characters and bounds
    the length. ``autoescape`` would escape what that step left out.
    """
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["script_data"] = script_data
    made.filters["chart_data"] = chart_data
    made.filters["markdown"] = markdown_html
    made.globals["licenses"] = bundled.text_of(bundled.LICENSES)
    return made


def render(template: str, **values: Any) -> str:
    """Return the page that a template makes from ``values``."""
    return environment().get_template(template).render(**values)


def _escaped(value: object) -> object:
    if isinstance(value, Undefined):
        return str(value)  # raises an error that names what the template lacks
    return value if isinstance(value, Markup) else Markup(html(value, lines=True))


def script_data(value: Any) -> Markup:
    """Return data as JSON for the inside of ``<script type="application/json">``.

    No text in it can end the script: ``<``, ``>``, ``&`` and ``'`` are written ``\\uXXXX``.

    Raises:
        ValueError: a number is not finite.
    """
    return htmlsafe_json_dumps(
        shown_data(value), dumps=json.dumps, allow_nan=False, separators=(",", ":")
    )


def chart_data(spec: Mapping[str, Any]) -> Markup:
    """Return a specification of Vega-Lite as JSON for the inside of a script.

    Values that all have the same fields become ``{"fields": [...], "rows": [[...], ...]}``, which
    takes half of the space. ``site.js`` makes the values of Vega-Lite from them.

    Raises:
        ValueError: a number is not finite.
    """
    values = spec["data"]["values"]
    fields = list(values[0]) if values else []
    if any(list(each) != fields for each in values):
        return script_data(spec)
    rows = [[each[field] for field in fields] for each in values]
    return script_data({**spec, "data": {"fields": fields, "rows": rows}})


@cache
def _markdown(addresses: bool) -> MarkdownIt:
    """Return a reader of the Markdown that robench writes: no HTML, no named link, no image."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.disable(["image", "link", "html_inline", "html_block", "reference"])
    return reader if addresses else reader.disable("autolink")


def markdown_html(text: str, *, addresses: bool = False, label: str = "Table") -> Markup:
    """Return the HTML of Markdown in which texts of others are escaped already.

    A table may be wider than a phone, so it gets a box that scrolls and that the keyboard reaches.

    Args:
        text: the Markdown, as ``robench._base.escaping`` or ``robench.records`` makes it.
        addresses: whether an address in angle brackets is a link, as in the numbers of papers.
        label: how a screen reader calls the boxes of the tables; a number follows.
    """
    if not isinstance(text, Markdown):
        raise TypeError(f"{text[:40]!r} is no Markdown of robench._base.escaping")
    made = _markdown(addresses).render(str(text)[: 100 * TEXT])
    made = made.replace("<th>", '<th scope="col">').replace("<th style", '<th scope="col" style')
    # The escaper puts a space of no width into addresses, against services that make links of them.
    # A page of ours has none, and whatever others wrote is visible already.
    first, *tables = made.replace("\u200b", "").split("<table>")
    boxes = [
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html(label)} {number}">'
        f"<table>{table.replace('</table>', '</table></div>')}"
        for number, table in enumerate(tables, 1)
    ]
    return Markup("".join([first, *boxes]))
