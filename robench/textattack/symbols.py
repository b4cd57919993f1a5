"""A search space as a text of symbols: TextAttack's searches over it need not know how words are split."""

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

from robench.search.space import Choice, Oracle, SearchSpace
from robench.search.texts import UNKNOWN_WORD
from robench.textattack.installed import AT_ONCE
from robench.textattack.streams import Streams

Answer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts of symbols -> probabilities, ``(texts, classes)``."""


class Symbols:
    """Choices as texts: the word at position 7 with its option 2 is written ``7x2``, a word that is left out ``[UNK]`` or not at all."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def write(self, choice: Choice) -> str:
        """The text of a choice, as far as the victim sees it."""
        return " ".join(
            f"{position}x{option}"
            for position, option in enumerate(choice[: self._space.visible].tolist())
        )

    def options(self, position: int, but: str) -> list[str]:
        """The symbols that may stand at a position, without the one that does."""
        symbols = [f"{position}x{option}" for option in range(int(self._space.sizes[position]))]
        return [symbol for symbol in symbols if symbol != but]

    def read(self, text: str) -> tuple[Choice, list[int]]:
        """The choice and the positions that are left out (0 in the choice); raises ValueError for a text of anything else."""
        words = text.split()
        choice, seen = self._space.original(), np.zeros(self._space.visible, dtype=bool)
        for number, word in enumerate(words):
            if word == UNKNOWN_WORD:
                continue
            position, _, option = word.partition("x")
            if not (position.isdecimal() and option.isdecimal()) or (
                len(words) == len(seen) and int(position) != number
            ):
                raise ValueError(
                    f"the search wrote {word!r} as word {number}, which stands for no word of the surface"
                )
            choice[int(position)], seen[int(position)] = int(option), True
        return choice, np.flatnonzero(~seen).tolist()


class SymbolSwap(WordSwap):
    """One symbol in exchange for another one of its position."""

    def __init__(self, symbols: Symbols) -> None:
        super().__init__()
        self.symbols = symbols

    def _get_transformations(
        self, current_text: AttackedText, indices_to_modify: Iterable[int]
    ) -> list[AttackedText]:
        words = current_text.words
        places = sorted(indices_to_modify)
        return [
            current_text.replace_word_at_index(place, symbol)
            for place in places
            for symbol in self.symbols.options(place, words[place])
        ]


class SymbolModel(ModelWrapper):
    """What the goal function takes for a model."""

    model = None

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See ``Answer``."""
        return self._answer(texts)


def attack_on(space: SearchSpace, search: Any, oracle: Oracle, streams: Streams) -> Attack:
    """TextAttack's own ``Attack``: ``search`` over the space, with the oracle for a model."""
    symbols = Symbols(space)
    goal = UntargetedClassification(
        SymbolModel(_answer(symbols, oracle, streams)),
        query_budget=float("inf"),
        model_batch_size=AT_ONCE,
    )
    return Attack(goal, [RepeatModification()], SymbolSwap(symbols), search)


def _answer(symbols: Symbols, oracle: Oracle, streams: Streams) -> Answer:
    """Parks the search until its texts are answered, its random numbers out of everybody's way."""

    def probs(texts: Sequence[str]) -> NDArray[np.float32]:
        read = [symbols.read(text) for text in texts]
        if any(len(left_out) > 1 for _, left_out in read):
            raise ValueError(
                "the search left out several words at once, about which the oracle is not asked"
            )
        groups: dict[bytes, list[int]] = {}
        for number, (choice, left_out) in enumerate(read):
            groups.setdefault(choice.tobytes() if left_out else b"", []).append(number)
        answers: dict[int, NDArray[np.float32]] = {}
        with streams.swapped():
            for key, numbers in groups.items():
                choices = np.stack([read[number][0] for number in numbers])
                left = np.array([read[number][1] for number in numbers])[:, :1].ravel()
                answers |= dict(
                    zip(
                        numbers,
                        oracle.probs_without(choices[0], left) if key else oracle.probs(choices),
                        strict=True,
                    )
                )
        return np.stack([answers[number] for number in range(len(texts))])

    return probs
