"""The record's part about words that the victim reads as its unknown token."""

from __future__ import annotations

from typing import Final

from pydantic import Field, NonNegativeInt, model_validator

from robench.records.part import RecordPart

PAIRS: Final = ("words", "substitutes", "positions", "successes")
"""What is counted; ``NAME_unknown`` is the part of it that is unknown."""


class UnknownPart(RecordPart):
    """How much of the texts, and of the fooling, the victim reads as its unknown token.

    A word counts as unknown if the victim reads it as, or with, its unknown token. All counts are
    over the judged examples. ``substitutes`` and ``positions`` are those that the surface and the
    language model allow, before ``Protocol.unknown`` removes any.

    Attributes:
        words: attackable words inside the victim's window.
        words_unknown: those of them that are unknown.
        substitutes: substitutes of these words.
        substitutes_unknown: those of them that are unknown.
        positions: words that have a substitute.
        positions_unknown: known words that a swap can turn into the unknown token.
        like_own: substitutes of a held-out set that look to the victim like a pair of the task's
            own set, or like no change, because a word is unknown. None for other sets.
        like_own_known: those of them that the victim knows; ``--unknown forbidden`` keeps them.
        successes: fooled examples.
        successes_unknown: fooled examples whose text holds at least one unknown word that the
            attack put there.
        missing: name of a count that is None -> the reason. A count and its unknown part are None
            together.
    """

    words: NonNegativeInt | None = None
    words_unknown: NonNegativeInt | None = None
    substitutes: NonNegativeInt | None = None
    substitutes_unknown: NonNegativeInt | None = None
    positions: NonNegativeInt | None = None
    positions_unknown: NonNegativeInt | None = None
    like_own: NonNegativeInt | None = None
    like_own_known: NonNegativeInt | None = None
    successes: NonNegativeInt | None = None
    successes_unknown: NonNegativeInt | None = None
    missing: dict[str, str] = Field(default_factory=dict)

    def share(self, name: str) -> float | None:
        """Return the unknown share of one of the ``PAIRS``, in [0, 1].

        It is None where it was not counted, or where there is nothing to count.
        """
        whole, part = getattr(self, name), getattr(self, f"{name}_unknown")
        return part / whole if whole else None

    @model_validator(mode="after")
    def _counts_agree(self) -> UnknownPart:
        for name in PAIRS:
            whole, part = getattr(self, name), getattr(self, f"{name}_unknown")
            if (whole is None) != (part is None) or (whole is None) != (name in self.missing):
                raise ValueError(
                    f"'{name}' and '{name}_unknown' must both be counted, or 'missing' must say "
                    "why neither is"
                )
            if whole is not None and part > whole:
                raise ValueError(f"{part} of {whole} {name} cannot be unknown")
        if set(self.missing) - set(PAIRS):
            raise ValueError(f"'missing' may only name {', '.join(PAIRS)}")
        return self
