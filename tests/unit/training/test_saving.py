"""One run at a time trains a victim, and its checkpoint goes only after the victim is saved."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from victim_cases import request

from robench._base.errors import RobenchError
from robench._base.files import causes, is_disk_full
from robench._base.waiting import alone
from robench.training import loop as training
from robench.training.loop import TrainingProgress, fit, train_or_load
from robench.training.saving import curves_folder, remove_victim, training_lock, work_folder


def test_a_second_run_of_the_same_victim_is_refused(encoder: Path, tmp_path: Path) -> None:
    """It changes nothing, not even with --retrain, and the first run ends undisturbed."""
    asked = request(encoder, options={"epochs": 2})
    refusals: list[str] = []

    def another(progress: TrainingProgress) -> None:
        if progress.epoch == 2 and progress.step == 1:
            for retrain in (False, True):
                with pytest.raises(RobenchError) as caught:
                    train_or_load(asked, tmp_path, retrain=retrain)
                refusals.append(str(caught.value))

    victim, trained = train_or_load(asked, tmp_path, another)
    assert trained
    out = tmp_path / asked.folder_name
    sentence = (
        f"Another run is training the victim '{out}'. "
        "Wait until it has ended, or choose another --out."
    )
    assert refusals == [sentence] * 2
    assert victim.sha256 == fit(asked, tmp_path / "undisturbed").sha256
    assert {path.name for path in tmp_path.iterdir()} == {out.name, "undisturbed"}


def test_an_existing_victim_is_loaded_even_while_another_run_has_the_lock(
    encoder: Path, tmp_path: Path
) -> None:
    asked = request(encoder, options={"epochs": 1})
    first, _ = train_or_load(asked, tmp_path)
    with training_lock(tmp_path / asked.folder_name):
        assert train_or_load(asked, tmp_path)[0].sha256 == first.sha256


def test_a_victim_that_another_run_has_just_finished_is_not_trained_again(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(encoder, options={"epochs": 1})
    fit(asked, tmp_path / "elsewhere")

    def finished_meanwhile(out: Path, patience: Any) -> Any:
        shutil.copytree(tmp_path / "elsewhere", out)
        return training_lock(out, patience)

    monkeypatch.setattr(training, "training_lock", finished_meanwhile)
    assert not train_or_load(asked, tmp_path / "victims")[1]


def test_processes_of_one_run_do_not_lock_each_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "v"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with training_lock(out):
        monkeypatch.setenv("RANK", "1")
        with training_lock(out):
            pass
        monkeypatch.setenv("RANK", "0")
        with pytest.raises(RobenchError, match="Another run"), training_lock(out):
            pytest.fail("two runs have the lock")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "1")  # left over from a launcher
    with (
        alone(tmp_path / "v.lock", "held"),
        pytest.raises(RobenchError, match="Another run"),
        training_lock(out),
    ):
        pytest.fail("a single process took no lock")


def test_the_checkpoint_is_removed_after_the_victim_is_on_the_disk(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut at any moment leaves one or the other.

    Files, folders and the renaming are forced to the disk before the checkpoint is removed.
    """
    events: list[tuple[str, int | str]] = []
    sync, replace, remove = os.fsync, Path.replace, shutil.rmtree
    out = tmp_path / "v"

    def synced(descriptor: int) -> None:
        events.append(("sync", os.fstat(descriptor).st_ino))
        sync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        events.append(("replace", str(target)))
        return replace(self, target)

    def removed(path: Path, **options: Any) -> None:
        events.append(("remove", str(path)))
        remove(path, **options)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    monkeypatch.setattr(shutil, "rmtree", removed)
    fit(request(encoder, options={"epochs": 1}), out)
    renamed, cleared = (
        events.index(("replace", str(out))),
        events.index(("remove", str(work_folder(out)))),
    )
    inodes = {path.stat().st_ino for path in (out, *out.rglob("*"))}
    assert len(inodes) > 5
    assert inodes <= {what for _, what in events[:renamed]}
    assert ("sync", tmp_path.stat().st_ino) in events[renamed:cleared]


def test_a_disk_error_while_saving_keeps_the_checkpoint(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(encoder, options={"epochs": 1})

    def fail(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("robench.training.saving.sync_tree", fail)
        with pytest.raises(
            RobenchError, match=r"could not be written to '.*v' .*Input/output error"
        ):
            fit(asked, tmp_path / "v")
    assert not (tmp_path / "v").exists()
    messages: list[str] = []
    fit(asked, tmp_path / "v", lambda progress: messages.append(progress.message))
    assert "resuming after epoch 1" in messages


def test_a_kill_before_the_victim_is_complete_keeps_the_curves(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, out, replace = request(encoder, options={"epochs": 1}), tmp_path / "v", Path.replace
    curves_folder(out).mkdir()
    (curves_folder(out) / "events").write_text("loss")

    def killed(self: Path, target: Path) -> Path:
        if target == out:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(asked, out)
    shutil.rmtree(work_folder(out) / "victim")
    fit(asked, out)
    assert (out / "curves" / "events").read_text() == "loss"
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_a_draft_that_is_a_link_is_not_written_through(encoder: Path, tmp_path: Path) -> None:
    out, precious = tmp_path / "v", tmp_path / "of the user"
    precious.mkdir()
    (precious / "config.json").write_text("precious")
    work_folder(out).mkdir()
    (work_folder(out) / "victim").symlink_to(precious)
    fit(request(encoder, options={"epochs": 1}), out)
    assert not out.is_symlink()
    assert [path.name for path in precious.iterdir()] == ["config.json"]
    assert (precious / "config.json").read_text() == "precious"


def test_removing_a_victim_removes_all_its_folders(tmp_path: Path) -> None:
    out = tmp_path / "v"
    for folder in (out, work_folder(out), curves_folder(out), tmp_path / "v2"):
        folder.mkdir()
    remove_victim(out)
    assert [path.name for path in tmp_path.iterdir()] == ["v2"]


@pytest.mark.parametrize("full", [True, False])
def test_only_a_full_disk_while_saving_gives_the_sentence_on_free_space(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """safetensors raises an error of its own, in its own words."""
    from safetensors import SafetensorError

    words = (
        "Error while serializing: I/O error: No space left on device (os error 28)"
        if full
        else "Error while serializing: InvalidHeader"
    )

    def fail(*_: object, **__: object) -> None:
        raise SafetensorError(words)

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(RobenchError if full else SafetensorError) as caught:
        fit(request(encoder, options={"epochs": 1}), tmp_path / "v")
    sentence = (
        f"The victim could not be written to '{tmp_path / 'v'}' (No space left on device). "
        "Free some space or choose another --out."
    )
    assert str(caught.value) == (sentence if full else words)
    assert any(map(is_disk_full, causes(caught.value))) == full
    assert not (tmp_path / "v").exists()
