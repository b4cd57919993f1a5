"""The checklist of a submission: questions of Carlini et al., with what the records answer.

Carlini et al. 2019, On Evaluating Adversarial Robustness, arXiv:1902.06705, section 4. The facts
are made from the records. The answers are the submitter's, and nobody checks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from robench._base.errors import UsageError
from robench.records.record import Record
from robench.submission.facts import facts_of

QUESTIONS: Final[Mapping[str, str]] = {
    "Threat model": "What may an attacker change, know and want? Is this the setting of the board?",
    "Adaptive attack": "Which attack was made against this defense in particular? Why are the "
    "attacks of the board strong against it?",
    "Release": "Where are code and weights of the victim, under which licence?",
    "Clean accuracy": "Is the loss of clean accuracy one that a user would accept?",
    "Stronger means stronger": "Does an attack that sees more fool at least as many examples?",
    "More budget": "Does more budget fool more? Was a larger one tried than the board's?",
    "Whole space": "Was the whole space of changes searched, at least for short texts?",
    "Worst case by example": "Is the headline the worst case over the attacks, example by example?",
    "Without gradients and scores": "Which attacks do without gradients, and which without scores?",
    "Transfer": "Were texts that fool another victim tried (robench transfer)? With what result?",
    "Randomness": "Does the victim answer at random? How do the attacks deal with it?",
    "Convergence": "Do the searches end because they found all, or because their steps were used?",
    "Hyper-parameters": "How were the options of defense and attack chosen? Never on test "
    "examples?",
    "Undefended twin": "Is the same model without the defense attacked in the same way?",
    "Several trainings": "Does the result hold for other seeds?",
    "Substitutions": "Did the defense train with the substitution set that the attacks use?",
}
"""Title of an item -> what is asked."""
LONGEST_ANSWER: Final = 2_000
"""Characters of an answer."""
OPEN: Final = "(open)"
"""Stands where nothing is answered."""
_INTRODUCTION: Final = (
    "After Carlini et al. 2019, On Evaluating Adversarial Robustness (arXiv:1902.06705). Made by "
    "`robench submit pack`. The lines **robench** come from the records, and `robench verify` "
    "makes them again. The lines **Answer** are the submitter's, and no program checks them."
)
_HEADING = re.compile(r"^## \d+\. (.+)$", re.MULTILINE)
_ANSWER: Final = "**Answer:** "
_FORBIDDEN: Final = ("<", "![", "](", "**Answer:**", "**robench:**")
"""What no answer holds: HTML, images, links whose target is not seen, and marks of the page."""


def checklist(records: Sequence[Record], answers: Mapping[str, str] | None = None) -> str:
    """Return the checklist as Markdown; the same records and answers give the same text."""
    given, facts = answers or {}, facts_of(records)
    parts = ["# Checklist", "", _INTRODUCTION, ""]
    for number, (title, question) in enumerate(QUESTIONS.items(), start=1):
        parts += [f"## {number}. {title}", "", question, ""]
        parts += [f"**robench:** {facts[title]}", ""] if title in facts else []
        parts += [f"{_ANSWER}{given.get(title) or OPEN}", ""]
    return "\n".join(parts)


def read_answers(text: str, name: str) -> dict[str, str]:
    """Return the answers of a checklist that somebody filled in: title -> answer.

    Args:
        text: the checklist.
        name: the file, for messages.

    Raises:
        UsageError: it is no such checklist, or an answer is too long or would break the page.
    """
    pieces = _HEADING.split(text.replace("\r\n", "\n"))
    titles, bodies = pieces[1::2], pieces[2::2]
    unknown = [title for title in titles if title not in QUESTIONS]
    if not titles or unknown:
        what = f"it has an unknown heading '{unknown[0][:80]}'" if unknown else "it has no item"
        raise UsageError(
            f"{name} is no checklist of 'robench submit pack': {what}. Fill in the one that it "
            "wrote, and change nothing but the answers."
        )
    if len(set(titles)) != len(titles):
        raise UsageError(f"{name} has an item twice. Keep one of each.")
    answers = {}
    for title, body in zip(titles, bodies, strict=True):
        answer = body.partition(_ANSWER.strip())[2].strip()
        if answer and answer != OPEN:
            answers[title] = _checked(answer, title, name)
    return answers


def _checked(answer: str, title: str, name: str) -> str:
    if len(answer) > LONGEST_ANSWER:
        raise UsageError(
            f"{name}: the answer to '{title}' has {len(answer):,} characters, and the limit is "
            f"{LONGEST_ANSWER:,}. Shorten it, or link to a page."
        )
    problem = _problem(answer)
    if problem is not None:
        raise UsageError(
            f"{name}: the answer to '{title}' {problem}. Answer in plain words, with links written "
            "out."
        )
    return answer


def _problem(answer: str) -> str | None:
    """Return what would make more of an answer than a text, as a clause."""
    if any(line.lstrip().startswith("#") for line in answer.split("\n")):
        return "has a line that begins with '#'"
    if not answer.replace("\n", " ").isprintable():
        return "has characters that cannot be seen"
    found = next((each for each in _FORBIDDEN if each in answer), None)
    return None if found is None else f"holds '{found}'"


def open_items(answers: Mapping[str, str], facts: Iterable[str]) -> list[str]:
    """Return the titles that neither the submitter nor the records answer."""
    known = {*answers, *facts}
    return [title for title in QUESTIONS if title not in known]
