"""The surface as a transformation, and its language-model bound as a constraint, for any search method of TextAttack."""

from __future__ import annotations

from collections.abc import Iterable

from textattack.constraints import Constraint
from textattack.shared import AttackedText
from textattack.transformations import WordSwap

from robench.textattack.texts import TextSurface, original_of


class SurfaceSwap(WordSwap):
    """One word of the text in exchange for another one of its place's options, the original word included; the surface is that of the original text.

    Args:
        constrained: whether to offer only what the language model allows; ``SurfaceConstraint`` does the same one step later.
    """

    def __init__(self, surface: TextSurface, *, constrained: bool = False) -> None:
        super().__init__()
        self.surface, self.constrained = surface, constrained

    def _get_transformations(
        self, current_text: AttackedText, indices_to_modify: Iterable[int]
    ) -> list[AttackedText]:
        options = self.surface.options(original_of(current_text), self.constrained)
        now = current_text.convert_from_original_idxs(list(options)) if options else []
        chosen, words = set(indices_to_modify), current_text.words
        return [
            current_text.replace_word_at_index(index, option)
            for index, listed in zip(map(int, now), options.values(), strict=True)
            if index in chosen
            for option in listed
            if option != words[index]
        ]


class SurfaceConstraint(Constraint):
    """Only words that the language model allows in the ORIGINAL context, whatever stands around them by now (Jia et al. 2019)."""

    def __init__(self, surface: TextSurface) -> None:
        super().__init__(compare_against_original=True)
        self.surface = surface

    def _check_constraint(
        self, transformed_text: AttackedText, reference_text: AttackedText
    ) -> bool:
        free, bound = (
            self.surface.options(reference_text, constrained) for constrained in (False, True)
        )
        places = list(free)
        now = transformed_text.convert_from_original_idxs(places) if places else []
        words = transformed_text.words
        return all(
            words[index] in bound.get(place, free[place][:1])
            for place, index in zip(places, now, strict=True)
        )
