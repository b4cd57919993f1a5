"""The surface that an attack searched, as its record says it."""

from __future__ import annotations

from pydantic import NonNegativeInt

from robench.records.part import RecordPart, Sha256
from robench.records.scores_part import ScoresPart


class SurfacePart(RecordPart):
    """The surface: which words may replace which.

    Attributes:
        key: SHA-256 of everything that decides the surface.
        rules: SHA-256 of what decides the surface apart from the examples, the protocol and the
            language model: the substitution set, the number of words, and the code. None where it
            is unknown (records before schema 4).
        own_key: key of the surface that the same examples have with the task's own substitution
            set. None where that is ``key`` itself.
        substitutions: name of the substitution set; None for an attack outside the surface, and
            where it is unknown (records before schema 5). The same holds for the next two.
        substitutions_sha256: hash of what decides the set.
        held_out: whether the pairs of words of the task's own set were left out of it.
        language_model: identity of the scorer. ``"none"`` if there is none, and then no attack
            is constrained.
        constrained: whether the language model constrained this attack.
        outside: whether this attack wrote texts of its own, outside the surface.
        unattackable: number of judged examples in which this attack may replace no word. None for
            an attack outside the surface, and where it was not counted (records before schema 4).
        scores: how much of the surface a file of language-model scores knows. None without such a
            file, and where it was not counted (records before schema 5).
        splitter: what split the texts into words (``splitter_version``). None where it is unknown
            (records before schema 5).
    """

    key: Sha256
    rules: Sha256 | None = None
    own_key: Sha256 | None = None
    substitutions: str | None = None
    substitutions_sha256: Sha256 | None = None
    held_out: bool | None = None
    language_model: str
    constrained: bool
    outside: bool = False
    unattackable: NonNegativeInt | None = None
    scores: ScoresPart | None = None
    splitter: str | None = None

    @property
    def table_key(self) -> str:
        """Key of the task's own surface: records of one table share it, whatever their set."""
        return self.own_key or self.key
