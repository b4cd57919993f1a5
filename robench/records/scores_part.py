"""The record's part about a file of language-model scores (``--lm file:PATH``)."""

from __future__ import annotations

from pydantic import NonNegativeInt

from robench.records.part import RecordPart


class ScoresPart(RecordPart):
    """How much of the surface the file knows; see ``robench.text.scorer.ScoreCoverage``.

    Attributes:
        texts: texts of the surface.
        split_otherwise: texts that the file splits into other words; their words are matched.
        positions: words that have a substitute.
        positions_without: those of them without scores: the constraint leaves them no substitute.
        substitutes: substitutes of all these words.
        substitutes_without: those of them without a score: the constraint forbids them.
    """

    texts: NonNegativeInt
    split_otherwise: NonNegativeInt
    positions: NonNegativeInt
    positions_without: NonNegativeInt
    substitutes: NonNegativeInt
    substitutes_without: NonNegativeInt

    @property
    def sentence(self) -> str:
        """What is left out, for readers."""
        if not self.split_otherwise and not self.substitutes_without:
            return "Language-model scores: the file has all of them."
        return (
            f"Language-model scores: the file splits {self.split_otherwise:,} of {self.texts:,} "
            "texts into other words, which are matched. It has no scores for "
            f"{self.positions_without:,} of {self.positions:,} words that have substitutes, and "
            f"for {self.substitutes_without:,} of {self.substitutes:,} substitutes. The "
            "constraint forbids these."
        )
