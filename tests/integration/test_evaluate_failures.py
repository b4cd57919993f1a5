"""Evaluations of the toy task that are refused, that fail in parts, or that meet damaged files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import FinishedRun, Listening
from toy import TOY_OPTIONS

from robench import ATTACKS, DEFENSES
from robench._base.errors import Incomplete, RobenchError, UsageError
from robench.evaluation.run import (
    Silent,
    build_request,
    evaluate,
    plan,
    train_only,
)
from robench.records.record_files import read_records


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"limit": 0}, "--limit must be at least 1, got 0"),
        ({"limit": -3}, "--limit must be at least 1, got -3"),
        ({"budget": 0}, "--budget must be at least 1"),
        ({"workers": 0}, "--workers must be at least 1"),
        ({"seeds": ()}, "--seed takes whole numbers"),
        ({"seeds": (-1,)}, "--seed takes whole numbers"),
        ({"defenses": ()}, "There is no victim: --defense NAME trains one"),
        ({"defenses": ("rfit",)}, "Did you mean 'rift'"),
        ({"attacks": ("genetik",)}, "Did you mean 'genetic'"),
        ({"tasks": ("tony",)}, "There is no task 'tony'"),
        ({"protocol": "rift2020"}, "Did you mean 'rift2021'"),
        ({"device": "tpu"}, "There is no device 'tpu'"),
        ({"encoder": "no-such-folder/x"}, "no-such-folder/x"),
        ({"encoder": ""}, "--encoder is empty"),
        ({"lm": "markov"}, "There is no language model 'markov'"),
        ({"options": {"rift.alpha": "many"}}, "Option 'alpha' of defense 'rift'"),
        ({"options": {"attack.population": "1"}}, "Option 'population' of attack 'genetic'"),
        ({"options": {"defense.colour": "red"}}, "there is no 'colour'"),
        ({"defenses": ("standard", "rift+ascc")}, "'ascc' and 'rift' cannot be joined"),
        ({"precision": "fp8"}, "'precision' of the evaluation"),
        ({"search_precision": "fp8"}, "'search_precision' of the evaluation"),
        ({"limit": "many"}, "'limit' of the evaluation"),
        ({"surprise": 1}, "'surprise' of the evaluation"),
    ],
)
def test_a_wrong_request_is_refused_before_training(
    toy: dict[str, Any], tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    values = {"defenses": ("rift",), "attacks": ("genetic",), "out": tmp_path, **toy} | change
    with pytest.raises(UsageError) as caught:
        plan(build_request(**values))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError):
        evaluate(build_request(**values), Silent())
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_with_too_short_a_window_is_refused_before_training(
    toy: dict[str, Any], tmp_path: Path
) -> None:
    narrow = shutil.copytree(toy["encoder"], tmp_path / "narrow")
    config = json.loads((narrow / "config.json").read_text())
    (narrow / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 16}))
    request = build_request(
        defenses=("standard", "rift"),
        attacks=("genetic",),
        out=tmp_path / "out",
        **toy | {"encoder": str(narrow)},
    )
    for work in (
        plan,
        lambda request: evaluate(request, Silent()),
        lambda request: train_only(request, Silent()),
    ):
        with pytest.raises(UsageError, match="reads 16 tokens, task 'toy' has 32"):
            work(request)
    assert not (tmp_path / "out").exists()


def test_a_joint_defense_has_one_name_and_one_record(toy: dict[str, Any], tmp_path: Path) -> None:
    options = {
        name: value for name, value in toy["options"].items() if not name.startswith("attack.")
    } | {"mixout.probability": "0.3"}
    request = build_request(
        defenses=("weight-decay+mixout", "mixout+weight-decay"),
        attacks=("pwws",),
        out=tmp_path,
        **toy | {"options": options, "limit": 4},
    )
    assert [cell.defense.partition("(")[0] for cell in plan(request)] == ["mixout+weight-decay"]
    (record,) = evaluate(request, Silent())
    assert record.defense is not None
    assert record.defense.name == "mixout+weight-decay"
    assert "mixout.probability=0.3" in record.defense.label
    assert record.defense.options["weight-decay.strength"] == 0.01
    assert record.defense.code_sha256 is not None
    assert "| mixout+weight-decay(" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert plan(request)[0].victim == "reuse"


def test_all_stands_for_every_name(
    toy: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for registry in (
        ATTACKS,
        DEFENSES,
    ):  # other tests have registered some that are broken on purpose
        built_in = [entry for entry in registry.entries() if entry.origin == "built-in"]
        monkeypatch.setattr(registry, "entries", lambda built_in=built_in: built_in)
    cells = plan(
        build_request(
            defenses=("all",),
            attacks=("all",),
            seeds=(0, 1, 0),
            out=tmp_path,
            **toy | {"options": {}},
        )
    )
    assert {(cell.defense, cell.attack, cell.seed) for cell in cells} >= {
        (d, a, s) for d in ("standard", "rift") for a in ("genetic", "pwws") for s in (0, 1)
    }
    assert len(cells) == len({(cell.defense, cell.attack, cell.seed) for cell in cells})
    assert {cell.victim for cell in cells} == {"train"}
    assert list(tmp_path.iterdir()) == []


def test_a_limit_above_the_number_of_examples_has_no_effect_and_is_reported(
    toy: dict[str, Any], finished: FinishedRun
) -> None:
    report = Listening()
    request, records = finished
    assert evaluate(request.model_copy(update={"limit": 99}), report) == records
    assert any("has no effect" in text for text in report.messages)


def test_without_a_language_model_nothing_is_constrained(
    finished: FinishedRun, tmp_path: Path
) -> None:
    request, records = finished
    (tmp_path / "victims").symlink_to(request.out / "victims")
    free = evaluate(
        request.model_copy(update={"out": tmp_path, "lm": "none", "limit": 4}), Silent()
    )
    assert [record.surface.constrained for record in free] == [False, False]
    assert {record.surface.language_model for record in free} == {"none"}
    assert free[0].cell != records[0].cell


def test_a_damaged_victim_is_refused_with_the_name_of_the_file(
    finished: FinishedRun, tmp_path: Path
) -> None:
    request, _ = finished
    shutil.copytree(request.out / "victims", tmp_path / "victims")
    weights = next((tmp_path / "victims").rglob("model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(RobenchError, match=r"model\.safetensors"):
        evaluate(request.model_copy(update={"out": tmp_path}), Silent())


BROKEN = {"standard.learning_rate": "1e15"}


@pytest.mark.parametrize("searching", [True, False])
def test_the_other_victims_continue_after_one_failed(
    toy: dict[str, Any], tmp_path: Path, searching: bool
) -> None:
    report = Listening()
    attacks = {
        "attacks": ("pwws", "greedy"),
        "options": {
            name: value for name, value in TOY_OPTIONS.items() if not name.startswith("attack.")
        }
        | BROKEN,
    }
    request = build_request(
        defenses=("standard", "weight-decay"), out=tmp_path, **toy | attacks | {"limit": 4}
    )
    with pytest.raises(
        Incomplete,
        match=(
            r"that failed: 1; .* standard\(.* on toy, seed 0: "
            r"Training 'standard' on 'toy' diverged in epoch 1"
        ),
    ) as caught:
        evaluate(request, report) if searching else train_only(request, report)
    assert caught.value.exit_code == 1
    assert [
        text.partition(":")[2] for text in report.messages if "No result for standard(" in text
    ] == [str(caught.value).rpartition("seed 0:")[2]]
    if searching:
        assert [(record.row_name, record.attack.name) for record in caught.value.done] == [
            ("weight-decay", "pwws"),
            ("weight-decay", "greedy"),
        ]
        assert "weight-decay" in (tmp_path / "leaderboard.md").read_text()
    else:
        assert [folder.name.partition("-toy-")[0] for folder in caught.value.done] == [
            "weight-decay"
        ]


def test_the_error_of_the_only_victim_is_raised_unchanged(
    toy: dict[str, Any], tmp_path: Path
) -> None:
    for attacks in ((), ("pwws", "greedy")):
        options = {
            name: value for name, value in TOY_OPTIONS.items() if not name.startswith("attack.")
        } | BROKEN
        request = build_request(
            defenses=("standard",),
            attacks=attacks,
            out=tmp_path,
            **toy | {"options": options, "limit": 4},
        )
        with pytest.raises(RobenchError, match=r"^Training 'standard' on 'toy' diverged"):
            evaluate(request, Silent()) if attacks else train_only(request, Silent())


def test_a_model_card_that_cannot_be_written_is_a_message(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, records = finished
    shutil.copytree(request.out, tmp_path / "out")
    (victim,) = (tmp_path / "out" / "victims").iterdir()
    again = request.model_copy(update={"out": tmp_path / "out"})

    def full(*_: object) -> None:
        raise RobenchError("Cannot write it: no space.")

    with monkeypatch.context() as patch:
        patch.setattr("robench.evaluation.results.write_model_card", full)
        first = Listening()
        assert evaluate(again, first) == records
    (victim / "README.md").unlink(missing_ok=True)
    (victim / "README.md").mkdir()
    second = Listening()
    assert evaluate(again, second) == records
    for report, reason in ((first, "Cannot write it: no space. The"), (second, "README.md'")):
        (message,) = [text for text in report.messages if "model card" in text]
        assert message.startswith(f"The model card of {victim.name} was not written: ")
        assert reason in message
        assert f"'robench card {victim}' writes the card later." in message


def test_a_damaged_record_of_another_cell_is_listed_and_blocks_nothing(
    finished: FinishedRun, tmp_path: Path
) -> None:
    request, records = finished
    shutil.copytree(request.out, tmp_path / "out")
    torn = tmp_path / "out" / "records" / "torn.json"
    torn.write_text('{"schema": 1, "cell')
    (tmp_path / "out" / "leaderboard.md").unlink()
    assert evaluate(request.model_copy(update={"out": tmp_path / "out"}), Silent()) == records
    table = (tmp_path / "out" / "leaderboard.md").read_text()
    assert (
        f"## Records that cannot be read\n\n- `torn.json`: Cannot read the record {torn} "
        "(it is not JSON: Unterminated string starting at in line 1, column 15). Restore it, or "
        "delete it"
    ) in table
    assert "| rift(" in table
    assert torn.read_text() == '{"schema": 1, "cell'


def test_a_damaged_record_of_a_cell_is_made_again_from_its_trials(
    finished: FinishedRun, tmp_path: Path
) -> None:
    request, records = finished
    shutil.copytree(request.out, tmp_path / "out")
    path = tmp_path / "out" / "records" / records[0].file_name
    half = path.read_text()[:400]
    path.write_text(half)
    report = Listening()
    again = evaluate(request.model_copy(update={"out": tmp_path / "out"}), report)
    assert [
        again[0].model_copy(update={"cost": records[0].cost, "created": records[0].created}),
        again[1],
    ] == records
    assert again[0].cost.attack_seconds == records[0].cost.attack_seconds
    assert read_records(path.parent)[path.name] == again[0]
    assert again[0].cost.missing == {
        "peak_memory_bytes": "every trial was there from an earlier run"
    }
    assert path.with_name(f"{path.name}.unreadable").read_text() == half
    assert [text for text in report.messages if "could not be read" in text] == [
        f"The record {path} could not be read. It is made again from its trials, and the old file "
        f"is kept as {path.name}.unreadable."
    ]
    assert "cannot be read" not in (tmp_path / "out" / "leaderboard.md").read_text()
