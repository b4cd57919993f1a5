"""A step of a built-in defense never waits for the device.

The steps here run on torch's device ``meta``, whose tensors have no values. Whatever would make a
GPU wait raises an error there: reading a number, a boolean index, a copy to main memory. A copy
from main memory that waits is found by its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import BertConfig, BertModel

from robench import DEFENSES, Batch, Defense
from robench.models import frozen_encoder
from robench.models.classifier import TextClassifier
from robench.models.mixtures import harden, pack_substitutes
from robench.testing.defense_subject import DefenseSubject
from robench.testing.random_models import VOCABULARY
from robench.training.setup import StepLoss

BUILT_IN = {entry.name for entry in DEFENSES.entries() if entry.origin == "built-in"}
READS_SALIENCIES = {"rose-ensemble", "rose-first", "rose-second"}
"""They choose tensors by numbers of the step, which they read once or twice."""


class Copies(TorchDispatchMode):
    """Collects copies from main memory to the device ``meta``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None
    ) -> Any:
        wanted = (kwargs or {}).get("device")
        if func.overloadpacket.__name__ == "_to_copy" and str(wanted) == "meta":
            self.found += [str(args[0].shape)] if args[0].device.type == "cpu" else []
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def copies_that_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``on_device`` pass, as its copies do not wait on a GPU."""

    def moved(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
        return torch.empty_like(tensor, device=device)

    for module in (
        "robench.models.moving",
        "robench.models.row_attention",
        "robench.models.smoothed",
        "robench.methods.information",
    ):
        monkeypatch.setattr(f"{module}.on_device", moved)
    monkeypatch.setattr("robench.methods.on_device", moved, raising=False)
    # It knows no such device; the steps are in fp32 anyway.
    monkeypatch.setattr(torch, "autocast", lambda *args, **named: nullcontext())
    for name in ("mixada", "dne"):
        monkeypatch.setattr(f"robench.defenses.{name}.on_device", moved)


def meta_model() -> TextClassifier:
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        # transformers' fused attention reads whether there is padding.
        attn_implementation="eager",
    )
    return TextClassifier(BertModel(config), 2).to("meta")


def on_meta(subject: DefenseSubject) -> Batch:
    """Return a batch as the training loop makes it."""
    batch = subject.random_batch(rows=6)
    if subject.cls.substitutes:
        batch = batch.with_packed(pack_substitutes(batch))
    return batch.to("meta")


def step(name: str) -> tuple[Defense, Batch, TextClassifier]:
    subject, model = DefenseSubject.of(name), meta_model()
    defense = subject.make_or_refuse(model)
    loss, batch = StepLoss(model, defense).to("meta"), on_meta(subject)
    with Copies() as copies:
        loss(batch).backward()
    assert copies.found == []
    return defense, batch, model


@pytest.mark.parametrize("name", sorted(BUILT_IN - READS_SALIENCIES))
def test_a_step_does_not_wait_for_the_device(name: str) -> None:
    defense, _, model = step(name)
    assert all(parameter.grad is not None for parameter in model.encoder.pooler.parameters())
    assert all(value.device.type == "meta" for value in defense.figures.values())


@pytest.mark.parametrize("name", sorted(READS_SALIENCIES - {"rose-second"}))
def test_the_exceptions_do_read_something(name: str) -> None:
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        step(name)


@pytest.mark.parametrize("name", ["ascc", "rift"])
def test_the_passes_through_the_lean_copy_do_not_wait_either(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def wanted(device: object) -> bool:
        asked.append(device)
        return True

    monkeypatch.setattr(frozen_encoder, "_wanted", wanted)
    monkeypatch.setattr(frozen_encoder, "_agrees", lambda model: True)
    step(name)
    assert asked


def test_a_value_that_is_read_is_noticed() -> None:
    batch = DefenseSubject.of("standard").random_batch().to("meta")
    with pytest.raises(RuntimeError, match="meta"):
        batch.input_ids.sum().item()
    with pytest.raises(NotImplementedError):
        batch.input_ids[batch.attention_mask > 0]
    with pytest.raises(NotImplementedError):
        batch.input_ids.cpu()
    with Copies() as copies:
        torch.as_tensor([1, 2], device="cpu").to("meta")
        torch.tensor([1.0, 2.0], device="meta")
    assert copies.found


def test_what_the_loop_knows_of_a_batch_is_not_asked_for_again() -> None:
    batch = on_meta(DefenseSubject.of("rift"))
    assert batch.lengths.sum() > 0
    assert set(batch.on_host("labels").tolist()) == {0, 1}
    assert batch.substitute_mask is not None
    changed = harden(batch, torch.zeros_like(batch.substitute_mask, dtype=torch.float))
    with pytest.raises((NotImplementedError, RuntimeError)):
        changed.on_host("input_ids")
