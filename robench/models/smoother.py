"""Draw the random variants of texts from which a smoothed victim answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robench._base.bounded_reading import parse_json
from robench._base.errors import RobenchError, UsageError
from robench.models.probabilities import softmax
from robench.models.smoothing import FEWEST_KEPT, Smoothing
from robench.text.encoding import FieldEncoder
from robench.text.row_words import OUTSIDE, RowWords
from robench.text.word_sets import Lookup, Substitutes, WordSets, neighbourhoods, perturbation_sets

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "smoothing.safetensors"
"""File of a victim's folder that holds what its variants are drawn from."""
_KEY = "smoothing"
BLOCK = 16
"""Variants of a row that are drawn at once."""


@dataclass(frozen=True)
class Variants:
    """Variants of rows.

    Attributes:
        ids: ``(rows, tokens)`` token ids.
        slots, weights: ``(rows, tokens, slots)`` the tokens whose vectors are mixed at each
            position, and their weights, which sum to 1. Slot 0 is the row's own token. None where
            no vectors are mixed.
    """

    ids: NDArray[np.int64]
    slots: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] | None = None


class Smoother:
    """A smoothing, ready to draw variants of the rows of one victim.

    Args:
        smoothing: how variants are drawn.
        fields: the encoder that makes the rows.
        sets: the sets of words to draw from; None for masking.

    Raises:
        UsageError: the encoder has no mask token, and the smoothing needs one.
    """

    def __init__(
        self, smoothing: Smoothing, fields: FieldEncoder, sets: WordSets | None = None
    ) -> None:
        if smoothing.needs_substitutions != (sets is not None):
            raise ValueError(f"smoothing '{smoothing.kind}' does not go with these sets")
        self.smoothing = smoothing
        self.sets = sets
        self._words = RowWords(fields)
        tokenizer = fields.table.tokenizer
        mask = getattr(tokenizer, "mask_token_id", None)
        if mask is None and smoothing.kind == "masking":
            raise UsageError(
                f"{type(tokenizer).__name__} has no mask token, and this defense replaces words "
                "by it. Choose another encoder."
            )
        self.mask_id = -1 if mask is None else int(mask)
        self._whole_words = fields.table.mode == "word"

    # -- distributions -----------------------------------------------------------------------------

    def stream(self, ids: NDArray[np.integer[Any]], seed: int) -> np.random.Generator:
        """Return the random stream of one row, which follows from its tokens and ``seed`` alone.

        Args:
            ids: ``(tokens,)``, without padding.
            seed: of the draws (>= 0).
        """
        content = np.ascontiguousarray(ids, dtype="<i8").tobytes()
        digest = hashlib.sha256(seed.to_bytes(8, "little") + content).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "little"))

    def draw(
        self, ids: NDArray[np.integer[Any]], rng: np.random.Generator, draws: int = 1
    ) -> Variants:
        """Draw variants of one row.

        Args:
            ids: ``(tokens,)``, without padding.
            rng: the only source of randomness.
            draws: number of variants.

        Returns:
            Arrays of the shapes ``(draws, tokens)`` and ``(draws, tokens, slots)``.
        """
        row = np.array(ids, dtype=np.int64)
        numbers = self._words.number(row)
        if self.smoothing.kind == "masking":
            return Variants(self._masked(row, numbers, rng, draws))
        places = self.places(row, numbers)
        rows = np.repeat(row[None], draws, axis=0)
        if self.smoothing.kind == "substitution":
            rows[:, places] = self._replacements(row[places], rng, draws)
            return Variants(rows)
        return Variants(rows, *self._mixtures(row, places, rng, draws))

    def places(
        self, ids: NDArray[np.integer[Any]], numbers: NDArray[np.int32] | None = None
    ) -> NDArray[np.intp]:
        """Return the positions of a row whose words are drawn anew, ascending.

        They hold a word that has a set. In subword mode, the word must be a single token.

        Args:
            ids: ``(tokens,)``, without padding.
            numbers: of the words, where they are known already.
        """
        assert self.sets is not None
        numbers = self._words.number(ids) if numbers is None else numbers
        return np.flatnonzero(self._words_alone(numbers) & (self.sets.sizes[ids] > 0))

    def _words_alone(self, numbers: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which tokens are a whole word of the attackable field."""
        inside: NDArray[np.bool_] = np.asarray(numbers != OUTSIDE)
        if self._whole_words:
            return inside
        alone = np.bincount(numbers[inside], minlength=1) == 1
        return np.asarray(inside & alone[np.maximum(numbers, 0)])

    def masked_words(self, words: int) -> int:
        """Return how many of ``words`` words masking replaces."""
        assert self.smoothing.rate is not None
        return max(0, min(round(words * self.smoothing.rate), words - FEWEST_KEPT))

    def words(self, ids: NDArray[np.integer[Any]]) -> int:
        """Return how many words of the attackable field a row holds."""
        return int(self._words.number(ids).max(initial=OUTSIDE)) + 1

    def _masked(
        self,
        row: NDArray[np.int64],
        numbers: NDArray[np.int32],
        rng: np.random.Generator,
        draws: int,
    ) -> NDArray[np.int64]:
        words = int(numbers.max(initial=OUTSIDE)) + 1
        # Every set of that size is equally likely: the words of the smallest random numbers.
        smallest = np.argsort(rng.random((draws, words)), axis=1)[:, : self.masked_words(words)]
        # The last column stands for the tokens outside, whose number is -1.
        chosen = np.zeros((draws, words + 1), dtype=bool)
        np.put_along_axis(chosen, smallest, True, axis=1)
        return np.where(chosen[:, numbers], self.mask_id, row)

    def _replacements(
        self, tokens: NDArray[np.int64], rng: np.random.Generator, draws: int
    ) -> NDArray[np.int32]:
        """Draw a member of each token's set, all equally likely: ``(draws, tokens)``."""
        assert self.sets is not None
        picked = (rng.random((draws, len(tokens))) * self.sets.sizes[tokens]).astype(np.int64)
        return np.asarray(self.sets.members[self.sets.starts[tokens] + picked])

    def _mixtures(
        self,
        row: NDArray[np.int64],
        places: NDArray[np.intp],
        rng: np.random.Generator,
        draws: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Draw points of each position's hull: slots and weights ``(draws, tokens, slots)``."""
        sets, smoothing = self.sets, self.smoothing
        assert sets is not None
        assert smoothing.concentration
        assert smoothing.decay
        tokens = row[places]
        width = int(sets.sizes[tokens].max(initial=1))
        column = np.arange(width)
        used = column < sets.sizes[tokens][:, None]
        slots = np.repeat(row[:, None], width, axis=1)
        index = np.minimum(sets.starts[tokens][:, None] + column, len(sets.members) - 1)
        slots[places] = np.where(used, sets.members[index], tokens[:, None])
        near = column < sets.near[tokens][:, None]
        weights = np.zeros((draws, *slots.shape), dtype=np.float32)
        weights[:, :, 0] = 1.0
        weights[:, places] = dirichlet(
            smoothing.concentration * np.where(near, 1.0, smoothing.decay), used, rng, draws
        )
        return np.broadcast_to(slots, weights.shape), weights

    def redrawn(
        self,
        text: NDArray[np.integer[Any]],
        rows: NDArray[np.integer[Any]],
        rng: np.random.Generator,
        draws: int,
    ) -> NDArray[np.int64]:
        """Draw variants of rows that hold other words at the positions of one text.

        In each draw, masking hides the same positions of all rows. Substitution draws every word
        of the rows anew. For smoothing over hulls the rows stay as they are.

        Args:
            text: ``(tokens,)``, without padding; it says where words are.
            rows: ``(rows, tokens)``.
            rng: the only source of randomness.
            draws: number of variants.

        Returns:
            ``(draws, rows, tokens)``.
        """
        numbers = self._words.number(text)
        whole = np.repeat(np.asarray(rows, dtype=np.int64)[None], draws, axis=0)
        if self.smoothing.kind == "masking":
            hidden = self._masked(np.zeros_like(text), numbers, rng, draws) == self.mask_id
            return np.where(hidden[:, None], self.mask_id, whole)
        if self.smoothing.kind == "substitution":
            assert self.sets is not None
            possible = (self._words_alone(numbers) & (self.sets.sizes[rows] > 0)).ravel()
            tokens = whole[0].ravel()[possible]
            whole.reshape(draws, -1)[:, possible] = self._replacements(tokens, rng, draws)
        return whole

    # -- batches -----------------------------------------------------------------------------------

    def variants(
        self, ids: NDArray[np.integer[Any]], lengths: NDArray[np.integer[Any]], seed: int
    ) -> Iterator[Variants]:
        """Yield variants of rows without end; those of a row do not depend on the other rows.

        Args:
            ids: ``(rows, tokens)``, padded on the right.
            lengths: ``(rows,)`` tokens of each row.
            seed: of the draws.
        """
        whole = np.asarray(ids, dtype=np.int64)
        rows = [row[:length] for row, length in zip(whole, lengths.tolist(), strict=True)]
        streams = [self.stream(row, seed) for row in rows]
        while True:
            # Whole blocks always, so that the first variants are the same for any number.
            block = [self.draw(row, rng, BLOCK) for row, rng in zip(rows, streams, strict=True)]
            for number in range(BLOCK):
                yield _stacked(block, number, whole)

    def draw_batch(
        self,
        ids: NDArray[np.integer[Any]],
        lengths: NDArray[np.integer[Any]],
        rng: np.random.Generator,
    ) -> Variants:
        """Draw one variant of each row from one stream, as training needs it.

        Args:
            ids: ``(rows, tokens)``, padded on the right.
            lengths: ``(rows,)`` tokens of each row.
            rng: the only source of randomness.
        """
        whole = np.asarray(ids, dtype=np.int64)
        drawn = [
            self.draw(row[:length], rng)
            for row, length in zip(whole, lengths.tolist(), strict=True)
        ]
        return _stacked(drawn, 0, whole)

    # -- storage -----------------------------------------------------------------------------------

    @classmethod
    def build(
        cls,
        smoothing: Smoothing,
        fields: FieldEncoder,
        vectors: NDArray[np.floating[Any]],
        substitutes: Substitutes | None,
        lookup: Lookup,
    ) -> Smoother:
        """Make the smoother of a victim that is to be trained.

        Args:
            smoothing: how variants are drawn.
            fields: the encoder that makes the rows.
            vectors: ``(vocabulary, size)`` the pre-trained encoder's word vectors.
            substitutes: the substitution set; masking needs none.
            lookup: how words are looked up in it.

        Raises:
            UsageError: the encoder does not fit the smoothing.
        """
        sets = None
        if smoothing.needs_substitutions:
            assert substitutes is not None
            assert smoothing.neighbours is not None
            most = smoothing.neighbours
            if smoothing.kind == "substitution":
                sets = perturbation_sets(fields.table, substitutes, lookup, vectors, most)
            else:
                sets = neighbourhoods(fields.table, substitutes, lookup, len(vectors), most)
        return cls(smoothing, fields, sets)

    def save(self, folder: Path) -> None:
        """Write ``FILE``, whose hash covers the settings as well as the sets."""
        from safetensors.numpy import save_file

        arrays = {"mask": np.array([self.mask_id], dtype=np.int32)}
        if self.sets is not None:
            arrays |= {
                "starts": self.sets.starts,
                "members": self.sets.members,
                "near": self.sets.near,
            }
        settings = json.dumps(self.smoothing.to_card(), sort_keys=True)
        save_file(arrays, folder / FILE, metadata={_KEY: settings})

    @classmethod
    def load(cls, folder: Path, card: Mapping[str, Any], fields: FieldEncoder) -> Smoother | None:
        """Read the smoother of a saved victim; None where the victim has none.

        Args:
            folder: the victim's folder.
            card: the victim's card.
            fields: the encoder of the victim's rows.

        Raises:
            RobenchError: card and file do not agree.
        """
        from safetensors import safe_open

        path = folder / FILE
        settings = card.get(_KEY)
        if settings is None and not path.exists():
            return None
        if settings is None or FILE not in card["files"]:
            raise RobenchError(f"The card in '{folder}' and '{FILE}' do not agree.")
        with safe_open(path, framework="numpy") as stored:
            if parse_json(stored.metadata()[_KEY], path) != settings:
                raise RobenchError(f"The card in '{folder}' and '{FILE}' do not agree.")
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        sets = None
        if "starts" in arrays:
            sets = WordSets(arrays["starts"], arrays["members"], arrays["near"])
        return cls(Smoothing.from_card(settings), fields, sets)


def dirichlet(
    concentrations: NDArray[np.float64],
    used: NDArray[np.bool_],
    rng: np.random.Generator,
    draws: int,
) -> NDArray[np.float32]:
    """Draw Dirichlet vectors for each row of ``(rows, slots)``; unused slots get 0.

    A Dirichlet vector is one of Gamma variables, divided by their sum. For small concentrations
    Gamma variables underflow to 0, so their logarithms are drawn: Gamma(a) has the distribution of
    Gamma(a + 1) * U^(1/a).

    Returns:
        ``(draws, rows, slots)``.
    """
    shape = (draws, *concentrations.shape)
    gamma = np.log(rng.standard_gamma(concentrations + 1, shape))
    uniform = np.log1p(-rng.random(shape))
    logs = np.where(used, gamma + uniform / concentrations, -np.inf)
    return softmax(logs)


def _stacked(drawn: list[Variants], number: int, padded: NDArray[np.int64]) -> Variants:
    """Put variant ``number`` of each row into the padded shape of their batch."""
    ids = padded.copy()
    for row, one in enumerate(drawn):
        ids[row, : one.ids.shape[1]] = one.ids[number]
    if drawn[0].slots is None:
        return Variants(ids)
    width = max(one.slots.shape[2] for one in drawn if one.slots is not None)
    slots = np.repeat(padded[:, :, None], width, axis=2)
    weights = np.zeros(slots.shape, dtype=np.float32)
    weights[:, :, 0] = 1.0
    for row, one in enumerate(drawn):
        assert one.slots is not None
        assert one.weights is not None
        _, length, own = one.slots.shape
        slots[row, :length, :own] = one.slots[number]
        weights[row, :length, :own] = one.weights[number]
    return Variants(ids, slots, weights)
