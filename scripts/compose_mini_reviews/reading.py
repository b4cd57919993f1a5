"""Read the hand-written material: sentence patterns, slot lists and synonyms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MATERIAL = Path(__file__).parent / "material"
SLOT = re.compile(r"\{([+-]?)([a-z]+)\}")
EITHER = ("plain", "denial", "expectation", "concession", "comparison", "two", "short")
"""Sections of patterns for both labels: the words in their slots decide the label."""


@dataclass(frozen=True)
class Pattern:
    """One hand-written line.

    Attributes:
        section: the part of its file's name, such as ``"denial"``.
        text: words, ``{slots}``, ``[choices|between]`` and ``a(n)``.
        labels: the labels that it can have; empty for the neutral first sentences.
    """

    section: str
    text: str
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Slots:
    """The word lists.

    Attributes:
        values: ``"part" -> ("acting", …)``; a list with a good and a bad side has two entries, such
            as ``"adj+"`` and ``"adj-"``.
        clashes: ``"series" -> {"hours", …}``: words that must not occur in one review.
    """

    values: Mapping[str, tuple[str, ...]]
    clashes: Mapping[str, frozenset[str]]


def _lines(name: str) -> Iterator[str]:
    for line in (MATERIAL / name).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


@cache
def read_patterns() -> tuple[Pattern, ...]:
    """Return all patterns, in the order of the files and their lines."""
    found: list[Pattern] = []
    for section in EITHER:
        found += [Pattern(section, line, (0, 1)) for line in _lines(f"either_{section}.txt")]
    found += [Pattern("sided", line, (1,)) for line in _lines("praise.txt")]
    found += [Pattern("sided", line, (0,)) for line in _lines("blame.txt")]
    found += [Pattern("context", line, ()) for line in _lines("context.txt")]
    return tuple(found)


@cache
def read_slots() -> Slots:
    """Return the word lists and clashes.

    Raises:
        ValueError: a pattern has a slot without a list; the message names the slot.
    """
    values: dict[str, tuple[str, ...]] = {}
    clashes: dict[str, frozenset[str]] = {}
    for line in _lines("slots.txt"):
        name, mark, rest = re.split(r"([:!])", line, maxsplit=1)
        if mark == ":":
            values[name] = tuple(value.strip() for value in rest.split("|"))
        else:
            clashes[name.strip()] = frozenset(rest.split())
    for pattern in read_patterns():
        for sign, name in SLOT.findall(pattern.text):
            for key in (f"{name}+", f"{name}-") if sign else (name,):
                if key not in values:
                    raise ValueError(
                        f"no list {key!r} in slots.txt for the pattern {pattern.text!r}"
                    )
    return Slots(values, clashes)


@cache
def read_synonyms() -> Mapping[str, tuple[str, ...]]:
    """Return head -> substitutes, in the order of the files.

    Raises:
        ValueError: a head has two entries.
    """
    found: dict[str, tuple[str, ...]] = {}
    for file in sorted(MATERIAL.glob("synonyms_*.txt")):
        for line in _lines(file.name):
            head, _, rest = line.partition(":")
            if head in found:
                raise ValueError(f"{file.name}: {head!r} has a second entry")
            found[head] = tuple(rest.split())
    return found
