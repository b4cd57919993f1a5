"""Find substitutes that a victim cannot tell from those of its task's own set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.search.victim_protocol import FieldEncoding


class OwnPairs:
    """How a victim reads the pairs of the own set, where it reads words as its unknown token.

    All words that a victim does not know look the same to it. So another pair of words may look
    like a pair that a defense trained on.

    Args:
        pairs: the pairs of the own set: a word and its substitute.
        fields: how the victim reads.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], fields: FieldEncoding) -> None:
        listed = [(word.lower(), other.lower()) for word, other in pairs]
        unknown = fields.unknown_words({each for pair in listed for each in pair}) or frozenset()
        self._become_unknown = {word for word, other in listed if other in unknown} - unknown
        self._replace_unknown = {other for word, other in listed if word in unknown} - unknown

    def looks_like_one(self, word: str, other: str, unknown: frozenset[str]) -> bool:
        """Return whether ``word`` -> ``other`` looks like a pair of the own set, or like no change.

        Args:
            word: the word of the text.
            other: its substitute.
            unknown: the words that the victim does not know.
        """
        if other in unknown:
            return word in unknown or word.lower() in self._become_unknown
        return word in unknown and other.lower() in self._replace_unknown
