from __future__ import annotations

from dataclasses import replace
from math import log
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
    divergence_from,
    embed_and_mix,
    entropy,
    error_on,
    evaluating,
    harden,
    margin_lost,
    maximise,
    mix,
    pack_substitutes,
)


def plain_mix(model: TextClassifier, texts: Batch, weights: torch.Tensor) -> torch.Tensor:
    """Mix as the release does: embed one whole sequence per slot, then take the weighted sum."""
    assert texts.substitute_ids is not None
    slots = [
        model.embed(texts.substitute_ids[:, :, slot], texts.token_type_ids, texts.attention_mask)
        for slot in range(texts.substitute_ids.shape[2])
    ]
    return (torch.stack(slots, 2) * weights[..., None]).sum(2)


def some_weights(texts: Batch, seed: int = 0) -> torch.Tensor:
    assert texts.substitute_mask is not None
    hat = torch.randn(texts.substitute_mask.shape, generator=torch.Generator().manual_seed(seed))
    return hat.masked_fill(~texts.substitute_mask, -torch.inf).softmax(-1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_packed_rows_mix_as_whole_sequences_do(family: str, seed: int) -> None:
    model = classifier(family).eval()
    texts = batch(rows=6, seed=seed, types=family not in {"roberta", "distilbert"})
    weights = some_weights(texts, seed)
    torch.testing.assert_close(
        mix(model, texts, weights), plain_mix(model, texts, weights), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_one_call_embeds_texts_and_mixtures(family: str) -> None:
    model = classifier(family).eval()
    texts = batch(rows=6, types=family not in {"roberta", "distilbert"})
    clean, mixed = embed_and_mix(model, texts, some_weights(texts), pack_substitutes(texts))
    torch.testing.assert_close(
        clean, model.embed(texts.input_ids, texts.token_type_ids, texts.attention_mask)
    )
    torch.testing.assert_close(mixed, mix(model, texts, some_weights(texts)))


def test_texts_and_mixtures_have_independent_dropout() -> None:
    model, texts = classifier(dropout=0.5), batch()
    assert texts.substitute_mask is not None
    clean, mixed = embed_and_mix(model, texts, some_weights(texts), pack_substitutes(texts))
    # At these positions both hold the same word.
    fixed = (texts.substitute_mask.sum(-1) == 1) & texts.attention_mask.bool()
    assert 0.3 < ((clean[fixed] == 0) != (mixed[fixed] == 0)).float().mean() < 0.7


def test_a_share_of_a_batch_starts_the_search_as_the_whole_does() -> None:
    model, texts = classifier(), batch(rows=6)
    whole = maximise(model, texts, steps=3, generator=torch.Generator().manual_seed(5))
    for rank in (0, 1):
        share = maximise(
            model, texts.share(rank, 2), steps=3, generator=torch.Generator().manual_seed(5)
        )
        torch.testing.assert_close(share, whole[rank::2], atol=1e-3, rtol=1e-3)


def test_packed_rows_have_the_same_gradients() -> None:
    model, texts = classifier().eval(), batch()
    weights = some_weights(texts).requires_grad_()
    table = model.encoder.embeddings.word_embeddings.weight
    target = torch.randn(4, 9, 16)
    ours = torch.autograd.grad((mix(model, texts, weights) * target).sum(), [weights, table])
    theirs = torch.autograd.grad(
        (plain_mix(model, texts, weights) * target).sum(), [weights, table]
    )
    torch.testing.assert_close(ours[1], theirs[1], atol=1e-4, rtol=1e-4)
    assert texts.substitute_mask is not None
    # Weights matter only at positions with several slots.
    several = texts.substitute_mask.sum(-1, keepdim=True) > 1
    open_slots = texts.substitute_mask & several
    torch.testing.assert_close(ours[0][open_slots], theirs[0][open_slots], atol=1e-4, rtol=1e-4)


def test_each_position_and_substitute_is_embedded_once() -> None:
    texts = batch(rows=8, tokens=20, slots=9)
    assert texts.substitute_mask is not None
    packed = pack_substitutes(texts)
    pairs = int(texts.substitute_mask[:, :, 1:].sum())
    columns = texts.substitute_mask[:, :, 1:].sum((0, 2))
    assert packed.ids.shape == (8 + int(columns.max()), 20)
    distinct = set(packed.slots[packed.allowed].tolist())
    assert len(distinct) == pairs + len(packed.positions)


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


def test_the_margin_lost_is_a_share_of_the_clean_margin() -> None:
    """Clean margins 2 and -1; with other logits 0.5 and -3: the loss is -(0.5 / 2) + 3 / 1."""
    labels = torch.tensor([0, 1])
    clean = torch.tensor([[3.0, 1.0, 0.0], [0.0, -1.0, -5.0]])
    other = torch.tensor([[0.5, 0.0, -1.0], [2.0, -1.0, 0.0]])
    for scale in (1.0, 1e-6, 100.0):
        found = margin_lost(labels, scale * clean)(scale * other)
        assert float(found) == pytest.approx(-0.25 + 3.0, rel=1e-5)


def test_a_clean_tie_leaves_the_margin_as_it_is() -> None:
    found = margin_lost(torch.tensor([0]), torch.tensor([[1.0, 1.0]]))(torch.tensor([[1.0, 3.0]]))
    assert float(found) == 2.0


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


def test_harden_takes_the_heaviest_slot_and_the_own_word_in_a_tie() -> None:
    texts = batch()
    assert texts.substitute_ids is not None
    weights = torch.zeros(texts.substitute_ids.shape)
    weights[:, :, 0] = 0.5
    weights[0, 1, 2] = 0.9
    weights[0, 2, 1] = 0.5
    ids = harden(texts, weights).input_ids
    assert ids[0, 1] == texts.substitute_ids[0, 1, 2]
    ids[0, 1] = texts.input_ids[0, 1]
    assert torch.equal(ids, texts.input_ids)


def test_the_divergence_is_kl_from_clean_to_adversarial() -> None:
    """KL(p || q) = sum p log(p / q), with p clean = (3/4, 1/4) and q adversarial = (1/2, 1/2).

    This gives 0.75 ln 1.5 + 0.25 ln 0.5. In the other direction it is another number.
    """
    clean, adversarial = torch.tensor([[log(3.0), 0.0]]), torch.zeros(1, 2)
    assert float(divergence_from(clean)(adversarial)) == pytest.approx(
        0.75 * log(1.5) + 0.25 * log(0.5)
    )
    assert float(divergence_from(adversarial)(clean)) == pytest.approx(
        0.5 * log(2 / 3) + 0.5 * log(2)
    )


def test_the_divergence_is_a_sum_over_the_batch() -> None:
    clean, adversarial = torch.tensor([[log(3.0), 0.0]]), torch.zeros(1, 2)
    assert float(divergence_from(clean.repeat(3, 1))(adversarial.repeat(3, 1))) == pytest.approx(
        3 * (0.75 * log(1.5) + 0.25 * log(0.5))
    )


def test_entropy_equals_a_hand_computed_sum() -> None:
    """The entropies add up, without a NaN in the gradient.

    Uniform over 4 slots: ln 4. (1/2, 1/2, masked, masked): ln 2. One slot: 0.
    """
    allowed = torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]])
    hat = torch.zeros(3, 4, requires_grad=True)
    value = entropy(hat.masked_fill(~allowed, -torch.inf).log_softmax(-1), allowed)
    assert value.item() == pytest.approx(log(4) + log(2))
    (gradient,) = torch.autograd.grad(value, hat)
    assert torch.isfinite(gradient).all()
    assert (gradient[~allowed] == 0).all()


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
