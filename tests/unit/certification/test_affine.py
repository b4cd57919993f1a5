"""No choice of words, and no point between them, leaves the enclosures."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from robench.certification import affine
from robench.certification.affine import Enclosed, enclose
from robench.certification.relaxations import exponential, gelu, square

TOKENS, SIZE = 4, 6


@dataclass
class Case:
    """A random quantity with points of its simplices.

    Attributes:
        x: the quantity, ``(1, tokens, size)``.
        points: its values at corners and between them, ``(points, tokens, size)``.
    """

    x: Enclosed
    points: Tensor


def case(seed: int, size: float = 0.7, positions: int = 3, slots: int = 2) -> Case:
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    base, changes = normal(1, TOKENS, SIZE), size * normal(1, positions, slots, TOKENS, SIZE)
    between = torch.rand(300, positions, slots, generator=draw, dtype=torch.float64)
    between = between / between.sum(-1, keepdim=True)
    between *= torch.rand(300, positions, 1, generator=draw, dtype=torch.float64)
    chosen = torch.randint(0, slots + 1, (300, positions, 1), generator=draw)
    corners = (chosen == torch.arange(1, slots + 1)).double()
    weights = torch.cat([between, corners])
    points = base + torch.einsum("npk,pktd->ntd", weights, changes[0])
    return Case(enclose(base, changes), points)


def assert_inside(x: Enclosed, points: Tensor) -> None:
    slack = 1e-12 * (1 + points.abs())
    assert (x.low <= points + slack).all()
    assert (points <= x.high + slack).all()


@pytest.mark.parametrize("seed", range(5))
def test_steps_enclose_every_point(seed: int) -> None:
    draw = torch.Generator().manual_seed(100 + seed)
    weight = torch.randn(5, SIZE, generator=draw, dtype=torch.float64)
    bias = torch.randn(5, generator=draw, dtype=torch.float64)
    one = case(seed)
    x, points = one.x, one.points
    assert_inside(x, points)
    assert_inside(affine.linear(x, weight, bias), points @ weight.T + bias)
    assert_inside(affine.centred(x), points - points.mean(-1, keepdim=True))
    assert_inside(affine.total(x, 0.5), points.sum(-1, keepdim=True) / 2)
    assert_inside(affine.scale(x, bias[[0, 1, 2, 3, 4, 0]]), points * bias[[0, 1, 2, 3, 4, 0]])
    assert_inside(affine.apply(x, gelu), torch.nn.functional.gelu(points))
    assert_inside(affine.apply(affine.apply(x, square), exponential), points.square().exp())
    mixed = affine.linear(affine.apply(x, gelu), weight, bias)
    other = torch.nn.functional.gelu(points) @ weight.T + bias
    product = affine.multiply(mixed, mixed, "td,ud->tu")
    assert_inside(product, other @ other.transpose(-1, -2))
    assert_inside(affine.add(mixed, mixed), 2 * other)


def test_a_linear_function_gets_its_exact_range() -> None:
    one = case(7)
    weight = torch.randn(1, SIZE, generator=torch.Generator().manual_seed(1)).double()
    found = affine.linear(one.x, weight, None)
    values = one.points @ weight.T
    # The least value lies at a corner, and every corner is among the many points.
    assert torch.allclose(found.low[0], values.amin(0), atol=1e-9)
    assert torch.allclose(found.high[0], values.amax(0), atol=1e-9)


def test_without_positions_the_enclosure_is_a_point() -> None:
    base = torch.ones(1, TOKENS, SIZE, dtype=torch.float64)
    x = enclose(base, base.new_zeros(1, 0, 0, TOKENS, SIZE))
    y = affine.apply(affine.multiply(x, x, "td,ud->tu"), exponential)
    assert torch.allclose(y.low, y.high)
    assert torch.allclose(y.low, torch.full_like(y.low, SIZE).exp())


def test_numbers_that_are_too_large_certify_nothing() -> None:
    one = case(1, size=1e200)
    x = affine.apply(affine.apply(one.x, square), square)
    assert not (affine.total(x).low > 1).any()


def test_a_range_from_elsewhere_narrows() -> None:
    x = case(2).x
    low, high = x.middle - 0.1, x.middle + 0.1
    narrow = x.within(low, high)
    assert (narrow.low >= low).all()
    assert (narrow.high <= high).all()
    assert (narrow.low <= narrow.high).all()


def test_points_stay_points_in_the_right_order() -> None:
    draw = torch.Generator().manual_seed(11)
    base = torch.randn(1, TOKENS, SIZE, generator=draw, dtype=torch.float64)
    weight = torch.randn(SIZE, SIZE, generator=draw, dtype=torch.float64)
    x = enclose(base, base.new_zeros(1, 2, 3, TOKENS, SIZE))
    for _ in range(20):
        x = affine.centred(affine.apply(affine.linear(affine.add(x, x), weight / 4, None), gelu))
        assert (x.low <= x.high).all()
    assert (x.high - x.low).max() < 1e-12


def test_reshaping_moves_everything_alike() -> None:
    one = case(4)
    shaped = one.x.reshaped((TOKENS, 2, 3), (1, 0, 2))
    assert_inside(shaped, one.points.reshape(-1, TOKENS, 2, 3).transpose(1, 2))
    assert_inside(one.x.at(slice(0, 1)), one.points[:, :1])
