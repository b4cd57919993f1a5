"""Sets of token ids around each word, from which a randomised victim draws.

They are made once from the encoder's vocabulary, the substitution set and the encoder's word
vectors, and they are stored with the victim. Only words that are one token of the vocabulary take
part. All words that the encoder does not know share the unknown token. It is a member of the sets
of words that have an unknown substitute, but it has no set of its own: which word it stands for is
lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from robench.text.word_table import WordTable

Lookup = Literal["cased", "lower"]
_CONTINUATION = "##"


class Substitutes(Protocol):
    """The part of ``robench.text.substitutions.SubstitutionSet`` that is used here."""

    def of(self, word: str, lookup: Lookup) -> Sequence[str]:
        """Return the substitutes of ``word``, without the word itself."""


@dataclass(frozen=True)
class WordSets:
    """One set for each token id; a token without a set of its own has none.

    Attributes:
        starts: ``(tokens + 1,)``; the set of token t is ``members[starts[t] : starts[t + 1]]``.
        members: token ids. The first member of a set is its token.
        near: ``(tokens,)``: how many of the first members are the token and its own substitutes.
    """

    starts: NDArray[np.int32]
    members: NDArray[np.int32]
    near: NDArray[np.int32]

    @classmethod
    def of(
        cls, sets: Mapping[int, Sequence[int]], near: Mapping[int, int], vocabulary: int
    ) -> WordSets:
        """Pack sets; each has at least two members."""
        sizes = np.zeros(vocabulary, dtype=np.int32)
        close = np.zeros(vocabulary, dtype=np.int32)
        for token, members in sets.items():
            sizes[token], close[token] = len(members), near[token]
        flat = [member for token in sorted(sets) for member in sets[token]]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        return cls(starts, np.array(flat, dtype=np.int32), close)

    @property
    def sizes(self) -> NDArray[np.int32]:
        """``(tokens,)``: the number of members of each set; 0 for a token without one."""
        return np.diff(self.starts)

    def set_of(self, token: int) -> NDArray[np.int32]:
        """Return the members of a token's set: the token alone where it has no set."""
        found = self.members[self.starts[token] : self.starts[token + 1]]
        return found if len(found) else np.array([token], dtype=np.int32)

    def overlap(self, token: int, other: int) -> float:
        """Return the overlap in [0, 1] of the uniform distributions over two sets.

        It is the sum over all words of the smaller of their two probabilities. For sets of equal
        size this is the share of common members, SAFER's ``|P_x & P_x'| / |P_x|``.
        """
        one, two = self.set_of(token), self.set_of(other)
        common = len(np.intersect1d(one, two))
        return common / max(len(one), len(two))


class _Graph:
    """Which token may replace which: the substitution set over the encoder's vocabulary.

    Attributes:
        substitutes: token -> the tokens of its substitutes, in their order, without the unknown
            token.
        unknown: the tokens that have a substitute that the encoder does not know.
    """

    def __init__(self, table: WordTable, substitutes: Substitutes, lookup: Lookup) -> None:
        self.substitutes: dict[int, tuple[int, ...]] = {}
        self.unknown: set[int] = set()
        words = dict(_vocabulary_words(table))
        found = {word: substitutes.of(word, lookup) for word in words}
        table.prepare({other for others in found.values() for other in others})
        for word, token in words.items():
            tokens: dict[int, None] = {}
            for other in found[word]:
                pieces = table.ids(other)
                if len(pieces) != 1 or pieces[0] == token:
                    continue
                if pieces[0] == table.unknown_id:
                    self.unknown.add(token)
                else:
                    tokens[pieces[0]] = None
            self.substitutes[token] = tuple(tokens)

    def symmetric(self) -> dict[int, list[int]]:
        """Return the neighbours of each token, with every edge in both directions."""
        both: dict[int, dict[int, None]] = {token: {} for token in self.substitutes}
        for token, others in self.substitutes.items():
            for other in others:
                both[token][other] = None
                both.setdefault(other, {})[token] = None
        return {token: list(others) for token, others in both.items()}


