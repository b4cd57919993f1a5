"""Training under a launcher: two processes share every batch and train what one trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import train_in_processes
from transformers import BertModel
from victim_cases import encoder_folder, read_json

from robench._base.errors import UsageError
from robench.models.victim import Victim
from robench.training import setup

SCRIPT = Path(train_in_processes.__file__)
DEFENSES = ["standard", "rift", "augmentation"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder without dropout, whose features tell texts apart.

    Two processes draw other dropout masks than one. Large weights spread the features.
    """
    folder = encoder_folder(tmp_path_factory.mktemp("encoder") / "small", dropout=0.0)
    model = BertModel.from_pretrained(folder, trust_remote_code=False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(80.0 if "word_embeddings" in name else 12.0)
    model.save_pretrained(folder)
    return folder


def launch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Start two processes as ``accelerate launch`` does for GPUs; for CPUs it needs MPI."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *map(str, arguments),
    ]
    paths = [
        str(SCRIPT.parent),
        str(Path(setup.__file__).parents[2]),
        os.environ.get("PYTHONPATH", ""),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the victims that "one" and "two" processes trained."""
    folder = tmp_path_factory.mktemp("victims")
    train_in_processes.main(encoder, folder / "one", DEFENSES)
    done = launch(SCRIPT, encoder, folder / "two", *DEFENSES)
    assert done.returncode == 0, done.stderr[-3000:]
    return {"one": folder / "one", "two": folder / "two"}


@pytest.mark.parametrize("defense", DEFENSES)
def test_two_processes_have_the_losses_of_one(trained: dict[str, Path], defense: str) -> None:
    """Two processes cannot share these batches evenly.

    46 texts in batches of 10 leave ``standard`` a last batch of 6; ``rift`` has 5 of each class.
    """
    one, two = (
        read_json(trained[name] / defense / "training.json")["epochs"] for name in ("one", "two")
    )
    names = [name for name in one[0] if name == "loss" or name.startswith("loss_")]
    assert len(names) == {"standard": 1, "rift": 4, "augmentation": 1}[defense]
    for first, second in zip(one, two, strict=True):
        assert [second[name] for name in names] == pytest.approx(
            [first[name] for name in names], rel=2e-3
        )
        if defense == "rift":  # there is something to compare
            assert first["loss_information"] < -0.05
            assert first["loss_invariance"] > 1e-3
        assert second["distance"] == pytest.approx(first["distance"], rel=2e-3)
        assert second["dev_accuracy"] == first["dev_accuracy"]


def test_the_victim_is_complete_and_its_card_counts_processes(trained: dict[str, Path]) -> None:
    cards = {name: Victim.load(trained[name] / "rift").card for name in ("one", "two")}
    assert (cards["one"]["processes"], cards["two"]["processes"]) == (1, 2)
    assert cards["one"]["key"] == cards["two"]["key"]
    assert sorted(path.name for path in trained["two"].iterdir() if path.is_dir()) == sorted(
        DEFENSES
    )


def test_a_defense_whose_steps_cannot_be_shared_is_refused(encoder: Path, tmp_path: Path) -> None:
    done = launch(SCRIPT, encoder, tmp_path / "v", "rose-first")
    assert done.returncode != 0
    assert UsageError.__name__ in done.stderr
    assert "Defense 'rose-first' trains in one process only" in done.stderr
    assert not (tmp_path / "v" / "rose-first").exists()


def test_evaluate_under_a_launcher_is_refused(tmp_path: Path) -> None:
    done = launch(
        "-m", "robench", "evaluate", "--defense", "standard", "--attack", "pwws", "--out", tmp_path
    )
    assert done.returncode != 0
    sentence = "Run 'robench train' with the launcher, then 'robench evaluate' without it."
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())
