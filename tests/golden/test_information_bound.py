"""The contrastive bound where the mutual information is known.

Two Gaussians with correlation rho have I = -log(1 - rho^2) / 2 nats in each dimension.
"""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from victim_cases import batch, classifier

from robench.methods.information import InformationOptions, InformationTerm
from robench.training.contrast import contrastive_term

RHO, DIMENSIONS = 0.8, 2
TRUTH = -DIMENSIONS * log(1 - RHO**2) / 2


def best_scores(
    students: torch.Tensor, teachers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return vectors whose inner product is log p(t | s) / p(t), the best score, plus a constant.

    For one dimension that is ``(2 rho s t - rho^2 s^2 - rho^2 t^2) / (2 (1 - rho^2))``.
    """
    spread = 2 * (1 - RHO**2)
    ones = torch.ones(len(students), 1)
    left = torch.cat([students, (students**2).sum(1, keepdim=True), ones], 1)
    right = torch.cat(
        [
            2 * RHO * teachers,
            -(RHO**2) * torch.ones(len(teachers), 1),
            -(RHO**2) * (teachers**2).sum(1, keepdim=True),
        ],
        1,
    )
    return left, right / spread


def bound(count: int, own: int | None = None, repeats: int = 200) -> float:
    """Return the mean bound of ``own`` students, by default all, with ``count`` teachers."""
    generator = torch.Generator().manual_seed(count)
    total = 0.0
    for _ in range(repeats):
        teachers = torch.randn(count, DIMENSIONS, generator=generator)
        students = RHO * teachers + (1 - RHO**2) ** 0.5 * torch.randn(
            count, DIMENSIONS, generator=generator
        )
        left, right = best_scores(students[:own], teachers)
        total -= contrastive_term(left, right, 1.0).item()
        assert -contrastive_term(left, right, 1.0).item() <= log(count) + 1e-5
    return total / repeats


def test_the_bound_rises_with_n_towards_the_true_value() -> None:
    found = [bound(count) for count in (2, 4, 16, 64, 256)]
    assert found == sorted(found)
    assert found[0] < log(2)
    assert found[-1] == pytest.approx(TRUTH, rel=0.05)


def test_further_teachers_tighten_the_bound_as_a_larger_batch_does() -> None:
    """Eight students with 64 teachers reach the bound of 64 with 64: that is the memory's use."""
    assert bound(64, own=8) == pytest.approx(bound(64), rel=0.05)
    assert bound(64, own=8) > bound(8) + 0.05


def test_a_further_teacher_gives_the_bound_computed_by_hand() -> None:
    """One student equals its teacher, another teacher is at right angles.

    The bound is log 2 - log(1 + exp(-1 / tau)).
    """
    student, teachers = torch.tensor([[1.0, 0.0]]), torch.eye(2)
    assert -contrastive_term(student, teachers, 0.5).item() == pytest.approx(
        log(2) - log(1 + exp(-2)), abs=1e-6
    )
    assert contrastive_term(student, teachers[:1], 0.5).item() == pytest.approx(0, abs=1e-6)


def information(**options: object) -> InformationTerm:
    torch.manual_seed(3)
    return InformationTerm(classifier(), InformationOptions.model_validate(options))


def test_the_memory_holds_the_newest_features_of_each_class() -> None:
    held = information(memory=4)
    seen: dict[int, list[torch.Tensor]] = {0: [], 1: []}
    for seed in range(3):
        texts = batch(rows=6, seed=seed)
        features = held.teacher.features(texts.input_ids, texts.attention_mask)
        for label in (0, 1):
            before = torch.cat([features[texts.labels == label], *seen[label]])
            students = held.student_heads(features[texts.labels == label], label)
            expected = contrastive_term(students, held.teacher_heads(before, label), 0.2)
            seen[label] = [before[:4]]
            if label == 0:
                first = expected
        torch.testing.assert_close(held(features, texts), (first + expected) / 2)
        assert {label: len(kept) for label, kept in held._memory.items()} == {
            0: min(4, 3 * (seed + 1)),
            1: min(4, 3 * (seed + 1)),
        }
    held.clear_memory()
    torch.testing.assert_close(held(features, texts), information()(features, texts))


def test_without_memory_no_features_are_kept() -> None:
    held, texts = information(), batch()
    features = held.teacher.features(texts.input_ids, texts.attention_mask)
    assert held(features, texts).item() == held(features, texts).item()
    assert all(len(kept) == 0 for kept in held._memory.values())


def test_unconditional_is_one_contrast_over_all_classes() -> None:
    held, texts = information(conditional=False), batch(rows=6)
    features = held.teacher.features(texts.input_ids, texts.attention_mask)
    assert len(held.student_heads.by_class) == 1
    expected = contrastive_term(
        held.student_heads(features, 0), held.teacher_heads(features, 0), 0.2
    )
    torch.testing.assert_close(held(features, texts), expected)
    assert held(features, texts).item() != information()(features, texts).item()
