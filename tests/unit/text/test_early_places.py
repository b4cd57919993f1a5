"""The last layer at the places that are read: the same scores, for models like BERT only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from damaged_kinds import surface_request
from scorers_of_children import HashedScorer
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, RobertaConfig

from robench._base.embedded import embedded_path
from robench.text.early_places import read_places_early
from robench.text.language_model import build_scorer
from robench.text.scorer import ScoringRequest
from robench.text.surface_building import build_surface
from robench.text.torch_scorers import CausalScorer, MaskedScorer

WORDS = ("a", "good", "film", "with", "a", "very", "good", "cast", ".")
REQUESTS = [ScoringRequest(WORDS, 1, ("fine", "unwatchable"))]


def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(str(embedded_path("tiny")), trust_remote_code=False)


def small(model: str = "bert", **changes: Any) -> Any:
    """Return a masked language model of random weights."""
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = {"vocab_size": len(tokenizer()), "intermediate_size": 64, **sizes, **changes}
    if model == "bert":
        return BertForMaskedLM(BertConfig(**config))
    from transformers import RobertaForMaskedLM

    return RobertaForMaskedLM(RobertaConfig(**config))


def tokens_of_last_layer(scorer: MaskedScorer) -> list[int]:
    """Return how many tokens the feed-forward part of the last layer is given in each pass."""
    seen: list[int] = []
    layer = scorer.model.base_model.encoder.layer[-1].intermediate
    layer.register_forward_hook(
        lambda module, inputs, output: seen.append(output.shape[:-1].numel())
    )
    return seen


@pytest.mark.parametrize("model", ["bert", "roberta"])
def test_the_scores_are_the_same_and_the_last_layer_reads_few_tokens(model: str) -> None:
    scorer = MaskedScorer(small(model), tokenizer())
    (before,) = scorer.log_ratios(REQUESTS)
    assert read_places_early(scorer) is scorer
    seen = tokens_of_last_layer(scorer)
    (after,) = scorer.log_ratios(REQUESTS)
    assert np.allclose(before, after, atol=1e-5)
    assert np.isfinite(after).all()
    # One row with one mask, and one row for the word of several pieces.
    assert sum(seen) < 8


def test_the_embedded_model_gives_the_same_surface() -> None:
    plain, fast = build_scorer("tiny"), read_places_early(build_scorer("tiny"))
    assert isinstance(plain, MaskedScorer)
    assert isinstance(fast, MaskedScorer)
    many, few = tokens_of_last_layer(plain), tokens_of_last_layer(fast)
    late, early = (build_surface(replace(surface_request(), scorer=each)) for each in (plain, fast))
    assert early.meta == late.meta
    assert np.allclose(early._ratios, late._ratios, atol=2e-4, equal_nan=True)
    assert 0 < 5 * sum(few) < sum(many)


def test_a_failed_pass_leaves_nothing_behind() -> None:
    scorer = MaskedScorer(small(), tokenizer())
    (before,) = scorer.log_ratios(REQUESTS)
    read_places_early(scorer)
    handle = scorer.model.cls.register_forward_pre_hook(lambda module, inputs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scorer.log_ratios(REQUESTS)
    handle.remove()
    assert scorer._gather is None
    (after,) = scorer.log_ratios(REQUESTS)
    assert np.allclose(before, after, atol=1e-5)


def untouched(scorer: MaskedScorer) -> bool:
    layer = scorer.model.base_model.encoder.layer[-1]
    return not layer.attention._forward_hooks


def test_a_layer_that_mixes_tokens_after_its_attention_is_left_alone() -> None:
    model = small()
    layer = model.bert.encoder.layer[-1].intermediate
    layer.register_forward_hook(lambda module, inputs, output: output.cumsum(1))
    scorer = MaskedScorer(model, tokenizer())
    (before,) = scorer.log_ratios(REQUESTS)
    read_places_early(scorer)
    assert untouched(scorer)
    assert np.array_equal(before, scorer.log_ratios(REQUESTS)[0])


def test_a_layer_that_needs_all_tokens_is_left_alone() -> None:
    model = small()

    def refuse(module: Any, inputs: Any) -> None:
        if inputs[0].shape[0] == 1:
            raise RuntimeError("another shape")

    model.bert.encoder.layer[-1].intermediate.register_forward_pre_hook(refuse)
    scorer = MaskedScorer(model, tokenizer())
    read_places_early(scorer)
    assert untouched(scorer)


def test_a_model_that_cannot_be_tried_is_left_alone() -> None:
    model = small()
    del model.config.vocab_size
    scorer = MaskedScorer(model, tokenizer())
    (before,) = scorer.log_ratios(REQUESTS)
    assert read_places_early(scorer) is scorer
    assert untouched(scorer)
    assert np.array_equal(before, scorer.log_ratios(REQUESTS)[0])


def test_a_model_is_changed_once() -> None:
    scorer = MaskedScorer(small(), tokenizer())
    for _ in range(2):
        read_places_early(scorer)
    assert len(scorer.model.base_model.encoder.layer[-1].attention._forward_hooks) == 1


@pytest.mark.parametrize("changes", [{"chunk_size_feed_forward": 4}])
def test_layers_in_pieces_are_left_alone(changes: dict[str, Any]) -> None:
    scorer = MaskedScorer(small(**changes), tokenizer())
    read_places_early(scorer)
    assert untouched(scorer)


def test_a_reduced_precision_is_left_alone() -> None:
    scorer = MaskedScorer(small(), tokenizer(), precision="bf16")
    read_places_early(scorer)
    assert untouched(scorer)


def test_other_language_models_are_left_alone() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    assert read_places_early(None) is None
    listed = HashedScorer()
    assert read_places_early(listed) is listed
    config = GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=len(tokenizer()))
    causal = CausalScorer(GPT2LMHeadModel(config), tokenizer())
    (before,) = causal.log_ratios(REQUESTS)
    assert read_places_early(causal) is causal
    assert np.array_equal(before, causal.log_ratios(REQUESTS)[0])
