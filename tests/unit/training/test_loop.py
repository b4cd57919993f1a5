"""The training loop: resuming, selecting an epoch, what it records and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from math import log as log_of
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from full_device import full_device
from torch import Tensor, nn
from victim_cases import planted_splits, read_json, request

from robench import DEFENSES, Batch, Defense
from robench._base.errors import RobenchError, UsageError
from robench._base.intervals import wilson
from robench.models.classifier import TextClassifier
from robench.models.health_checks import guessing_accuracy
from robench.models.victim import Victim
from robench.training import checkpoint
from robench.training import loop as training
from robench.training.limits import check_window, pick
from robench.training.loop import TrainingProgress, fit, train_or_load
from robench.training.selection import DevScores
from robench.training.setup import parameter_groups


@DEFENSES.register("exploding")
class Exploding(Defense):
    """Its loss is not a number."""

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        return super().loss(model, batch) * torch.nan


class Killed(BaseException):
    """Stands for ``kill -9``: no handler sees it."""


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("defense", ["standard", "rift"])
def test_a_killed_run_ends_as_an_unbroken_one(encoder: Path, tmp_path: Path, defense: str) -> None:
    """It is killed in the middle of the second epoch, and again in the third.

    Dropout, optimizer and the order of batches continue as in the unbroken run.
    """
    asked = request(encoder, defense)
    whole = fit(asked, tmp_path / "whole")

    def kill_in(epoch: int) -> training.ProgressListener:
        def listen(progress: TrainingProgress) -> None:
            if progress.epoch == epoch and progress.step == 2:
                raise Killed

        return listen

    for epoch in (2, 3):
        with pytest.raises(Killed):
            fit(asked, tmp_path / "broken", kill_in(epoch))
        assert not (tmp_path / "broken").exists()
        kept = checkpoint.TrainingState.load(
            tmp_path / "broken.training", asked.key, checkpoint.training_environment("cpu")
        )
        assert kept is not None
        assert kept.epoch == epoch - 1
    resumed = fit(asked, tmp_path / "broken")
    assert weights(tmp_path / "whole") == weights(tmp_path / "broken")
    assert whole.sha256 == resumed.sha256
    logs = [read_json(tmp_path / name / "training.json")["epochs"] for name in ("whole", "broken")]
    same = [
        [
            {key: value for key, value in epoch.items() if not key.endswith(("seconds", "bytes"))}
            for epoch in log
        ]
        for log in logs
    ]
    assert same[0] == same[1]
    assert not (tmp_path / "broken.training").exists()


def test_a_kill_before_the_checkpoint_is_replaced_loses_one_epoch_only(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(encoder)
    replace = Path.replace

    def torn(self: Path, target: Path) -> Path:
        if self.name.endswith(".part") and (target.parent / checkpoint.FILE).exists():
            raise Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", torn)
    with pytest.raises(Killed):
        fit(asked, tmp_path / "v")
    monkeypatch.undo()
    assert fit(asked, tmp_path / "v").sha256 == fit(asked, tmp_path / "whole").sha256


def test_the_same_seed_gives_the_same_weights(encoder: Path, tmp_path: Path) -> None:
    shas = [
        fit(request(encoder, seed=seed, options={"epochs": 1}), tmp_path / f"{name}").sha256
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert shas[0] == shas[1] != shas[2]


def test_a_finished_victim_is_loaded_and_retrain_replaces_it(encoder: Path, tmp_path: Path) -> None:
    asked = request(encoder, options={"epochs": 1})
    first, trained = train_or_load(asked, tmp_path)
    assert trained
    folder = tmp_path / asked.folder_name
    assert folder.name == f"standard-planted-small-s0-{asked.key[:8]}"
    stamp = (folder / "victim.json").stat().st_mtime_ns
    again, trained = train_or_load(asked, tmp_path)
    assert not trained
    assert again.sha256 == first.sha256
    assert (folder / "victim.json").stat().st_mtime_ns == stamp
    assert train_or_load(asked, tmp_path, retrain=True)[1]
    assert (folder / "victim.json").stat().st_mtime_ns != stamp


def test_the_training_log_and_the_card_describe_the_run(encoder: Path, tmp_path: Path) -> None:
    reports: list[TrainingProgress] = []
    victim = fit(request(encoder, "rift"), tmp_path / "v", reports.append)
    log = read_json(tmp_path / "v" / "training.json")
    assert [epoch["epoch"] for epoch in log["epochs"]] == [1, 2, 3]
    for epoch in log["epochs"]:
        assert 0 <= epoch["dev_hull_accuracy"] <= epoch["dev_accuracy"] <= 1
        assert {
            "loss",
            "loss_task",
            "loss_invariance",
            "loss_information",
            "training_seconds",
            "peak_memory_bytes",
        } <= set(epoch)
        assert epoch["distance"] > 0
        assert epoch["dev_information"] <= log_of(8)
    lucky = guessing_accuracy(np.array([0, 1] * 8))[1]
    assert [epoch["dev_guessing"] for epoch in log["epochs"]] == [
        epoch["dev_accuracy"] <= lucky for epoch in log["epochs"]
    ]
    best = max(epoch["dev_accuracy"] for epoch in log["epochs"])
    margin = best - wilson(best, 16)[0]
    ranks = [
        (
            epoch["dev_accuracy"] >= best - margin,
            not epoch["dev_guessing"],
            epoch["dev_hull_accuracy"],
            epoch["dev_accuracy"],
        )
        for epoch in log["epochs"]
    ]
    assert log["selected_epoch"] == ranks.index(max(ranks)) + 1
    assert (
        log["selection"]
        == victim.card["selection"]
        == {
            "rule": "robust",
            "margin": margin,
            "kept": log["selected_epoch"],
            "epochs": [
                {"clean": epoch["dev_accuracy"], "attacked": epoch["dev_hull_accuracy"]}
                for epoch in log["epochs"]
            ],
        }
    )
    half_a_step = 0.5 / (3 * 6)  # the share that is left in the middle of the last step
    assert log["epochs"][-1]["learning_rate"] == pytest.approx(
        victim.card["ingredients"]["options"]["learning_rate"] * half_a_step / (1 - 0.06)
    )
    assert victim.card["selected_epoch"] == log["selected_epoch"]
    assert (victim.card["train_examples"], victim.card["dev_examples"]) == (96, 16)
    steps = [(found.epoch, found.step, found.steps) for found in reports if found.step]
    assert steps == [(epoch, step, 6) for epoch in (1, 2, 3) for step in range(1, 7)]
    assert sum(bool(found.message) for found in reports) >= 5


SNLI = [
    DevScores(0.348, 0.331, guessing=True),
    DevScores(0.378, 0.275),
    DevScores(0.455, 0.140),
    DevScores(0.530, 0.117),
    DevScores(0.552, 0.084),
    DevScores(0.540, 0.069),
]
"""The dev scores of a standard victim on SNLI, shortened."""


def scripted(monkeypatch: pytest.MonkeyPatch, scores: Sequence[DevScores]) -> list[dict[str, Any]]:
    """Let dev give these scores; return a list that will hold the weights of each epoch."""
    left, seen = iter(scores), list[dict[str, Any]]()

    def score(model: TextClassifier, *_: Any, **__: Any) -> DevScores:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(left)

    monkeypatch.setattr(training, "score_on_dev", score)
    return seen


@pytest.mark.parametrize(
    ("options", "kept", "why"),
    [
        # 16 dev examples make the default margin wide: 22.9 points.
        ({}, 2, "the most robust of the 6 within 22.9 points"),
        ({"select_margin": 0.05}, 4, "the most robust of the 3 within 5.0 points of the best dev"),
        ({"select_margin": 0.0}, 5, "the only one within 0.0 points of the best dev accuracy"),
        ({"select": "clean"}, 5, "the one with the highest dev accuracy (select=clean)"),
        ({"select": "last"}, 6, "the last one (select=last)"),
        ({"select": "paper"}, 2, "the one with the highest dev accuracy under the convex-hull"),
    ],
)
def test_the_victim_has_the_weights_of_the_epoch_that_the_rule_keeps(
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    kept: int,
    why: str,
) -> None:
    seen, told = scripted(monkeypatch, SNLI), list[str]()
    victim = fit(
        request(encoder, options={"epochs": 6, **options}),
        tmp_path / "v",
        lambda progress: told.append(progress.message),
    )
    assert victim.card["selected_epoch"] == victim.card["selection"]["kept"] == kept
    assert [found["clean"] for found in victim.card["selection"]["epochs"]] == [
        scores.clean for scores in SNLI
    ]
    for name, value in victim.model.state_dict().items():
        assert torch.equal(value, seen[kept - 1][name])
    (sentence,) = [message for message in told if message.startswith("kept epoch")]
    scores = SNLI[kept - 1]
    numbers = f"(dev accuracy {scores.clean:.3f}, under the convex-hull attack {scores.hull:.3f})"
    assert sentence.startswith(f"kept epoch {kept} of 6 {numbers}, {why}")


def test_only_weights_that_can_still_win_are_stored(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch's file goes when a later epoch is too much more accurate, or better in both."""
    scripted(monkeypatch, SNLI)
    work, stored = tmp_path / "v.training", list[set[str]]()

    def listen(progress: TrainingProgress) -> None:
        if progress.step == 1:
            stored.append({path.stem for path in work.glob("epoch-*")})

    fit(request(encoder, options={"epochs": 6, "select_margin": 0.05}), tmp_path / "v", listen)
    assert stored == [
        set(),
        {"epoch-1"},
        {"epoch-2"},  # the first is no better than guessing
        {"epoch-3"},
        {"epoch-4"},
        {"epoch-4", "epoch-5"},
    ]
    assert not work.exists()


