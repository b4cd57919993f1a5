"""Functions of one number between two parallel lines.

A relaxation of f on ``[low, high]`` is a slope and two offsets such that
``slope * x + below <= f(x) <= slope * x + above`` for every x of the range, up to the rounding of
float64. ``robench.certification.affine`` says where that rounding counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import gelu as exact_gelu


@dataclass(frozen=True)
class Lines:
    """Two parallel lines around a function, and the function's range; all of one shape."""

    slope: Tensor
    below: Tensor
    above: Tensor
    low: Tensor
    high: Tensor


Relaxation = Callable[[Tensor, Tensor], Lines]
"""Low and high ends of the ranges -> the lines."""

Function = Callable[[Tensor], Tensor]

_SAMPLES = 33
"""Points at which a curved function is looked at."""


def _chord(function: Function, low: Tensor, high: Tensor) -> Tensor:
    """Return the slope between the ends; 0 where the range is a point.

    In a narrow range rounding makes the slope inexact. This is no error, because the offsets are
    computed for the slope that is returned.
    """
    width = high - low
    rise = function(high) - function(low)
    narrow = width <= 1e-14 * low.abs()
    return torch.where(narrow, torch.zeros_like(rise), rise / width.clamp(min=1e-300))


def _convex(function: Function, slope: Tensor, touch: Tensor, low: Tensor, high: Tensor) -> Lines:
    """Relax a convex function.

    ``f(x) - slope * x`` is convex: it is greatest at an end, and least where f has this slope.

    Args:
        touch: the point where the derivative is ``slope``.
    """
    at_low, at_high = function(low) - slope * low, function(high) - slope * high
    point = torch.minimum(torch.maximum(touch, low), high)
    below = function(point) - slope * point
    values = torch.stack([function(low), function(high)])
    ends = torch.stack([at_low, at_high])
    least = torch.minimum(below, ends.amin(0))
    return Lines(slope, least, ends.amax(0), values.amin(0), values.amax(0))


def exponential(low: Tensor, high: Tensor) -> Lines:
    """Relax exp."""
    slope = _chord(torch.exp, low, high)
    slope = torch.where(slope > 0, slope, low.exp())
    return _convex(torch.exp, slope, slope.log(), low, high)


def reciprocal(low: Tensor, high: Tensor) -> Lines:
    """Relax 1 / x on a range above 0."""
    return _convex(torch.reciprocal, -1 / (low * high), (low * high).sqrt(), low, high)


def inverse_root(low: Tensor, high: Tensor) -> Lines:
    """Relax 1 / sqrt(x) on a range above 0."""
    slope = _chord(torch.rsqrt, low, high)
    slope = torch.where(slope < 0, slope, -0.5 * low.pow(-1.5))
    return _convex(torch.rsqrt, slope, (-2 * slope).pow(-2 / 3), low, high)


def square(low: Tensor, high: Tensor) -> Lines:
    """Relax x * x."""
    slope = low + high
    lines = _convex(torch.square, slope, slope / 2, low, high)
    # The ends give the range only where the range does not hold 0.
    least = torch.where((low <= 0) & (high >= 0), torch.zeros_like(low), lines.low)
    return Lines(lines.slope, lines.below, lines.above, least, lines.high)


def relu(low: Tensor, high: Tensor) -> Lines:
    """Relax max(x, 0)."""
    slope = _chord(torch.relu, low, high)
    slope = torch.where(low >= 0, torch.ones_like(low), slope)
    slope = torch.where(high <= 0, torch.zeros_like(low), slope)
    return _convex(torch.relu, slope, torch.zeros_like(low), low, high)


def _curved(function: Function, bend: float) -> Relaxation:
    """Relax a smooth function by looking at points of the range.

    Between two neighbouring points the function leaves the line through them by at most
    ``bend * step^2 / 8``, if its second derivative is at most ``bend``.
    """

    def relax(low: Tensor, high: Tensor) -> Lines:
        slope, share = _chord(function, low, high), torch.linspace(0, 1, _SAMPLES, dtype=low.dtype)
        points = low[..., None] + (high - low)[..., None] * share.to(low.device)
        values = function(points)
        rest = values - slope[..., None] * points
        between = bend * ((high - low) / (_SAMPLES - 1)).square() / 8
        return Lines(
            slope,
            rest.amin(-1) - between,
            rest.amax(-1) + between,
            values.amin(-1) - between,
            values.amax(-1) + between,
        )

    return relax


gelu: Relaxation = _curved(exact_gelu, 2 / math.sqrt(2 * math.pi))
"""GELU with the exact normal distribution; (2 - x^2) phi(x) is its second derivative."""

tanh: Relaxation = _curved(torch.tanh, 4 / (3 * math.sqrt(3)))
"""The hyperbolic tangent. The greatest second derivative is 4 / (3 sqrt 3)."""
