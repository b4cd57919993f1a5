"""FreshDrawsPart: how often the texts that fool a randomised victim fool it with other variants."""

from __future__ import annotations

from pydantic import NonNegativeInt, PositiveInt, model_validator

from robench.records.part import RecordPart


class FreshDrawsPart(RecordPart):
    """Texts that fool a randomised victim, asked again with fresh random variants.

    A search may find texts whose variants are bad by chance. This says how many they are.

    Attributes:
        texts: number of fooling texts that were asked again: the first ones, in the order of the
            examples.
        seeds: number of fresh seeds for each text.
        fooled: number of pairs of a text and a seed for which the victim is wrong.
    """

    texts: PositiveInt
    seeds: PositiveInt
    fooled: NonNegativeInt

    @model_validator(mode="after")
    def _no_more_than_pairs(self) -> FreshDrawsPart:
        if self.fooled > self.texts * self.seeds:
            raise ValueError(f"{self.fooled} are more than {self.texts} texts x {self.seeds} seeds")
        return self
