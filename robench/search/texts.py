"""Texts that are not choices of a space: what an attack outside the surface, and TextAttack, ask about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import softmax
from robench.search.batching import answers
from robench.search.oracle import ForwardRows, MeteredOracle
from robench.search.space import SearchSpace
from robench.search.victim_protocol import Candidates, Job, SearchVictim
from robench.text.words import split_words

UNKNOWN_WORD = "[UNK]"
"""Stands in a text for the victim's unknown token, whatever that is called: TextAttack's way to ask how much a word matters."""
_PARTS = tuple(split_words(UNKNOWN_WORD))


class TextRow(NamedTuple):
    """One text: ids ``(1, tokens)``, lengths ``(1,)``, and the candidates that know its token types."""

    candidates: Candidates
    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]


def encode_text(victim: SearchVictim, fields: Mapping[str, str]) -> TextRow:
    """Split and encode one text, all its fields; the first ``[UNK]`` in the attackable one is the unknown token, and any further one is read as it stands."""
    words = {name: split_words(text) for name, text in fields.items()}
    unknown = _fold_unknown(words[victim.attackable])
    own = tuple(words[victim.attackable])
    candidates = victim.encoder_fields.candidates(
        words, SearchSpace(own, tuple((word,) for word in own), len(own))
    )
    original = np.zeros(len(own), dtype=np.int16)
    if unknown is None:
        return TextRow(candidates, *candidates.encode(original[None]))
    return TextRow(candidates, *candidates.encode_without(original, np.array([unknown])))


def pooled_probs(victim: SearchVictim, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
    """``(texts, classes)``, in the shapes of forwards that a search would use."""
    return softmax(answers(victim, [encode_text(victim, fields) for fields in texts]))


def _fold_unknown(words: list[str]) -> int | None:
    """Make one word of the first ``[UNK]``, which the splitter takes apart; returns its index."""
    size = len(_PARTS)
    for index in range(len(words) - size + 1):
        if tuple(words[index : index + size]) == _PARTS:
            words[index : index + size] = [UNKNOWN_WORD]
            return index
    return None


class PooledTextOracle(MeteredOracle):
    """``robench.TextOracle`` for one example. It keeps no success: what an attack merely asks about may be a text that it would not return."""

    def __init__(
        self, victim: SearchVictim, job: Job, ask: ForwardRows, budget: int | None
    ) -> None:
        super().__init__(
            lambda texts, ids, lengths: _ask_in_parts(ask, cast("_Texts", texts), ids, lengths),
            budget,
        )
        self._victim, self._fields = victim, job.example.fields

    def probs(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See ``robench.TextOracle``."""
        return softmax(
            self._answer(
                self._outside,
                [text.encode() for text in texts],
                lambda fresh: self._encode([texts[number] for number in fresh]),
            )
        )

    def _encode(
        self, texts: Sequence[str]
    ) -> tuple[Candidates, NDArray[np.int32], NDArray[np.int32]]:
        rows = [
            encode_text(self._victim, {**self._fields, self._victim.attackable: text})
            for text in texts
        ]
        lengths = np.concatenate([row.lengths for row in rows])
        ids = np.full((len(rows), int(lengths.max())), self._victim.table.pad_id, dtype=np.int32)
        for line, row in zip(ids, rows, strict=True):
            line[: row.lengths[0]] = row.ids[0, : row.lengths[0]]
        return _Texts(rows), ids, lengths


class _Texts:
    """Candidates of rows whose windows were laid out each for itself."""

    def __init__(self, rows: Sequence[TextRow]) -> None:
        self._rows = rows
        self._by_length = {int(row.lengths[0]): row.candidates for row in rows}
        self.encode, self.encode_without = (
            rows[0].candidates.encode,
            rows[0].candidates.encode_without,
        )

    def types(self, length: int) -> NDArray[np.int8]:
        return self._by_length[length].types(length)

    def parts(self) -> list[list[int]]:
        """Numbers of the rows that can be asked together: of those, rows of one length have the same token types.

        Nearly always all of them. A pair that is cut to the window is as long whatever its texts are, but where the second begins depends on them.
        """
        parts: list[tuple[list[int], dict[int, NDArray[np.int8]]]] = []
        for number, row in enumerate(self._rows):
            length = int(row.lengths[0])
            types = row.candidates.types(length)
            part = next(
                (part for part in parts if np.array_equal(part[1].get(length, types), types)), None
            )
            if part is None:
                parts.append(part := ([], {}))
            part[0].append(number)
            part[1][length] = types
        return [numbers for numbers, _ in parts]

    def only(self, numbers: Sequence[int]) -> _Texts:
        """The candidates of some rows."""
        return _Texts([self._rows[number] for number in numbers])


def _ask_in_parts(
    ask: ForwardRows, texts: _Texts, ids: NDArray[np.int32], lengths: NDArray[np.int32]
) -> NDArray[np.float32]:
    parts = texts.parts()
    logits = np.concatenate(
        [ask(texts.only(numbers), ids[numbers], lengths[numbers]) for numbers in parts]
    )
    answers = np.empty_like(logits)
    answers[np.concatenate(parts)] = logits
    return answers
