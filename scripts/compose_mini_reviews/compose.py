"""Composing the splits: which patterns go where, how a review is put together, what is turned down."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from .reading import Pattern, Slots, read_patterns, read_slots, read_synonyms
from .render import Draft, pick, sentences_of, words_of

SEED = 20240229
SIZES = {"train": 2400, "dev": 400, "test": 1000}
SHORTEST, LONGEST = 8, 20
# Words with substitutes: fewer leave an attack nothing to search, more make the space needlessly large. The least is drawn for each review.
FEWEST_HEADS, MOST_HEADS = (3, 4, 5), 9
# Of each section's patterns this share is kept from train: for the test split, and for the development split.
TEST_ONLY, DEV_ONLY = 0.36, 0.08
# How often a sentence of the test or development split is drawn from the patterns kept for it.
FRESH = 0.5
# Shares of the sections in the reviews; "plain", "short" and "sided" can be done word by word, the others turn on word order.
WEIGHTS = {
    "plain": 44,
    "denial": 9,
    "expectation": 10,
    "concession": 10,
    "comparison": 7,
    "two": 7,
    "short": 9,
    "sided": 13,
}
# A neutral first sentence, or a second short one, where the length allows.
WITH_CONTEXT, WITH_SHORT = 0.2, 0.4


@dataclass(frozen=True)
class Review:
    """One composed review; ``patterns`` are the lines it was made from."""

    text: str
    label: int
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Pools:
    """The patterns one split draws from: those of every split and those kept for this one."""

    common: Sequence[Pattern]
    fresh: Sequence[Pattern]


def divide(patterns: Sequence[Pattern], rng: random.Random) -> dict[str, Pools]:
    """Give each section's patterns to train (and all), test alone, or dev alone."""
    common: list[Pattern] = []
    kept: dict[str, list[Pattern]] = {"train": [], "dev": [], "test": []}
    for section in dict.fromkeys((pattern.section, pattern.labels) for pattern in patterns):
        members = sorted(
            (pattern for pattern in patterns if (pattern.section, pattern.labels) == section),
            key=lambda _: rng.random(),
        )
        test, dev = round(len(members) * TEST_ONLY), round(len(members) * DEV_ONLY)
        kept["test"] += members[:test]
        kept["dev"] += members[test : test + dev]
        common += members[test + dev :]
    return {split: Pools(common, fresh) for split, fresh in kept.items()}


class Composer:
    """Draws reviews for one split after the other and keeps their sentences apart."""

    def __init__(self, seed: int = SEED) -> None:
        self.rng = random.Random(seed)
        self.slots: Slots = read_slots()
        self.heads = read_synonyms().keys()
        self.pools = divide(read_patterns(), self.rng)
        self.elsewhere: set[str] = set()
        self.texts: set[str] = set()

    def _section(self) -> str:
        return pick(self.rng, [name for name, weight in WEIGHTS.items() for _ in range(weight)])

    def _pattern(self, split: str, section: str, label: int) -> Pattern:
        pools = self.pools[split]
        pool = pools.fresh if pools.fresh and self.rng.random() < FRESH else pools.common
        return pick(
            self.rng,
            [
                pattern
                for pattern in pool
                if pattern.section == section and (label in pattern.labels or not pattern.labels)
            ],
        )

    def _plan(self, split: str, section: str, label: int) -> tuple[Pattern, ...]:
        main = self._pattern(split, section, label)
        chance = self.rng.random()
        if main.section == "short" and chance < 0.5:
            return (main, self._pattern(split, "short", label))
        # A pattern that says itself what the work is about would contradict a first sentence about something else.
        told = "{topic}" in main.text or "{place}" in main.text
        if not told and (main.section == "short" or chance < WITH_CONTEXT):
            return (self._pattern(split, "context", label), main)
        if chance < WITH_CONTEXT + WITH_SHORT and main.section != "two":
            return (main, self._pattern(split, "short", label))
        return (main,)

    def review(self, split: str, label: int) -> Review:
        """One acceptable review: drawn again until length, soundness and novelty are right, within one section so that its share holds."""
        section, fewest = self._section(), pick(self.rng, FEWEST_HEADS)
        while True:
            patterns = self._plan(split, section, label)
            draft = Draft(self.rng, self.slots, label)
            text = " ".join(draft.fill(pattern) for pattern in patterns)
            if self._measured(text, fewest) and draft.sound(text) and self._new(text):
                self.texts.add(text.lower())
                return Review(text, label, patterns)

    def _measured(self, text: str, fewest: int) -> bool:
        words = words_of(text)
        return (
            SHORTEST <= len(words) <= LONGEST
            and fewest <= sum(word in self.heads for word in words) <= MOST_HEADS
        )

    def _new(self, text: str) -> bool:
        return text.lower() not in self.texts and self.elsewhere.isdisjoint(
            sentences_of(text.lower())
        )

    def split(self, name: str) -> list[Review]:
        """All reviews of one split, half of each label, mixed; their sentences are closed to the splits that follow."""
        reviews = [self.review(name, number % 2) for number in range(SIZES[name])]
        self.elsewhere.update(
            sentence for review in reviews for sentence in sentences_of(review.text.lower())
        )
        return sorted(reviews, key=lambda _: self.rng.random())


def compose(seed: int = SEED) -> dict[str, list[Review]]:
    """The three splits; a function of the seed and the material."""
    composer = Composer(seed)
    return {name: composer.split(name) for name in SIZES}
