"""The surface as a transformation of TextAttack, and its language-model constraint as a constraint.

They work with any search method of TextAttack.
"""

from __future__ import annotations

from collections.abc import Iterable

from textattack.constraints import Constraint
from textattack.shared import AttackedText
from textattack.transformations import WordSwap

from robench.textattack.texts import TextSurface, original_of


class SurfaceSwap(WordSwap):
    """Exchange one word of the text for another option of its position.

    The original word is one of the options. The surface is that of the original text.

    Args:
        constrained: whether to offer only what the language model allows; ``SurfaceConstraint``
            does the same one step later.
    """

    def __init__(self, surface: TextSurface, *, constrained: bool = False) -> None:
        super().__init__()
        self.surface, self.constrained = surface, constrained

    def _get_transformations(
        self, current_text: AttackedText, indices_to_modify: Iterable[int]
    ) -> list[AttackedText]:
        options = self.surface.options(original_of(current_text), self.constrained)
        # The options are numbered by the words of the original text. Earlier changes can have
        # moved these words.
        now = current_text.convert_from_original_idxs(list(options)) if options else []
        chosen, words = set(indices_to_modify), current_text.words
        swapped = []
        for index, listed in zip(map(int, now), options.values(), strict=True):
            if index in chosen:
                for option in listed:
                    if option != words[index]:
                        swapped.append(current_text.replace_word_at_index(index, option))
        return swapped


class SurfaceConstraint(Constraint):
    """Allow only words that the language model allows in the ORIGINAL context (Jia et al. 2019).

    The words that stand around them by now make no difference.
    """

    def __init__(self, surface: TextSurface) -> None:
        super().__init__(compare_against_original=True)
        self.surface = surface

    def _check_constraint(
        self, transformed_text: AttackedText, reference_text: AttackedText
    ) -> bool:
        free = self.surface.options(reference_text, constrained=False)
        bound = self.surface.options(reference_text, constrained=True)
        places = list(free)
        now = transformed_text.convert_from_original_idxs(places) if places else []
        words = transformed_text.words
        for place, index in zip(places, now, strict=True):
            # Where the language model allows no substitute, only the original word may stand.
            if words[index] not in bound.get(place, free[place][:1]):
                return False
        return True
