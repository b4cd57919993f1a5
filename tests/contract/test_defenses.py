"""What every built-in defense keeps to, through the registry: a new file in ``defenses/`` is under it at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from victim_cases import batch, classifier, encoder_folder, planted_splits, request

from robench import DEFENSES, TASKS, Defense, TrainingOptions
from robench.options import build_options
from robench.victims.training import fit
from robench.victims.victim import Victim

BUILT_IN = [entry.name for entry in DEFENSES.entries() if entry.origin == "built-in"]


def prepared(name: str) -> tuple[Defense, torch.nn.Module]:
    torch.manual_seed(0)
    model, defense = classifier(), DEFENSES.get(name)()
    defense.prepare(model)
    return defense, model


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_says_what_it_implements(name: str) -> None:
    cls = DEFENSES.get(name)
    assert cls.paper
    assert cls.__doc__
    assert all(sentence.endswith(".") for sentence in cls.deviations)
    assert issubclass(cls.Options, TrainingOptions)
    for option, field in cls.Options.model_fields.items():
        assert field.description, option


@pytest.mark.parametrize("name", BUILT_IN)
def test_its_settings_are_of_known_tasks_and_its_own_options(name: str) -> None:
    cls = DEFENSES.get(name)
    for task, values in cls.task_defaults.items():
        assert task in TASKS.names()
        build_options(cls.Options, values, name)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_step_lowers_its_loss(name: str, classes: int) -> None:
    torch.manual_seed(0)
    model, defense = classifier(classes=classes), DEFENSES.get(name)()
    defense.prepare(model)
    texts = batch(rows=6, classes=classes)
    parameters = [*model.parameters(), *(found for module in defense.modules() for found in module.parameters())]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    losses = []
    for _ in range(12):
        torch.manual_seed(1)  # the same dropout and the same start of the inner search
        defense.before_loss(model, texts)
        loss = defense.loss(model, texts)
        assert loss.shape == ()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(not value.requires_grad and value.shape == () for value in defense.figures.values())


@pytest.mark.parametrize("name", BUILT_IN)
def test_its_loss_reaches_every_trained_parameter(name: str) -> None:
    defense, model = prepared(name)
    model.train()
    defense.loss(model, batch(rows=6)).backward()  # type: ignore[arg-type]
    assert model.training
    without = [which for which, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_trains_and_is_read_back_the_same(name: str, tmp_path: Path) -> None:
    victim = fit(request(encoder_folder(tmp_path / "small"), name, options={"epochs": 1}), tmp_path / "v")
    texts = [example.fields for example in planted_splits().test]
    assert (victim.probs_of_texts(texts) == Victim.load(tmp_path / "v").probs_of_texts(texts)).all()
    assert victim.name == name
    assert not any(module.training for module in victim.model.modules())
