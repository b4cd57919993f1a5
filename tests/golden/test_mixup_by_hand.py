"""MixADA's mixtures of states and labels, against independent computations."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax
from victim_cases import FAMILIES, batch, classifier

from robench import DEFENSES, Batch
from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier
from robench.search.registry import ATTACKS

# ALBERT uses one layer again and again, so it has no list of layers.
LISTED = [family for family in FAMILIES if family != "albert"]


def made(**options: object) -> Any:
    cls = DEFENSES.get("mixada")
    return cls(cls.Options.model_validate(options))


def module() -> Any:
    import importlib

    return importlib.import_module("robench.defenses.mixada")


class Plain(nn.Module):
    """Answers with fixed logits, so that only the mixture of labels matters."""

    classes = 2

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def features_changed(self, *_: object) -> Tensor:
        return self.logits

    def classify(self, features: Tensor) -> Tensor:
        return features


def labels_only(labels: list[int]) -> Batch:
    return Batch(
        torch.zeros(len(labels), 1), torch.ones(len(labels), 1), None, torch.tensor(labels)
    )


def test_the_mixed_loss_matches_a_hand_computed_value() -> None:
    """p = (3/4, 1/4), q = (1/2, 1/2), labels 0 and 1, mixed with each other with share 0.7.

    The loss is the mean of 0.7 ln(4/3) + 0.3 ln 4 and 0.7 ln 2 + 0.3 ln 2 = ln 2.
    """
    model, texts, others = (
        Plain([[log(3.0), 0.0], [0.0, 0.0]]),
        labels_only([0, 1]),
        torch.tensor([1, 0]),
    )
    expected = (0.7 * log(4 / 3) + 0.3 * log(4) + log(2)) / 2
    assert module().mixed_loss(
        model, texts, 1, others, 0.7, first_only=False
    ).item() == pytest.approx(expected)


def test_texts_of_one_label_keep_that_label() -> None:
    model, texts, others = (
        Plain([[log(3.0), 0.0], [0.0, 0.0]]),
        labels_only([0, 0]),
        torch.tensor([1, 0]),
    )
    found = [
        module().mixed_loss(model, texts, 1, others, share, first_only=False).item()
        for share in (0.0, 0.3, 1.0)
    ]
    assert found == pytest.approx([(log(4 / 3) + log(2)) / 2] * 3)


def test_it_differs_from_the_releases_divergence_by_a_constant() -> None:
    """KL(mixed || p) is the cross-entropy minus the entropy of the mixed labels."""
    logits = torch.tensor([[0.4, -1.0], [0.2, 0.1]])
    ours = module().mixed_loss(
        Plain(logits.tolist()), labels_only([0, 1]), 1, torch.tensor([1, 0]), 0.7, first_only=False
    )
    target = torch.tensor([[0.7, 0.3], [0.3, 0.7]])
    theirs = nn.functional.kl_div(log_softmax(logits, -1), target, reduction="batchmean")
    entropy = -(0.7 * log(0.7) + 0.3 * log(0.3))
    assert (ours - theirs).item() == pytest.approx(entropy, abs=1e-6)


def test_mixed_states_match_hand_computed_values() -> None:
    states = torch.tensor([[[1.0], [2.0]], [[5.0], [10.0]]])
    others = torch.tensor([1, 0])
    mix = module().mixed_states
    assert mix(states, others, 0.75, first_only=False).flatten().tolist() == [2.0, 4.0, 4.0, 8.0]
    assert mix(states, others, 0.75, first_only=True).flatten().tolist() == [2.0, 2.0, 4.0, 10.0]


@pytest.mark.parametrize("family", LISTED)
@pytest.mark.parametrize("first_only", [False, True])
def test_a_share_of_1_gives_the_plain_loss(family: str, first_only: bool) -> None:
    model, texts = classifier(family).eval(), batch(rows=6)
    plain = cross_entropy(model(texts.input_ids, texts.attention_mask), texts.labels)
    for layer in (1, 2):
        mixed = module().mixed_loss(
            model, texts, layer, torch.arange(6).flip(0), 1.0, first_only=first_only
        )
        torch.testing.assert_close(mixed, plain)


@pytest.mark.parametrize("family", LISTED)
def test_a_text_mixed_with_itself_is_itself(family: str) -> None:
    model, texts = classifier(family).eval(), batch(rows=6)
    plain = cross_entropy(model(texts.input_ids, texts.attention_mask), texts.labels)
    torch.testing.assert_close(
        module().mixed_loss(model, texts, 1, torch.arange(6), 0.4, first_only=False), plain
    )


@pytest.mark.parametrize("layer", [1, 2])
def test_mixing_after_a_layer_matches_a_computation_with_bert_itself(layer: int) -> None:
    """Here mixed states go through the upper layers one by one, with the first text's mask."""
    model, texts, others, share = (
        classifier().eval(),
        batch(rows=4),
        torch.tensor([2, 3, 0, 1]),
        0.3,
    )
    bert = model.encoder
    states = bert(
        texts.input_ids, attention_mask=texts.attention_mask, output_hidden_states=True
    ).hidden_states[layer]
    mask = (1.0 - texts.attention_mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
    states = share * states + (1 - share) * states[others]
    for above in bert.encoder.layer[layer:]:
        states = above(states, attention_mask=mask)
        states = states[0] if isinstance(states, tuple) else states
    logits = model.classify(bert.pooler(states))
    target = (
        torch.zeros(4, 2)
        .scatter_(1, texts.labels[:, None], share)
        .scatter_add_(1, texts.labels[others][:, None], torch.full((4, 1), 1 - share))
    )
    expected = -(target * log_softmax(logits, -1)).sum(1).mean()
    torch.testing.assert_close(
        module().mixed_loss(model, texts, layer, others, share, first_only=False),
        expected,
        atol=1e-5,
        rtol=1e-4,
    )


def test_after_the_last_layer_only_the_first_token_matters() -> None:
    """The feature reads only that token there, so both mixtures agree; a layer earlier not."""
    model, texts, others = classifier().eval(), batch(rows=4), torch.tensor([2, 3, 0, 1])
    found = {
        (layer, first): module()
        .mixed_loss(model, texts, layer, others, 0.3, first_only=first)
        .item()
        for layer in (1, 2)
        for first in (False, True)
    }
    assert found[2, False] == pytest.approx(found[2, True], rel=1e-6)
    assert found[1, False] != pytest.approx(found[1, True], rel=1e-6)


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(12, [7, 9, 12]), (24, [14, 18, 24]), (6, [4, 5, 6]), (2, [2, 2, 2]), (1, [1, 1, 1])],
)
def test_layers_are_scaled_to_the_encoders_depth(depth: int, expected: list[int]) -> None:
    class Deep:
        layers = range(depth)

    defense = made()
    defense.prepare(Deep())
    assert defense.layers == expected


