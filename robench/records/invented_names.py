"""Labels and names that somebody invented: they are not those that a run gives.

A table shows a row under its label. So a label that belongs to another defense misleads, also where
every number is right.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping

from robench._base.escaping import NAME, one_line
from robench.plugins.names import ON
from robench.records.record import Record


def label_problems(record: Record) -> list[str]:
    """Return which labels of a record are not those of its defense and attack, as clauses."""
    parts = [("defense", record.defense), ("attack", record.attack)]
    found = [
        (what, label_problem(part.name, part.label, part.options))
        for what, part in parts
        if part is not None
    ]
    return [f"of the {what}, {problem}" for what, problem in found if problem is not None]


def label_problem(name: str, label: str, options: Mapping[str, object]) -> str | None:
    """Return why a label is not that of a defense or attack with these options, as a clause.

    A label is the name, and in brackets the options that differ from their defaults. An attack's
    name may hold a substitution set after ``@``, which its label may write otherwise.

    Args:
        name: the registered name.
        label: what tables show.
        options: all options with their final values, as plain JSON.

    Returns:
        The clause, or None where the label fits.
    """
    if label == name:
        return None
    said = one_line(label, NAME)
    base, bracket, inner = label.partition("(")
    if base.partition(ON)[0] != name.partition(ON)[0] or (ON in base) != (ON in name):
        return f"the label '{said}' is not one of '{one_line(name, NAME)}'"
    if not bracket:
        return None
    rest = inner.removesuffix(")")
    if rest == inner or not rest:
        return f"the label '{said}' is not one of '{one_line(name, NAME)}'"
    for option, value in sorted(options.items()):
        shown = f"{option}={value if isinstance(value, str) else json.dumps(value)}"
        if rest == shown:
            return None
        rest = rest.removeprefix(f"{shown}, ")
    return f"the label '{said}' does not name the options of the record"


def leading_name(name: str, registered: Collection[str]) -> str | None:
    """Return the longest registered name with which the words of a victim's name begin, or None.

    Case, width and punctuation do not count: ``"RIFT (standard)"`` begins with ``rift``.

    Args:
        name: name of a victim.
        registered: names of defenses.
    """
    words, found = _words(name), ("", 0)
    for each in sorted(registered):
        begin = _words(each)
        if words[: len(begin)] == begin and len(begin) > found[1]:
            found = each, len(begin)
    return found[0] or None


def same_words(one: str, other: str) -> bool:
    """Return whether two names differ at most in case, width and punctuation."""
    return _words(one) == _words(other)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", name).casefold())
