"""Queries about texts that are not choices of a space.

Attacks outside the surface make such queries, and so does TextAttack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from robench.models.probabilities import softmax
from robench.search.batching import logits_of_rows
from robench.search.jobs import Job
from robench.search.oracle import ForwardRows, MeteredOracle
from robench.search.victim_protocol import Candidates, SearchVictim
from robench.text.space import SearchSpace
from robench.text.words import split_words

UNKNOWN_WORD = "[UNK]"
"""Stands in a text for the victim's unknown token, whatever its real name.

TextAttack uses it to measure how much a word matters.
"""
_PARTS = tuple(split_words(UNKNOWN_WORD))
LONG_TEXT = 20_000
"""Characters that a text of an attack outside the surface may always have."""


def longest_text(original: str) -> int:
    """Return how many characters a text that replaces ``original`` may have."""
    return max(LONG_TEXT, 4 * len(original))


def text_problem(text: str, longest: int) -> str | None:
    """Say why a text cannot be used, as the end of a sentence; None where it can."""
    if len(text) > longest:
        return f"a text of {len(text):,} characters; at most {longest:,} are accepted"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a text with half of a surrogate pair, which is no character"
    return None


class TextRow(NamedTuple):
    """One text as token ids.

    Attributes:
        candidates: they know the token types of the text.
        ids: ``(1, tokens)``.
        lengths: ``(1,)``.
    """

    candidates: Candidates
    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]


def encode_text(victim: SearchVictim, fields: Mapping[str, str]) -> TextRow:
    """Split and encode one text, given as all its fields.

    The first ``[UNK]`` in the attackable field is the unknown token. Any further one is read as
    ordinary text.
    """
    words = {name: split_words(text) for name, text in fields.items()}
    unknown = _fold_unknown(words[victim.attackable])
    own = tuple(words[victim.attackable])
    space = SearchSpace(own, tuple((word,) for word in own), len(own))
    candidates = victim.encoder_fields.candidates(words, space, fields)
    original = np.zeros(len(own), dtype=np.int16)
    if unknown is None:
        return TextRow(candidates, *candidates.encode(original[None]))
    return TextRow(candidates, *candidates.encode_without(original, np.array([unknown])))


def pooled_probs(victim: SearchVictim, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
    """Return probabilities ``(texts, classes)``, with the forward shapes that a search uses."""
    return softmax(logits_of_rows(victim, [encode_text(victim, fields) for fields in texts]))


def _fold_unknown(words: list[str]) -> int | None:
    """Join the first ``[UNK]``, which the splitter takes apart, and return its index."""
    size = len(_PARTS)
    for index in range(len(words) - size + 1):
        if tuple(words[index : index + size]) == _PARTS:
            words[index : index + size] = [UNKNOWN_WORD]
            return index
    return None


class PooledTextOracle(MeteredOracle):
    """``robench.TextOracle`` for one example.

    It remembers no successes, because an attack may query texts that it would not return.
    """

    def __init__(
        self, victim: SearchVictim, job: Job, ask: ForwardRows, budget: int | None
    ) -> None:
        super().__init__(
            lambda rows, ids, lengths: _ask_in_parts(ask, cast("_TextRows", rows), ids, lengths),
            budget,
        )
        self._victim, self._fields = victim, job.example.fields

    def probs(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return probabilities; see ``robench.TextOracle``.

        Raises:
            ValueError: a text is too long, or holds half of a surrogate pair.
        """
        # A copy, because the search may change its list while it waits in another thread.
        texts = list(texts)
        longest = longest_text(self._fields[self._victim.attackable])
        for text in texts:
            if (problem := text_problem(text, longest)) is not None:
                raise ValueError(problem)
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
        attackable = self._victim.attackable
        rows = [encode_text(self._victim, {**self._fields, attackable: text}) for text in texts]
        lengths = np.concatenate([row.lengths for row in rows])
        ids = np.full((len(rows), int(lengths.max())), self._victim.table.pad_id, dtype=np.int32)
        for line, row in zip(ids, rows, strict=True):
            line[: row.lengths[0]] = row.ids[0, : row.lengths[0]]
        return _TextRows(rows), ids, lengths


class _Group(NamedTuple):
    """Rows of which those of one length have the same token types."""

    numbers: list[int]
    types_by_length: dict[int, NDArray[np.int8]]

    def fits(self, length: int, types: NDArray[np.int8]) -> bool:
        """Return whether a row of that length with those token types may join."""
        return np.array_equal(self.types_by_length.get(length, types), types)


class _TextRows:
    """Candidates of rows that were encoded one by one."""

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
        """Group the numbers of rows that can be asked together.

        Within a group, rows of one length have the same token types. Nearly always there is one
        group. A pair that is cut to the window has the same length whatever its texts are, but
        where its second text begins depends on them.
        """
        groups: list[_Group] = []
        for number, row in enumerate(self._rows):
            length = int(row.lengths[0])
            types = row.candidates.types(length)
            group = next((group for group in groups if group.fits(length, types)), None)
            if group is None:
                group = _Group([], {})
                groups.append(group)
            group.numbers.append(number)
            group.types_by_length[length] = types
        return [group.numbers for group in groups]

    def only(self, numbers: Sequence[int]) -> _TextRows:
        """Return the candidates of some rows."""
        return _TextRows([self._rows[number] for number in numbers])


def _ask_in_parts(
    ask: ForwardRows, rows: _TextRows, ids: NDArray[np.int32], lengths: NDArray[np.int32]
) -> NDArray[np.float32]:
    parts = rows.parts()
    logits = np.concatenate(
        [ask(rows.only(numbers), ids[numbers], lengths[numbers]) for numbers in parts]
    )
    # The parts come in another order than the texts.
    ordered = np.empty_like(logits)
    ordered[np.concatenate(parts)] = logits
    return ordered