def test_a_single_layer_can_be_chosen() -> None:
    defense = made(layers="1")
    defense.prepare(classifier())
    assert defense.layers == [1]


@pytest.mark.parametrize("layers", ["0", "13", "", "7 ", "7,9", "seven"])
def test_malformed_layers_are_refused(layers: str) -> None:
    with pytest.raises(ValueError, match="layers"):
        made(layers=layers)


def test_an_encoder_without_a_list_of_layers_is_refused() -> None:
    with pytest.raises(UsageError, match="Encoder 'AlbertModel' keeps no list of its layers"):
        made().prepare(classifier("albert"))


def loss_of(defense: Any, model: TextClassifier, texts: Batch, seed: int = 0) -> float:
    torch.manual_seed(seed)
    return float(defense.loss(model, texts))


def test_the_loss_is_the_sum_of_its_parts() -> None:
    model, texts = classifier().eval(), batch(rows=6)
    defense = made(weight=0.5)
    defense.prepare(model)
    total = loss_of(defense, model, texts)
    plain = cross_entropy(model(texts.input_ids, texts.attention_mask), texts.labels).item()
    assert defense.figures["task"].item() == pytest.approx(plain)
    assert total == pytest.approx(plain + 0.5 * defense.figures["mixed"].item())
    assert loss_of(defense, model, texts) == total
    assert loss_of(defense, model, texts, seed=1) != total


def test_with_a_weight_of_zero_no_random_number_is_drawn() -> None:
    model, texts = classifier().eval(), batch(rows=6)
    defense = made(weight=0.0)
    defense.prepare(model)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert defense.loss(model, texts).item() == pytest.approx(
        cross_entropy(model(texts.input_ids, texts.attention_mask), texts.labels).item()
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert "mixed" not in defense.figures


def test_shares_are_beta_distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean 1/2 and variance 1 / (4 (2 alpha + 1)): 0.05 for alpha 2, 0.139 for 0.4."""
    drawn: list[float] = []

    def record(
        model: Any, batch: Any, layer: int, others: Tensor, share: float, *, first_only: bool
    ) -> Tensor:
        drawn.append(share)
        assert sorted(others.tolist()) == list(range(4))
        return torch.zeros(())

    monkeypatch.setattr(module(), "mixed_loss", record)
    model, texts = classifier().eval(), batch(rows=4)
    torch.manual_seed(0)
    for alpha, variance in ((2.0, 0.05), (0.4, 1 / 7.2)):
        defense = made(alpha=alpha)
        defense.prepare(model)
        drawn.clear()
        for _ in range(1500):
            defense.loss(model, texts)
        found = torch.tensor(drawn)
        assert found.mean().item() == pytest.approx(0.5, abs=0.03)
        assert found.var().item() == pytest.approx(variance, rel=0.1)


def test_the_default_attack_is_pwws() -> None:
    assert made().attacks == ("pwws",)
    assert ATTACKS.get("pwws").access == "probabilities"
