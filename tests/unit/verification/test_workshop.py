"""What a workshop finds of the texts and data of a record."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_runs import TEST_SET, write_run

from robench._base.reporting import Silent
from robench.records.run_folder import RunFolder
from robench.verification.settings import VerificationSettings
from robench.verification.victims import NotThere
from robench.verification.workshop import Workshop


def workshop(*folders: Path) -> Workshop:
    runs = [RunFolder(folder) for folder in folders]
    return Workshop(runs, VerificationSettings(), "cpu", folders[0] / "scratch", Silent())


def test_the_texts_of_any_of_the_runs_are_found(tmp_path: Path) -> None:
    record = write_run(tmp_path / "run")
    assert workshop(tmp_path / "elsewhere", tmp_path / "run").texts(record.task) == TEST_SET
    with pytest.raises(NotThere, match="the texts of the examples are not there"):
        workshop(tmp_path / "elsewhere").texts(record.task)


def test_the_data_of_a_registered_task_are_read(tmp_path: Path) -> None:
    task = write_run(tmp_path / "run").task.model_copy(
        update={"name": "mini-reviews", "train_pool": ""}
    )
    found = workshop(tmp_path).data.splits(task)
    assert found is not None
    assert found.test
    unknown = task.model_copy(update={"name": "unknown"})
    assert workshop(tmp_path).data.splits(unknown) is None
