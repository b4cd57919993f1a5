"""Tests of computing the last layer for the first token only.

The features stay the same for every encoder family, and every token is there where it is needed.
"""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from victim_cases import FAMILIES, batch, classifier, encoder

from robench.models.classifier import TextClassifier
from robench.models.first_token import FirstTokenShortcut

KNOWN = ("bert", "roberta", "distilbert", "electra")
TEXTS = batch(types=True)
WHOLE = TEXTS.input_ids.clamp(min=5)
"""Texts of one length, for which encoders leave the mask away."""


def features(model: TextClassifier, types: bool = False) -> Tensor:
    return model.features(
        TEXTS.input_ids, TEXTS.attention_mask, TEXTS.token_type_ids if types else None
    )


def whole(model: TextClassifier, types: bool = False) -> Tensor:
    """Return the same features from the unchanged encoder."""
    kinds = {"token_type_ids": TEXTS.token_type_ids} if types else {}
    output = model.encoder(input_ids=TEXTS.input_ids, attention_mask=TEXTS.attention_mask, **kinds)
    pooled = getattr(output, "pooler_output", None)
    return output.last_hidden_state[:, 0] if pooled is None else pooled  # type: ignore[no-any-return]


def flops(model: TextClassifier, ask: Any) -> int:
    """Count the multiplications and additions of ``ask``."""
    # The first call also tests the shortcut, so it is not counted.
    features(model)
    with FlopCounterMode(display=False) as counter:
        ask(model)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("types", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_those_of_the_whole_layer(family: str, types: bool) -> None:
    model = classifier(family).eval()
    types = types and family in ("bert", "electra")
    torch.testing.assert_close(features(model, types), whole(model, types), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_those_of_the_whole_layer_where_nothing_is_padded(family: str) -> None:
    model = classifier(family).eval()
    ours = model.features(WHOLE, torch.ones_like(WHOLE))
    output = model.encoder(input_ids=WHOLE, attention_mask=torch.ones_like(WHOLE))
    pooled = getattr(output, "pooler_output", None)
    torch.testing.assert_close(
        ours, output.last_hidden_state[:, 0] if pooled is None else pooled, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("family", KNOWN)
def test_known_families_compute_less(family: str) -> None:
    model = classifier(family).eval()
    assert flops(model, features) < 0.85 * flops(model, whole)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_shortcut_works_with_every_attention_implementation(
    family: str, attention: str
) -> None:
    made = encoder(family)
    model = TextClassifier(
        type(made)._from_config(made.config, attn_implementation=attention), 2
    ).eval()
    assert model.encoder.config._attn_implementation == attention
    assert flops(model, features) < 0.85 * flops(model, whole)
    torch.testing.assert_close(features(model), whole(model), rtol=1e-4, atol=1e-5)


def test_ten_of_twelve_products_are_saved_for_the_other_tokens() -> None:
    from transformers import BertConfig, BertModel

    size, tokens, rows = 16, 9, 4
    shape = {
        "hidden_size": size,
        "intermediate_size": 4 * size,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 200,
    }
    model = TextClassifier(BertModel(BertConfig(**shape)), 2).eval()
    # The counter leaves fused attention out.
    saved = flops(model, whole) - flops(model, features)
    assert saved == 2 * size * size * rows * (tokens - 1) * 10


@pytest.mark.parametrize("family", ["albert", "deberta", "deberta-v2"])
def test_other_families_compute_every_token(family: str) -> None:
    model = classifier(family).eval()
    assert torch.equal(features(model), whole(model))
    assert not any("forward" in vars(module) for module in model.modules())


def test_train_mode_computes_every_token_and_draws_the_same_dropout() -> None:
    model = classifier("bert", dropout=0.3)
    torch.manual_seed(1)
    ours = features(model)
    torch.manual_seed(1)
    assert torch.equal(ours, whole(model))
    assert flops(model, features) == flops(model, whole)


def test_the_encoder_itself_returns_every_token() -> None:
    model = classifier("bert").eval()
    features(model)
    assert model.encoder(TEXTS.input_ids).last_hidden_state.shape[1] == TEXTS.input_ids.shape[1]


def test_a_change_after_the_last_layer_sees_every_token() -> None:
    model = classifier("bert").eval()
    seen: list[tuple[int, ...]] = []

    def change(states: Tensor) -> Tensor:
        seen.append(tuple(states.shape))
        return states + 1

    model.features_changed(2, change, TEXTS.input_ids, TEXTS.attention_mask)
    assert seen == [(*TEXTS.input_ids.shape, 16)]


@pytest.mark.parametrize("family", KNOWN)
def test_gradients_are_those_of_the_whole_layer(family: str) -> None:
    model = classifier(family).eval()
    parameters = [
        parameter
        for name, parameter in model.encoder.named_parameters()
        if "embeddings.word" not in name
    ]
    ours = torch.autograd.grad(features(model).square().sum(), parameters, allow_unused=True)
    theirs = torch.autograd.grad(whole(model).square().sum(), parameters, allow_unused=True)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


def test_features_from_embeddings_and_under_noise_are_the_same() -> None:
    model = classifier("bert").eval()
    embedded = model.embed(TEXTS.input_ids, attention_mask=TEXTS.attention_mask)
    torch.testing.assert_close(
        model.features_from_embeddings(embedded, TEXTS.attention_mask),
        features(model),
        rtol=1e-4,
        atol=1e-5,
    )
    # A fresh model tests the shortcut in the same call that sets a hook.
    fresh = classifier("bert").eval()
    noise = torch.zeros((*TEXTS.input_ids.shape, fresh.word_size))
    torch.testing.assert_close(
        fresh.features_under_noise(noise, TEXTS.input_ids, TEXTS.attention_mask),
        features(model),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_copy_uses_its_own_layer() -> None:
    model = classifier("bert").eval()
    features(model)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.encoder.encoder.layer[-1].parameters():
            parameter.zero_()
    torch.testing.assert_close(features(twin), whole(twin), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(features(twin), features(model))
    assert flops(twin, features) < 0.85 * flops(twin, whole)


def test_two_classifiers_on_one_encoder_agree() -> None:
    first = classifier("bert").eval()
    second = TextClassifier(first.encoder, 2).eval()
    torch.testing.assert_close(features(first), features(second), rtol=1e-4, atol=1e-5)


def test_state_dict_and_saved_files_stay_those_of_the_encoder(tmp_path: Any) -> None:
    model, plain = classifier("bert"), encoder("bert")
    assert set(model.encoder.state_dict()) == set(plain.state_dict())
    model.encoder.save_pretrained(tmp_path)
    loaded = TextClassifier(
        type(plain).from_pretrained(tmp_path, trust_remote_code=False), 2
    ).eval()
    torch.testing.assert_close(features(loaded), whole(model.eval()), rtol=1e-4, atol=1e-5)


class Adapter(nn.Module):
    """Has the parts of the module that it wraps, and adds the mean of all tokens."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.dense, self.inner = inner.dense, inner

    def forward(self, states: Tensor, residual: Tensor) -> Tensor:
        return self.inner(states, residual) + residual.mean(1, keepdim=True)  # type: ignore[no-any-return]


def test_a_layer_that_only_resembles_berts_is_not_changed() -> None:
    made = encoder("bert")
    last = made.encoder.layer[-1]
    last.attention.output = Adapter(last.attention.output)
    model = TextClassifier(made, 2).eval()
    assert torch.equal(features(model), whole(model))


def test_a_layer_that_fails_on_one_token_is_not_changed() -> None:
    made = encoder("bert")
    last = made.encoder.layer[-1]

    def look(module: nn.Module, states: tuple[Tensor]) -> None:
        # This fails without a second token.
        states[0][0, 1]

    last.intermediate.register_forward_pre_hook(look)
    with pytest.raises(IndexError):
        last.intermediate(torch.zeros(1, 1, 16))
    shortcut = FirstTokenShortcut(made.eval(), lambda output: output.last_hidden_state[:, 0])
    with shortcut.active():
        assert made(TEXTS.input_ids).last_hidden_state.shape[1] == TEXTS.input_ids.shape[1]


def computes_every_token(made: Any) -> bool:
    """Return whether the encoder computes every token of its last layer."""
    shortcut = FirstTokenShortcut(made.eval(), lambda output: output.last_hidden_state[:, 0])
    with shortcut.active():
        return bool(
            made(WHOLE, torch.ones_like(WHOLE)).last_hidden_state.shape[1] == WHOLE.shape[1]
        )


def test_a_layer_without_its_number_of_heads_is_not_changed() -> None:
    made = encoder("bert")
    last = made.encoder.layer[-1]

    class Other(nn.Module):
        """Has BERT's modules and another name for its heads."""

        def __init__(self, own: Any) -> None:
            super().__init__()
            self.query, self.key, self.value, self._own = own.query, own.key, own.value, [own]

        def forward(self, *inputs: Any, **named: Any) -> Any:
            return self._own[0](*inputs, **named)

    assert not computes_every_token(made)
    last.attention.self = Other(last.attention.self)
    assert computes_every_token(made)


def test_a_decoder_is_not_changed() -> None:
    from transformers import BertConfig, BertModel

    shape = {
        "vocab_size": 60,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "initializer_range": 0.5,
    }
    assert not computes_every_token(BertModel(BertConfig(**shape)))
    assert computes_every_token(BertModel(BertConfig(**shape, is_decoder=True)))


def test_an_unused_model_is_freed_at_once() -> None:
    """A model is freed without the garbage collector.

    A larger encoder takes half a gigabyte, and a run trains many.
    """
    gc.collect()
    gc.disable()
    try:
        model = classifier("bert").eval()
        features(model)
        gone = weakref.ref(model.encoder.encoder.layer[-1])
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_between_calls_the_encoder_keeps_its_own_forward() -> None:
    model = classifier("bert").eval()
    features(model)
    assert not any("forward" in vars(module) for module in model.modules())
    again = TextClassifier(copy.deepcopy(model.encoder), 2).eval()
    assert flops(again, features) < 0.85 * flops(again, whole)


def test_a_forward_replaced_by_others_is_kept() -> None:
    model = classifier("bert").eval()
    last = model.encoder.encoder.layer[-1]
    own = last.forward
    last.forward = lambda *inputs, **named: own(*inputs, **named)
    kept = last.forward
    assert torch.equal(features(model), whole(model))
    assert last.forward is kept


def test_a_whole_model_can_be_pickled(tmp_path: Any) -> None:
    model = classifier("bert").eval()
    features(model)
    torch.save(model, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    assert torch.equal(features(loaded), features(model))
    assert flops(loaded, features) < 0.85 * flops(loaded, whole)


def test_a_feature_that_reads_other_tokens_gets_every_token() -> None:
    made = encoder("bert").eval()
    shortcut = FirstTokenShortcut(made, lambda output: output.last_hidden_state.mean(1))
    with shortcut.active():
        states = made(TEXTS.input_ids).last_hidden_state
    assert states.shape[1] == TEXTS.input_ids.shape[1]
