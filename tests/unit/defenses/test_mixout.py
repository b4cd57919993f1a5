"""Mixout: what is mixed, with what and how often; the encoder is a plain one at the end."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import nn
from victim_cases import FAMILIES, batch, classifier

from robench import DEFENSES
from robench.methods.selective import selectable
from robench.models.classifier import TextClassifier

Mixout = DEFENSES.get("mixout")
Mixture = importlib.import_module(Mixout.__module__).Mixture


def prepared(family: str = "bert", **options: object) -> tuple[Any, TextClassifier]:
    model = classifier(family)
    defense = Mixout(Mixout.Options.model_validate(options))
    defense.prepare(model)
    return defense, model


def test_a_mixture_is_as_computed_by_hand() -> None:
    """Take w = 3, w0 = 1 and p = 0.6.

    A kept element is (3 - 0.6) / 0.4 = 6, a replaced one (1 - 0.6) / 0.4 = 1. Their mean,
    0.4 x 6 + 0.6 x 1, is w.
    """
    mixture = Mixture(torch.ones(1000), 0.6, "elements")
    torch.manual_seed(0)
    mixed = mixture(torch.full((1000,), 3.0))
    assert set(mixed.round(decimals=4).tolist()) == {6.0, 1.0}
    assert mixed.mean().item() == pytest.approx(3.0, abs=0.2)
    assert (mixed < 2).float().mean().item() == pytest.approx(0.6, abs=0.05)


def test_the_gradient_is_that_of_the_mixture() -> None:
    weight = torch.full((50,), 3.0, requires_grad=True)
    mixed = Mixture(torch.ones(50), 0.6, "elements")(weight)
    (gradient,) = torch.autograd.grad(mixed.sum(), weight)
    torch.testing.assert_close(gradient, (mixed > 2).float() / 0.4)


def test_in_eval_mode_the_mixture_is_the_parameter() -> None:
    weight = torch.randn(5)
    assert Mixture(torch.ones(5), 0.6, "elements").eval()(weight) is weight


def test_units_share_one_draw_along_the_outputs() -> None:
    torch.manual_seed(0)
    mixed = Mixture(torch.zeros(4, 30), 0.5, "units")(torch.ones(4, 30))
    assert (mixed == mixed[:1]).all()
    assert 0 < (mixed[0] == 0).sum() < 30
    elements = Mixture(torch.zeros(4, 30), 0.5, "elements")(torch.ones(4, 30))
    assert not (elements == elements[:1]).all()
    assert len(set(Mixture(torch.zeros(30), 0.5, "units")(torch.ones(30)).tolist())) == 2


def test_every_forward_pass_draws_again_and_eval_draws_nothing() -> None:
    _, model = prepared()
    texts = batch()
    torch.manual_seed(0)
    first, second = (model(texts.input_ids, texts.attention_mask) for _ in range(2))
    # Before any training the parameters and their targets are the same.
    assert torch.equal(first[0], second[0])
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    first, second = (model(texts.input_ids, texts.attention_mask) for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    first, second = (model(texts.input_ids, texts.attention_mask) for _ in range(2))
    assert torch.equal(first, second)


def test_all_parameters_of_the_encoder_are_mixed_or_its_linear_weights() -> None:
    everything, model = prepared()
    names = [name for name, _ in model.encoder.named_parameters()]
    assert len(everything.mixed) == len(names)
    assert all("parametrizations" in name for name in names)
    assert not any("parametrizations" in name for name, _ in model.head.named_parameters())
    linear, model = prepared(layers="linear")
    assert {(type(module).__bases__[0], name) for module, name in linear.mixed} == {
        (nn.Linear, "weight")
    }
    # Each of the 2 layers has six matrices, and the pooler has one.
    assert len(linear.mixed) == 2 * 6 + 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layers", ["all", "linear"])
def test_finish_makes_the_encoder_a_plain_one_again(family: str, layers: str) -> None:
    plain = classifier(family)
    defense, model = prepared(family, layers=layers)
    parameters = {id(parameter) for parameter in model.parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    model(batch().input_ids, batch().attention_mask)
    defense.finish(model)
    assert [type(module) for module in model.modules()] == [
        type(module) for module in plain.modules()
    ]
    assert sorted(model.state_dict()) == sorted(plain.state_dict())
    # The parameters are the same objects, which the optimiser holds.
    assert {id(parameter) for parameter in model.parameters()} == parameters
    for name, tensor in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name), tensor + 1)


def test_mixout_does_not_replace_parameters_that_others_hold() -> None:
    """The other members of a joint defense may hold parameters of the model already."""
    model = classifier()
    held = {id(parameter) for parameter in model.parameters()}
    selected = {id(parameter) for parameter in selectable(model).values()}
    Mixout().prepare(model)
    assert {id(parameter) for parameter in model.parameters()} == held
    assert {id(parameter) for parameter in selectable(model).values()} == selected


def test_preparing_draws_no_random_numbers() -> None:
    model = classifier()
    before = torch.get_rng_state()
    Mixout().prepare(model)
    assert torch.equal(before, torch.get_rng_state())
    assert all(module.training for module in model.modules())


def test_with_probability_0_nothing_is_mixed() -> None:
    defense, model = prepared(probability=0)
    assert defense.mixed == []
    assert list(model.state_dict()) == list(classifier().state_dict())
