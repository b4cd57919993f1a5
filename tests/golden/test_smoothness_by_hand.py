"""Defenses with noise on embeddings or smooth labels, against independent computations."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from victim_cases import FAMILIES, batch, classifier

from robench import DEFENSES
from robench.methods.smoothness import (
    divergence,
    perturbed_logits,
    symmetric_divergence,
    text_norms,
    token_max_norms,
    zero_noise,
)
from robench.models.classifier import TextClassifier


def made(name: str, **options: object) -> Any:
    cls = DEFENSES.get(name)
    return cls(cls.Options.model_validate(options))


def test_the_symmetric_divergence_matches_a_hand_computed_value() -> None:
    """p = (3/4, 1/4), q = (1/2, 1/2): sum (p - q) log(p / q) = 0.25 ln 3.

    The result is the mean over two texts, of which only one is moved.
    """
    one, other = torch.tensor([[log(3.0), 0.0], [1.0, 2.0]]), torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    assert symmetric_divergence(one, other).item() == pytest.approx(0.25 * log(3) / 2)
    assert symmetric_divergence(other, one).item() == pytest.approx(0.25 * log(3) / 2)


def test_both_sides_of_the_divergence_have_gradients() -> None:
    one, other = (
        torch.tensor([[1.0, 0.0]], requires_grad=True),
        torch.zeros(1, 2, requires_grad=True),
    )
    gradients = torch.autograd.grad(symmetric_divergence(one, other), [one, other])
    assert all((gradient != 0).any() for gradient in gradients)


def test_norms_of_noise_are_never_zero() -> None:
    noise = torch.tensor([[[3.0, 0.0], [0.0, -4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert text_norms(noise).flatten().tolist() == [5.0, pytest.approx(0, abs=1e-30)]
    assert token_max_norms(noise).flatten().tolist() == [
        3.0,
        4.0,
        pytest.approx(0, abs=1e-30),
        pytest.approx(0, abs=1e-30),
    ]
    assert (noise / text_norms(noise)).isfinite().all()
    assert (noise / token_max_norms(noise)).isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_without_noise_or_with_noise_on_padding_the_prediction_is_the_same(family: str) -> None:
    model, texts = classifier(family).eval(), batch()
    plain, none = model(texts.input_ids, texts.attention_mask), zero_noise(model, texts)
    torch.testing.assert_close(perturbed_logits(model, texts, none), plain)
    on_padding = torch.ones_like(none) * (texts.attention_mask == 0)[:, :, None]
    torch.testing.assert_close(perturbed_logits(model, texts, on_padding), plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_noise_is_added_to_the_word_embeddings(family: str) -> None:
    """Noise that turns one word's embedding into another's gives the other text's prediction.

    Position, token type and LayerNorm are applied after the noise.
    """
    model, texts = classifier(family).eval(), batch(types=family != "roberta")
    words = model.encoder.get_input_embeddings().weight
    other = texts.input_ids.clone()
    other[:, 2] = 7
    noise = (words[other] - words[texts.input_ids]).detach().requires_grad_()
    assert noise.shape == zero_noise(model, texts).shape
    found = perturbed_logits(model, texts, noise)
    torch.testing.assert_close(
        found, model(other, texts.attention_mask, texts.token_type_ids), atol=1e-4, rtol=1e-4
    )
    assert not torch.allclose(
        found, model(texts.input_ids, texts.attention_mask, texts.token_type_ids)
    )
    (gradient,) = torch.autograd.grad(found.square().sum(), noise)
    assert (gradient != 0).any(dim=-1).sum() == texts.attention_mask.sum()
    assert not model.encoder.get_input_embeddings()._forward_hooks


def test_label_smoothing_matches_a_hand_computed_loss() -> None:
    """Two classes share a tenth: the label has a weight of 0.95, the other class 0.05."""
    model, texts = classifier().eval(), batch()
    logs = model(texts.input_ids, texts.attention_mask).log_softmax(-1)
    own, other = logs.gather(1, texts.labels[:, None]), logs.gather(1, 1 - texts.labels[:, None])
    torch.testing.assert_close(
        made("label-smoothing").loss(model, texts), -(0.95 * own + 0.05 * other).mean()
    )
    torch.testing.assert_close(
        made("label-smoothing", smoothing=0).loss(model, texts), cross_entropy(logs, texts.labels)
    )


def test_r3f_is_the_weighted_divergence_under_its_noise() -> None:
    model, texts = classifier(), batch()
    for noise, draw in (
        ("uniform", lambda like: torch.rand_like(like) * 2 - 1),
        ("normal", torch.randn_like),
    ):
        torch.manual_seed(3)
        penalty = made("r3f", weight=2, scale=0.5, noise=noise).penalty(model, texts)
        torch.manual_seed(3)
        drawn = draw(zero_noise(model, texts)) * 0.5
        expected = symmetric_divergence(
            model(texts.input_ids, texts.attention_mask), perturbed_logits(model, texts, drawn)
        )
        torch.testing.assert_close(penalty, 2 * expected)
        assert penalty > 0


def test_smart_finds_worse_noise_than_random_noise_of_its_size() -> None:
    found, random = [], []
    for seed in range(5):
        model, texts = classifier(seed=seed), batch(seed=seed)
        defense = made("smart", size=0.1, start=0.01, steps=3)
        plain = model(texts.input_ids, texts.attention_mask).detach()
        noise = defense.worst_noise(model, texts, plain)
        torch.testing.assert_close(noise.abs().amax(-1), 0.1 * texts.attention_mask)
        assert not noise.requires_grad
        found.append(symmetric_divergence(plain, perturbed_logits(model, texts, noise)).item())
        random.append(
            symmetric_divergence(
                plain, perturbed_logits(model, texts, (torch.rand_like(noise) * 2 - 1) * 0.1)
            ).item()
        )
    assert sum(found) > 2 * sum(random)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_smart_uses_the_gradient_of_the_one_sided_divergence_only() -> None:
    model, texts = classifier(), batch()
    plain = model(texts.input_ids, texts.attention_mask).detach()
    torch.manual_seed(5)
    found = made("smart", size=0.2, start=0.3).worst_noise(model, texts, plain)
    torch.manual_seed(5)
    start = (torch.randn_like(zero_noise(model, texts)) * 0.3).requires_grad_()
    (gradient,) = torch.autograd.grad(
        divergence(plain, perturbed_logits(model, texts, start)), start
    )
    torch.testing.assert_close(
        found, 0.2 * torch.nan_to_num(gradient / gradient.abs().amax(-1, keepdim=True))
    )


def test_smarts_default_penalty_is_above_fp32_rounding() -> None:
    """Without dropout only the noise is left. It exceeds rounding errors and has a gradient."""
    model, texts = classifier(), batch()
    plain = model(texts.input_ids, texts.attention_mask)
    rounding = symmetric_divergence(
        plain, perturbed_logits(model, texts, zero_noise(model, texts))
    ).abs()
    penalty = made("smart").penalty(model, texts)
    assert penalty > 100 * rounding
    assert penalty > 1e-7
    assert any(
        gradient is not None and gradient.abs().max() > 0 for gradient in gradients(penalty, model)
    )


# -- FreeLB++


def gradients(loss: Tensor, model: TextClassifier) -> list[Tensor | None]:
    return list(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))


def test_freelb_with_one_step_from_zero_is_cross_entropy() -> None:
    model, texts = classifier(), batch()
    ours = made("freelb", steps=1, start=0).loss(model, texts)
    theirs = cross_entropy(model(texts.input_ids, texts.attention_mask), texts.labels)
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(gradients(ours, model), gradients(theirs, model), strict=True):
        assert one is not None
        expected = torch.zeros_like(one) if other is None else other
        torch.testing.assert_close(one, expected, atol=1e-5, rtol=1e-4)


def test_freelbs_loss_and_gradient_are_the_means_of_all_steps() -> None:
    """The direct computation keeps every step's graph and differentiates the mean."""
    model, texts = classifier(), batch()
    defense = made("freelb", steps=3, step=0.2, start=0.1)
    torch.manual_seed(4)
    ours = defense.loss(model, texts)
    torch.manual_seed(4)
    noise, losses = defense.random_start(model, texts), []
    for _ in range(3):
        noise = noise.detach().requires_grad_()
        losses.append(cross_entropy(perturbed_logits(model, texts, noise), texts.labels))
        (uphill,) = torch.autograd.grad(losses[-1], noise, retain_graph=True)
        noise = noise + 0.2 * uphill / uphill.flatten(1).norm(dim=1)[:, None, None]
    mean = torch.stack(losses).mean()
    assert losses[0] < losses[1] < losses[2]
    torch.testing.assert_close(ours, mean)
    for one, other in zip(gradients(ours, model), gradients(mean, model), strict=True):
        assert one is not None
        expected = torch.zeros_like(one) if other is None else other
        torch.testing.assert_close(one, expected, atol=1e-4, rtol=1e-3)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_freelbs_start_is_small_and_zero_on_padding() -> None:
    model, texts = classifier(), batch()
    noise = made("freelb", start=0.05).random_start(model, texts)
    bound = 0.05 / (texts.attention_mask.sum(1) * noise.shape[-1]).sqrt()
    assert (noise.abs().amax((1, 2)) <= bound).all()
    assert (noise.abs().amax((1, 2)) > 0.8 * bound).all()
    assert (noise[texts.attention_mask == 0] == 0).all()


def test_freelbs_noise_stays_inside_a_radius_if_there_is_one() -> None:
    direction = torch.ones(1, 2, 2)
    free, held = made("freelb", step=0.5), made("freelb", step=0.5, radius=0.7)
    walked, kept = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)
    for _ in range(3):
        walked, kept = free.climb(walked, direction), held.climb(kept, direction)
    assert text_norms(walked).item() == pytest.approx(1.5)
    assert text_norms(kept).item() == pytest.approx(0.7)
