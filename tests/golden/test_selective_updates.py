"""ROSE's masks, saliencies and masked AdamW against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from victim_cases import FAMILIES, batch, classifier

from robench.methods.selective import (
    SelectiveAdamW,
    _dropout,
    divergence_saliency,
    momentum_saliency,
    quantile_mask,
    selectable,
)


@pytest.mark.parametrize(
    ("lower", "upper", "kept"),
    [
        (0.0, 1.0, [1, 1, 1, 1, 1]),
        (0.0, 0.5, [1, 0, 1, 1, 0]),  # median 3, included
        (0.0, 0.6, [1, 0, 1, 1, 0]),  # 0.6 x 4 = 2.4: between 3 and 4
        (0.25, 1.0, [1, 1, 0, 1, 1]),  # from 2 on
        (0.25, 0.75, [1, 1, 0, 1, 0]),  # 2 to 4
    ],
)
def test_a_mask_keeps_what_is_between_the_quantiles(
    lower: float, upper: float, kept: list[int]
) -> None:
    assert quantile_mask(torch.tensor([3.0, 4.0, 1.0, 2.0, 5.0]), lower, upper).tolist() == kept


def test_a_quantile_of_70_percent_keeps_67_of_96_tensors() -> None:
    """0.7 x 95 = 66.5, so ranks 0 to 66 are below the interpolated quantile."""
    assert quantile_mask(torch.arange(96.0), 0.0, 0.7).sum() == 67


def test_a_tensor_without_saliency_is_kept_and_not_counted() -> None:
    nan = torch.nan
    assert quantile_mask(torch.tensor([1.0, nan, 2.0, 9.0]), 0.0, 0.5).tolist() == [1, 1, 1, 0]
    assert quantile_mask(torch.tensor([nan, nan]), 0.0, 0.5).tolist() == [1, 1]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "albert"])
def test_dropout_reaches_fused_attention(family: str) -> None:
    """With all dropout layers off, attention alone makes two passes differ."""
    model, texts = classifier(family), batch()
    assert model.encoder.config._attn_implementation == "sdpa"

    def passes() -> tuple[Tensor, Tensor]:
        return model(texts.input_ids, texts.attention_mask), model(
            texts.input_ids, texts.attention_mask
        )

    assert torch.equal(*passes())
    with _dropout(model.encoder, 0.5):
        assert {layer.p for layer in model.encoder.modules() if isinstance(layer, nn.Dropout)} == {
            0.5
        }
        with torch.no_grad():
            for layer in model.encoder.modules():
                if isinstance(layer, nn.Dropout):
                    layer.p = 0.0
            assert not torch.allclose(*passes())
    assert torch.equal(*passes())


def test_both_rules_of_momentum_saliency_match_hand_computed_values() -> None:
    """g = (3, 4), m = (0, 1), beta1 = 0.9.

    The released rule gives |0.1 x 5 / 1 - 1| = 0.5, "change" gives 0.1 x |(3, 3)| / 1 = 0.4243.
    """
    gradients = [torch.tensor([3.0, 4.0]), torch.ones(2), torch.ones(2), None]
    momenta = [torch.tensor([0.0, 1.0]), None, torch.zeros(2), torch.ones(2)]
    released, change = (
        momentum_saliency(gradients, momenta, 0.9, rule) for rule in ("released", "change")
    )
    assert released[0].item() == pytest.approx(0.5)
    assert change[0].item() == pytest.approx(0.1 * 18**0.5)
    assert released[1:].isnan().all()
    assert change[1:].isnan().all()


def test_the_released_rule_freezes_steady_tensors_and_change_noisy_ones() -> None:
    """A steady gradient equals its momentum; a noisy one is larger and points elsewhere."""
    steady, noisy = (
        (torch.ones(4), torch.ones(4)),
        (torch.tensor([4.0, -4.0, 4.0, -4.0]), torch.ones(4)),
    )
    pairs = [steady, noisy]
    released = momentum_saliency([g for g, _ in pairs], [m for _, m in pairs], 0.9, "released")
    change = momentum_saliency([g for g, _ in pairs], [m for _, m in pairs], 0.9, "change")
    assert released[0] > released[1]
    assert change[0] == 0 < change[1]


def test_divergence_saliency_is_the_norm_of_the_gradient() -> None:
    model, texts = classifier(dropout=0.0), batch()
    tensors = list(selectable(model).values())
    torch.manual_seed(5)
    found = divergence_saliency(model, texts, tensors, 0.3)
    assert {layer.p for layer in model.encoder.modules() if isinstance(layer, nn.Dropout)} == {0.0}
    model = classifier(dropout=0.3)  # the same weights
    tensors = list(selectable(model).values())
    torch.manual_seed(5)
    first, second = (model(texts.input_ids, texts.attention_mask).softmax(-1) for _ in range(2))
    # (KL(p || q) + KL(q || p)) / 4
    apart = ((first - second) * (first.log() - second.log())).sum() / 4
    expected = [gradient.norm().item() for gradient in torch.autograd.grad(apart, tensors)]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert apart > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_only_weights_of_layers_can_be_selected(family: str) -> None:
    names = selectable(classifier(family))
    assert names
    assert all(
        name.endswith("weight") and "embeddings." not in name and "pooler" not in name
        for name in names
    )


def test_bert_has_eight_selectable_tensors_in_each_layer() -> None:
    assert len(selectable(classifier("bert"))) == 8 * 2
    assert sum("LayerNorm" in name for name in selectable(classifier("bert"))) == 2 * 2


def make_optimizer(
    start: Sequence[float], shares: Sequence[float], **settings: float
) -> tuple[list[nn.Parameter], SelectiveAdamW]:
    parameters = [nn.Parameter(torch.tensor([value])) for value in start]
    groups = [{"params": parameters, "lr": 0.1, "weight_decay": settings.pop("weight_decay", 0.0)}]
    return parameters, SelectiveAdamW(
        groups, parameters, lambda _: torch.tensor(shares), betas=(0.9, 0.98), eps=1e-6
    )


def step(
    parameters: Sequence[nn.Parameter], optimizer: SelectiveAdamW, gradients: Sequence[float]
) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor([gradient])
    optimizer.step()


def test_the_first_step_matches_hand_computed_values() -> None:
    """m = 0.1 M g and v = 0.02 (M g)^2; with bias correction they are M g and its square.

    So a step is M x lr, and a frozen tensor does not move.
    """
    parameters, optimizer = make_optimizer([1.0, 1.0, 1.0], [1.0, 0.5, 0.0])
    step(parameters, optimizer, [2.0, 2.0, 2.0])
    assert [parameter.item() for parameter in parameters] == pytest.approx(
        [0.9, 0.95, 1.0], abs=1e-5
    )
    moments = [optimizer.state[parameter] for parameter in parameters]
    assert [state["exp_avg"].item() for state in moments] == pytest.approx([0.2, 0.1, 0.0])
    assert [state["exp_avg_sq"].item() for state in moments] == pytest.approx([0.08, 0.02, 0.0])
    assert [int(state["step"]) for state in moments] == [1, 1, 1]


def test_freezing_keeps_value_and_first_moment_but_not_the_second() -> None:
    parameters, optimizer = make_optimizer([1.0], [1.0], weight_decay=0.5)
    step(parameters, optimizer, [2.0])
    value, first = parameters[0].item(), optimizer.state[parameters[0]]["exp_avg"].item()
    assert value == pytest.approx(1 - 0.1 * 0.5 - 0.1, abs=1e-5)  # the decay, then the update
    optimizer._shares = lambda _: torch.tensor([0.0])
    step(parameters, optimizer, [-7.0])
    state = optimizer.state[parameters[0]]
    assert parameters[0].item() == value
    assert state["exp_avg"].item() == first == pytest.approx(0.2)
    assert state["exp_avg_sq"].item() == pytest.approx(0.98 * 0.08 + 0.02 * 0.2**2)
    assert int(state["step"]) == 2


def test_a_partial_update_is_interpolated() -> None:
    """M = 0.25 at step two: g~ = 0.25 x 4 + 0.75 x 0.2 = 1.15, and a quarter of the step."""
    parameters, optimizer = make_optimizer([1.0], [1.0])
    step(parameters, optimizer, [2.0])
    value = parameters[0].item()
    optimizer._shares = lambda _: torch.tensor([0.25])
    step(parameters, optimizer, [4.0])
    first, second = 0.9 * 0.2 + 0.1 * 1.15, 0.98 * 0.08 + 0.02 * 1.15**2
    whole = 0.1 * (first / (1 - 0.9**2)) / ((second / (1 - 0.98**2)) ** 0.5)
    assert parameters[0].item() == pytest.approx(value - 0.25 * whole, abs=1e-5)


def test_with_all_shares_1_it_is_adamw_bit_for_bit() -> None:
    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(3)]
    ours, theirs = ([nn.Parameter(tensor.clone()) for tensor in start] for _ in range(2))
    settings = {"lr": 0.01, "weight_decay": 0.1, "betas": (0.9, 0.98), "eps": 1e-6}
    selective = SelectiveAdamW(
        [{"params": ours, "lr": 0.01, "weight_decay": 0.1}],
        ours,
        lambda _: torch.ones(2),
        betas=(0.9, 0.98),
        eps=1e-6,
    )
    plain = torch.optim.AdamW(theirs, **settings)  # type: ignore[arg-type]
    for _ in range(5):
        for pair in zip(ours, theirs, strict=True):
            gradient = torch.randn_like(pair[0])
            for parameter in pair:
                parameter.grad = gradient.clone()
        selective.step()
        plain.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_tensor_without_gradient_does_not_change() -> None:
    parameters, optimizer = make_optimizer([1.0, 1.0], [0.5, 0.5])
    parameters[0].grad = torch.tensor([1.0])
    optimizer.step()
    assert parameters[1].item() == 1.0
    assert parameters[0].item() < 1.0


def test_shares_are_computed_when_gradients_are_known() -> None:
    seen: list[Tensor | None] = []
    parameter = nn.Parameter(torch.ones(1))

    def shares(optimizer: SelectiveAdamW) -> Tensor:
        seen.extend([parameter.grad, optimizer.momentum(parameter)])
        return optimizer.saliency("released").isnan().float()

    optimizer = SelectiveAdamW([{"params": [parameter], "lr": 0.1}], [parameter], shares)
    parameter.grad = torch.ones(1)
    optimizer.step()
    optimizer.step()
    assert seen[1] is None
    assert seen[0] is not None
    assert seen[3] is not None
