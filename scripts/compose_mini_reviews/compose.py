"""Compose the splits: assign patterns to splits, build reviews, and reject unsuitable drafts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from .reading import Pattern, Slots, read_patterns, read_slots, read_synonyms
from .render import Draft, pick, sentences_of, words_of

SEED = 20240229
SIZES = {"train": 2400, "dev": 400, "test": 1000}
SHORTEST, LONGEST = 8, 20
# Number of words with substitutes. With fewer, an attack has nothing to search; with more, the
# space is needlessly large. The lower bound is drawn for each review.
FEWEST_HEADS, MOST_HEADS = (3, 4, 5), 9
# The shares of each section's patterns that only the test split, or only the dev split, uses.
TEST_ONLY, DEV_ONLY = 0.36, 0.08
# How often a sentence of the test or dev split is drawn from the patterns kept for that split.
FRESH = 0.5
# Shares of the sections in the reviews. In "plain", "short" and "sided", single words decide the
# label; in the others, word order decides it.
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
# How often a review has a neutral first sentence, or a short second one, if the length allows it.
WITH_CONTEXT, WITH_SHORT = 0.2, 0.4


@dataclass(frozen=True)
class Review:
    """One composed review; ``patterns`` are the lines that it was made from."""

    text: str
    label: int
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Pools:
    """The patterns of one split: those common to all splits, and those kept for this one."""

    common: Sequence[Pattern]
    fresh: Sequence[Pattern]


def divide(patterns: Sequence[Pattern], rng: random.Random) -> dict[str, Pools]:
    """Divide each section's patterns: for all splits, for test only, or for dev only."""
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
    """Composer of one split after the other; no sentence occurs in two splits."""

    def __init__(self, seed: int = SEED) -> None:
        self.rng = random.Random(seed)
        self.slots: Slots = read_slots()
        self.heads = read_synonyms().keys()
        self.pools = divide(read_patterns(), self.rng)
        self.elsewhere: set[str] = set()
        self.texts: set[str] = set()

    def _section(self) -> str:
        sections: list[str] = []
        for name, weight in WEIGHTS.items():
            sections += [name] * weight
        return pick(self.rng, sections)

    def _pattern(self, split: str, section: str, label: int) -> Pattern:
        pools = self.pools[split]
        pool = pools.fresh if pools.fresh and self.rng.random() < FRESH else pools.common
        suitable = [
            pattern
            for pattern in pool
            if pattern.section == section and (label in pattern.labels or not pattern.labels)
        ]
        return pick(self.rng, suitable)

    def _plan(self, split: str, section: str, label: int) -> tuple[Pattern, ...]:
        """Choose the one or two patterns of a review."""
        main = self._pattern(split, section, label)
        chance = self.rng.random()
        if main.section == "short" and chance < 0.5:
            return (main, self._pattern(split, "short", label))
        # A pattern that says what the work is about could contradict a first sentence about
        # something else.
        has_topic = "{topic}" in main.text or "{place}" in main.text
        if not has_topic and (main.section == "short" or chance < WITH_CONTEXT):
            return (self._pattern(split, "context", label), main)
        if chance < WITH_CONTEXT + WITH_SHORT and main.section != "two":
            return (main, self._pattern(split, "short", label))
        return (main,)

    def review(self, split: str, label: int) -> Review:
        """Compose one review.

        Drafts are drawn until length, soundness and novelty are acceptable. All drafts come from
        one section, so that the shares of the sections are kept.
        """
        section, fewest = self._section(), pick(self.rng, FEWEST_HEADS)
        while True:
            patterns = self._plan(split, section, label)
            draft = Draft(self.rng, self.slots, label)
            text = " ".join(draft.fill(pattern) for pattern in patterns)
            if self._fits(text, fewest) and draft.sound(text) and self._new(text):
                self.texts.add(text.lower())
                return Review(text, label, patterns)

    def _fits(self, text: str, fewest: int) -> bool:
        """Return whether the numbers of words and of words with substitutes are in range."""
        words = words_of(text)
        return (
            SHORTEST <= len(words) <= LONGEST
            and fewest <= sum(word in self.heads for word in words) <= MOST_HEADS
        )

    def _new(self, text: str) -> bool:
        """Return whether neither the text nor, in another split, one of its sentences exists."""
        sentences = sentences_of(text.lower())
        return text.lower() not in self.texts and self.elsewhere.isdisjoint(sentences)

    def split(self, name: str) -> list[Review]:
        """Compose all reviews of one split, half of each label, in random order.

        Later splits cannot use their sentences.
        """
        reviews = [self.review(name, number % 2) for number in range(SIZES[name])]
        for review in reviews:
            self.elsewhere.update(sentences_of(review.text.lower()))
        return sorted(reviews, key=lambda _: self.rng.random())


def compose(seed: int = SEED) -> dict[str, list[Review]]:
    """Return the three splits, which depend only on the seed and the material."""
    composer = Composer(seed)
    return {name: composer.split(name) for name in SIZES}