def _vocabulary_words(table: WordTable) -> Iterator[tuple[str, int]]:
    """Yield the words that are one token of the vocabulary, with that token."""
    special, mark = set(table.tokenizer.all_special_ids), table.mark
    listed: list[tuple[str, int]] = []
    for piece, token in sorted(table.tokenizer.get_vocab().items(), key=lambda item: item[1]):
        if token in special or (mark and not piece.startswith(mark)):
            continue
        word = piece[len(mark) :]
        if word and not (not mark and word.startswith(_CONTINUATION)):
            listed.append((word, token))
    table.prepare(word for word, _ in listed)
    yield from ((word, token) for word, token in listed if table.ids(word) == (token,))


def perturbation_sets(
    table: WordTable,
    substitutes: Substitutes,
    lookup: Lookup,
    vectors: NDArray[np.floating[Any]],
    most: int,
) -> WordSets:
    """Return SAFER's perturbation sets: a word's substitution set, enlarged.

    Words that are linked by substitutions form a component. In a component of at most ``most``
    words, every word has the whole component as its set. In a larger one, a word has the ``most``
    words that are nearest to it: by the number of substitutions between them, and among equals by
    the cosine of their vectors. The unknown token joins every set of a component in which a word
    has an unknown substitute. So all sets of a component are equally large.

    Args:
        vectors: ``(vocabulary, size)``, the encoder's word vectors.
        most: the paper's K, the word itself included (>= 2).
    """
    graph = _Graph(table, substitutes, lookup)
    neighbours = graph.symmetric()
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    sets: dict[int, list[int]] = {}
    for component in _components(neighbours):
        extra = [table.unknown_id] if graph.unknown.intersection(component) else []
        for token in component:
            if len(component) <= most:
                chosen = [token, *(other for other in component if other != token)]
            else:
                chosen = _nearest(token, neighbours, unit, most)
            if len(chosen) + len(extra) > 1:
                sets[token] = chosen + extra
    near = {token: len(members) for token, members in sets.items()}
    return WordSets.of(sets, near, len(vectors))


def _components(neighbours: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    """Yield the connected components, each in ascending order."""
    seen: set[int] = set()
    for start in neighbours:
        if start in seen:
            continue
        component, waiting = {start}, [start]
        while waiting:
            for other in neighbours[waiting.pop()]:
                if other not in component:
                    component.add(other)
                    waiting.append(other)
        seen |= component
        yield sorted(component)


def _nearest(
    token: int,
    neighbours: Mapping[int, Sequence[int]],
    unit: NDArray[np.floating[Any]],
    most: int,
) -> list[int]:
    """Return the ``most`` tokens of a component that are nearest to ``token``, itself first."""
    chosen, shell = {token: None}, [token]
    while shell and len(chosen) < most:
        further = {other for one in shell for other in neighbours[one]} - chosen.keys()
        ordered = np.array(sorted(further), dtype=np.int64)
        closeness = unit[ordered] @ unit[token]
        shell = ordered[np.argsort(-closeness, kind="stable")].tolist()
        chosen.update(dict.fromkeys(shell))
    return list(chosen)[:most]


def neighbourhoods(
    table: WordTable, substitutes: Substitutes, lookup: Lookup, vocabulary: int, most: int
) -> WordSets:
    """Return DNE's neighbourhoods: the word, its substitutes, and the substitutes of these.

    Args:
        vocabulary: number of token ids.
        most: most members of a set, the word itself included (>= 2).
    """
    graph, sets, near = _Graph(table, substitutes, lookup), {}, {}
    for token, own in graph.substitutes.items():
        first = [token, *own, *([table.unknown_id] if token in graph.unknown else [])]
        second = [further for one in own for further in graph.substitutes.get(one, ())]
        members = list(dict.fromkeys([*first, *second]))[:most]
        if len(members) > 1:
            sets[token], near[token] = members, min(len(first), most)
    return WordSets.of(sets, near, vocabulary)
