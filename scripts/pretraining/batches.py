"""Windows, whole-word masking and bag-of-words targets, in plain NumPy without a model.

Sources: masked language modelling with 80/10/10 (Devlin et al. 2019), whole-word masking (the
later BERT release). This project adds the prediction, from [CLS], of the bag of words of
*another* window of the same review.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scripts.pretraining.text import CLS, MASK, PAD, SEP, SPECIAL, UNK, TokenStore

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float32]

IGNORE = -100


@dataclass(frozen=True)
class Settings:
    """The size of windows and the rates of masking (shares in 0..1)."""

    body: int = 126
    mask_rate: float = 0.18
    keep_rate: float = 0.1
    random_rate: float = 0.1
    # Most windows start at position 0; some are shifted, so that the positions
    # beyond one window are trained as well and reviews of up to 512 tokens can be read.
    shift_rate: float = 0.25
    max_positions: int = 512


@dataclass(frozen=True)
class Window:
    """Tokens ``start:end`` of review ``review`` in form ``form`` (0: pieces, 1: words)."""

    form: int
    review: int
    start: int
    end: int


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        inputs: [windows, length] token ids, with masks.
        positions: [windows, length] positions of the tokens.
        attention: [windows, length] 1 for tokens and 0 for padding.
        labels: [windows, length] the original ids of masked tokens, ``IGNORE`` elsewhere.
        bags: for each window, ids from another window of the same review.
    """

    inputs: Int
    positions: Int
    attention: Int
    labels: Int
    bags: list[Int]


def continuation_table(vocabulary: list[str]) -> Bool:
    """Return [vocabulary] booleans: True for pieces that continue a word (``##…``)."""
    return np.asarray([entry.startswith("##") and len(entry) > 2 for entry in vocabulary])


