from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import kl_div
from victim_cases import FAMILIES, batch, classifier

from robench import Batch
from robench.models.classifier import TextClassifier
from robench.models.convex_hull import (
    ENTROPY_WEIGHT,
    maximise,
)
from robench.models.mixtures import harden, mix, pack_substitutes
from robench.models.model_modes import evaluating
from robench.models.objectives import error_on


def test_a_share_of_a_batch_starts_the_search_as_the_whole_does() -> None:
    model, texts = classifier(), batch(rows=6)
    whole = maximise(model, texts, steps=3, generator=torch.Generator().manual_seed(5))
    for rank in (0, 1):
        share = maximise(
            model, texts.share(rank, 2), steps=3, generator=torch.Generator().manual_seed(5)
        )
        torch.testing.assert_close(share, whole[rank::2], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("objective", ["divergence", "cross-entropy", "margin"])
def test_weights_lie_on_the_simplex_and_masked_slots_are_zero(objective: Any) -> None:
    model, texts = classifier(), batch()
    assert texts.substitute_mask is not None
    weights = maximise(model, texts, objective=objective)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 9))
    assert (weights >= 0).all()
    assert (weights[~texts.substitute_mask] == 0).all()
    assert (weights[texts.substitute_mask.sum(-1) == 1][:, 0] == 1).all()
    assert not weights.requires_grad


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), slots=st.integers(1, 6), rows=st.integers(1, 5))
def test_weights_lie_on_the_simplex_for_any_batch(seed: int, slots: int, rows: int) -> None:
    texts = batch(rows=rows, tokens=6, slots=slots, seed=seed)
    assert texts.substitute_mask is not None
    weights = maximise(classifier(), texts, steps=2)
    torch.testing.assert_close(weights.sum(-1), torch.ones(rows, 6))
    assert (weights >= 0).all()
    assert (weights[~texts.substitute_mask] == 0).all()


