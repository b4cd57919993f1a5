"""Flooding-X and the training temperature, against values computed by hand."""

from __future__ import annotations

import importlib
from math import log, nan
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from victim_cases import batch, classifier

from robench import DEFENSES, Batch
from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier
from robench.plugins.options import build_options


def made(name: str, **options: object) -> Any:
    cls = DEFENSES.get(name)
    return cls(cls.Options.model_validate(options))


def module() -> Any:
    return importlib.import_module("robench.defenses.flooding_x")


class Fixed(nn.Module):
    """Answers with fixed logits, whatever the text."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.tensor(logits))

    def forward(self, input_ids: Tensor, *_: object) -> Tensor:
        return self.answer


def labelled(*labels: int) -> Batch:
    shape = (len(labels), 1)
    return Batch(
        torch.zeros(shape, dtype=torch.long), torch.ones(shape), None, torch.tensor(labels)
    )


SURE = [[log(3.0), 0.0], [log(3.0), 0.0]]
"""p = (3/4, 1/4) for both texts, so the loss of class 0 is ln(4/3) = 0.2877."""


@pytest.mark.parametrize(
    ("level", "loss", "sign"),
    [
        (0.0, log(4 / 3), 1),  # no flood: plain cross-entropy
        (0.2, log(4 / 3), 1),  # above the level: the value and the gradient are unchanged
        (0.5, 1.0 - log(4 / 3), -1),  # below it: |0.2877 - 0.5| + 0.5, with the sign turned
    ],
)
def test_below_the_level_the_gradient_changes_its_sign(
    level: float, loss: float, sign: int
) -> None:
    model, texts = Fixed(SURE), labelled(0, 0)
    found = made("flooding-x", level=level).loss(model, texts)
    assert found.item() == pytest.approx(loss, abs=1e-6)
    (gradient,) = torch.autograd.grad(found, [model.answer])
    (plain,) = torch.autograd.grad(cross_entropy(model.answer, texts.labels), [model.answer])
    torch.testing.assert_close(gradient, sign * plain)


def test_without_a_level_the_loss_is_the_cross_entropy() -> None:
    defense = made("flooding-x")
    assert defense.loss(Fixed(SURE), labelled(0, 1)).item() == pytest.approx(
        (log(4 / 3) + log(4)) / 2, abs=1e-6
    )
    assert "flood_level" not in defense.figures


def test_the_accordance_is_the_mean_cosine_of_all_pairs() -> None:
    """(1, 0), (0, 2) and (-3, 0), each in two tensors: the cosines are 0, -1 and 0."""
    gradients = [
        [torch.tensor([[1.0]]), torch.tensor([0.0])],
        [torch.tensor([[0.0]]), torch.tensor([2.0])],
        [torch.tensor([[-3.0]]), torch.tensor([0.0])],
    ]
    assert module().mean_cosine(gradients).item() == pytest.approx(-1 / 3)
    assert module().mean_cosine(gradients[:1] * 4).item() == pytest.approx(1)
    nothing = [[torch.zeros(2)], [torch.ones(2)]]
    assert module().mean_cosine(nothing).item() == 0


def independent_accordance(model: TextClassifier, texts: Batch, parts: int) -> float:
    """Compute the accordance with whole vectors and ``backward``."""
    model.eval()
    vectors = []
    for start in range(parts):
        rows = list(range(start, len(texts.labels), parts))
        model.zero_grad()
        logits = model(texts.input_ids[rows], texts.attention_mask[rows])
        cross_entropy(logits, texts.labels[rows]).backward()
        vectors.append(
            torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        )
    model.zero_grad()
    pairs = [(i, j) for i in range(parts) for j in range(i)]
    return float(np.mean([cosine(vectors[i], vectors[j]) for i, j in pairs]))


def cosine(one: Tensor, other: Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()))


def texts_of(*labels: int) -> Batch:
    """Return one text for each label; some texts are the same."""
    usual = batch()
    rows = [row % len(usual.labels) for row in range(len(labels))]
    return Batch(usual.input_ids[rows], usual.attention_mask[rows], None, torch.tensor(labels))


@pytest.mark.parametrize("parts", [2, 3])
def test_the_accordance_of_a_batch_agrees_with_an_independent_computation(parts: int) -> None:
    model, texts = classifier().train(), texts_of(0, 1, 1, 0, 1, 0)
    defense = made("flooding-x", parts=parts)
    defense.before_loss(model, texts)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    found = defense.figures["accordance"].item()
    assert found == pytest.approx(independent_accordance(model, texts, parts), abs=1e-4)


def test_equal_texts_agree_and_contradicting_labels_do_not() -> None:
    """Both parts have the same text, with equal and with opposite labels."""
    model, texts = classifier(), texts_of(0)
    pair = (texts.input_ids.repeat(2, 1), texts.attention_mask.repeat(2, 1))
    for labels, expected in (((1, 1), 1.0), ((0, 1), -1.0)):
        defense = made("flooding-x", parts=2)
        defense.before_loss(model, Batch(*pair, None, torch.tensor(labels)))
        assert defense.figures["accordance"].item() == pytest.approx(expected, abs=1e-4)


def epoch(defense: Any) -> None:
    """Begin an epoch as the loop does."""
    assert defense.batches([0, 1], [3, 3], 2, np.random.default_rng(0)) is None


def measured(defense: Any, *steps: tuple[float, float]) -> None:
    """Make a defense believe that it measured these (accordance, loss) in an epoch."""
    for accordance, loss in steps:
        defense.flood.accordance += accordance
        defense.flood.measured += 1
        defense.flood.loss += loss
        defense.flood.steps += 1


def test_the_level_is_the_mean_loss_of_the_first_epoch_that_does_not_agree() -> None:
    defense = made("flooding-x", latest=9)
    epoch(defense)
    measured(defense, (0.5, 0.9), (0.1, 0.7))
    epoch(defense)
    assert not defense.flood.is_set
    measured(defense, (0.2, 0.4), (-0.3, 0.2))
    epoch(defense)
    assert defense.flood.level.item() == pytest.approx(0.3)
    # A later epoch changes nothing, and nothing is measured any more.
    measured(defense, (-1.0, 5.0))
    epoch(defense)
    assert defense.flood.level.item() == pytest.approx(0.3)
    defense.before_loss(classifier(), texts_of(0, 1))
    assert "accordance" not in defense.figures
    loss = defense.loss(Fixed(SURE), labelled(0, 0))
    assert loss.item() == pytest.approx(0.6 - log(4 / 3), abs=1e-6)
    assert defense.figures["flood_level"].item() == pytest.approx(0.3)


@pytest.mark.parametrize(("bound", "is_set"), [(0.0, False), (0.19, False), (0.2, True)])
def test_the_bound_of_the_accordance_is_an_option(bound: float, is_set: bool) -> None:
    defense = made("flooding-x", accordance=bound)
    measured(defense, (0.25, 0.5), (0.125, 0.25), (0.225, 0.75))
    epoch(defense)
    assert defense.flood.is_set is is_set


@pytest.mark.parametrize(("latest", "level"), [(1, 0.8), (2, 0.3), (3, 0.1)])
def test_the_level_is_set_after_the_latest_epoch_in_any_case(latest: int, level: float) -> None:
    """The gradients agree in every epoch, whose mean losses are 0.8, 0.3 and 0.1."""
    defense = made("flooding-x", latest=latest)
    epoch(defense)
    for steps in (((0.5, 0.9), (0.5, 0.7)), ((0.5, 0.3),), ((0.5, 0.1),), ((0.5, 0.05),)):
        measured(defense, *steps)
        epoch(defense)
    assert defense.flood.level.item() == pytest.approx(level)


def test_before_the_first_epoch_no_level_is_set() -> None:
    defense = made("flooding-x", latest=1)
    epoch(defense)
    assert not defense.flood.is_set


def test_a_batch_of_one_text_is_not_measured() -> None:
    defense = made("flooding-x", accordance=1, latest=9)
    defense.before_loss(classifier(), texts_of(1))
    assert "accordance" not in defense.figures
    defense.loss(Fixed(SURE), labelled(0, 0))
    epoch(defense)
    assert np.isnan(defense.flood.level.item())


def test_a_level_that_is_given_holds_from_the_first_step() -> None:
    defense = made("flooding-x", level=0.25)
    epoch(defense)
    defense.before_loss(classifier(), texts_of(0, 1))
    assert "accordance" not in defense.figures
    defense.loss(Fixed(SURE), labelled(0, 0))
    assert defense.figures["flood_level"].item() == 0.25


def test_the_state_of_the_flood_is_stored() -> None:
    one, other = made("flooding-x"), made("flooding-x")
    measured(one, (-0.5, 0.75))
    (saved,), (fresh,) = one.modules(), other.modules()
    fresh.load_state_dict(saved.state_dict())
    epoch(other)
    assert other.flood.level.item() == 0.75
    assert [*saved.parameters()] == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("level", -0.1), ("parts", 1), ("accordance", 1.5), ("accordance", nan), ("latest", 0)],
)
def test_options_of_flooding_outside_their_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(UsageError, match=option):
        build_options(DEFENSES.get("flooding-x").Options, {option: value}, "defense 'flooding-x'")


# The training temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_logits_are_divided_by_the_temperature(temperature: float) -> None:
    """Logits T ln 3 and 0 give p = (3/4, 1/4) at the temperature T."""
    model = Fixed([[temperature * log(3.0), 0.0]] * 2)
    loss = made("temperature", temperature=temperature).loss(model, labelled(0, 1))
    assert loss.item() == pytest.approx((log(4 / 3) + log(4)) / 2, abs=1e-6)


def test_a_temperature_of_one_is_plain_fine_tuning() -> None:
    model, texts = classifier(), texts_of(0, 1, 1)
    plain = cross_entropy(model(texts.input_ids, texts.attention_mask), texts.labels)
    torch.testing.assert_close(made("temperature", temperature=1).loss(model, texts), plain)


def test_after_training_the_victim_has_the_probabilities_of_training() -> None:
    model, texts = classifier(classes=3).eval(), texts_of(0, 1, 2)
    before = model(texts.input_ids, texts.attention_mask)
    made("temperature", temperature=4.0).finish(model)
    torch.testing.assert_close(model(texts.input_ids, texts.attention_mask), before / 4)


def test_the_logits_stay_undivided_on_request() -> None:
    model, texts = classifier().eval(), texts_of(0, 1, 1)
    before = model(texts.input_ids, texts.attention_mask)
    made("temperature", undivided=True).finish(model)
    torch.testing.assert_close(model(texts.input_ids, texts.attention_mask), before)


@pytest.mark.parametrize("value", [0, -1])
def test_a_temperature_that_is_not_positive_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="temperature"):
        build_options(
            DEFENSES.get("temperature").Options, {"temperature": value}, "defense 'temperature'"
        )
