"""Bounds of a network's quantities as linear functions of the words that were chosen.

A text has P positions with up to K substitutes each. The choice at position p is a point of a
simplex: weights of its substitutes that are at least 0 and sum to at most 1. Weight 0 everywhere is
the original word. Words are the corners, and the points between them are the convex hull.

Every quantity x of the network is enclosed twice::

    x = centre + sum over (p, k) of slopes[p, k] * weight[p, k] + error,    |error| <= radius
    low <= x <= high

The first form keeps how quantities depend on each other, and its range over the simplices is exact:
at each position a linear function is extreme at one corner. The second form is interval arithmetic.
Each step computes both, and the narrower range counts. Each step encloses, so both forms are sound
at every depth, up to the rounding of float64.

No step widens its result for that rounding. Such an allowance would be a radius, and a radius grows
with the absolute weights, about 1e5 times in each layer. An allowance of 1e-12 in each step became
wider than the answer. Rounding is allowed for once, at the end: ``network.SLACK`` is a share of the
sizes that the last layer adds up. It is chosen for the victim, which answers in float32. Float64
rounds about 1e9 times finer. This is a margin for rounding, and not a proof about rounding.

Sources: forward linear bounds as in Shi et al. ICLR 2020 ("Robustness Verification for
Transformers") and Xu et al. NeurIPS 2020; interval bounds of word substitutions as in Jia et al.
EMNLP 2019. The simplex in place of a box is our own choice: it fits substitutions exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from robench.certification.relaxations import Relaxation


@dataclass(frozen=True)
class Enclosed:
    """A quantity of shape ``(batch, *shape)``, enclosed for all choices of words.

    All tensors are float64.

    Attributes:
        centre, radius, low, high: ``(batch, *shape)``.
        slopes: ``(batch, P * K, *shape)``; a slot that holds no substitute has slope 0.
        positions: P, the number of positions.
    """

    centre: Tensor
    slopes: Tensor
    radius: Tensor
    low: Tensor
    high: Tensor
    positions: int

    @property
    def middle(self) -> Tensor:
        """The middle of the range ``(batch, *shape)``."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> Tensor:
        """Half the width of the range ``(batch, *shape)``."""
        return (self.high - self.low) / 2

    def spread(self) -> tuple[Tensor, Tensor]:
        """Return the least and the greatest part of each position, ``(batch, P, *shape)``."""
        batch, _, *shape = self.slopes.shape
        if not self.positions:
            empty = self.slopes.new_zeros((batch, 0, *shape))
            return empty, empty
        parts = self.slopes.view(batch, self.positions, -1, *shape)
        # Weight 0 everywhere, the original word, is a corner too.
        return parts.amin(2).clamp(max=0), parts.amax(2).clamp(min=0)

    def at(self, index: slice) -> Enclosed:
        """Return the part ``index`` of the first axis after the batch."""
        return Enclosed(
            self.centre[:, index],
            self.slopes[:, :, index],
            self.radius[:, index],
            self.low[:, index],
            self.high[:, index],
            self.positions,
        )

    def reshaped(self, shape: tuple[int, ...], order: tuple[int, ...]) -> Enclosed:
        """Return it with another shape, ``(batch, *shape)``, whose axes are then permuted.

        Args:
            shape: the new shape without the batch.
            order: permutation of the axes of ``shape``, counted from 0.
        """

        def turned(each: Tensor, leading: int) -> Tensor:
            full = each.reshape(*each.shape[:leading], *shape)
            return full.permute(*range(leading), *(leading + axis for axis in order))

        return Enclosed(
            turned(self.centre, 1),
            turned(self.slopes, 2),
            turned(self.radius, 1),
            turned(self.low, 1),
            turned(self.high, 1),
            self.positions,
        )

    def within(self, low: Tensor, high: Tensor) -> Enclosed:
        """Return it with a range that is known from elsewhere."""
        return _narrowest(
            replace(self, low=torch.fmax(self.low, low), high=torch.fmin(self.high, high))
        )


def enclose(base: Tensor, changes: Tensor) -> Enclosed:
    """Return the quantity ``base + sum of weight * change``.

    Args:
        base: ``(batch, *shape)``.
        changes: ``(batch, P, K, *shape)``; 0 in slots without a substitute.
    """
    slopes = changes.flatten(1, 2)
    unbounded = torch.full_like(base, torch.inf)
    return _narrowest(
        Enclosed(base, slopes, torch.zeros_like(base), -unbounded, unbounded, changes.shape[1])
    )


def _narrowest(x: Enclosed) -> Enclosed:
    """Return ``x`` with the range that both forms allow.

    Where the linear form says less than the interval, the interval takes its place, because its
    radius would only grow from here on. NaN and infinity come from numbers that are too large: such
    a form says nothing, and the other one counts.
    """
    least, greatest = x.spread()
    down, up = least.sum(1), greatest.sum(1)
    below, above = x.centre - x.radius + down, x.centre + x.radius + up
    one, other = torch.fmax(x.low, below), torch.fmin(x.high, above)
    # Where both forms are points, rounding may put them in the wrong order.
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    width = above - below
    worse = ~torch.isfinite(width) | (high - low < width / 2)
    return Enclosed(
        torch.where(worse, (low + high) / 2, x.centre),
        x.slopes.masked_fill(worse[:, None], 0),
        torch.where(worse, (high - low) / 2, x.radius),
        low,
        high,
        x.positions,
    )


