"""Shares of a batch: weighted losses and gradients add up to those of the whole batch.

No process is started here; test_several_processes.py starts some.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from victim_cases import batch, classifier

from robench import DEFENSES, Batch, Defense
from robench._base.errors import UsageError

PARALLEL = [
    entry.name
    for entry in DEFENSES.entries()
    if entry.origin == "built-in" and DEFENSES.get(entry.name).parallel
]


def prepared(name: str, **options: object) -> tuple[Defense, nn.ModuleList]:
    torch.manual_seed(0)
    cls = DEFENSES.get(name)
    model, defense = classifier(), cls(cls.Options.model_validate(options))
    defense.prepare(model)
    return defense, nn.ModuleList([model, *defense.modules()])


def loss_and_gradients(
    defense: Defense, trained: nn.ModuleList, texts: Batch
) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(7)  # the inner search starts at the same point in every process
    loss = defense.loss(trained[0], texts)  # type: ignore[arg-type]
    penalty = defense.penalty(trained[0], texts)  # type: ignore[arg-type]
    loss = loss if penalty is None else loss + penalty
    return loss.detach(), list(torch.autograd.grad(loss, list(trained.parameters())))


def weight(rank: int, rows: int, processes: int) -> float:
    return len(range(rank, rows, processes)) / rows


def test_defenses_with_a_mean_loss_are_parallel_and_rose_is_not() -> None:
    assert {"standard", "rift", "ascc"} <= set(PARALLEL)
    # ROSE measures its saliency before the processes exchange gradients.
    assert not DEFENSES.get("rose-first").parallel


@pytest.mark.parametrize("name", PARALLEL)
@pytest.mark.parametrize(("rows", "processes"), [(6, 2), (7, 2), (6, 4), (2, 3)])
def test_losses_and_gradients_of_shares_add_up_to_the_whole(
    name: str, rows: int, processes: int
) -> None:
    """Seven rows on two processes give unequal shares.

    Six rows on four leave a process without one of the classes, two on three one without a row.
    """
    texts = batch(rows=rows, seed=3)
    expected, gradients = loss_and_gradients(*prepared(name), texts)
    total, sums = torch.zeros(()), [torch.zeros_like(gradient) for gradient in gradients]
    for rank in range(processes):
        loss, found = loss_and_gradients(*prepared(name), texts.share(rank, processes))
        total += weight(rank, rows, processes) * loss
        for one, gradient in zip(sums, found, strict=True):
            one += weight(rank, rows, processes) * gradient
    torch.testing.assert_close(total, expected, atol=2e-4, rtol=1e-3)
    for one, gradient in zip(sums, gradients, strict=True):
        torch.testing.assert_close(
            one, gradient, atol=2e-3 * float(gradient.abs().max()) + 1e-6, rtol=1e-2
        )


def test_every_process_remembers_the_whole_batch() -> None:
    texts = batch(rows=6)
    memories = []
    for asked in (texts, texts.share(0, 2), texts.share(1, 2)):
        defense, trained = prepared("rift", memory=2)
        loss_and_gradients(defense, trained, asked)
        memories.append(defense.information._memory)  # type: ignore[attr-defined]
    for memory in memories[1:]:
        assert all(torch.equal(memory[label], memories[0][label]) for label in memories[0])


def test_students_as_negatives_are_refused_on_a_share() -> None:
    defense, trained = prepared("rift", negatives="students")
    loss_and_gradients(defense, trained, batch(rows=6))
    with pytest.raises(UsageError, match="negatives=students trains in one process"):
        loss_and_gradients(defense, trained, batch(rows=6).share(0, 2))


def test_a_share_is_every_nth_row_and_refers_to_the_whole() -> None:
    texts = batch(rows=5)
    mine = texts.share(1, 2)
    assert mine.rows is not None
    assert mine.rows.tolist() == [1, 3]
    assert mine.whole is texts
    assert mine.substitute_ids is not None
    assert texts.substitute_ids is not None
    assert torch.equal(mine.substitute_ids, texts.substitute_ids[[1, 3]])
    assert mine.token_type_ids is None
    left_over = texts.share(6, 7)
    assert left_over.rows is not None
    assert left_over.rows.tolist() == [0]


def test_a_joint_defense_is_parallel_only_if_each_member_is() -> None:
    assert DEFENSES.get("ascc+weight-decay").parallel
    assert not DEFENSES.get("ascc+mixout").parallel
