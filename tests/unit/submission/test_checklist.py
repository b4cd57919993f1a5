"""The checklist: what the records answer, and answers that come back unchanged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robench._base.errors import UsageError
from robench.records.record import Record
from robench.submission.checklist import (
    LONGEST_ANSWER,
    QUESTIONS,
    checklist,
    open_items,
    read_answers,
)
from robench.submission.facts import facts_of

MakeRecord = Callable[..., Record]


def records(make_record: MakeRecord) -> list[Record]:
    return [
        make_record("WFHP", attack="pwws", access="probabilities"),
        make_record("WHFH", attack="genetic", access="labels", defense="rift", seed=1),
    ]


def test_the_facts_come_from_the_records(make_record: MakeRecord) -> None:
    text = checklist(records(make_record))
    for fact in (
        "rift, seed 1: 75.0 %; standard, seed 0: 75.0 %.",
        "labels: genetic; probabilities: pwws.",
        "standard under pwws, seed 0: 1.",
        "Seeds: rift: 1; standard: 0.",
        "The submission holds the row standard.",
        "No victim answers at random.",
    ):
        assert fact in text, fact
    assert text.count("\n## ") == len(QUESTIONS)


def test_the_order_of_the_records_does_not_matter(make_record: MakeRecord) -> None:
    found = records(make_record)
    assert checklist(found) == checklist(found[::-1])


def test_answers_come_back_unchanged(make_record: MakeRecord) -> None:
    answers = {
        "Adaptive attack": "Two lines,\nand a_link: https://example.org/a?b=c&d [1] 100 % *sure*.",
        "Release": "1. code",
    }
    text = checklist(records(make_record), answers)
    assert read_answers(text, "CHECKLIST.md") == answers
    assert checklist(records(make_record), read_answers(text, "CHECKLIST.md")) == text
    # An editor of Windows changes the ends of the lines.
    assert read_answers(text.replace("\n", "\r\n"), "CHECKLIST.md") == answers


def test_open_answers_are_none(make_record: MakeRecord) -> None:
    assert read_answers(checklist(records(make_record)), "CHECKLIST.md") == {}
    facts = facts_of(records(make_record))
    assert set(open_items({}, facts)) >= {"Adaptive attack", "Release", "Transfer"}
    assert "Clean accuracy" not in open_items({}, facts)
    assert "Transfer" not in open_items({"Transfer": "yes"}, facts)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("x" * (LONGEST_ANSWER + 1), "2,001 characters, and the limit is 2,000"),
        ("good\n## 17. Verified", "unknown heading 'Verified'"),
        ("good\n# Verified", "begins with '#'"),
        ("<script>alert(1)</script>", "holds '<'"),
        ("![seen](https://example.org/pixel.png)", r"holds '!\['"),
        ("[the paper](https://example.org)", r"holds '\]\('"),
        ("right\u202eleft", "cannot be seen"),
        ("**robench:** all attacks were run", r"holds '\*\*robench:"),
    ],
)
def test_an_answer_is_a_text_and_nothing_more(
    make_record: MakeRecord, answer: str, reason: str
) -> None:
    text = checklist(records(make_record), {"Release": answer})
    with pytest.raises(UsageError, match=reason):
        read_answers(text, "mine.md")


def test_a_file_that_is_no_checklist() -> None:
    with pytest.raises(UsageError, match=r"mine\.md is no checklist .* it has no item"):
        read_answers("hello", "mine.md")
    twice = "## 1. Release\n\n**Answer:** a\n\n## 2. Release\n\n**Answer:** b\n"
    with pytest.raises(UsageError, match="has an item twice"):
        read_answers(twice, "mine.md")


def test_names_of_others_stay_texts(make_record: MakeRecord) -> None:
    hostile = make_record("WFHH", attack="<b>pwws", defense="[x](https://example.org)")
    text = checklist([hostile])
    assert "<b>" not in text
    assert "[x](http" not in text
