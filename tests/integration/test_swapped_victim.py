"""A run whose victims are exchanged or damaged between two calls of the same command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from evaluation_cases import FinishedRun, Listening
from safetensors.torch import load_file, save_file
from saved_victims import trust_weights

from robench._base.errors import RobenchError
from robench.cli import main
from robench.evaluation.run import EvaluationRequest, evaluate, plan
from robench.models.saved_folder import SavedFolder, load_unchanged
from robench.models.victim import Victim
from robench.models.victim_folder import identity, read_card


@pytest.fixture
def copied(finished: FinishedRun, tmp_path: Path) -> EvaluationRequest:
    """The request of a run that is finished, on a copy of its folder."""
    shutil.copytree(finished[0].out, tmp_path / "run")
    return finished[0].model_copy(update={"out": tmp_path / "run"})


def folder_of(request: EvaluationRequest) -> Path:
    (folder,) = (request.out / "victims").glob("rift-*[0-9a-f]")
    return folder


def swap(folder: Path) -> None:
    """Put other weights into a victim's folder and correct its card with care."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    last = [name for name in weights if ".head." in name][-2:]
    for name in last:
        weights[name] = torch.flip(weights[name], [0]).contiguous()
    save_file(weights, path, metadata={"format": "pt"})

    trust_weights(folder)


def robench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_swapped_weights_are_refused_wherever_the_victim_is_used(
    copied: EvaluationRequest, tmp_path: Path
) -> None:
    folder = folder_of(copied)
    swap(folder)
    with pytest.raises(RobenchError, match="is not the one that its training made"):
        evaluate(copied, Listening())
    with pytest.raises(RobenchError, match="is not the one that its training made"):
        plan(copied)
    text = tmp_path / "text.txt"
    text.write_text("a good film\n")
    for arguments in (
        ("card", folder),
        ("push", folder, "me/mine", "--dry-run"),
        ("attack", "--victim", folder, "--attack", "pwws", "--lm", "none", "a good film"),
        ("evaluate", "--victim", folder, "--attack", "pwws", "--out", tmp_path / "other"),
        ("certify", "--victim", folder, "--out", tmp_path / "other"),
    ):
        result = robench(*arguments)
        assert result.exit_code in (1, 2), arguments
        assert "is not the one that its training made" in result.stderr.replace("\n", " "), (
            arguments,
            result.stderr,
        )
        assert "Traceback" not in result.stderr


def test_a_victim_that_was_swapped_with_all_care_is_another_victim(
    copied: EvaluationRequest, finished: FinishedRun
) -> None:
    """Without the log of the training nothing is left to compare it with."""
    folder = folder_of(copied)
    before = Victim.load(folder)
    swap(folder)
    (folder / "training.json").unlink()
    assert [cell.done for cell in plan(copied)] == [0, 0]
    records = evaluate(copied, Listening())
    for old, new in zip(finished[1], records, strict=True):
        assert new.victim.sha256 == read_card(folder)["sha256"] != old.victim.sha256
        assert new.cell != old.cell
        assert new.cost.training_seconds is None
    assert old.victim.sha256 == before.sha256


def test_a_damaged_weight_file_ends_in_one_sentence(copied: EvaluationRequest) -> None:
    path = folder_of(copied) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(RobenchError, match=r"is damaged: its SHA-256 is not the one"):
        evaluate(copied, Listening())


def test_a_worker_refuses_another_victim_than_the_run_began_with(
    copied: EvaluationRequest,
) -> None:
    folder = folder_of(copied)
    source = SavedFolder(folder, identity(read_card(folder)))
    assert load_unchanged(source, "cpu").name == "rift"
    swap(folder)
    (folder / "training.json").unlink()
    with pytest.raises(RobenchError, match="was replaced while this run used it"):
        load_unchanged(source, "cpu")


def test_transfer_names_a_victim_that_was_swapped(copied: EvaluationRequest) -> None:
    from robench.evaluation.transfer import _victim_folders
    from robench.records.run_folder import RunFolder

    folder = folder_of(copied)
    old = read_card(folder)["sha256"]
    swap(folder)
    found, _ = _victim_folders(RunFolder(copied.out))
    assert old not in {each.sha256 for each in found}
