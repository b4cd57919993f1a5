"""The bounds hold for whole classifiers of every family that they know."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robench._base.errors import UsageError
from robench.certification.affine import enclose
from robench.certification.branching import agrees, hull_of
from robench.certification.network import Network
from robench.certification.slots import Slots
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