def test_a_run_that_is_killed_before_the_victim_is_saved_keeps_the_same_epoch(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(encoder, options={"epochs": 6, "select_margin": 0.05})
    scripted(monkeypatch, SNLI)
    whole = fit(asked, tmp_path / "whole")

    def kill(progress: TrainingProgress) -> None:
        if progress.message.startswith("kept epoch"):
            raise Killed

    scripted(monkeypatch, SNLI)
    with pytest.raises(Killed):
        fit(asked, tmp_path / "v", kill)
    monkeypatch.undo()
    resumed = fit(asked, tmp_path / "v")
    assert resumed.card["selection"] == whole.card["selection"]
    assert resumed.sha256 == whole.sha256


def test_an_epoch_no_better_than_guessing_is_selected_last(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter(
        [
            DevScores(0.5, 0.5, guessing=True),
            DevScores(0.85, 0.0),
            DevScores(0.5, 0.5, guessing=True),
        ]
    )
    monkeypatch.setattr(training, "score_on_dev", lambda *_, **__: next(scores))
    asked = request(encoder, options={"epochs": 3, "select": "paper"})
    assert fit(asked, tmp_path / "v").card["selected_epoch"] == 2


def test_the_trackers_curves_are_stored_with_the_victim(encoder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    fit(
        request(encoder, trackers=("tensorboard",), options={"epochs": 2}),
        tmp_path / "victims" / "v",
    )
    curves = list((tmp_path / "victims" / "v" / "curves").rglob("events.out.tfevents.*"))
    assert curves
    assert sum(file.stat().st_size for file in curves) > 100
    assert [path.name for path in (tmp_path / "victims").iterdir()] == ["v"]


def test_parameter_groups_keep_their_own_learning_rates(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []

    class Recording(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            seen.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    def optimizer(self: Defense, groups: Any) -> Recording:
        encoder_group, head_group = groups
        return Recording([{**encoder_group, "lr": 1e-4}, {**head_group, "lr": 1e-2}])

    monkeypatch.setattr(DEFENSES.get("standard"), "optimizer", optimizer)
    fit(request(encoder, options={"epochs": 1}), tmp_path / "v")
    assert len(seen) > 1
    assert all(slow > 0 and fast == pytest.approx(100 * slow) for slow, fast in seen)


def test_without_substitutions_there_is_no_hull_accuracy(encoder: Path, tmp_path: Path) -> None:
    victim = fit(request(encoder, substitutions=None, options={"epochs": 1}), tmp_path / "v")
    assert victim.card["dev_hull_accuracy"] is None


def test_a_run_ends_when_patience_is_used_up(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "score_on_dev", lambda *_, **__: DevScores(0.5, 0.5))
    fit(request(encoder, options={"epochs": 9, "patience": 2}), tmp_path / "v")
    assert len(read_json(tmp_path / "v" / "training.json")["epochs"]) == 3


def test_patience_waits_while_the_best_dev_accuracy_rises(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epoch 1 stays the choice of a wide margin, and the model still learns."""
    scores = [DevScores(0.5, 0.4), DevScores(0.6, 0.2), DevScores(0.7, 0.1), DevScores(0.7, 0.1)]
    scripted(monkeypatch, [*scores, DevScores(0.6, 0.1), DevScores(0.9, 0.9)])
    options = {"epochs": 6, "patience": 2, "select_margin": 0.3}
    victim = fit(request(encoder, options=options), tmp_path / "v")
    assert len(victim.card["selection"]["epochs"]) == 5
    assert victim.card["selected_epoch"] == 1


def test_a_training_subset_has_the_smallest_ids_of_each_label(
    encoder: Path, tmp_path: Path
) -> None:
    victim = fit(request(encoder, options={"epochs": 1, "train_examples": 40}), tmp_path / "v")
    assert victim.card["train_examples"] == 40
    chosen = pick(planted_splits().train, 40, 2)
    assert sum(example.label for example in chosen) == 20
    for label in (0, 1):
        ids = sorted(example.id for example in planted_splits().train if example.label == label)
        assert sorted(example.id for example in chosen if example.label == label) == ids[:20]


@pytest.mark.parametrize("damage", ["torn", "garbage", "another"])
def test_a_damaged_or_foreign_checkpoint_is_refused_by_name(
    encoder: Path, tmp_path: Path, damage: str
) -> None:
    asked = request(encoder)

    def kill(progress: TrainingProgress) -> None:
        if progress.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        fit(asked, tmp_path / "v", kill)
    path = tmp_path / "v.training" / "resume.pt"
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "garbage":
        path.write_bytes(b"no checkpoint")
    else:
        asked = request(encoder, seed=5)
    with pytest.raises(RobenchError, match=r"resume\.pt.*Delete it") as caught:
        fit(asked, tmp_path / "v")
    assert "\n" not in str(caught.value)


@full_device
def test_a_full_disk_gives_one_sentence_and_keeps_the_last_checkpoint(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from the second epoch on. With space again, the training resumes."""
    work = tmp_path / "v.training"
    # The full device stands behind a link, which is removed otherwise.
    monkeypatch.setattr("robench._base.files.remove_link", lambda _path: None)

    def fill(progress: TrainingProgress) -> None:
        if progress.epoch == 2 and progress.step == 1:
            (work / f"{checkpoint.FILE}.part").symlink_to("/dev/full")

    with pytest.raises(RobenchError) as caught:
        fit(request(encoder), tmp_path / "v", fill)
    sentence = (
        f"The training checkpoint could not be written to '{work}' (No space left on device). "
        "Free some space or choose another --out."
    )
    assert (str(caught.value), caught.value.exit_code) == (sentence, 1)
    assert sorted(path.name for path in work.iterdir()) == ["epoch-1.pt", checkpoint.FILE]
    monkeypatch.undo()
    told: list[str] = []
    fit(request(encoder), tmp_path / "v", lambda progress: told.append(progress.message))
    assert "resuming after epoch 1" in told


def test_a_loss_that_is_not_a_number_gives_one_sentence(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match=r"diverged in epoch 1, step 1: .*learning_rate"):
        fit(request(encoder, "exploding"), tmp_path / "v")


def test_a_task_longer_than_the_encoders_window_is_refused(tmp_path: Path, encoder: Path) -> None:
    small = tmp_path / "narrow"
    shutil.copytree(encoder, small)
    config = read_json(small / "config.json")
    config["max_position_embeddings"] = 8
    model = TextClassifier(_bert(config), 2)
    with pytest.raises(
        UsageError,
        match=(
            r"reads 8 tokens, task 'planted' has 16\. Choose another encoder, or for a file of "
            r"your own a --max-tokens of at most 8\."
        ),
    ):
        check_window(model, 16, str(small), "planted")


def _bert(config: dict[str, Any]) -> Any:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig.from_dict(config))


def test_weight_decay_is_for_the_head_and_the_defenses_modules() -> None:
    class Toy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.ModuleDict({"encoder": nn.Linear(2, 3), "head": nn.Linear(3, 2)})
            self.extras = nn.ModuleList([nn.Linear(3, 4)])

    encoder, others = parameter_groups(Toy(), 1e-3, 2e-4)
    assert (encoder["weight_decay"], others["weight_decay"]) == (0.0, 2e-4)
    assert [tuple(found.shape) for found in encoder["params"]] == [(3, 2), (3,)]
    assert [tuple(found.shape) for found in others["params"]] == [(2, 3), (2,), (4, 3), (4,)]


def test_bf16_trains_with_fp32_weights(encoder: Path, tmp_path: Path) -> None:
    victim = fit(request(encoder, "rift", precision="bf16", options={"epochs": 1}), tmp_path / "v")
    assert all(parameter.dtype == torch.float32 for parameter in victim.model.parameters())
    assert np.isfinite(read_json(tmp_path / "v" / "training.json")["epochs"][0]["loss"])


def test_an_unknown_tracker_is_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no tracker 'nothing'"):
        fit(request(encoder, trackers=("nothing",), options={"epochs": 1}), tmp_path / "w")


def test_a_missing_gpu_gives_one_sentence(encoder: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="no GPU on this machine"):
        fit(request(encoder, device="cuda"), tmp_path / "v")


def test_a_loaded_victim_answers_as_the_trained_one(encoder: Path, tmp_path: Path) -> None:
    victim = fit(request(encoder, options={"epochs": 1}), tmp_path / "v")
    texts = [example.fields for example in planted_splits().test]
    np.testing.assert_array_equal(
        victim.probs_of_texts(texts), Victim.load(tmp_path / "v").probs_of_texts(texts)
    )
