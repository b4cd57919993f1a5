"""``robench doctor`` checks everything that a run needs and fetches nothing.

One broken part does not hide the others.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from robench._base import arithmetic
from robench._base.errors import RobenchError, UsageError
from robench.cli import main
from robench.inspection import doctor
from robench.inspection.doctor import Diagnosis
from robench.plugins.registry import Entry
from robench.tasks.base import DataSource, Splits
from robench.tasks.registry import TASKS


class FakeTask:
    """A task whose data exist, or fail to load in a chosen way."""

    train_pools: ClassVar[tuple[str, ...]] = ("train", "small")
    failures: ClassVar[dict[str, BaseException]] = {}

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        assert not source.hub
        if train_pool in self.failures:
            raise self.failures[train_pool]
        return Splits(
            train=[],
            dev=[],
            test=[],
            train_pool=str(train_pool),
            test_name="x",
            digest="",
            origin="archive a.zip",
        )


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> type[FakeTask]:
    monkeypatch.setattr(FakeTask, "failures", {})
    monkeypatch.setattr(TASKS, "entries", lambda: [Entry("fake", "fakes.fake", "package 'fakes'")])
    monkeypatch.setattr(TASKS, "get", lambda name: FakeTask)
    return FakeTask


def data_diagnoses(folder: Path | None) -> dict[str, Diagnosis]:
    return {diagnosis.what: diagnosis for diagnosis in doctor._tasks(folder)}


def test_a_task_with_data_is_ok(task: type[FakeTask], tmp_path: Path) -> None:
    found = data_diagnoses(tmp_path)
    assert found["fake"] == Diagnosis(
        "data", "fake", "ok", "0 train, 0 dev, 0 test (archive a.zip)"
    )
    assert (found["folder"].state, found["folder"].detail) == ("ok", str(tmp_path))


def test_a_task_with_only_a_smaller_pool_says_so(task: type[FakeTask]) -> None:
    task.failures["train"] = UsageError("There is no train file.")
    assert data_diagnoses(None)["fake"] == Diagnosis(
        "data", "fake", "ok", "0 train, 0 dev, 0 test, only with --train-pool small (archive a.zip)"
    )


@pytest.mark.parametrize(
    ("error", "state", "detail"),
    [
        (UsageError("There is\nno file."), "missing", "There is no file. (The hub was not asked.)"),
        (
            RobenchError("robench's own file is damaged."),
            "problem",
            "robench's own file is damaged.",
        ),
        (ValueError("a guest's bug"), "problem", "ValueError: a guest's bug"),
    ],
)
def test_a_task_that_does_not_load_says_why(
    task: type[FakeTask], error: Exception, state: str, detail: str
) -> None:
    task.failures.update(train=error, small=error)
    found = data_diagnoses(None)
    assert (found["fake"].state, found["fake"].detail) == (state, detail)
    assert found["folder"] == Diagnosis(
        "data", "folder", "missing", "no folder was named with --data or ROBENCH_DATA"
    )


def test_every_required_package_is_listed_with_its_version() -> None:
    import click
    import torch

    found = {diagnosis.what: diagnosis for diagnosis in doctor._software()}
    assert found["torch"].detail == torch.__version__
    assert found["robench"].state == "ok"
    assert {
        "transformers",
        "datasets",
        "scipy",
        "click",
        "greenlet",
        "textattack",
        "tensorboard",
        "matplotlib",
    } <= found.keys()
    assert "pytest" not in found
    assert click.__name__ in found


def test_a_package_that_is_not_installed_is_a_problem_unless_optional(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = version

    def lacking(name: str) -> str:
        if name in {"pooch", "textattack", "scikit-learn"}:
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", lacking)
    found = {diagnosis.what: diagnosis for diagnosis in doctor._software()}
    assert found["pooch"] == Diagnosis(
        "software", "pooch", "problem", "not installed: run 'pip install robench' again"
    )
    assert found["textattack"] == Diagnosis(
        "software", "textattack", "missing", "optional: pip install 'robench[textattack]'"
    )
    assert found["scikit-learn"] == Diagnosis(
        "software", "scikit-learn", "missing", "optional: pip install 'robench[plots]'"
    )


def test_a_nearly_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2**30))
    runs = next(
        diagnosis
        for diagnosis in doctor._disk(tmp_path / "not" / "yet" / "there")
        if diagnosis.what == "runs"
    )
    assert (runs.state, runs.detail) == ("problem", f"{tmp_path}/not/yet/there: 1.0 GiB free")
    assert not (tmp_path / "not").exists()


def test_assets_are_searched_for_and_not_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import robench.tasks.assets

    def fetch(*arguments: Any) -> Path:
        raise AssertionError("fetched")

    monkeypatch.setattr(robench.tasks.assets, "_fetched", fetch)
    monkeypatch.setattr(robench.tasks.assets, "cache_folder", lambda: tmp_path / "cache")
    (found,) = doctor._assets(tmp_path)
    assert (found.what, found.state) == ("counterfitted_neighbors.json", "missing")
    assert found.detail.startswith(
        "neither in the data folder nor in the cache; a run would fetch https://"
    )
    (tmp_path / "counterfitted_neighbors.json").write_text("{}")
    (wrong,) = doctor._assets(tmp_path)
    assert wrong.state == "problem"
    assert "is not the published counterfitted_neighbors.json" in wrong.detail


def test_the_hub_is_asked_only_where_online_is_set(
    monkeypatch: pytest.MonkeyPatch, task: type[FakeTask]
) -> None:
    import huggingface_hub

    asked = []

    def model_info(self: object, name: str, timeout: float) -> None:
        asked.append(name)
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    assert "hub" not in {diagnosis.section for diagnosis in doctor.examine()}
    assert asked == []
    last = doctor.examine(online=True)[-1]
    assert (last.section, last.state) == ("hub", "missing")
    assert last.detail == "not reached (ConnectionError): only local data and encoders can be used"


def test_the_command_prints_every_section_as_text_and_as_json(
    task: type[FakeTask], tmp_path: Path
) -> None:
    shown = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    for heading in ("software", "device", "data", "encoders", "disk", "plugins"):
        assert f"{heading}\n" in shown.stdout
    rows = json.loads(
        CliRunner().invoke(main, ["doctor", "--json", "--data", str(tmp_path)]).stdout
    )
    assert {row["state"] for row in rows} <= {"ok", "missing", "problem"}
    assert ("plugins", "defenses", "ok") in {
        (row["section"], row["what"], row["state"]) for row in rows
    }
    assert all(row["detail"] for row in rows)


@pytest.mark.parametrize(
    ("value", "independent", "state", "sentence"),
    [
        ("AUTO,STRICT", True, "ok", "MKL_CBWR is AUTO,STRICT"),
        (None, True, "ok", "MKL_CBWR is default"),
        (None, False, "ok", "slower, fixed batches"),
        ("AUTO,STRICT", False, "problem", "import robench first"),
    ],
)
def test_the_doctor_says_how_fp32_products_are_made_independent(
    monkeypatch: pytest.MonkeyPatch, value: str | None, independent: bool, state: str, sentence: str
) -> None:
    monkeypatch.delenv(arithmetic.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(arithmetic.VARIABLE, value)
    monkeypatch.setattr(arithmetic, "independent_rows", lambda: independent)
    monkeypatch.setattr(arithmetic, "_too_late", lambda: state == "problem")
    (found,) = (diagnosis for diagnosis in doctor._device() if diagnosis.what == "arithmetic")
    assert found.state == state
    assert sentence in found.detail
