"""A search space written as a text of symbols, so that TextAttack's searches can run over it.

Each word with one of its options is one symbol. So a search need not know how robench splits
words, and TextAttack's own way of splitting them changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from textattack import Attack
from textattack.constraints.pre_transformation import RepeatModification
from textattack.goal_functions import UntargetedClassification
from textattack.models.wrappers import ModelWrapper
from textattack.shared import AttackedText
from textattack.transformations import WordSwap

from robench.methods.textattack.installed import TEXTATTACK_BATCH
from robench.methods.textattack.streams import GlobalStreams
from robench.search.oracle_interface import Oracle
from robench.search.texts import UNKNOWN_WORD
from robench.text.space import Choice, SearchSpace

ProbabilitiesOf = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts of symbols -> probabilities, ``(texts, classes)``."""


class Symbols:
    """Writes choices as texts of symbols and reads them back.

    The word at position 7 with its option 2 is written ``7x2``. A word that is left out is written
    ``[UNK]`` or not at all.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def write(self, choice: Choice) -> str:
        """Return the text of the words that the victim sees of a choice."""
        visible = choice[: self._space.visible].tolist()
        return " ".join(f"{position}x{option}" for position, option in enumerate(visible))

    def options(self, position: int, but: str) -> list[str]:
        """Return the symbols that may stand at a position, without the symbol ``but``."""
        symbols = [f"{position}x{option}" for option in range(int(self._space.sizes[position]))]
        return [symbol for symbol in symbols if symbol != but]

    def read(self, text: str) -> tuple[Choice, list[int]]:
        """Return the choice of a text and the positions that are left out (0 in the choice).

        Raises:
            ValueError: a word is no symbol of the space, or is in another word's place.
        """
        words = text.split()
        choice, seen = self._space.original(), np.zeros(self._space.visible, dtype=bool)
        for number, word in enumerate(words):
            if word == UNKNOWN_WORD:
                continue
            position, _, option = word.partition("x")
            is_symbol = position.isdecimal() and option.isdecimal()
            # In a text of full length every symbol is in its own place.
            if not is_symbol or (len(words) == len(seen) and int(position) != number):
                raise ValueError(
                    f"the search wrote {word!r} as word {number},"
                    " which stands for no word of the surface"
                )
            choice[int(position)], seen[int(position)] = int(option), True
        return choice, np.flatnonzero(~seen).tolist()


class SymbolSwap(WordSwap):
    """Exchange one symbol for another one of its position."""

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self.symbols = symbols

    def _get_transformations(
        self, current_text: AttackedText, indices_to_modify: Iterable[int]
    ) -> list[AttackedText]:
        words = current_text.words
        swapped = []
        for place in sorted(indices_to_modify):
            for symbol in self.symbols.options(place, words[place]):
                swapped.append(current_text.replace_word_at_index(place, symbol))
        return swapped


class SymbolModel(ModelWrapper):
    """The oracle in the form in which TextAttack's goal function expects a model."""

    model = None

    def __init__(self, probabilities_of: ProbabilitiesOf) -> None:
        self._probabilities_of = probabilities_of

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See ``ProbabilitiesOf``."""
        return self._probabilities_of(texts)


def symbol_attack(
    space: SearchSpace, search: Any, oracle: Oracle, streams: GlobalStreams
) -> Attack:
    """Make TextAttack's ``Attack`` that runs ``search`` over the space with the oracle as model."""
    symbols = Symbols(space)
    goal = UntargetedClassification(
        SymbolModel(_asking(symbols, oracle, streams)),
        query_budget=float("inf"),
        model_batch_size=TEXTATTACK_BATCH,
    )
    return Attack(goal, [RepeatModification()], SymbolSwap(symbols), search)


def _asking(symbols: Symbols, oracle: Oracle, streams: GlobalStreams) -> ProbabilitiesOf:
    """Make the function that asks the oracle about texts of symbols.

    The search waits in it until its texts are answered. Its random states are put aside meanwhile.
    """

    def probabilities_of(texts: Sequence[str]) -> NDArray[np.float32]:
        read = [symbols.read(text) for text in texts]
        if any(len(left_out) > 1 for _, left_out in read):
            raise ValueError(
                "the search left out several words at once, about which the oracle is not asked"
            )
        # The oracle takes left-out words one choice at a time. All other texts go together,
        # under the empty key.
        groups: dict[bytes, list[int]] = {}
        for number, (choice, left_out) in enumerate(read):
            groups.setdefault(choice.tobytes() if left_out else b"", []).append(number)
        answers: dict[int, NDArray[np.float32]] = {}
        with streams.swapped():
            for key, numbers in groups.items():
                choices = np.stack([read[number][0] for number in numbers])
                if key:
                    left = np.array([read[number][1][0] for number in numbers])
                    probs = oracle.probs_without(choices[0], left)
                else:
                    probs = oracle.probs(choices)
                answers |= dict(zip(numbers, probs, strict=True))
        return np.stack([answers[number] for number in range(len(texts))])

    return probabilities_of
