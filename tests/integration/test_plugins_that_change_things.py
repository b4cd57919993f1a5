"""Attacks and defenses that change the process or the victim: nothing else is harmed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from evaluation_cases import Listening, trials_of

from robench import ATTACKS, Attack
from robench._base.errors import Incomplete
from robench.evaluation.run import build_request, evaluate
from robench.models.victim import Victim
from robench.records.record import Record

VICTIMS: list[Victim] = []
"""The victims whose weights or other numbers ``Meddling`` changes."""


def negated(module: Any, given: Any, answer: Any) -> Any:
    return -answer if isinstance(answer, torch.Tensor) and answer.shape[-1] == 2 else answer


def ones(module: Any, name: str, weight: Any) -> Any:
    return torch.nn.Parameter(torch.ones_like(weight))


@ATTACKS.register("test-meddling")
class Meddling(Attack):
    """Changes something, and finds nothing."""

    in_all = False
    what: ClassVar[str] = ""

    def search(self, space: Any, oracle: Any, label: int, rng: Any) -> None:
        if self.what == "dtype":
            torch.set_default_dtype(torch.float64)
        if self.what == "hook":
            torch.nn.modules.module.register_module_parameter_registration_hook(ones)
            torch.nn.modules.module.register_module_forward_hook(negated)
        for each in VICTIMS:
            if self.what == "eps":
                for module in each.model.modules():
                    vars(module).update({"eps": 9.0} if hasattr(module, "eps") else {})
                continue
            with torch.no_grad():
                for weight in each.model.parameters():
                    weight.zero_()


@pytest.fixture
def meddling(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Meddling]]:
    monkeypatch.setattr(Meddling, "what", "")
    yield Meddling
    VICTIMS.clear()
    torch.set_default_dtype(torch.float32)


def run(toy: dict[str, Any], out: Path, *attacks: str) -> tuple[list[Record], list[str]]:
    report = Listening()
    options = {name: each for name, each in toy["options"].items() if "attack" not in name}
    request = build_request(
        defenses=("standard",), attacks=attacks, out=out, **toy | {"options": options}
    )
    return evaluate(request, report), report.messages


def test_a_changed_setting_is_set_back_before_the_next_cell(
    toy: dict[str, Any], tmp_path: Path, meddling: Any
) -> None:
    meddling.what = "dtype"
    alone, _ = run(toy, tmp_path / "alone", "pwws")
    records, messages = run(toy, tmp_path / "both", "test-meddling", "pwws")
    found = {record.attack.name: record.outcomes for record in records}
    assert found["pwws"] == alone[0].outcomes
    assert torch.get_default_dtype() == torch.float32
    (said,) = [each for each in messages if "torch's default dtype" in each]
    assert "under test-meddling, torch's default dtype had changed." in said


def test_a_hook_for_all_modules_costs_its_own_cell_only(
    toy: dict[str, Any], tmp_path: Path, meddling: Any
) -> None:
    alone, _ = run(toy, tmp_path / "alone", "pwws")
    meddling.what = "hook"
    with pytest.raises(Incomplete) as caught:
        run(toy, tmp_path / "both", "test-meddling", "pwws")
    (reason,) = caught.value.failed
    assert "left torch's hooks for all modules behind" in reason
    (record,) = caught.value.done
    assert record.outcomes == alone[0].outcomes


@pytest.mark.parametrize("what", ["", "eps"])
def test_a_changed_victim_is_found_and_loaded_again(
    toy: dict[str, Any], tmp_path: Path, meddling: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    meddling.what = what
    alone, _ = run(toy, tmp_path / "alone", "pwws")
    load = Victim.load.__func__  # type: ignore[attr-defined]

    def loaded(cls: Any, *arguments: Any, **named: Any) -> Victim:
        VICTIMS.append(load(cls, *arguments, **named))
        return VICTIMS[-1]

    monkeypatch.setattr(Victim, "load", classmethod(loaded))
    with pytest.raises(Incomplete) as caught:
        run(toy, tmp_path / "both", "test-meddling", "pwws")
    (reason,) = caught.value.failed
    assert "Attack 'test-meddling' changed" in reason
    assert "put aside in" in reason
    (record,) = caught.value.done
    assert record.outcomes == alone[0].outcomes
    names = {path.suffix for path in (tmp_path / "both" / "trials").iterdir()}
    assert names == {".aside", ".jsonl"}
    kept = trials_of(tmp_path / "both")
    assert list(kept.values()) == list(trials_of(tmp_path / "alone").values())


@ATTACKS.register("test-remembering")
class Remembering(Attack):
    """Asks less of each further example."""

    in_all = False
    seen: ClassVar[list[str]] = []

    def search(self, space: Any, oracle: Any, label: int, rng: Any) -> None:
        self.seen.append("one more")
        for _ in range(max(1, 50 - len(self.seen))):
            oracle.logits(space.original()[None])


def test_an_attack_that_keeps_state_is_found(toy: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Incomplete) as caught:
        run(toy, tmp_path, "test-remembering", "pwws")
    (reason,) = caught.value.failed
    assert "Attack 'test-remembering' gave another trial for" in reason
    assert "It keeps state between examples" in reason
    assert "put aside in" in reason
    assert [record.attack.name for record in caught.value.done] == ["pwws"]
