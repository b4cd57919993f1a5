"""The key of a cell, and the note about its progress."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from robench._base.environment import versions
from robench.evaluation.cell import cell_key, progress_note
from robench.evaluation.request import EvaluationRequest, build_request
from robench.evaluation.resolved import ResolvedAttack
from robench.evaluation.resolved_victims import ResolvedVictim
from robench.search.registry import ATTACKS

MADE_FROM = {"task": "toy", "texts": "0" * 64, "scorer": "none"}


def chosen(**options: Any) -> ResolvedAttack:
    cls = ATTACKS.get("genetic")
    return ResolvedAttack("genetic", "genetic", cls(cls.Options(**options)), True)


@dataclass(frozen=True)
class Fit:
    """The fields of a victim that a key needs."""

    key: str = "f"
    seed: int = 0
    device: str = "cpu"


def key(
    request: EvaluationRequest | None = None,
    *,
    fit: Fit | None = None,
    sha: str = "v",
    attack: ResolvedAttack | None = None,
    calibration: str | None = None,
    **made: Any,
) -> str:
    return cell_key(
        request or build_request(defenses=("x",)),
        cast("ResolvedVictim", fit or Fit()),
        sha,
        attack or chosen(),
        MADE_FROM | made,
        calibration,
    )


def test_values_that_decide_a_trial_change_the_key() -> None:
    keys = [
        key(),
        key(fit=Fit(key="g")),
        key(fit=Fit(seed=1)),
        key(fit=Fit(device="cuda")),
        key(fit=Fit(device="mps")),
        key(sha="w"),
        key(attack=chosen(population=5)),
        key(attack=replace(chosen(), constrained=False)),
        key(attack=replace(chosen(), name="genetic2")),
        key(scorer="masked"),
        key(build_request(defenses=("x",), budget=10)),
        key(build_request(defenses=("x",), unknown="forbidden")),
        key(build_request(defenses=("x",), temperature="dev")),
        key(build_request(defenses=("x",), temperature="dev"), calibration="c"),
        key(build_request(defenses=("x",), search_precision="bf16")),
    ]
    assert len(set(keys)) == len(keys)


def test_values_that_do_not_decide_a_trial_leave_the_key_unchanged() -> None:
    for request in (
        {"limit": 5},
        {"workers": 2},
        {"out": Path("elsewhere")},
        {"seeds": (0, 1)},
        {"tasks": ("a", "b")},
        {"precision": "bf16"},
    ):
        # The precision of training is in the key of the fit.
        assert key(build_request(defenses=("x",), **request)) == key()
    assert key(fit=Fit(device="cuda:1")) == key(fit=Fit(device="cuda"))
    assert key(texts="1" * 64) == key()
    assert key(attack=replace(chosen(), label="genetic(x=1)")) == key()


def test_the_code_of_an_attack_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr("robench.evaluation.resolved.code_sha256", lambda cls: "edited")
    assert key() != before


def test_the_code_of_the_search_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr("robench.evaluation.cell.source_sha256", lambda *modules: "edited")
    assert key() != before


@pytest.mark.parametrize("package", ["torch", "transformers", "tokenizers", "numpy"])
def test_versions_of_packages_that_change_a_trial_are_part_of_the_key(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    before, here = key(), versions()
    monkeypatch.setattr("robench.evaluation.cell.versions", lambda: {**here, package: "0.1"})
    assert key() != before


def test_versions_of_other_packages_are_not_part_of_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, here = key(), versions()
    monkeypatch.setattr(
        "robench.evaluation.cell.versions",
        lambda: {**here, "accelerate": "0.1", "python": "3.99.0"},
    )
    assert key() == before


def test_the_version_of_robench_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr("robench.__version__", "99")
    assert key() != before


def test_the_progress_note_counts_all_examples() -> None:
    assert progress_note(list("WFHP")) == "accuracy under attack 50.0 %"
    assert progress_note(list("EH")) == "accuracy under attack 50.0 %, 1 errors"
