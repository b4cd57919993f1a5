"""The gradient of the margin at the word embeddings, against independent computations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from victim_cases import FAMILIES, batch, classifier

from robench.models.classifier import TextClassifier
from robench.models.gradient_query import GradientQuery
from robench.models.saliency import margin_gradient


def query(family: str = "bert", label: int = 0) -> GradientQuery:
    """Ask about the longest text of ``batch``, without its padding."""
    texts = batch(types=family != "roberta")
    row = int(texts.attention_mask.sum(1).argmax())
    length = int(texts.attention_mask[row].sum())
    types = torch.zeros(length) if texts.token_type_ids is None else texts.token_type_ids[row]
    return GradientQuery(
        texts.input_ids[row, :length].numpy().astype(np.int32),
        types[:length].numpy().astype(np.int8),
        label,
    )


def margin(model: TextClassifier, asked: GradientQuery, table: torch.Tensor | None = None) -> float:
    """Return the margin, with ``table`` added to the embeddings of the tokens if it is given."""
    ids = torch.as_tensor(asked.ids, dtype=torch.long)[None]
    noise = torch.zeros(1, len(asked.ids), model.word_size) if table is None else table[None]
    with torch.no_grad():
        features = model.features_under_noise(noise, ids, torch.ones_like(ids))
        logits = model.classify(features)[0]
    values: list[float] = logits.tolist()
    own = values.pop(asked.label)
    return own - max(values)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_says_how_the_margin_changes(family: str) -> None:
    """A small step along a direction changes the margin by step x gradient x direction."""
    model, asked = classifier(family).eval(), query(family)
    gradient = margin_gradient(model, asked, "cpu", segments=False)
    assert gradient.shape == (len(asked.ids), model.word_size)
    assert gradient.dtype == np.float32
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(1))
    step = 1e-2
    measured = (
        margin(model, asked, step * direction) - margin(model, asked, -step * direction)
    ) / (2 * step)
    expected = float((torch.as_tensor(gradient) * direction).sum())
    assert measured == pytest.approx(expected, rel=0.05, abs=1e-3)


def test_the_gradient_does_not_vanish_where_the_victim_is_sure() -> None:
    """A head times 1e4 saturates every probability; the gradient is multiplied by 1e4 too."""
    model, asked = classifier().eval(), query()
    usual = margin_gradient(model, asked, "cpu", segments=False)
    head: Any = model.head[-1]
    with torch.no_grad():
        head.weight *= 1e4
        head.bias *= 1e4
    np.testing.assert_allclose(
        margin_gradient(model, asked, "cpu", segments=False), usual * 1e4, rtol=1e-3, atol=1e-3
    )


def test_labels_of_two_classes_have_opposite_gradients() -> None:
    model = classifier().eval()
    one, other = (
        margin_gradient(model, query(label=label), "cpu", segments=False) for label in (0, 1)
    )
    np.testing.assert_allclose(one, -other, atol=1e-7)
    assert np.abs(one).max() > 0


def test_of_three_classes_the_best_other_class_counts() -> None:
    model, asked = classifier(classes=3).eval(), query(label=1)
    ids = torch.as_tensor(asked.ids, dtype=torch.long)[None]
    noise = torch.zeros(1, len(asked.ids), model.word_size, requires_grad=True)
    logits = model.classify(model.features_under_noise(noise, ids, torch.ones_like(ids)))[0]
    best = 0 if logits[0] > logits[2] else 2
    (expected,) = torch.autograd.grad(logits[1] - logits[best], [noise])
    np.testing.assert_allclose(
        margin_gradient(model, asked, "cpu", segments=False), expected[0].numpy(), atol=1e-6
    )


def test_asking_leaves_the_model_as_it_was() -> None:
    model = classifier().train()
    margin_gradient(model, query(), "cpu", segments=False)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_answer_depends_on_the_query_only() -> None:
    model = classifier()
    once = margin_gradient(model, query(), "cpu", segments=False)
    torch.manual_seed(99)
    with torch.inference_mode(False), torch.autocast("cpu", torch.bfloat16):
        again = margin_gradient(model, query(), "cpu", segments=False)
    np.testing.assert_array_equal(once, again)
