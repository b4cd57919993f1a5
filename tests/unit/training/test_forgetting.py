"""The distance from the pre-trained weights and the information kept about its features."""

from __future__ import annotations

from math import exp, log, sqrt
from pathlib import Path

import pytest
import torch
from victim_cases import classifier, read_json, request

from robench.training.forgetting import PretrainedReference, estimate_information
from robench.training.loop import fit


def test_scaled_weights_are_the_scaled_norm_away() -> None:
    """Every encoder weight times 1.5 moves half the norm. The head does not count."""
    model = classifier()
    pretrained = PretrainedReference(model, torch.zeros(1, 16), torch.zeros(1))
    assert pretrained.distance(model) == 0.0
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(1.5)
        for parameter in model.head.parameters():
            parameter.mul_(100.0)
    assert pretrained.distance(model) == pytest.approx(0.5, rel=1e-6)


def test_one_moved_weight_gives_its_share_of_the_norm() -> None:
    model = classifier()
    norm = sqrt(
        sum(
            float(parameter.detach().square().sum(dtype=torch.float64))
            for parameter in model.encoder.parameters()
        )
    )
    pretrained = PretrainedReference(model, torch.zeros(1, 16), torch.zeros(1))
    with torch.no_grad():
        model.encoder.pooler.dense.bias[0] += 3.0
    assert pretrained.distance(model) == pytest.approx(3.0 / norm, rel=1e-5)


def test_equal_features_give_the_estimate_computed_by_hand() -> None:
    """Two texts in each class, opposite once centred: ln 2 - ln(1 + e^(-2 / 0.2)).

    The cosine is 1 with the own teacher and -1 with the other.
    """
    students = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0], [0.0, 9.0]])
    assert estimate_information(students, students, torch.tensor([0, 0, 1, 1])) == pytest.approx(
        log(2) - log(1 + exp(-10)), abs=1e-5
    )


def test_swapped_students_give_the_estimate_computed_by_hand() -> None:
    """In class 0 the students are swapped. Classes weigh by their number of texts."""
    students = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.0, 5.0], [0.0, 9.0], [0.0, 7.0]])
    teachers = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0], [0.0, 9.0], [0.0, 7.0]])
    wrong = log(2) - log(1 + exp(10))
    # Class 1, centred: -1, 1 and 0 (a vector without direction: cosine 0 with all).
    side = log(3) - log(1 + exp(-5) + exp(-10))
    right = (2 * side + log(3) - log(3)) / 3
    assert estimate_information(students, teachers, torch.tensor([0, 0, 1, 1, 1])) == pytest.approx(
        (2 * wrong + 3 * right) / 5, abs=1e-4
    )


def test_features_that_only_tell_classes_apart_have_no_information() -> None:
    """The estimate is of I(S; T | Y), not of I(S; T)."""
    labels = torch.arange(40) % 2
    features = torch.nn.functional.one_hot(labels, 8).float() * 10
    assert estimate_information(features, features, labels) == pytest.approx(0.0, abs=1e-5)


def test_the_estimate_falls_as_noise_grows() -> None:
    torch.manual_seed(0)
    teachers, labels = torch.randn(60, 16), torch.arange(60) % 2
    values = [
        estimate_information(teachers + noise * torch.randn(60, 16), teachers, labels)
        for noise in (0.0, 0.5, 2.0, 50.0)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] <= log(30)
    assert values[0] > 1.5
    assert abs(values[3]) < 0.6


def test_scale_and_shift_of_the_features_do_not_matter() -> None:
    torch.manual_seed(0)
    students, teachers, labels = torch.randn(20, 8), torch.randn(20, 8), torch.arange(20) % 2
    assert estimate_information(3 * students + 100, teachers - 7, labels) == pytest.approx(
        estimate_information(students, teachers, labels), abs=1e-3
    )


def test_a_higher_learning_rate_moves_farther_in_the_training_log(
    encoder: Path, tmp_path: Path
) -> None:
    logs = []
    for rate in (1e-4, 1e-2):
        out = tmp_path / str(rate)
        fit(request(encoder, options={"learning_rate": rate, "epochs": 2}), out)
        logs.append(read_json(out / "training.json")["epochs"])
    near, far = logs
    assert all(
        0 < first["distance"] < second["distance"] for first, second in zip(near, far, strict=True)
    )
    assert near[0]["distance"] < near[1]["distance"]
    # There are 16 dev examples, 8 in each class.
    for epochs in logs:
        assert all(epoch["dev_information"] <= log(8) for epoch in epochs)
    assert near[0]["dev_information"] > far[0]["dev_information"]


def test_mixouts_swapped_layers_do_not_disturb_the_distance(encoder: Path, tmp_path: Path) -> None:
    fit(request(encoder, "mixout", options={"epochs": 1}), tmp_path / "v")
    assert 0 < read_json(tmp_path / "v" / "training.json")["epochs"][0]["distance"] < 10
