"""Attention over the tokens of several texts, which lie one after another in one matrix.

With padding, every text has as many tokens as the longest one, and a mask hides the padding. A mask
keeps a GPU from its fastest kernels. Without padding, the kernel is told where each text begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from robench.models.moving import on_device


@dataclass(frozen=True)
class RowLayout:
    """Where the texts of a batch lie among its tokens.

    Attributes:
        rows: number of texts.
        longest: tokens of the longest text.
        first: ``(rows,)`` the number of each text's first token.
        mask: ``(rows, 1, 1, longest)`` True at real tokens, or what is added to the scores; None
            where nothing is padded, or where the padding is left out.
        kept: ``(tokens,)`` which of the padded tokens there are, in their order; None for all.
        bounds: ``(rows + 1,)`` int32, the number of each text's first token, and of the end. None
            with padding.
    """

    rows: int
    longest: int
    first: Tensor
    mask: Tensor | None
    kept: Tensor | None = None
    bounds: Tensor | None = None

    @classmethod
    def padded(cls, mask: Tensor, lengths: Sequence[int] | NDArray[np.integer[Any]]) -> RowLayout:
        """Return the layout of texts with their padding.

        Args:
            mask: the attention mask ``(rows, tokens)``.
            lengths: the number of real tokens of each text, known without asking the device.
        """
        rows, width = mask.shape
        first = torch.arange(rows, device=mask.device) * width
        hidden = None if min(lengths) == width else mask[:, None, None, :].bool()
        return cls(rows, width, first, hidden)

    def adding(self, dtype: torch.dtype) -> RowLayout:
        """Return the layout with a mask to add, so that no layer has to make it of the other."""
        if self.mask is None:
            return self
        added = torch.zeros(self.mask.shape, dtype=dtype, device=self.mask.device)
        return replace(self, mask=added.masked_fill(~self.mask, -torch.inf))

    @classmethod
    def packed(cls, mask: Tensor, lengths: Sequence[int] | NDArray[np.integer[Any]]) -> RowLayout:
        """Return the layout of texts without their padding, which must be on the right."""
        rows, width = mask.shape
        sizes = np.asarray(lengths)
        ends = np.concatenate([[0], sizes.cumsum()]).astype(np.int32)
        real = np.flatnonzero(np.arange(width) < sizes[:, None])
        bounds, kept = (on_device(torch.from_numpy(part), mask.device) for part in (ends, real))
        return cls(rows, int(sizes.max()), bounds[:-1].long(), None, kept, bounds)

    def places(self, positions: Tensor, tokens: int) -> Tensor:
        """Return the numbers of padded ``positions`` among the tokens of this layout.

        Args:
            positions: numbers of real tokens, counted with padding.
            tokens: number of tokens with padding.
        """
        if self.kept is None:
            return positions
        number = torch.zeros(tokens, dtype=torch.long, device=positions.device)
        number[self.kept] = torch.arange(len(self.kept), device=positions.device)
        return number[positions]


class RowAttention(Protocol):
    """Attention of each text's tokens to the same text.

    Queries, keys and values are ``(tokens, heads, width)``; so is the result.
    """

    def all_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        """Return what every token attends to."""

    def first_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        """Return what the first tokens attend to; ``query`` is ``(rows, heads, width)``."""


class PaddedAttention:
    """torch's fused attention, with a mask where there is padding."""

    def all_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        """Return what every token attends to."""
        return self._attended(query, key, value, layout)

    def first_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        """Return what the first tokens attend to."""
        return self._attended(query, key, value, layout)

    def _attended(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        query, key, value = (
            part.unflatten(0, (layout.rows, -1)).transpose(1, 2) for part in (query, key, value)
        )
        found = scaled_dot_product_attention(query, key, value, attn_mask=layout.mask)
        return found.transpose(1, 2).flatten(0, 1)


class PackedAttention:
    """torch's attention for texts of unequal length, without padding; for CUDA and half types."""

    def all_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        """Return what every token attends to."""
        return self._attended(query, key, value, layout, layout.bounds, layout.longest)

    def first_tokens(self, query: Tensor, key: Tensor, value: Tensor, layout: RowLayout) -> Tensor:
        """Return what the first tokens attend to."""
        bounds = torch.arange(layout.rows + 1, dtype=torch.int32, device=query.device)
        return self._attended(query, key, value, layout, bounds, 1)

    def _attended(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        layout: RowLayout,
        bounds: Tensor | None,
        most: int,
    ) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn

        assert bounds is not None
        assert layout.bounds is not None
        found = varlen_attn(query, key, value, bounds, layout.bounds, most, layout.longest)
        assert isinstance(found, Tensor)
        return found


def row_attention(layout: RowLayout) -> RowAttention:
    """Return the attention that fits ``layout``."""
    return PaddedAttention() if layout.bounds is None else PackedAttention()


@cache
def packs(device: torch.device) -> bool:
    """Return whether a device attends without padding, and gives the same answers and gradients.

    Older releases of torch, and other devices than NVIDIA's, do not.
    """
    if device.type != "cuda":
        return False
    # Whatever goes wrong here, the padded way is there.
    try:
        return _same_without_padding(device)
    except Exception:
        return False


def _same_without_padding(device: torch.device) -> bool:
    lengths, generator = (7, 4), torch.Generator().manual_seed(0)
    mask = (torch.arange(7) < torch.tensor(lengths)[:, None]).to(device)
    padded, packed = RowLayout.padded(mask, lengths), RowLayout.packed(mask, lengths)
    drawn = torch.randn(3, 14, 2, 64, generator=generator).to(device, torch.bfloat16)
    results = []
    for layout in (padded, packed):
        parts = drawn if layout.kept is None else drawn[:, layout.kept]
        parts = parts.clone().requires_grad_()
        attend = row_attention(layout)
        with torch.enable_grad():
            found = attend.all_tokens(parts[0], parts[1], parts[2], layout)
            first = attend.first_tokens(parts[0][layout.first], parts[1], parts[2], layout)
            seen = found if packed.kept is None or layout is packed else found[packed.kept]
            (gradient,) = torch.autograd.grad(
                (seen.float() ** 2).sum() + first.float().sum(), parts
            )
        kept = gradient if layout is packed else gradient[:, packed.kept]
        results.append((seen.float(), first.float(), kept.float()))
    return all(
        torch.allclose(one, other, rtol=0.05, atol=0.05)
        for one, other in zip(*results, strict=True)
    )
