from __future__ import annotations

from math import log

import pytest
import torch
from victim_cases import FAMILIES, batch, classifier

from robench import Batch
from robench.models.classifier import TextClassifier
from robench.models.mixtures import embed_and_mix, entropy, harden, mix, pack_substitutes


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
