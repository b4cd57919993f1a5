"""Templates escape every text; data inside of a script cannot end it."""

from __future__ import annotations

import json
import math

import pytest
from hostile import HOSTILE, TEXTS, controls, tags
from jinja2 import UndefinedError
from markupsafe import Markup

from robench._base.escaping import Markdown, markdown, shown_data
from robench.site.rendering import (
    chart_data,
    environment,
    markdown_html,
    render,
    script_data,
)


def shown(template: str, **values: object) -> str:
    return environment().from_string(template).render(**values)


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_a_text_adds_no_tag_and_no_attribute(text: str) -> None:
    page = shown('<p title="{{ text }}">{{ text }}</p>', text=text)
    assert tags(page) == ["p title", "/p"]
    assert controls(page) == []


def test_html_that_a_template_made_stays() -> None:
    assert shown("{{ made }}", made=Markup("<b>x</b>")) == "<b>x</b>"


def test_a_name_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        shown("{{ nothing }}")


def test_a_text_is_never_read_as_a_template() -> None:
    assert shown("{{ text }}", text="{{ 7 * 7 }}") == "{{ 7 * 7 }}"


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_data_of_a_script_come_back_and_add_no_tag(text: str) -> None:
    made = script_data({"values": [{"row": text}], text[:50]: 1})
    page = f'<script type="application/json">{made}</script>'
    assert tags(page) == ["script type", "/script"]
    assert not set("<>&'") & set(made)
    assert json.loads(made) == shown_data({"values": [{"row": text}], text[:50]: 1})


def test_values_of_a_chart_become_rows() -> None:
    spec = {"mark": "line", "data": {"values": [{"a": "x", "b": 1}, {"a": "<", "b": None}]}}
    assert json.loads(chart_data(spec)) == {
        "mark": "line",
        "data": {"fields": ["a", "b"], "rows": [["x", 1], ["<", None]]},
    }
    empty = json.loads(chart_data({"data": {"values": []}}))
    assert empty == {"data": {"fields": [], "rows": []}}


@pytest.mark.parametrize("values", [[{"a": 1}, {"b": 1}], [{"a": 1}, {"a": 1, "b": 2}]])
def test_values_with_other_fields_stay_as_they_are(values: list[dict[str, int]]) -> None:
    assert json.loads(chart_data({"data": {"values": values}})) == {"data": {"values": values}}


def test_a_number_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_data({"x": math.nan})
    with pytest.raises(ValueError, match="not JSON compliant"):
        chart_data({"data": {"values": [{"x": math.nan}]}})


def test_markdown_becomes_html() -> None:
    made = markdown_html(Markdown("**a** `b`\n\n- c\n\n| d | e |\n|:--|--:|\n| 1 | 2 |"))
    assert "<strong>a</strong> <code>b</code>" in made
    assert "<li>c</li>" in made
    assert made.count('<th scope="col"') == 2
    assert made.count('class="scroll" tabindex="0"') == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_an_escaped_text_stays_text_in_markdown(text: str) -> None:
    made = tags(markdown_html(Markdown(f"- {markdown(text)} end")))
    assert set(made) <= {"ul", "/ul", "li", "/li", "code", "/code", "p", "/p"}


def test_html_links_and_images_of_markdown_stay_text() -> None:
    raw = Markdown("<b>x</b> [a](http://b.example) ![c](d.png) <http://e.example>")
    assert tags(markdown_html(raw)) == ["p", "/p"]


def test_addresses_are_links_where_they_are_wanted() -> None:
    made = markdown_html(Markdown("<https://e.example> <javascript:alert(1)>"), addresses=True)
    assert made.count("<a ") == 1
    assert 'href="https://e.example"' in made


def test_a_text_that_nobody_escaped_is_refused() -> None:
    with pytest.raises(TypeError, match="is no Markdown"):
        markdown_html("**a**")


def test_a_page_names_what_it_may_load() -> None:
    page = render(
        "page.html",
        title=HOSTILE,
        inline=False,
        policy="default-src 'none'",
        styles="",
        scripts=["a.js"],
        links=[],
        made_by="robench site build",
        version="1",
        body=HOSTILE,
    )
    assert 'content="default-src &#x27;none&#x27;"' in page
    assert 'script src="assets/a.js"' in page
    assert "<img" not in page
