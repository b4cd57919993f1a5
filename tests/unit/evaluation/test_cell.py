"""The key of a cell, and the note about its progress."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from evaluation_cases import Listening

from robench._base.environment import versions
from robench._base.reporting import Silent
from robench.evaluation.cell import Cell, cell_key
from robench.evaluation.cell_trials import complete_trials, progress_note
from robench.evaluation.request import EvaluationRequest, build_request
from robench.evaluation.resolved import ResolvedAttack
from robench.evaluation.resolved_victims import ResolvedVictim
from robench.records.run_folder import RunFolder
from robench.search.attack import Trial, Verdict
from robench.search.registry import ATTACKS
from robench.search.trials import TrialFile
from robench.tasks.example import Example

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


def test_the_progress_note_has_no_number_while_an_example_has_an_error() -> None:
    assert progress_note(list("EH")) == "accuracy under attack: error (1 of 2 examples)"


# Trials of an earlier run

EXAMPLES = [Example(f"toy/{number}", {"text": "a b"}, 0) for number in range(3)]


def cell_in(out: Path, judged: list[Example]) -> Cell:
    """Return what ``complete_trials`` reads of a cell."""
    victim = SimpleNamespace(labels=("n", "p"), attackable="text")
    cell = SimpleNamespace(
        request=SimpleNamespace(
            out=out, own_folder=RunFolder(out), patience=lambda report: None, budget=None
        ),
        examples=judged,
        name="toy.cell",
        key="k" * 64,
        test=SimpleNamespace(examples=judged, whole=EXAMPLES),
        victim=SimpleNamespace(victim=victim),
        attack=SimpleNamespace(attack=SimpleNamespace(outside=False)),
    )
    return cast(Cell, cell)


def held(example: Example) -> Trial:
    return Trial(id=example.id, verdict=Verdict.HELD, label=0, prediction=0, asked=2, forwarded=2)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of trials that were read in full."""
    found: list[Path] = []
    read = TrialFile.read

    def noted(self: TrialFile) -> list[Trial]:
        found.append(self.path)
        return read(self)

    monkeypatch.setattr(TrialFile, "read", noted)
    return found


def test_a_complete_cell_reads_its_trials_once(tmp_path: Path, reads: list[Path]) -> None:
    judged = [EXAMPLES[2], EXAMPLES[0]]
    cell, path = cell_in(tmp_path, judged), RunFolder(tmp_path).trials_file("toy.cell")
    with TrialFile(path, cell=cell.key) as file:
        for example in EXAMPLES:
            file.append(held(example))
    before = path.read_bytes()
    assert complete_trials(cell, Silent()) == ([held(example) for example in judged], False)
    assert reads == [path]
    assert path.read_bytes() == before


def test_an_impossible_trial_is_revoked_and_the_new_one_returned(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, path = cell_in(tmp_path, EXAMPLES), RunFolder(tmp_path).trials_file("toy.cell")
    with TrialFile(path, cell=cell.key) as file:
        for example in EXAMPLES:
            file.append(held(example).model_copy(update={"label": int(example == EXAMPLES[1])}))

    def attack(cell: Cell, file: TrialFile, todo: list[Example], *rest: object) -> None:
        assert todo == [EXAMPLES[1]]
        file.append(held(EXAMPLES[1]))

    monkeypatch.setattr("robench.evaluation.cell_trials._attack_unchanged", attack)
    report = Listening()
    assert complete_trials(cell, report) == ([held(example) for example in EXAMPLES], True)
    assert len(reads) == 2
    assert [text for text in report.messages if "cannot be true" in text]
