"""Which checkpoints can be resumed; test_loop.py tests that resuming changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
import torch
from full_device import full_device

from robench._base.environment import versions
from robench._base.errors import RobenchError
from robench._base.files import causes, is_disk_full
from robench._base.seals import add_to_zip, seal_file
from robench.training.checkpoint import (
    FILE,
    SOFTWARE,
    EpochWeights,
    TrainingState,
    training_environment,
)

HERE = {"device": "cpu", "torch": "2.9", "numpy": "2.3"}


def seal(path: Path) -> None:
    add_to_zip(path)
    seal_file(path)


def test_a_saved_checkpoint_can_be_loaded(tmp_path: Path) -> None:
    assert TrainingState.load(tmp_path, "k", HERE) is None
    added = [{"id": "t/1+2", "fields": {"text": "a fine film"}, "label": 1}]
    history = [{"epoch": 1, "dev_accuracy": 0.5}]
    TrainingState(
        "k", HERE, epoch=3, model={"w": torch.ones(2)}, history=history, added=added
    ).save(tmp_path)
    found = TrainingState.load(tmp_path, "k", HERE)
    assert found is not None
    assert (found.epoch, found.history, found.made_with) == (3, history, HERE)
    assert torch.equal(found.model["w"], torch.ones(2))
    assert found.added == added


@pytest.mark.parametrize(
    ("here", "sentence"),
    [
        (
            {**HERE, "device": "cuda"},
            "was made with device cpu; here it is device cuda. Resume it where it was made. "
            "Delete it, or use --retrain",
        ),
        (
            {**HERE, "torch": "2.10", "numpy": "2.4"},
            r"was made with numpy 2\.3, torch 2\.9; here it is numpy 2\.4, torch 2\.10\.",
        ),
        (
            {**HERE, "tokenizers": "0.22"},
            r"was made with tokenizers unknown; here it is tokenizers 0\.22\.",
        ),
    ],
)
def test_a_checkpoint_of_another_environment_is_refused(
    tmp_path: Path, here: dict[str, str], sentence: str
) -> None:
    TrainingState("k", HERE).save(tmp_path)
    with pytest.raises(RobenchError, match=sentence):
        TrainingState.load(tmp_path, "k", here)
    assert (tmp_path / FILE).exists()


def test_another_configuration_is_refused_before_another_environment(tmp_path: Path) -> None:
    TrainingState("k", HERE).save(tmp_path)
    with pytest.raises(RobenchError, match="another configuration"):
        TrainingState.load(tmp_path, "other", {"device": "cuda"})


def test_a_checkpoint_of_an_older_robench_is_another_configuration(tmp_path: Path) -> None:
    """Its parts have other names, and its key another code."""
    torch.save({"key": "old", "made_with": HERE, "best_epoch": 3}, tmp_path / FILE)
    with pytest.raises(RobenchError, match=r"it has no seal, .* earlier version .* --retrain"):
        TrainingState.load(tmp_path, "k", HERE)
    seal(tmp_path / FILE)
    with pytest.raises(RobenchError, match=r"resume\.pt' belongs to another configuration"):
        TrainingState.load(tmp_path, "k", HERE)


def test_the_weights_of_an_epoch_come_back_as_they_were_stored(tmp_path: Path) -> None:
    kept = EpochWeights(tmp_path / "v.training")
    for epoch in (1, 2, 11):
        kept.store(epoch, {"w": torch.full((3,), float(epoch))})
    kept.store(2, {"w": torch.full((3,), 2.5)})  # an interrupted run left another
    assert torch.equal(kept.load(2)["w"], torch.full((3,), 2.5))
    kept.keep_only({2, 11})
    assert sorted(path.name for path in (tmp_path / "v.training").iterdir()) == [
        "epoch-11.pt",
        "epoch-2.pt",
    ]
    assert torch.equal(kept.load(11)["w"], torch.full((3,), 11.0))


def test_a_half_written_file_of_a_killed_run_is_removed_and_the_checkpoint_stays(
    tmp_path: Path,
) -> None:
    TrainingState("k", HERE).save(tmp_path)
    (tmp_path / "epoch-3.pt.part").write_bytes(b"half")
    EpochWeights(tmp_path).keep_only(set())
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_lost_weights_of_an_epoch_give_one_sentence(tmp_path: Path, damage: str) -> None:
    kept = EpochWeights(tmp_path)
    kept.store(4, {"w": torch.ones(1000)})
    path = tmp_path / "epoch-4.pt"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RobenchError, match=r"^The weight file '.*epoch-4\.pt' is ") as caught:
        kept.load(4)
    assert f"Delete '{tmp_path}', or use --retrain, to train this victim from the start." in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_an_environment_is_refused(tmp_path: Path) -> None:
    torch.save({"key": "k", "epoch": 1}, tmp_path / FILE)
    seal(tmp_path / FILE)
    with pytest.raises(RobenchError, match="device unknown"):
        TrainingState.load(tmp_path, "k", HERE)


@full_device
@pytest.mark.parametrize("numbers", [2, 100_000], ids=["a little", "much"])
def test_a_full_disk_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    """A small checkpoint fails when the file is closed, a large one while it is written."""
    # The full device stands behind a link, which is removed otherwise.
    monkeypatch.setattr("robench._base.files.remove_link", lambda _path: None)
    part = tmp_path / f"{FILE}.part"
    part.symlink_to("/dev/full")
    with pytest.raises(
        RobenchError,
        match=r"could not be written to '.*' \(No space left on device\)\. Free some space",
    ) as caught:
        TrainingState("k", HERE, model={"w": torch.ones(numbers)}).save(tmp_path)
    assert any(map(is_disk_full, causes(caught.value)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        RobenchError, match=r"could not be written to '.*/file/v' \(Not a directory\)\."
    ):
        TrainingState("k", HERE).save(tmp_path / "file" / "v")


def test_an_error_that_is_not_the_systems_is_not_blamed_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(_state: object, stream: BinaryIO) -> None:
        stream.write(b"half")
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch, "save", out_of_memory)
    with pytest.raises(RuntimeError, match=r"^CUDA error: out of memory$"):
        TrainingState("k", HERE).save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit(143)])
@pytest.mark.parametrize("at", [1, 2, 5, 8])
def test_ctrl_c_in_a_half_written_checkpoint_still_ends_the_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: type[BaseException] | BaseException,
    at: int,
) -> None:
    """torch's writer calls back into Python and turns what is raised there into RuntimeError."""
    real, writes = torch.save, []

    class Interrupted:
        def __init__(self, stream: BinaryIO) -> None:
            self._stream = stream

        def write(self, content: bytes) -> int:
            writes.append(len(content))
            if len(writes) == at:
                raise end
            return self._stream.write(content)

        def flush(self) -> None:
            self._stream.flush()

    monkeypatch.setattr(
        torch, "save", lambda state, stream: real(state, cast(Any, Interrupted(stream)))
    )
    with pytest.raises(KeyboardInterrupt if end is KeyboardInterrupt else SystemExit):
        TrainingState("k", HERE, model={"w": torch.ones(100_000)}).save(tmp_path)
    assert len(writes) >= at
    assert not (tmp_path / FILE).exists()


def test_the_environment_has_the_kind_of_device_and_the_versions() -> None:
    assert training_environment("cuda:1") == training_environment("cuda")
    assert training_environment("cpu") == {
        "device": "cpu",
        **{name: versions()[name] for name in SOFTWARE},
    }
