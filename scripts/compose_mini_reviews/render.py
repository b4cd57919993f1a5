"""Fill patterns: turn a pattern and a label into sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import TypeVar

from .reading import SLOT, Pattern, Slots

T = TypeVar("T")
_CHOICE = re.compile(r"\[([^\]]*)\]")
_ARTICLE = re.compile(r"\ba\(n\) (\w+)")
_WORD = re.compile(r"[A-Za-z]+")
# Beginnings written with a vowel and spoken with a consonant, and the other way round.
_CONSONANT_SOUND = ("one", "uni", "use", "eu")
_VOWEL_SOUND = ("hour", "honest")


def pick(rng: random.Random, items: Sequence[T]) -> T:
    """Return one item, all with equal probability.

    It uses only ``random()``, the one method whose stream Python keeps the same between versions.
    """
    return items[int(rng.random() * len(items))]


def words_of(text: str) -> list[str]:
    """Return the lower-case words, without punctuation."""
    return [word.lower() for word in _WORD.findall(text)]


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a composed review.

    Sentences end in a full stop, ``?`` or ``!``, and these marks occur nowhere else.
    """
    return re.split(r"(?<=[.?!]) ", text)


def _article(match: re.Match[str]) -> str:
    """Return the word with "a" or "an"."""
    word = match.group(1)
    vowel = word.startswith(_VOWEL_SOUND) or (
        word[0].lower() in "aeiou" and not word.startswith(_CONSONANT_SOUND)
    )
    return f"{'an' if vowel else 'a'} {word}"


def _finish(text: str) -> str:
    """Set articles, spaces, the end mark and capital letters."""
    text = _ARTICLE.sub(_article, text)
    text = re.sub(r"\s+([,.?!])", r"\1", re.sub(r"\s+", " ", text)).strip()
    text = text if text[-1] in ".?!" else f"{text}."
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences_of(text))


class Draft:
    """A review while it is composed; it records the drawn words, so that none is used twice."""

    def __init__(self, rng: random.Random, slots: Slots, label: int) -> None:
        self.rng = rng
        self.slots = slots
        self.label = label
        self.kind = int(rng.random() * len(slots.values["work"]))
        self.drawn: list[str] = []
        self.polar: list[str] = []

    def _value(self, match: re.Match[str]) -> str:
        """Draw a word for one slot."""
        sign, name = match.groups()
        if name in ("work", "works"):
            return self.slots.values[name][self.kind]
        if not sign:
            value = pick(self.rng, self.slots.values[name])
        else:
            good = (sign == "+") == (self.label == 1)
            value = pick(self.rng, self.slots.values[f"{name}{'+' if good else '-'}"])
            self.polar.append(value)
        self.drawn.append(value)
        return value

    def fill(self, pattern: Pattern) -> str:
        """Return the pattern as finished sentences, with choices made and slots filled."""
        text = _CHOICE.sub(lambda match: pick(self.rng, match.group(1).split("|")), pattern.text)
        return _finish(SLOT.sub(self._value, text))

    def sound(self, text: str) -> bool:
        """Return whether no drawn words repeat or clash.

        No value may occur twice, no two polar words may share a stem, and no two words may clash,
        such as "hours" and a series.
        """
        words = words_of(text)
        if len(set(self.drawn)) < len(self.drawn):
            return False
        if any(" " not in value and words.count(value) > 1 for value in self.drawn):
            return False
        stems = [value[:3] for value in self.polar]
        if len(set(stems)) < len(stems):
            return False
        return not any(
            head in words and not rest.isdisjoint(words)
            for head, rest in self.slots.clashes.items()
        )
