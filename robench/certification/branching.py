"""Prove that no text of one space fools a victim: by asking all texts, or by bounds of parts.

A part of a space is proved in one of two ways. A small part is enumerated: the victim is asked
about every text. A larger part gets bounds. Where they do not suffice, the position with the
greatest influence on the bounds is fixed to each of its tokens, and these smaller parts are proved
in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from robench._base.errors import UsageError
from robench.certification.affine import enclose
from robench.certification.network import Network
from robench.certification.slots import Slots
from robench.models.probabilities import log_odds

if TYPE_CHECKING:
    from robench.search.victim_protocol import Candidates
    from robench.text.space import SearchSpace

BLOCK = 256
"""Rows asked at once."""

ROUNDING = 1e-5
"""Share of the largest logit by which a margin must exceed 0.

The last bits of an answer depend on the rows that are asked together.
"""


@dataclass(frozen=True)
class Effort:
    """How much is done for one example.

    Attributes:
        texts: most texts that are enumerated.
        parts: most parts that get bounds; 0 for none.
        numbers: most numbers that one array of bounds may hold. A larger text gets no bounds.
    """

    texts: int = 10_000
    parts: int = 32
    numbers: int = 40_000_000


@dataclass(frozen=True)
class Verdict:
    """What is known of one example.

    Attributes:
        letter: ``"C"`` certified, ``"F"`` a text that fools the victim was found, ``"U"`` neither.
        how: ``"enumeration"`` or ``"bounds"`` for C; otherwise why not.
        hull: whether the bounds of the whole space sufficed, so that the convex hull is certified
            as well as the texts.
    """

    letter: str
    how: str
    hull: bool = False


class Asked(Protocol):
    """What is needed of a victim: answers to rows."""

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
    ) -> NDArray[np.float32]:
        """Return the logits ``(batch, classes)``."""


@dataclass
class Prover:
    """Proves examples for one victim.

    Attributes:
        victim: the victim, which is asked in fp32.
        network: the same model for bounds, or None where only enumeration is possible.
        effort: how much is done.
    """

    victim: Asked
    network: Network | None
    effort: Effort

    def prove(self, slots: Slots, label: int) -> Verdict:
        """Return the verdict on one example that the victim classifies rightly."""
        if slots.cardinality <= self.effort.texts:
            return self._enumerated(slots, label)
        greedy = self._greedy(slots, label)
        if greedy < 0:
            return Verdict("F", "greedy search")
        if self.network is None or not self.effort.parts:
            return Verdict("U", "too many texts")
        slots_most = max(map(len, slots.tokens)) - 1
        wide = len(slots.ids) * self.network.widest + self.network.heads * len(slots.ids) ** 2
        if len(slots.columns) * slots_most * wide > self.effort.numbers:
            return Verdict("U", "too long for bounds")
        return self._branch(slots, label, self.network)

    def prove_choices(self, space: SearchSpace, candidates: Candidates, label: int) -> Verdict:
        """Return the verdict where substitutes do not keep to one token: enumeration or nothing."""
        if space.cardinality > self.effort.texts:
            return Verdict("U", "too many texts, and substitutes of several tokens")

        def blocks() -> Iterator[NDArray[np.float64]]:
            sizes = tuple(space.sizes.tolist())
            for start in range(0, space.cardinality, BLOCK):
                numbers = np.arange(start, min(start + BLOCK, space.cardinality))
                choices = np.stack(np.unravel_index(numbers, sizes), axis=1).astype(np.int16)
                rows, lengths = candidates.encode(choices)
                types = candidates.types(rows.shape[1])
                yield margin_shares(self.victim.logits(rows, lengths, types), label)

        return _judged(blocks())

    def _enumerated(self, slots: Slots, label: int) -> Verdict:
        blocks = (
            self._margins(slots.rows(start, min(start + BLOCK, slots.cardinality)), slots, label)
            for start in range(0, slots.cardinality, BLOCK)
        )
        return _judged(blocks)

    def _margins(self, rows: NDArray[np.int32], slots: Slots, label: int) -> NDArray[np.float64]:
        lengths = np.full(len(rows), rows.shape[1], dtype=np.int32)
        return margin_shares(self.victim.logits(rows, lengths, slots.types), label)

    def _greedy(self, slots: Slots, label: int) -> float:
        """Return the least margin of the single substitutions and of growing sets of the worst."""
        columns = [
            (column, token)
            for column, tokens in zip(slots.columns, slots.tokens, strict=True)
            for token in tokens[1:]
        ]
        singles = np.repeat(slots.ids[None], len(columns), axis=0)
        for row, (column, token) in zip(singles, columns, strict=True):
            row[column] = token
        margins = np.concatenate(
            [
                self._margins(singles[start : start + BLOCK], slots, label)
                for start in range(0, len(singles), BLOCK)
            ]
        )
        worst: dict[int, int] = {}
        for index in np.argsort(margins, kind="stable").tolist():
            worst.setdefault(columns[index][0], columns[index][1])
        growing = np.repeat(slots.ids[None], len(worst), axis=0)
        for number, (column, token) in enumerate(worst.items()):
            growing[number:, column] = token
        return float(min(margins.min(), self._margins(growing, slots, label).min()))

    def _branch(self, slots: Slots, label: int, network: Network) -> Verdict:
        """Prove a space part by part."""
        if not agrees(slots, self.victim, network):
            raise UsageError(
                "This victim computes something else than its layers suggest, so interval bounds "
                "would be wrong. Use --parts 0: then small spaces are enumerated, and no more."
            )
        proved, position = _bound(slots, label, network)
        if proved:
            return Verdict("C", "bounds", hull=True)
        if self.effort.parts < 2 or not _bound(_easiest(slots), label, network)[0]:
            return Verdict("U", "bounds too wide")
        waiting, spent, asked = _split(slots, position), 2, 0
        while waiting:
            part = waiting.pop()
            if asked + part.cardinality <= self.effort.texts:
                asked += part.cardinality
                found = self._enumerated(part, label)
                if found.letter != "C":
                    return found
                continue
            if spent >= self.effort.parts:
                return Verdict("U", "bounds too wide")
            spent += 1
            proved, position = _bound(part, label, network)
            waiting += [] if proved else _split(part, position)
        return Verdict("C", "bounds")


def _split(slots: Slots, position: int) -> list[Slots]:
    """Return the parts in which one position is fixed to each of its tokens."""
    return [slots.restricted(position, token) for token in reversed(slots.tokens[position])]


def _easiest(slots: Slots) -> Slots:
    """Return the original text with one free position, the last one.

    Where not even this part gets useful bounds, larger parts get none, and splitting is in vain.
    """
    part = slots
    while len(part.columns) > 1:
        part = part.restricted(0, part.tokens[0][0])
    return part


def margin_shares(logits: NDArray[np.float32], label: int) -> NDArray[np.float64]:
    """Return each row's margin as a share of its largest logit ``(rows,)``.

    A share that is smaller than ``ROUNDING`` says nothing, and becomes 0.
    """
    largest = np.abs(logits.astype(np.float64)).max(1)
    margins = log_odds(logits, label) / np.maximum(largest, np.finfo(np.float64).tiny)
    found: NDArray[np.float64] = np.where(np.abs(margins) < ROUNDING, 0.0, margins)
    return found


def _judged(blocks: Iterable[NDArray[np.float64]]) -> Verdict:
    """Return the verdict that the margins of all texts give."""
    doubtful = False
    for margins in blocks:
        if (margins < 0).any():
            return Verdict("F", "enumeration")
        # A margin that is NaN is no margin above 0 either.
        doubtful |= not (margins > 0).all()
    return (
        Verdict("U", "a margin that rounding decides") if doubtful else Verdict("C", "enumeration")
    )


def _bound(slots: Slots, label: int, network: Network) -> tuple[bool, int]:
    """Return whether the bounds prove a part, and the position with the greatest influence."""
    margins, needed = network.margins(enclose(*hull_of(slots, network)), label)
    # A comparison with NaN, which overflow makes, is false.
    proved = bool((margins.low > needed).all())
    worst = int(margins.low[0].argmin())
    least, greatest = margins.spread()
    influence = (greatest - least)[0, :, worst].nan_to_num(0.0)
    return proved, int(influence.argmax()) if len(influence) else 0


def hull_of(slots: Slots, network: Network) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the embedding outputs of the text and the change that each substitute makes.

    Returns:
        ``(1, tokens, size)`` and ``(1, positions, most substitutes, tokens, size)``.
    """
    most = max(map(len, slots.tokens), default=1)
    rows = np.repeat(slots.ids[None], most, axis=0)
    for column, tokens in zip(slots.columns, slots.tokens, strict=True):
        rows[: len(tokens), column] = tokens
    device = network.device
    ids = torch.as_tensor(rows.astype(np.int64), device=device)
    types = torch.as_tensor(slots.types.astype(np.int64), device=device).expand_as(ids)
    embedded = network.embedded(ids, types)
    base = embedded[:1]
    changes = base.new_zeros((1, len(slots.columns), most - 1, *base.shape[1:]))
    for number, column in enumerate(slots.columns):
        changes[0, number, :, column] = embedded[1:, column] - base[0, column]
    return base, changes


def agrees(slots: Slots, victim: Asked, network: Network) -> bool:
    """Return whether model, bounds and victim give one answer about the unchanged text.

    The model's own code in float64 must give the victim's answer, and the bounds of a text without
    substitutes must hold both. These bounds are nearly points, so they hide no difference.
    """
    base, changes = hull_of(Slots(slots.ids, slots.types, (), ()), network)
    lengths = np.array([len(slots.ids)], dtype=np.int32)
    logits = victim.logits(slots.ids[None], lengths, slots.types)[0].astype(np.float64)
    answer = torch.as_tensor(logits[0] - logits[1:], device=network.device)
    own = network.logits(base)[0]
    exact = own[0] - own[1:]
    margins, needed = network.margins(enclose(base, changes), 0)
    near = (exact - answer).abs() <= needed
    inside = [
        (margins.low - needed <= each) & (each <= margins.high + needed) for each in (answer, exact)
    ]
    narrow = margins.high - margins.low <= needed
    return bool((near & inside[0] & inside[1] & narrow).all())
