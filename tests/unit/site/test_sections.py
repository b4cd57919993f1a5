"""Markdown of a table, split at its headings."""

from __future__ import annotations

from robench.site.sections import anchor, split

LINES = [
    "> A notice.",
    "",
    "| row | n |",
    "|:----|--:|",
    "| a   | 1 |",
    "",
    "A note.",
    "",
    "## First part",
    "",
    "Text.",
    "",
    "| x | y |",
    "|:--|--:|",
    "| 1 | 2 |",
    "## Every cell",
    "gone",
    "## Accuracy under attack by queries",
    "gone",
    "## Conditions",
    "",
    "- one",
]


def test_the_table_of_all_rows_is_left_to_the_page() -> None:
    notes = split(LINES).notes
    assert "A notice." in notes
    assert "A note." in notes
    assert "<table>" not in notes


def test_parts_of_other_pages_are_left_out() -> None:
    assert [each.title for each in split(LINES).sections] == ["First part", "Conditions"]
    assert len(split(LINES, leave_out=()).sections) == 4
    assert "gone" not in "".join(each.body for each in split(LINES).sections)


def test_a_part_keeps_its_table() -> None:
    first = split(LINES).sections[0]
    assert first.id == "first-part"
    assert first.body.count("<tr>") == 2


def test_an_anchor_has_only_letters_digits_and_hyphens() -> None:
    assert anchor("What the columns mean") == "what-the-columns-mean"
    assert anchor('a"b <c>') == "a-b-c"


def test_a_line_end_inside_of_a_line_is_a_line() -> None:
    made = split(["a", "\n## Late\n\ntext"])
    assert [each.title for each in made.sections] == ["Late"]
