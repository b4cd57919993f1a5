from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
import torch
from transformers import GPT2Config, GPT2Model
from victim_cases import FAMILIES, batch, classifier

from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("types", [False, True])
def test_features_from_embeddings_equal_features(family: str, types: bool) -> None:
    model, texts = classifier(family).eval(), batch(types=types)
    # RoBERTa has one type only.
    kinds = texts.token_type_ids if family != "roberta" else None
    direct = model.features(texts.input_ids, texts.attention_mask, kinds)
    handed_over = model.features_from_embeddings(
        model.embed(texts.input_ids, kinds, texts.attention_mask), texts.attention_mask
    )
    assert torch.equal(direct, handed_over)
    assert direct.shape == (4, model.feature_size)
    assert not torch.allclose(direct[0], direct[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_does_not_change_a_rows_features(family: str) -> None:
    """A row has the same features alone, without padding, and in a padded batch.

    This is not obvious for RoBERTa, which counts positions from padding.
    """
    model, texts = classifier(family).eval(), batch()
    length = int(texts.attention_mask[1].sum())
    assert length < texts.input_ids.shape[1]
    padded = model.features_from_embeddings(
        model.embed(texts.input_ids, None, texts.attention_mask), texts.attention_mask
    )[1]
    alone = model.features(texts.input_ids[1:2, :length], texts.attention_mask[1:2, :length])[0]
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_the_embeddings_and_the_parameters(family: str) -> None:
    model, texts = classifier(family), batch()
    embeddings = model.embed(texts.input_ids, None, texts.attention_mask)
    embeddings.retain_grad()
    model.classify(
        model.features_from_embeddings(embeddings, texts.attention_mask)
    ).square().sum().backward()
    assert embeddings.grad is not None
    assert embeddings.grad[0].abs().sum() > 0
    words = next(
        parameter for name, parameter in model.named_parameters() if "word_embeddings" in name
    )
    assert words.grad is not None
    assert words.grad.abs().sum() > 0


def test_other_embeddings_give_other_features() -> None:
    model, texts = classifier().eval(), batch()
    embeddings = model.embed(texts.input_ids)
    changed = model.features_from_embeddings(
        embeddings + 1.0 * torch.arange(16), texts.attention_mask
    )
    assert not torch.allclose(
        changed, model.features_from_embeddings(embeddings, texts.attention_mask)
    )


def test_no_hook_remains_after_an_error() -> None:
    model, texts = classifier().eval(), batch()
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        # The width is wrong.
        model.features_from_embeddings(torch.zeros(4, 9, 7), texts.attention_mask)
    assert not model.encoder.embeddings._forward_hooks
    assert not model.encoder.embeddings._forward_pre_hooks
    deepcopy(model)


def test_threads_do_not_see_each_others_embeddings() -> None:
    model = classifier().eval()
    work = [batch(seed=seed) for seed in range(6)]
    embedded = [model.embed(texts.input_ids).detach() for texts in work]
    expected = [model.features(texts.input_ids, texts.attention_mask) for texts in work]

    def ask(index: int) -> bool:
        texts = work[index % 6]
        if index % 2:
            found = model.features(texts.input_ids, texts.attention_mask)
        else:
            found = model.features_from_embeddings(embedded[index % 6], texts.attention_mask)
        return torch.allclose(found, expected[index % 6], atol=1e-6)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(120)))


def test_the_feature_is_the_pooler_output_or_the_first_token() -> None:
    texts = batch()
    for family, pooled in (
        ("bert", True),
        ("roberta", True),
        ("albert", True),
        ("distilbert", False),
        ("electra", False),
        ("deberta", False),
    ):
        model = classifier(family)
        output = model.encoder(input_ids=texts.input_ids, attention_mask=texts.attention_mask)
        expected = output.pooler_output if pooled else output.last_hidden_state[:, 0]
        assert torch.equal(model.features(texts.input_ids, texts.attention_mask), expected), family


def test_the_head_is_that_of_the_paper() -> None:
    model = TextClassifier(classifier().encoder, 3)
    assert [type(layer).__name__ for layer in model.head] == ["Linear", "ReLU", "Linear"]
    assert model.head[0].out_features == 256
    assert model(batch().input_ids, batch().attention_mask).shape == (4, 3)


def test_an_encoder_without_embeddings_is_refused() -> None:
    with pytest.raises(UsageError, match=r"GPT2Model.*no module 'embeddings'"):
        TextClassifier(GPT2Model(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=1)), 2)


def test_logits_are_fp32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert classifier()(batch().input_ids, batch().attention_mask).dtype == torch.float32


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "albert"])
def test_the_output_of_a_layer_can_be_changed(family: str) -> None:
    # Train mode without dropout: the model computes every token, whether or not it is changed.
    model, texts = classifier(family), batch()
    plain = model.features(texts.input_ids, texts.attention_mask)
    assert len(model.layers) == 2
    shapes = []

    def keep(states: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(states.shape))
        return states

    for layer in (1, 2):
        assert torch.equal(
            model.features_changed(layer, keep, texts.input_ids, texts.attention_mask), plain
        )
        swapped = model.features_changed(
            layer, lambda states: states.flip(0), texts.input_ids, texts.attention_mask
        )
        # After the last layer only the feature is read.
        if layer == 2:
            torch.testing.assert_close(swapped, plain.flip(0))
        else:
            assert not torch.allclose(swapped, plain, atol=1e-3)
    assert shapes == [(4, 9, 16)] * 2
    assert torch.equal(model.features(texts.input_ids, texts.attention_mask), plain)


def test_no_hook_remains_after_a_change_that_fails() -> None:
    model, texts = classifier().eval(), batch()
    plain = model.features(texts.input_ids, texts.attention_mask)

    def broken(states: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.features_changed(1, broken, texts.input_ids, texts.attention_mask)
    assert torch.equal(model.features(texts.input_ids, texts.attention_mask), plain)


def test_an_encoder_without_a_list_of_layers_is_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"'AlbertModel' keeps no list of its layers\. This defense changes the states",
    ):
        _ = classifier("albert").layers
