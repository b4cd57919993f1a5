"""What every built-in defense keeps to, through the registry: a new file in ``defenses/`` is under it at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from victim_cases import batch, classifier, encoder_folder, planted_splits, request

from robench import DEFENSES, TASKS, Defense, TrainingOptions
from robench.options import build_options
from robench.victims.encoders import find_encoder, load_encoder
from robench.victims.training import Progress, fit
from robench.victims.victim import Victim

BUILT_IN = [entry.name for entry in DEFENSES.entries() if entry.origin == "built-in"]
JOINT = ["ascc+mixout", "ascc+weight-decay", "augmentation+mixout", "mixout+rift+rose-ensemble"]
EVERY = [*BUILT_IN, *JOINT]
OPTIONS: dict[str, dict[str, object]] = {
    "rift": {"memory": 6},  # off by default, and to be resumed as well
    "augmentation": {"share": 1.0},
    "augmentation+mixout": {"augmentation.share": 1.0},
    "mixada": {"share": 1.0},
}


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


@pytest.mark.parametrize("task", TASKS.names())
@pytest.mark.parametrize("name", BUILT_IN)
def test_it_is_trained_with_the_batches_and_epochs_of_the_task(name: str, task: str) -> None:
    """Rows of one table differ by the defense alone, unless its own paper says otherwise."""
    usual, own = TASKS.get(task).training, DEFENSES.get(name).task_defaults.get(task, {})
    assert usual.keys() <= TrainingOptions.model_fields.keys()
    assert not usual.keys() & own.keys()


@pytest.mark.parametrize("name", EVERY)
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
        penalty = defense.penalty(model, texts)
        assert loss.shape == ()
        if penalty is not None:
            assert penalty.shape == ()
            loss = loss + penalty
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


@pytest.mark.parametrize("name", EVERY)
def test_a_step_in_reduced_precision(name: str) -> None:
    """Autocast remembers bf16 copies of parameters: what one pass made must not spoil the gradients of the next."""
    defense, model = prepared(name)
    with torch.autocast("cpu", torch.bfloat16):
        texts = batch(rows=6)
        defense.before_loss(model, texts)  # type: ignore[arg-type]
        loss, penalty = defense.loss(model, texts), defense.penalty(model, texts)  # type: ignore[arg-type]
    assert loss.dtype == torch.float32
    (loss if penalty is None else loss + penalty).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder_folder(tmp_path_factory.mktemp("encoder") / "small")


class Killed(BaseException):
    """Stands for ``kill -9``: no handler sees it."""


@pytest.mark.parametrize("name", EVERY)
def test_it_trains_survives_a_kill_and_leaves_a_plain_encoder(name: str, encoder: Path, tmp_path: Path) -> None:
    splits = planted_splits(48, 8)
    asked = request(encoder, name, splits, options={"epochs": 2, "dev_examples": 4, **OPTIONS.get(name, {})})
    whole = fit(asked, tmp_path / "whole")

    def kill(progress: Progress) -> None:
        if (progress.epoch, progress.step) == (2, 2):
            raise Killed

    with pytest.raises(Killed):
        fit(asked, tmp_path / "broken", kill)
    resumed = fit(asked, tmp_path / "broken")
    assert resumed.sha256 == whole.sha256

    texts = [example.fields for example in splits.test]
    assert (whole.probs_of_texts(texts) == Victim.load(tmp_path / "whole").probs_of_texts(texts)).all()
    assert whole.name == name
    assert not any(module.training for module in whole.model.modules())
    plain = load_encoder(find_encoder(str(encoder)))
    assert [type(module) for module in whole.model.encoder.modules()] == [type(module) for module in plain.modules()]
    assert sorted(whole.model.encoder.state_dict()) == sorted(plain.state_dict())