def divergence(model: TextClassifier, texts: Batch, weights: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), evaluating(model):
        clean = model(texts.input_ids, texts.attention_mask, texts.token_type_ids).log_softmax(-1)
        mixed = model.classify(
            model.features_from_embeddings(mix(model, texts, weights), texts.attention_mask)
        ).log_softmax(-1)
    return kl_div(mixed, clean, reduction="none", log_target=True).sum(-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_search_raises_the_divergence(family: str) -> None:
    """Over ten batches, the mixture found is worse than the uniform one.

    It is also much worse than the clean text, whose divergence is 0.
    """
    found, uniform = [], []
    for seed in range(10):
        model, texts = classifier(family, seed=seed), batch(rows=6, seed=seed)
        assert texts.substitute_mask is not None
        torch.manual_seed(seed)
        found.append(divergence(model, texts, maximise(model, texts)).mean())
        uniform.append(
            divergence(
                model, texts, texts.substitute_mask / texts.substitute_mask.sum(-1, keepdim=True)
            ).mean()
        )
    assert torch.stack(found).mean() > 1.2 * torch.stack(uniform).mean()


@pytest.mark.parametrize("objective", ["cross-entropy", "margin"])
def test_with_labels_the_search_raises_the_cross_entropy(objective: Any) -> None:
    rises = []
    for seed in range(5):
        model, texts = classifier(seed=seed), batch(rows=6, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        attacked = harden(texts, maximise(model, texts, objective=objective, generator=generator))
        model.eval()
        with torch.no_grad():
            worse, clean = (
                error_on(texts.labels)(model(asked.input_ids, asked.attention_mask))
                for asked in (attacked, texts)
            )
        rises.append(worse - clean)
    assert torch.stack(rises).mean() > 0


SCALES = [1e-6, 0.1, 3.0, 30.0, 100.0]


@pytest.mark.parametrize("scale", SCALES)
def test_by_the_margin_the_scale_of_the_logits_changes_no_discrete_text(scale: float) -> None:
    found = []
    for factor in (1.0, scale):
        model, texts = classifier(), batch(rows=6)
        with torch.no_grad():
            for parameter in model.head[-1].parameters():
                parameter.mul_(factor)
        weights = maximise(
            model, texts, objective="margin", generator=torch.Generator().manual_seed(0)
        )
        found.append((weights, harden(texts, weights).input_ids))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-3, rtol=1e-3)
    assert torch.equal(found[1][1], found[0][1])


def test_by_the_cross_entropy_the_scale_of_the_logits_does_change_it() -> None:
    """It is why evaluation takes the margin: a tiny gradient is lost in Adam's epsilon."""
    found = []
    for factor in (1.0, 1e-6):
        model, texts = classifier(), batch(rows=6)
        with torch.no_grad():
            for parameter in model.head[-1].parameters():
                parameter.mul_(factor)
        weights = maximise(
            model, texts, objective="cross-entropy", generator=torch.Generator().manual_seed(0)
        )
        found.append(harden(texts, weights).input_ids)
    assert not torch.equal(found[1], found[0])


def test_the_search_restores_the_models_modes_and_gradients() -> None:
    model, texts = classifier(dropout=0.2), batch()
    model.head.eval()
    model.encoder.pooler.dense.weight.requires_grad_(False)
    maximise(model, texts)
    assert model.encoder.training
    assert not model.head.training
    assert [
        name for name, parameter in model.named_parameters() if not parameter.requires_grad
    ] == ["encoder.pooler.dense.weight"]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_search_runs_without_dropout() -> None:
    model, texts = classifier(dropout=0.5), batch()
    first, second = (
        maximise(model, texts, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_the_global_generator_is_unused_when_one_is_given() -> None:
    model, texts = classifier(), batch()
    before = torch.get_rng_state()
    maximise(model, texts, generator=torch.Generator().manual_seed(3))
    assert torch.equal(before, torch.get_rng_state())


def test_an_error_in_the_search_restores_the_model() -> None:
    model, texts = classifier(), batch()
    # This layer does not fit.
    model.head[0] = torch.nn.Linear(3, 8)
    with pytest.raises(RuntimeError):
        maximise(model, texts)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_batch_without_substitutes_stays_unmixed() -> None:
    model, texts = classifier(), batch()
    assert texts.substitute_ids is not None
    bare = replace(
        texts,
        substitute_ids=texts.substitute_ids[:, :, :1],
        substitute_mask=torch.ones(4, 9, 1, dtype=torch.bool),
    )
    weights = maximise(model, bare)
    assert torch.equal(weights, torch.ones(4, 9, 1))
    model.eval()
    assert torch.equal(mix(model, bare, weights), model.embed(texts.input_ids))


def test_a_batch_that_carries_no_substitution_sets_is_refused() -> None:
    with pytest.raises(ValueError, match="substitutes = True"):
        maximise(classifier(), replace(batch(), substitute_ids=None, substitute_mask=None))


def test_the_entropy_weight_is_that_of_the_release() -> None:
    assert pytest.approx(3.90625e-4) == ENTROPY_WEIGHT


def test_the_entropy_term_sharpens_mixtures() -> None:
    model, texts = classifier(), batch()
    assert texts.substitute_mask is not None

    def mean_entropy(weight: float) -> float:
        weights = maximise(
            model, texts, entropy_weight=weight, generator=torch.Generator().manual_seed(0)
        )
        return float(torch.special.entr(weights).sum())

    assert mean_entropy(10.0) < mean_entropy(0.0) < mean_entropy(-10.0)


def test_one_adam_step_moves_every_logit_by_the_learning_rate() -> None:
    """After one step every logit has moved by 1.

    Adam's first step is the learning rate times the gradient's sign.
    """
    model, texts = classifier(), batch(rows=1, tokens=5, slots=3, seed=4)
    assert texts.substitute_mask is not None
    packed = pack_substitutes(texts)
    start = (
        torch.randn(1, 5, 3, generator=torch.Generator().manual_seed(0))[0, packed.positions]
        * (2 / (5 * 3)) ** 0.5
    )
    weights = maximise(model, texts, steps=1, generator=torch.Generator().manual_seed(0)).flatten(
        0, 1
    )[packed.positions]
    for row, allowed, hat in zip(weights, packed.allowed, start, strict=True):
        moved = row[allowed].log() - hat[allowed]
        # Weights give their logits up to a constant.
        moved = moved - moved[0]
        near = torch.stack([(moved - shift).abs() for shift in (-2.0, 0.0, 2.0)]).min(0).values
        # Adam's epsilon shortens the step of a tiny gradient.
        assert (near < 0.05).all()


def test_under_bf16_weights_stay_exact_and_parameters_get_gradients() -> None:
    """A bf16 copy of a parameter made in the search must not serve the loss.

    Autocast caches such copies, and one made in the search has no gradients.
    """
    model, texts = classifier(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        weights = maximise(model, texts)
        loss = (
            model.classify(
                model.features_from_embeddings(mix(model, texts, weights), texts.attention_mask)
            )
            .square()
            .sum()
        )
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 9))
    loss.backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert missing == []
