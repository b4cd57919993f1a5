"""Smoothing: how a randomised victim answers at test time, as one frozen value.

A smoothed victim answers with the mean over random variants of a text. The kinds:

* ``"masking"``: a share of the words becomes the mask token (RanMASK, Zeng et al. 2023);
* ``"substitution"``: each word becomes a word drawn from its perturbation set (SAFER, Ye et al.
  2020);
* ``"hull"``: each word vector becomes a random point of the convex hull of the word and its
  neighbours (DNE, Zhou et al. 2021).

The variants of a row are drawn from a stream that is seeded by the victim's seed and the row's
token ids. So the smoothed victim is a deterministic function of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal["masking", "substitution", "hull"]
Answer = Literal["mean", "votes"]

DRAWS = 16
"""Variants of a text where a defense sets nothing else; DNE's release takes as many."""
FEWEST_KEPT = 2
"""Words of a text that masking always keeps, as in RanMASK's release."""


@dataclass(frozen=True)
class Smoothing:
    """How a victim answers at test time.

    Attributes:
        kind: how variants are drawn; see the module.
        draws: variants of each text (>= 1). A text costs as many forward passes.
        answer: ``"mean"`` answers with the mean of the variants' probabilities. ``"votes"`` counts
            the variants' predictions, which is what the certificates of SAFER and RanMASK are
            about; a search then sees steps instead of slopes.
        seed: of the draws, beside the row itself; the seed of the victim's training.
        rate: share of the words that masking replaces, in (0, 1).
        neighbours: most words of a perturbation set, the word itself included.
        concentration: of the Dirichlet distribution of the weights of a word and its substitutes.
        decay: factor of the concentration for the substitutes' substitutes.

    Raises:
        ValueError: a value is out of range, or does not belong to the kind.
    """

    kind: Kind
    draws: int = DRAWS
    answer: Answer = "mean"
    seed: int = 0
    rate: float | None = None
    neighbours: int | None = None
    concentration: float | None = None
    decay: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.answer not in get_args(Answer):
            raise ValueError(f"there is no smoothing '{self.kind}' with the answer '{self.answer}'")
        wanted = {
            "masking": {"rate"},
            "substitution": {"neighbours"},
            "hull": {"neighbours", "concentration", "decay"},
        }[self.kind]
        given = {
            name
            for name in ("rate", "neighbours", "concentration", "decay")
            if getattr(self, name) is not None
        }
        if given != wanted:
            raise ValueError(f"smoothing '{self.kind}' needs exactly {', '.join(sorted(wanted))}")
        valid = (
            self.draws >= 1
            and self.seed >= 0
            and (self.rate is None or 0 < self.rate < 1)
            and (self.neighbours is None or self.neighbours >= 2)
            and (self.concentration is None or self.concentration > 0)
            and (self.decay is None or 0 < self.decay <= 1)
        )
        if not valid:
            raise ValueError(f"a value of {self} is out of range")

    @property
    def needs_substitutions(self) -> bool:
        """Whether its variants come from the substitution set."""
        return self.kind != "masking"

    def to_card(self) -> dict[str, Any]:
        """Return it as JSON values, without the settings of other kinds."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_card(cls, values: Mapping[str, Any]) -> Smoothing:
        """Return the smoothing that ``to_card`` wrote.

        Raises:
            TypeError, ValueError: the values describe no smoothing.
        """
        return cls(**values)
