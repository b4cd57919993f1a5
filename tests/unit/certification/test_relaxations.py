"""Every relaxation encloses its function, on wide, narrow and empty ranges."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu as exact_gelu

from robench.certification.relaxations import (
    Relaxation,
    exponential,
    gelu,
    inverse_root,
    reciprocal,
    relu,
    square,
    tanh,
)

Function = Callable[[Tensor], Tensor]
EVERYWHERE: list[tuple[Function, Relaxation]] = [
    (torch.exp, exponential),
    (torch.square, square),
    (torch.relu, relu),
    (exact_gelu, gelu),
    (torch.tanh, tanh),
]
ABOVE_ZERO: list[tuple[Function, Relaxation]] = [
    (torch.reciprocal, reciprocal),
    (torch.rsqrt, inverse_root),
]


def ranges(above_zero: bool) -> tuple[Tensor, Tensor]:
    """Return 400 ranges of very different places and widths, some of them points."""
    draw = torch.Generator().manual_seed(3)
    place = 4 * torch.randn(400, generator=draw, dtype=torch.float64)
    width = 10.0 ** (torch.rand(400, generator=draw, dtype=torch.float64) * 14 - 12)
    width[:40] = 0
    if above_zero:
        place = place.exp()
    return place, place + width


@pytest.mark.parametrize(
    ("function", "relaxation", "above_zero"),
    [(*each, False) for each in EVERYWHERE] + [(*each, True) for each in ABOVE_ZERO],
)
def test_the_function_lies_between_the_lines(
    function: Function, relaxation: Relaxation, above_zero: bool
) -> None:
    low, high = ranges(above_zero)
    lines = relaxation(low, high)
    shares = torch.linspace(0, 1, 2001, dtype=torch.float64)
    points = torch.minimum(low[:, None] + (high - low)[:, None] * shares, high[:, None])
    values = function(points)
    # An offset is the difference of a value and of the product of slope and point.
    slack = 1e-15 * (1 + values.abs() + lines.slope.abs()[:, None] * points.abs())
    below = lines.slope[:, None] * points + lines.below[:, None]
    above = lines.slope[:, None] * points + lines.above[:, None]
    assert (below <= values + slack).all()
    assert (values <= above + slack).all()
    assert (lines.low[:, None] <= values + slack).all()
    assert (values <= lines.high[:, None] + slack).all()


@pytest.mark.parametrize(("function", "relaxation"), EVERYWHERE)
def test_a_narrow_range_gives_close_lines(function: Function, relaxation: Relaxation) -> None:
    low = torch.linspace(-3, 3, 25, dtype=torch.float64)
    lines = relaxation(low, low + 1e-3)
    # The distance of the lines shrinks with the square of the width.
    assert (lines.above - lines.below).max() < 2e-5


@pytest.mark.parametrize(("function", "relaxation"), EVERYWHERE + ABOVE_ZERO)
def test_a_point_gets_no_width(function: Function, relaxation: Relaxation) -> None:
    place = torch.linspace(0.1, 3, 25, dtype=torch.float64)
    lines = relaxation(place, place)
    assert torch.equal(lines.low, lines.high)
    assert (lines.above - lines.below).abs().max() < 1e-14
    assert torch.allclose(lines.low, function(place), rtol=1e-15)


@pytest.mark.parametrize("width", [1e-12, 1e-10, 1e-8])
@pytest.mark.parametrize(("function", "relaxation"), EVERYWHERE + ABOVE_ZERO)
def test_a_tiny_range_keeps_the_slope(
    function: Function, relaxation: Relaxation, width: float
) -> None:
    place = torch.linspace(0.1, 3, 25, dtype=torch.float64)
    lines = relaxation(place, place + width)
    # Without the slope, the distance of the lines would be of the size of the width.
    assert (lines.above - lines.below).max() < 1e-3 * width + 1e-14


def test_relu_is_exact_on_either_side_of_0() -> None:
    low = torch.tensor([-3.0, 1.0], dtype=torch.float64)
    lines = relu(low, low + 1)
    assert lines.slope.tolist() == [0.0, 1.0]
    assert (lines.above - lines.below).max() < 1e-10


def test_square_of_a_range_around_0_is_never_negative() -> None:
    lines = square(torch.tensor([-2.0]), torch.tensor([1.0]))
    assert lines.low.tolist() == [0.0]
    assert lines.high.tolist() == [4.0]


def test_1_over_x_of_a_range_that_reaches_0_claims_nothing() -> None:
    lines = reciprocal(torch.tensor([0.0]), torch.tensor([1.0]))
    assert not torch.isfinite(lines.above - lines.below).all()
