"""Small victims whose weakness is known.

They use numpy only and exact arithmetic, and worker processes can import them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.models.gradient_query import GradientQuery
from robench.models.hull_query import HullQuery
from robench.search.jobs import Job
from robench.search.victim_protocol import Candidates
from robench.tasks.example import Example
from robench.text.encoding import EncodedText
from robench.text.field_encoding import RowMode
from robench.text.space import SearchSpace

PAD, UNKNOWN, FIRST, LAST = range(4)

Ids = NDArray[np.int32]


class FakeTable:
    """A word table with one token a word; an unknown word is the unknown token."""

    mode: RowMode = "word"
    pad_id = PAD
    can_pad = True

    def __init__(self, words: Sequence[str]) -> None:
        self.numbers = {word: 4 + number for number, word in enumerate(sorted(set(words)))}

    def ids(self, word: str) -> tuple[int, ...]:
        """Return the tokens of a word."""
        return (self.numbers.get(word, UNKNOWN),)


class FakeFields:
    """Encodes the words of all fields, between a first and a last token.

    The words stand field after field. The row is cut at ``max_tokens``.
    """

    no_unknown_words = ""

    def __init__(self, table: FakeTable, attackable: str, max_tokens: int) -> None:
        self.table, self.attackable, self.max_tokens = table, attackable, max_tokens

    def visible(self, words: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> int:
        """See ``robench.text.field_encoding.FieldEncoding``; it sees all words."""
        return len(words[self.attackable])

    def unknown_words(self, words: Iterable[str]) -> frozenset[str]:
        """Return those of ``words`` that the table does not know."""
        return frozenset(word for word in words if UNKNOWN in self.table.ids(word))

    def candidates(
        self,
        words: Mapping[str, Sequence[str]],
        space: SearchSpace,
        texts: Mapping[str, str] | None = None,
    ) -> Candidates:
        """See ``robench.text.field_encoding.FieldEncoding``; it reads no strings."""
        return (GatheredCandidates if self.table.mode == "word" else FakeCandidates)(
            self, words, space
        )

    def ids(self, fields: Mapping[str, Sequence[str]]) -> list[int]:
        """Return the row of one text."""
        body: list[int] = []
        for words in fields.values():
            for word in words:
                body += self.table.ids(word)
        return [FIRST, *body[: self.max_tokens - 2], LAST]


class FakeCandidates:
    """Encodes choices row by row, which is slow and simple."""

    def __init__(
        self, fields: FakeFields, words: Mapping[str, Sequence[str]], space: SearchSpace
    ) -> None:
        self._fields, self._words, self._space = fields, words, space

    def encode(self, choices: NDArray[np.int16]) -> tuple[Ids, Ids]:
        """See ``robench.text.field_encoding.Candidates``."""
        return pad(
            [
                self._fields.ids({**self._words, self._fields.attackable: self._space.text(choice)})
                for choice in choices
            ]
        )

    def encode_without(
        self, choice: NDArray[np.int16], positions: NDArray[np.intp]
    ) -> tuple[Ids, Ids]:
        """See ``robench.text.field_encoding.Candidates``."""
        rows = []
        for position in positions.tolist():
            words = [*self._space.text(choice)]
            words[position] = "<removed>"
            rows.append(self._fields.ids({**self._words, self._fields.attackable: words}))
        return pad(rows)

    def types(self, length: int) -> NDArray[np.int8]:
        """See ``robench.text.field_encoding.Candidates``."""
        return np.zeros(length, dtype=np.int8)

    def spans(self, choice: NDArray[np.int16]) -> NDArray[np.intp]:
        """See ``robench.search.whitebox.PlacedWords``."""
        names = list(self._words)
        before = [
            word
            for name in names[: names.index(self._fields.attackable)]
            for word in self._words[name]
        ]
        pieces = [len(self._fields.table.ids(word)) for word in self._space.text(choice)]
        first = 1 + sum(len(self._fields.table.ids(word)) for word in before)
        ends = np.minimum(first + np.cumsum([0, *pieces]), self._fields.max_tokens - 1)
        return np.stack([ends[:-1], ends[1:]], axis=1)


class GatheredCandidates(FakeCandidates):
    """Encodes choices with one token a word, gathered from a table.

    This is for long texts and many rows.
    """

    def __init__(
        self, fields: FakeFields, words: Mapping[str, Sequence[str]], space: SearchSpace
    ) -> None:
        super().__init__(fields, words, space)
        whole = {**words, fields.attackable: space.words}
        self._row, _ = pad([fields.ids(whole)])
        before = list(whole)[: list(whole).index(fields.attackable)]
        self._start = 1 + sum(len(whole[name]) for name in before)
        self._used = max(0, min(len(space.words), self._row.shape[1] - 1 - self._start))
        self._options = np.full((self._used, int(space.sizes.max(initial=1))), PAD, dtype=np.int32)
        for row, options in zip(self._options, space.options, strict=False):
            row[: len(options)] = [
                number for option in options for number in fields.table.ids(option)
            ]

    def encode(self, choices: NDArray[np.int16]) -> tuple[Ids, Ids]:
        """See ``robench.text.field_encoding.Candidates``."""
        rows = np.repeat(self._row, len(choices), axis=0)
        rows[:, self._start : self._start + self._used] = self._options[
            np.arange(self._used), choices[:, : self._used]
        ]
        return rows, np.full(len(rows), rows.shape[1], dtype=np.int32)

    def encode_without(
        self, choice: NDArray[np.int16], positions: NDArray[np.intp]
    ) -> tuple[Ids, Ids]:
        """See ``robench.text.field_encoding.Candidates``."""
        rows, lengths = self.encode(np.repeat(choice[None], len(positions), axis=0))
        seen = positions < self._used
        rows[np.flatnonzero(seen), self._start + positions[seen]] = UNKNOWN
        return rows, lengths


class FakeVictim:
    """A victim whose logits are the sum of each token's weights plus a bias.

    The weights are whole numbers, so the sum is exact in any order.

    Args:
        weights: word -> logits it adds.
        words: further words of the vocabulary, of weight zero.
        twist: changes the logits ``(batch, classes)``, given the ids; it makes a victim that is
            no sum.
        rough: does the same to logits in bf16, which are exact without it.
    """

    def __init__(
        self,
        weights: Mapping[str, Sequence[float]],
        words: Sequence[str] = (),
        bias: Sequence[float] = (0, 0),
        max_tokens: int = 300,
        attackable: str = "text",
        twist: Callable[[Ids, NDArray[np.float32]], NDArray[np.float32]] | None = None,
        table: FakeTable | None = None,
        rough: Callable[[Ids, NDArray[np.float32]], NDArray[np.float32]] | None = None,
    ) -> None:
        self.segments = True
        self.device, self.attackable, self.twist, self.rough = "cpu", attackable, twist, rough
        self.table = table or FakeTable([*weights, *words])
        self.encoder_fields = FakeFields(self.table, attackable, max_tokens)
        self.bias = np.array(bias, dtype=np.float32)
        self.weights = np.zeros((len(self.table.numbers) + 4, len(bias)), dtype=np.float32)
        for word, values in weights.items():
            self.weights[self.table.numbers[word]] = values
        self.forwards: list[tuple[int, int]] = []
        self.precisions: list[str] = []

    def logits(
        self,
        ids: Ids,
        lengths: Ids,
        types: NDArray[np.int8] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """See ``robench.search.victim_protocol.SearchVictim``."""
        assert types is None or types.shape == ids.shape
        assert (lengths <= ids.shape[1]).all()
        self.forwards.append(ids.shape)
        self.precisions.append(precision)
        inside = np.arange(ids.shape[1]) < np.asarray(lengths)[:, None]
        assert (ids[~inside] == PAD).all()
        logits: NDArray[np.float32] = (self.weights[ids] * inside[:, :, None]).sum(
            axis=1
        ) + self.bias
        for change in (self.twist, self.rough if precision == "bf16" else None):
            logits = logits if change is None else np.asarray(change(ids, logits), dtype=np.float32)
        return logits

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """See ``robench.search.victim_protocol.SearchVictim``."""
        ids = self.encoder_fields.ids({name: text.split() for name, text in fields.items()})
        return EncodedText(np.array(ids, dtype=np.int32), np.zeros(len(ids), dtype=np.int8))

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        """Return probabilities ``(texts, classes)``, as a victim does."""
        ids, lengths = pad([self.read(fields).ids.tolist() for fields in texts])
        powers = np.exp(self.logits(ids, lengths).astype(np.float64))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def hull(self, query: HullQuery) -> NDArray[np.float32]:
        """See ``robench.search.whitebox.WhiteBoxVictim``.

        It takes one long step along the gradient at the even mixture, which is enough for a sum.
        """
        vectors, allowed = self.weights[query.slots].astype(np.float64), query.allowed
        even = allowed / allowed.sum(axis=1, keepdims=True)
        logits = (vectors * even[:, :, None]).sum(axis=(0, 1)) + self.bias
        others = np.where(np.arange(len(logits)) == query.label, -np.inf, logits)
        # Upwards is where the best other class gains on the label.
        towards = np.eye(len(logits))[int(others.argmax())] - np.eye(len(logits))[query.label]
        gradient = vectors @ towards
        steepest = np.abs(gradient).max() or 1.0
        powers = np.where(
            allowed, np.exp(query.steps * query.learning_rate * gradient / steepest), 0.0
        )
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def gradient(self, query: GradientQuery) -> NDArray[np.float32]:
        """See ``robench.search.whitebox.WhiteBoxVictim``.

        The embedding of a token is its row of weights, so the gradient is the same everywhere.
        """
        logits = self.weights[query.ids].sum(axis=0) + self.bias
        others = np.where(np.arange(len(logits)) == query.label, -np.inf, logits)
        gradient = np.zeros((len(query.ids), len(logits)), dtype=np.float32)
        gradient[:, query.label], gradient[:, int(others.argmax())] = 1, -1
        return gradient


def pad(rows: Sequence[Sequence[int]]) -> tuple[Ids, Ids]:
    """Return rows of different lengths as one padded array, and their lengths."""
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    ids = np.full((len(rows), int(lengths.max(initial=1))), PAD, dtype=np.int32)
    for row, numbers in zip(ids, rows, strict=True):
        row[: len(numbers)] = numbers
    return ids, lengths


def make_job(
    text: str,
    substitutes: Mapping[str, Sequence[str]],
    label: int = 0,
    number: int = 0,
    visible: int | None = None,
    **context: str,
) -> Job:
    """Make a job of a text whose words are separated by blanks.

    Args:
        text: the attackable field, called ``text``.
        substitutes: word -> its substitutes.
        label: the true class.
        number: the number in the example's id.
        visible: number of words that the victim sees; all of them unless given.
        context: further fields, which stand before the attackable one.
    """
    words = tuple(text.split())
    seen = len(words) if visible is None else min(visible, len(words))
    options = tuple(
        (word, *(substitutes.get(word, ()) if position < seen else ()))
        for position, word in enumerate(words)
    )
    fields = {**context, "text": text}
    example = Example(id=f"fake/{number:04d}", fields=fields, label=label)
    return Job(
        example,
        {name: value.split() for name, value in fields.items()},
        SearchSpace(words, options, seen),
    )


def load_linear(folder: Path = Path(), device: str = "cpu") -> FakeVictim:
    """Make the victim of ``linear_jobs``; worker processes call this to load it."""
    words = [f"w{number}{variant}" for number in range(40) for variant in ("", "a", "b", "c")]
    rng = np.random.default_rng(7)
    weights = {word: [0.0, float(rng.integers(-3, 3))] for word in words}
    return FakeVictim(weights, bias=(4.0, 0.0))


def linear_jobs(count: int, words: int = 12, seed: int = 3) -> list[Job]:
    """Make texts for the victim of ``load_linear``; each word has three substitutes.

    The word w39 is never used.
    """
    rng = np.random.default_rng(seed)
    substitutes = {
        f"w{number}": [f"w{number}{variant}" for variant in "abc"] for number in range(39)
    }
    jobs = []
    for number in range(count):
        length = int(rng.integers(1, words + 1))
        text = " ".join(f"w{drawn}" for drawn in rng.integers(0, 39, size=length))
        jobs.append(make_job(text, substitutes, number=number))
    return jobs
