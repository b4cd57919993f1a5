"""RIFT's losses against numbers computed by hand."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from victim_cases import batch, classifier

from robench import DEFENSES
from robench.methods.information import ProjectionHeads
from robench.methods.smoothness import divergence
from robench.models.classifier import TextClassifier
from robench.models.encoders import EncoderInfo
from robench.training.contrast import Negatives, contrastive_term
from robench.training.request import build_defense

Rift = DEFENSES.get("rift")

# Two students, two teachers on the circle: <s1,t1> = 1, <s1,t2> = 0, <s2,t1> = 0.6, <s2,t2> = 0.8.
STUDENTS = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
TEACHERS = torch.eye(2)


def test_by_default_the_softmax_runs_over_teachers() -> None:
    """In Eq. 10 the alternatives of each student s_i are the teachers t_j."""
    tau = 0.5
    first = -log(exp(1 / tau) / (exp(1 / tau) + exp(0 / tau)))
    second = -log(exp(0.8 / tau) / (exp(0.6 / tau) + exp(0.8 / tau)))
    assert contrastive_term(STUDENTS, TEACHERS, tau).item() == pytest.approx(
        (first + second) / 2 - log(2), abs=1e-6
    )


def test_as_in_the_release_the_softmax_can_run_over_students() -> None:
    tau = 0.5
    first = -log(exp(1 / tau) / (exp(1 / tau) + exp(0.6 / tau)))
    second = -log(exp(0.8 / tau) / (exp(0 / tau) + exp(0.8 / tau)))
    assert contrastive_term(STUDENTS, TEACHERS, tau, "students").item() == pytest.approx(
        (first + second) / 2 - log(2), abs=1e-6
    )


@pytest.mark.parametrize("negatives", ["teachers", "students"])
def test_the_contrastive_term_is_fp32_in_a_bf16_training(negatives: Negatives) -> None:
    """In bf16 the products of unit vectors have three digits, which tau = 0.2 makes two."""
    torch.manual_seed(0)
    students, teachers = (normalize(torch.randn(16, 256), dim=-1) for _ in range(2))
    students.requires_grad_()
    exact = contrastive_term(students.double(), teachers.double(), 0.2, negatives)
    (wanted,) = torch.autograd.grad(exact, students)
    with torch.autocast("cpu", torch.bfloat16):
        term = contrastive_term(students, teachers, 0.2, negatives)
    (gradient,) = torch.autograd.grad(term, students)
    assert term.dtype == torch.float32
    assert term.item() == pytest.approx(exact.item(), abs=2e-6)
    torch.testing.assert_close(gradient, wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_bound_never_exceeds_log_n(count: int) -> None:
    torch.manual_seed(count)
    for students, teachers in (
        (torch.randn(count, 8), torch.randn(count, 8)),
        (torch.eye(count, 64), torch.eye(count, 64)),
    ):
        unit = [normalize(part, dim=-1) for part in (students, teachers)]
        assert -contrastive_term(unit[0], unit[1], 0.01).item() <= log(count) + 1e-6
    assert -contrastive_term(
        torch.eye(count, 64), torch.eye(count, 64), 0.01
    ).item() == pytest.approx(log(count), abs=1e-5)
    assert contrastive_term(
        torch.ones(count, 1), torch.ones(count, 1), 0.2
    ).item() == pytest.approx(0.0, abs=1e-6)


def test_the_invariance_term_is_the_mean_of_kl_clean_to_adversarial() -> None:
    clean, adversarial = torch.tensor([[log(3.0), 0.0], [0.0, 0.0]]), torch.zeros(2, 2)
    assert divergence(clean, adversarial).item() == pytest.approx(
        (0.75 * log(1.5) + 0.25 * log(0.5)) / 2, abs=1e-6
    )


def test_both_sides_of_the_invariance_term_get_gradients() -> None:
    """d KL(p||q) / d z_q = q - p and d KL(p||q) / d z_p = p (log p/q - KL).

    As in TRADES, the clean side is not detached.
    """
    clean = torch.tensor([[log(3.0), 0.0]], requires_grad=True)
    adversarial = torch.zeros(1, 2, requires_grad=True)
    divergence(clean, adversarial).backward()
    assert adversarial.grad is not None
    assert clean.grad is not None
    expected = 0.75 * log(1.5) + 0.25 * log(0.5)
    np.testing.assert_allclose(adversarial.grad, [[0.5 - 0.75, 0.5 - 0.25]], atol=1e-6)
    np.testing.assert_allclose(
        clean.grad, [[0.75 * (log(1.5) - expected), 0.25 * (log(0.5) - expected)]], atol=1e-6
    )


def test_projections_are_unit_vectors_of_their_own_class() -> None:
    torch.manual_seed(0)
    heads = ProjectionHeads(16, 3, 32, 8)
    features = torch.randn(5, 16)
    projected = [heads(features, label) for label in range(3)]
    for vectors in projected:
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(5))
    assert not torch.allclose(projected[0], projected[1])
    assert [type(layer).__name__ for layer in heads.by_class[0].children()] == [
        "Linear",
        "ReLU",
        "Linear",
    ]


def prepared(**options: object) -> tuple[Any, TextClassifier]:
    model = classifier(dropout=0.0)
    torch.manual_seed(7)
    defense = Rift(Rift.Options.model_validate(options))
    defense.prepare(model)
    return defense, model


def test_the_loss_is_the_sum_of_its_parts() -> None:
    defense, model = prepared(alpha=0.3, beta=5)
    torch.manual_seed(1)
    loss = defense.loss(model, batch())
    parts = defense.figures
    torch.testing.assert_close(
        loss, parts["task"] + 5 * parts["invariance"] + 0.3 * parts["information"]
    )
    assert parts["invariance"] > 0


def test_alpha_and_beta_of_zero_leave_the_cross_entropy() -> None:
    defense, model = prepared(alpha=0, beta=0)
    loss = defense.loss(model, batch())
    torch.testing.assert_close(
        loss,
        torch.nn.functional.cross_entropy(
            model(batch().input_ids, batch().attention_mask), batch().labels
        ),
    )
    assert "information" not in defense.figures


def test_information_is_the_mean_of_the_classes_contrasts() -> None:
    defense, model = prepared(tau=0.2)
    texts = batch(rows=6)
    features = model.features(texts.input_ids, texts.attention_mask)
    teacher = defense.information.teacher.features(texts.input_ids, texts.attention_mask)
    expected = []
    for label, rows in ((0, slice(0, 3)), (1, slice(3, 6))):
        scores = (
            defense.information.student_heads(features[rows], label)
            @ defense.information.teacher_heads(teacher[rows], label).T
            / 0.2
        )
        expected.append(-(scores.log_softmax(1).diagonal().mean() + log(3)))
    torch.testing.assert_close(defense.information(features, texts), torch.stack(expected).mean())


def test_the_teacher_stays_frozen_and_both_heads_learn() -> None:
    defense, model = prepared()
    before = {
        name: tensor.clone() for name, tensor in defense.information.teacher.state_dict().items()
    }
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    optimizer = torch.optim.SGD(
        [*model.parameters(), *(p for module in defense.modules() for p in module.parameters())],
        lr=0.1,
    )
    model.train()
    heads = [next(module.parameters()).clone() for module in defense.modules()]
    defense.loss(model, batch()).backward()
    optimizer.step()
    assert not defense.information.teacher.training
    assert all(
        torch.equal(tensor, before[name])
        for name, tensor in defense.information.teacher.state_dict().items()
    )
    assert all(parameter.grad is None for parameter in defense.information.teacher.parameters())
    assert all(
        not torch.equal(old, next(module.parameters()))
        for old, module in zip(heads, defense.modules(), strict=True)
    )


def test_defaults_are_the_papers_settings() -> None:
    options: Any = Rift.Options()
    assert (options.tau, options.hull_steps, options.hull_learning_rate, options.negatives) == (
        0.2,
        10,
        1.0,
        "teachers",
    )
    settings: dict[str, Any] = {
        task: build_defense("rift", task, EncoderInfo("x", "x"), {}).options
        for task in ("imdb", "snli")
    }
    assert [
        (found.alpha, found.beta, found.batch_size, found.epochs, found.learning_rate)
        for found in settings.values()
    ] == [
        (0.1, 10.0, 32, 20, 2e-5),
        (0.7, 5.0, 120, 20, 2e-5),
    ]


def test_batches_are_ordered_by_class() -> None:
    labels = [0, 1, 2] * 10
    for chosen in prepared()[0].batches(labels, [3] * 30, 9, np.random.default_rng(0)):
        assert [labels[index] for index in chosen] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