def linear(x: Enclosed, weight: Tensor, bias: Tensor | None) -> Enclosed:
    """Apply a linear layer to the last axis.

    Args:
        weight: ``(out, in)``.
        bias: ``(out,)`` or None.
    """
    size, offset = weight.abs().T, 0 if bias is None else bias
    middle, half = x.middle @ weight.T + offset, x.half @ size
    return _narrowest(
        Enclosed(
            x.centre @ weight.T + offset,
            x.slopes @ weight.T,
            x.radius @ size,
            middle - half,
            middle + half,
            x.positions,
        )
    )


def centred(x: Enclosed) -> Enclosed:
    """Subtract the mean over the last axis."""
    size = x.centre.shape[-1]

    def spread(radius: Tensor) -> Tensor:
        # The absolute values of the matrix I - 1/size.
        return radius * (1 - 2 / size) + radius.mean(-1, keepdim=True)

    middle, half = x.middle - x.middle.mean(-1, keepdim=True), spread(x.half)
    return _narrowest(
        Enclosed(
            x.centre - x.centre.mean(-1, keepdim=True),
            x.slopes - x.slopes.mean(-1, keepdim=True),
            spread(x.radius),
            middle - half,
            middle + half,
            x.positions,
        )
    )


def total(x: Enclosed, factor: float = 1.0) -> Enclosed:
    """Return ``factor`` times the sum over the last axis, which stays with size 1.

    Args:
        factor: a number above 0.
    """

    def summed(each: Tensor) -> Tensor:
        return each.sum(-1, keepdim=True) * factor

    return _narrowest(
        Enclosed(
            summed(x.centre),
            summed(x.slopes),
            summed(x.radius),
            summed(x.low),
            summed(x.high),
            x.positions,
        )
    )


def add(x: Enclosed, y: Enclosed) -> Enclosed:
    """Return the sum of two quantities of one shape."""
    return _narrowest(
        Enclosed(
            x.centre + y.centre,
            x.slopes + y.slopes,
            x.radius + y.radius,
            x.low + y.low,
            x.high + y.high,
            x.positions,
        )
    )


def shift(x: Enclosed, offset: Tensor) -> Enclosed:
    """Add a constant that has the shape of ``x`` or can be broadcast to it."""
    return replace(x, centre=x.centre + offset, low=x.low + offset, high=x.high + offset)


def scale(x: Enclosed, factor: Tensor) -> Enclosed:
    """Multiply the last axis by constants ``(size,)`` of any sign."""
    ends = torch.stack([x.low * factor, x.high * factor])
    return Enclosed(
        x.centre * factor,
        x.slopes * factor,
        x.radius * factor.abs(),
        ends.amin(0),
        ends.amax(0),
        x.positions,
    )


def apply(x: Enclosed, relaxation: Relaxation) -> Enclosed:
    """Apply a function of one number, enclosed between two parallel lines on the range of x."""
    lines = relaxation(x.low, x.high)
    return _narrowest(
        Enclosed(
            lines.slope * x.centre + (lines.above + lines.below) / 2,
            lines.slope[:, None] * x.slopes,
            lines.slope.abs() * x.radius + (lines.above - lines.below) / 2,
            lines.low,
            lines.high,
            x.positions,
        )
    )


def multiply(x: Enclosed, y: Enclosed, axes: str) -> Enclosed:
    """Multiply two quantities and sum over axes, as ``torch.einsum`` does.

    With the middles m and n of both ranges, ``x y = m y + x n - m n + (x - m)(y - n)``. The last
    product is at most the product of the half widths.

    Args:
        axes: the equation without the batch, such as ``"htd,hud->htu"``.
    """
    inputs, out = axes.split("->")
    first, second = inputs.split(",")
    plain = f"b{first},b{second}->b{out}"
    slopes = torch.einsum(f"b{first},bv{second}->bv{out}", x.middle, y.slopes)
    slopes = slopes + torch.einsum(f"bv{first},b{second}->bv{out}", x.slopes, y.middle)

    def times(one: Tensor, other: Tensor) -> Tensor:
        return torch.einsum(plain, one, other)

    both = times(x.middle, y.middle)
    rest = times(x.half, y.half)
    half = times(x.middle.abs(), y.half) + times(x.half, y.middle.abs()) + rest
    return _narrowest(
        Enclosed(
            times(x.middle, y.centre) + times(x.centre, y.middle) - both,
            slopes,
            times(x.middle.abs(), y.radius) + times(x.radius, y.middle.abs()) + rest,
            both - half,
            both + half,
            x.positions,
        )
    )
