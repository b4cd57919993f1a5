"""The bounds hold for whole classifiers of every family that they know."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from robench._base.errors import UsageError
from robench.certification.affine import Enclosed, enclose, shift
from robench.certification.branching import agrees, hull_of
from robench.certification.network import Network
from robench.certification.slots import Slots
from robench.models.classifier import TextClassifier
from robench.models.encoders import find_encoder, load_encoder
from robench.testing.random_models import classifier

KNOWN = ("bert", "roberta", "electra", "distilbert")


@pytest.mark.parametrize("family", KNOWN)
@pytest.mark.parametrize("size", [1e-4, 0.03, 1.0])
def test_no_point_of_the_hull_leaves_the_bounds(family: str, size: float) -> None:
    network = Network(classifier(family, classes=3, seed=1).eval())
    draw = torch.Generator().manual_seed(5)
    base = network.embedded(torch.randint(5, 60, (1, 7), generator=draw), None)
    width = base.shape[-1]
    changes = torch.zeros(1, 3, 2, 7, width, dtype=torch.float64)
    for position in range(3):
        change = torch.randn(2, width, generator=draw, dtype=torch.float64)
        changes[0, position, :, position + 1] = size * change
    weights = torch.rand(200, 3, 2, generator=draw, dtype=torch.float64) / 2
    chosen = torch.randint(0, 3, (200, 3, 1), generator=draw)
    weights = torch.cat([weights, (chosen == torch.tensor([1, 2])).double()])
    logits = network.logits(base + torch.einsum("npk,pktd->ntd", weights, changes[0]))
    for label in range(3):
        margins, needed = network.margins(enclose(base, changes), label)
        others = [each for each in range(3) if each != label]
        values = logits[:, label, None] - logits[:, others]
        assert (margins.low <= values + 1e-9).all()
        assert (values <= margins.high + 1e-9).all()
        assert (needed > 0).all()


@pytest.mark.parametrize("family", KNOWN)
def test_small_changes_get_useful_bounds(family: str) -> None:
    network = Network(classifier(family, seed=2).eval())
    base = network.embedded(torch.arange(5, 12)[None], None)
    changes = torch.zeros(1, 1, 1, 7, base.shape[-1], dtype=torch.float64)
    changes[0, 0, 0, 2, 0] = 1e-5
    margins, _ = network.margins(enclose(base, changes), 0)
    logits = network.logits(base)[0]
    assert margins.low.item() == pytest.approx(float(logits[0] - logits[1]), abs=1e-2)


@pytest.mark.parametrize("family", KNOWN)
@pytest.mark.parametrize("slots", [0, 2])
def test_a_space_without_substitutes_has_no_width(family: str, slots: int) -> None:
    network = Network(classifier(family, classes=3, seed=2).eval())
    base = network.embedded(torch.arange(5, 12)[None], None)
    changes = torch.zeros(1, slots, slots, 7, base.shape[-1], dtype=torch.float64)
    margins, needed = network.margins(enclose(base, changes), 1)
    assert (margins.high - margins.low < 1e-6).all()
    logits = network.logits(base)[0]
    assert torch.allclose(margins.low[0], logits[1] - logits[[0, 2]], rtol=0, atol=1e-6)
    assert (needed < 0.1).all()


def test_the_trained_encoder_has_no_width_without_substitutes() -> None:
    torch.manual_seed(0)
    network = Network(TextClassifier(load_encoder(find_encoder("tiny")), 2, hidden=32).eval())
    base = network.embedded(torch.arange(100, 125)[None], None)
    changes = torch.zeros(1, 0, 0, 25, base.shape[-1], dtype=torch.float64)
    margins, _ = network.margins(enclose(base, changes), 0)
    assert (margins.high - margins.low < 1e-6).all()


@pytest.mark.parametrize("family", KNOWN)
@pytest.mark.parametrize("length", [1e-8, 1e-6, 1e-5])
def test_tiny_changes_get_nearly_the_true_width(family: str, length: float) -> None:
    network = Network(classifier(family, seed=3).eval())
    draw = torch.Generator().manual_seed(8)
    base = network.embedded(torch.arange(5, 12)[None], None)
    changes = torch.zeros(1, 3, 2, 7, base.shape[-1], dtype=torch.float64)
    for position in range(3):
        change = torch.randn(2, base.shape[-1], generator=draw, dtype=torch.float64)
        changes[0, position, :, position + 1] = length * change
    corners = torch.tensor(list(product(range(3), repeat=3)))
    weights = (corners[..., None] == torch.tensor([1, 2])).double()
    logits = network.logits(base + torch.einsum("npk,pktd->ntd", weights, changes[0]))
    values = logits[:, 0] - logits[:, 1]
    true = float(values.max() - values.min())
    margins, _ = network.margins(enclose(base, changes), 0)
    assert true <= float(margins.high - margins.low) <= 1.1 * true


@pytest.mark.parametrize("family", ["albert", "deberta", "deberta-v2"])
def test_other_families_are_refused_in_one_sentence(family: str) -> None:
    with pytest.raises(UsageError, match=r"built in another way\. Use --method smoothing"):
        Network(classifier(family).eval())


class Answering:
    """A victim that answers as a classifier does, times a factor."""

    def __init__(self, family: str, factor: float = 1.0) -> None:
        self.model = classifier(family).eval()
        self.factor = factor

    def logits(
        self, ids: np.ndarray, lengths: np.ndarray, types: np.ndarray | None = None
    ) -> np.ndarray:
        rows = torch.as_tensor(ids.astype(np.int64))
        with torch.no_grad():
            found = self.model(rows, torch.ones_like(rows))
        return np.asarray(found.numpy() * self.factor, dtype=np.float32)


def slots(ids: list[int]) -> Slots:
    return Slots(np.array(ids, np.int32), np.zeros(len(ids), np.int8), (1,), ((ids[1], 9),))


@pytest.mark.parametrize("family", KNOWN)
def test_the_bounds_know_whether_they_follow_the_victim(family: str) -> None:
    victim = Answering(family)
    network = Network(victim.model)
    assert agrees(slots([5, 6, 7, 8]), victim, network)
    victim.factor = 1.5
    assert not agrees(slots([5, 6, 7, 8]), victim, network)


def test_bounds_that_leave_out_a_part_of_the_model_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = Answering("bert")
    network = Network(victim.model)
    margins = network.margins

    def moved(x: Enclosed, label: int) -> tuple[Enclosed, torch.Tensor]:
        found, needed = margins(x, label)
        return shift(found, 3 * needed), needed

    monkeypatch.setattr(network, "margins", moved)
    assert not agrees(slots([5, 6, 7, 8]), victim, network)


def test_bounds_that_hold_everything_do_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    victim = Answering("bert")
    network = Network(victim.model)
    margins = network.margins

    def wide(x: Enclosed, label: int) -> tuple[Enclosed, torch.Tensor]:
        found, needed = margins(x, label)
        return replace(found, low=found.low - 10, high=found.high + 10), needed

    monkeypatch.setattr(network, "margins", wide)
    assert not agrees(slots([5, 6, 7, 8]), victim, network)


def test_a_model_whose_own_code_answers_otherwise_is_noticed() -> None:
    victim = Answering("bert")
    network = Network(victim.model)
    last: Any = network.model.head[-1]
    with torch.no_grad():
        last.bias.add_(torch.tensor([1.0, 0.0]))
    assert not agrees(slots([5, 6, 7, 8]), victim, network)


def test_the_hull_has_the_embedding_of_every_substitute_at_its_token() -> None:
    network = Network(classifier("bert").eval())
    both = Slots(
        np.array([5, 6, 7, 8], np.int32), np.zeros(4, np.int8), (1, 2), ((6, 9), (7, 10, 11))
    )
    base, changes = hull_of(both, network)
    assert changes.shape[:4] == (1, 2, 2, 4)
    direct = network.embedded(torch.tensor([[5, 6, 11, 8]]), None)
    assert torch.allclose(base + changes[:, 1, 1], direct)
    # The first position has one substitute only.
    assert not changes[0, 0, 1].any()