def cut_windows(
    ids: npt.NDArray[np.uint16], continues: Bool, body: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Return windows (start, end) of at most ``body`` tokens that cover one review.

    No window cuts a word. A long review gets full windows that are evenly spread, slightly
    jittered, and overlap, so that no short rest has to be padded. No word is longer than a window
    (WordPiece gives up at 100 characters).
    """
    length = len(ids)
    if length <= body:
        return [(0, length)] if length else []
    starts = np.linspace(0, length - body, -(-length // body))
    step = starts[1]
    jitter = rng.uniform(-0.5, 0.5, len(starts)) * max(0.0, body - step)
    jitter[0] = jitter[-1] = 0.0
    windows = []
    for start in np.clip(np.rint(starts + jitter).astype(int), 0, length - body):
        end = start + body
        while start > 0 and continues[ids[start]]:
            start -= 1
        end = min(end, start + body)
        while end < length and continues[ids[end]]:
            end -= 1
        windows.append((int(start), int(end)))
    return windows


def epoch_windows(
    stores: tuple[TokenStore, TokenStore],
    reviews: Int,
    continues: Bool,
    body: int,
    rng: np.random.Generator,
) -> list[Window]:
    """Return all windows of ``reviews``, shuffled; each review is in one form, chosen at random."""
    windows: list[Window] = []
    for review, form in zip(
        reviews.tolist(), rng.integers(0, 2, len(reviews)).tolist(), strict=True
    ):
        cuts = cut_windows(stores[form].review(review), continues, body, rng)
        windows.extend(Window(form, review, start, end) for start, end in cuts)
    return [windows[i] for i in rng.permutation(len(windows))]


def select_words(
    inputs: Int, continues: Bool, rate: float, rng: np.random.Generator
) -> tuple[Bool, Float]:
    """Choose whole words with probability ``rate``, but never special tokens or [UNK].

    Returns:
        The chosen positions, and one uniform number for each *word* (equal on all its pieces). The
        number is below ``rate`` exactly for the chosen words. Both are [windows, length].
    """
    word = np.cumsum(~continues[inputs], axis=1) - 1
    draws = rng.random(inputs.shape, dtype=np.float32)
    per_word = np.take_along_axis(draws, np.maximum(word, 0), axis=1)
    return (per_word < rate) & (inputs >= len(SPECIAL)), per_word


def mask_words(
    inputs: Int, continues: Bool, settings: Settings, rng: np.random.Generator
) -> tuple[Int, Int]:
    """Return a masked copy of ``inputs``, and labels (``IGNORE`` where nothing is predicted).

    Of the chosen words, 80 % become [MASK], ``random_rate`` become random entries, and
    ``keep_rate`` stay unchanged.
    """
    chosen, draw = select_words(inputs, continues, settings.mask_rate, rng)
    labels = np.where(chosen, inputs, IGNORE)
    # Uniform in [0, 1) on chosen words, and equal on all pieces of a word.
    share = draw / settings.mask_rate
    masked = inputs.copy()
    hide = 1.0 - settings.keep_rate - settings.random_rate
    masked[chosen & (share < hide)] = MASK
    swap = chosen & (share >= hide) & (share < hide + settings.random_rate)
    masked[swap] = rng.integers(len(SPECIAL), len(continues), int(swap.sum()))
    return masked, labels


def other_window(
    ids: npt.NDArray[np.uint16], window: Window, body: int, rng: np.random.Generator
) -> Int:
    """Return up to ``body`` ids of the same review from outside ``window``.

    The result is empty if the review fits into the window.
    """
    before, after = window.start, len(ids) - window.end
    if not before + after:
        return np.empty(0, dtype=np.int64)
    if rng.random() < before / (before + after):
        start = int(rng.integers(0, max(1, before - body + 1)))
        found = ids[start : min(start + body, before)]
    else:
        start = window.end + int(rng.integers(0, max(1, after - body + 1)))
        found = ids[start : start + body]
    known: Int = found[found != UNK].astype(np.int64)
    return known


def pad_windows(stores: tuple[TokenStore, TokenStore], windows: list[Window]) -> Int:
    """Return [CLS] tokens [SEP] of each window, padded to the longest: [windows, length]."""
    length = max(window.end - window.start for window in windows) + 2
    inputs = np.full((len(windows), length), PAD, dtype=np.int64)
    inputs[:, 0] = CLS
    for row, window in zip(inputs, windows, strict=True):
        size = window.end - window.start
        row[1 : size + 1] = stores[window.form].review(window.review)[window.start : window.end]
        row[size + 1] = SEP
    return inputs


def make_batch(
    stores: tuple[TokenStore, TokenStore],
    windows: list[Window],
    continues: Bool,
    settings: Settings,
    rng: np.random.Generator,
) -> Batch:
    """Mask ``windows`` and add positions and the bags of other windows."""
    clear = pad_windows(stores, windows)
    inputs, labels = mask_words(clear, continues, settings, rng)
    count, length = clear.shape
    room = settings.max_positions - length
    shifts = rng.integers(0, room + 1, count) * (rng.random(count) < settings.shift_rate)
    positions = np.arange(length)[None, :] + shifts[:, None]
    # [CLS] is at position 0 in every use.
    positions[:, 0] = 0
    bags = [other_window(stores[w.form].review(w.review), w, settings.body, rng) for w in windows]
    return Batch(inputs, positions, (clear != PAD).astype(np.int64), labels, bags)


def batches(
    stores: tuple[TokenStore, TokenStore],
    reviews: Int,
    continues: Bool,
    settings: Settings,
    size: int,
    seed: int,
    skip: int = 0,
) -> Iterator[Batch]:
    """Yield batches of ``size`` windows without end, epoch after epoch.

    A resumed run passes the number of batches already done as ``skip``. Batch ``n`` depends on
    (seed, n) only, whatever was skipped.
    """
    epoch = done = 0
    while True:
        windows = epoch_windows(
            stores, reviews, continues, settings.body, np.random.default_rng((seed, 1, epoch))
        )
        for start in range(0, len(windows) - size + 1, size):
            if done >= skip:
                rng = np.random.default_rng((seed, 2, done))
                yield make_batch(stores, windows[start : start + size], continues, settings, rng)
            done += 1
        epoch += 1
