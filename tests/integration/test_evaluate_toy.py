"""The whole chain on a toy: train, attack, record, resume after kill -9, several workers, and what a request is refused for."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from toy import TOY_OPTIONS, make_toy_encoder, toy_task

from robench import ATTACKS, DEFENSES
from robench._base.errors import Incomplete, RobenchError, UsageError
from robench.evaluation.run import (
    EvaluationRequest,
    Silent,
    build_request,
    evaluate,
    plan,
    train_only,
)
from robench.results.record import Record
from robench.results.record_files import read_records
from robench.search.trials import TrialFile

HELPERS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The settings that every request here shares."""
    folder = tmp_path_factory.mktemp("toy")
    with toy_task(folder) as task:
        yield {
            "tasks": (task,),
            "encoder": make_toy_encoder(folder / "encoder"),
            "options": TOY_OPTIONS,
            "device": "cpu",
        }


@pytest.fixture(scope="module")
def unbroken(
    toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[EvaluationRequest, list[Record]]:
    """One finished evaluation: one defense, two attacks, all 30 examples."""
    request = build_request(
        defenses=("rift",), attacks=("genetic", "pwws"), out=tmp_path_factory.mktemp("out"), **toy
    )
    return request, evaluate(request, Silent())


def trials(out: Path) -> dict[str, dict[str, Any]]:
    """File name and id -> everything about a trial but its duration."""
    files = sorted((out / "trials").glob("*.jsonl"))
    return {
        f"{path.name} {trial.id}": trial.model_dump(exclude={"seconds"})
        for path in files
        for trial in TrialFile(path).read()
    }


def essence(record: Record) -> dict[str, Any]:
    """A record without what a clock or a memory gauge says."""
    return record.model_dump(
        exclude={
            "created": True,
            "cost": {"training_seconds", "attack_seconds", "peak_memory_bytes"},
        }
    )


def test_a_finished_evaluation(unbroken: tuple[EvaluationRequest, list[Record]]) -> None:
    request, records = unbroken
    assert [record.attack.name for record in records] == ["genetic", "pwws"]
    assert list(read_records(request.out / "records").values()) == sorted(
        records, key=lambda record: record.file_name
    )
    # One name for a cell's trials and its record, and what they hold can be read in it.
    stems = {Path(record.file_name).stem for record in records}
    assert {path.stem for path in (request.out / "trials").iterdir()} == stems
    assert {stem.rpartition("-")[0] for stem in stems} == {
        "toy-rift-genetic-s0",
        "toy-rift-pwws-s0",
    }
    genetic, pwws = records
    assert genetic.surface.constrained
    assert not pwws.surface.constrained
    assert genetic.victim.sha256 == pwws.victim.sha256
    assert genetic.counts.n == genetic.task.examples == 30
    assert genetic.limit is None
    assert genetic.counts.error == 0
    # The toy is learnt and can be broken: neither everything nor nothing is fooled.
    assert genetic.counts.wrong < 10
    assert pwws.counts.fooled > 0
    assert pwws.counts.held + pwws.counts.held_proved > 0
    assert genetic.cost.asked >= genetic.cost.forwarded > 0
    assert genetic.cost.training_seconds is not None
    assert len(trials(request.out)) == 60
    board = (request.out / "leaderboard.md").read_text()
    assert "| rift(" in board
    assert "Synthetic task" in board
    assert not list(request.out.rglob("*.tmp"))


def test_records_name_no_folder_of_this_machine(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    request, _ = unbroken
    base = str(tmp_path_factory.getbasetemp())
    for path in [
        *(request.out / "records").iterdir(),
        request.out / "leaderboard.md",
        *(request.out / "trials").iterdir(),
    ]:
        assert base not in path.read_text()


def test_a_second_run_does_nothing_again(unbroken: tuple[EvaluationRequest, list[Record]]) -> None:
    request, records = unbroken
    before = {
        path: path.stat().st_mtime_ns
        for path in request.out.rglob("*")
        if path.is_file() and path.name != "leaderboard.md"
    }
    assert evaluate(request, Silent()) == records
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_plan_of_a_finished_run(unbroken: tuple[EvaluationRequest, list[Record]]) -> None:
    request, _ = unbroken
    for cell in plan(request):
        assert (cell.victim, cell.surface, cell.done, cell.total) == ("reuse", "reuse", 30, 30)


def test_a_limited_run_is_a_part_of_the_whole_one(
    unbroken: tuple[EvaluationRequest, list[Record]],
) -> None:
    request, records = unbroken
    before = trials(request.out)
    limited = evaluate(request.model_copy(update={"limit": 10}), Silent())
    assert trials(request.out) == before  # nothing was attacked again
    assert [record.limit for record in limited] == [10, 10]
    assert {record.cell for record in limited} == {record.cell for record in records}
    assert {record.cost.missing["peak_memory_bytes"] for record in limited} == {
        "every trial was there from an earlier run"
    }
    assert len(read_records(request.out / "records")) == 4
    assert "only 10 of 30 examples" in (request.out / "leaderboard.md").read_text()


def test_two_workers_give_the_same_trials(
    unbroken: tuple[EvaluationRequest, list[Record]], toy: dict[str, Any], tmp_path: Path
) -> None:
    request, records = unbroken
    without_attack = {
        name: value for name, value in TOY_OPTIONS.items() if not name.startswith("attack.")
    }
    (tmp_path / "victims").symlink_to(request.out / "victims")
    (other,) = evaluate(
        request.model_copy(
            update={"out": tmp_path, "workers": 2, "attacks": ("pwws",), "options": without_attack}
        ),
        Silent(),
    )
    assert trials(tmp_path).items() <= trials(request.out).items()
    assert essence(other) == essence(records[1])


def test_as_many_workers_as_there_is_work_for_unless_given(
    unbroken: tuple[EvaluationRequest, list[Record]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, records = unbroken
    asked: list[tuple[str, int]] = []

    def one(device: str, examples: int, work: float, weights: int) -> int:
        asked.append((device, examples))
        assert work > 0
        assert weights > 0
        return 1

    monkeypatch.setattr("robench.search.workers.default_workers", one)
    (tmp_path / "victims").symlink_to(request.out / "victims")
    assert request.workers is None
    assert [
        essence(record)
        for record in evaluate(request.model_copy(update={"out": tmp_path}), Silent())
    ] == [essence(record) for record in records]
    assert asked == [("cpu", 30), ("cpu", 30)]


def test_a_search_in_bf16_is_another_cell_and_finds_what_one_in_fp32_finds(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, records = unbroken
    (tmp_path / "victims").symlink_to(request.out / "victims")
    rough = evaluate(
        request.model_copy(update={"out": tmp_path, "search_precision": "bf16"}), Silent()
    )
    for reduced, exact in zip(rough, records, strict=True):
        assert reduced.search.precision == "bf16"
        assert reduced.victim == exact.victim  # trained in fp32
        assert reduced.cell != exact.cell
        assert reduced.counts.wrong == exact.counts.wrong
        assert reduced.disbelieved == 0
        # A text without substitutes is proved whatever the precision; nothing that was searched is.
        assert reduced.counts.held_proved <= exact.counts.held_proved


def test_damaged_trials_are_told_and_attacked_again(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, records = unbroken
    (tmp_path / "victims").symlink_to(request.out / "victims")
    for path in (request.out / "trials").glob("*.jsonl"):
        (tmp_path / "trials").mkdir(exist_ok=True)
        content = path.read_bytes()
        (tmp_path / "trials" / path.name).write_bytes(content[:300] + bytes(600) + content[900:])
    said: list[str] = []

    class Listening(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    again = request.model_copy(update={"out": tmp_path})
    assert [essence(record) for record in evaluate(again, Listening())] == [
        essence(record) for record in records
    ]
    assert trials(tmp_path) == trials(request.out)
    assert (
        sum(
            "has damaged lines (1)" in text and "trials are lost are attacked again" in text
            for text in said
        )
        == 2
    )


def test_errors_are_tried_again(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, records = unbroken
    (tmp_path / "victims").symlink_to(request.out / "victims")
    again = request.model_copy(update={"out": tmp_path})
    for path in (request.out / "trials").glob("*.jsonl"):
        lines = path.read_text().splitlines()
        broken = {**json.loads(lines[3]), "verdict": "error", "problem": "made up"}
        (tmp_path / "trials").mkdir(exist_ok=True)
        (tmp_path / "trials" / path.name).write_text(
            "\n".join([*lines[:3], json.dumps(broken), *lines[4:]]) + "\n"
        )
    assert [cell.done for cell in plan(again)] == [29, 29]
    assert [essence(record) for record in evaluate(again, Silent())] == [
        essence(record) for record in records
    ]


def test_training_only(
    toy: dict[str, Any], unbroken: tuple[EvaluationRequest, list[Record]]
) -> None:
    request, records = unbroken
    folders = train_only(request, Silent())
    assert [folder.parent for folder in folders] == [request.out / "victims"]
    assert (
        json.loads((folders[0] / "victim.json").read_text())["sha256"] == records[0].victim.sha256
    )


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from toy import TOY_OPTIONS, toy_task
from robench.evaluation.run import Silent, build_request, evaluate

class Deadly(Silent):
    phase, label = "", ""
    def started(self, phase, what, total):
        self.phase, self.label = phase, what
    def advanced(self, done, total, note):
        if self.phase == sys.argv[4] and done >= int(sys.argv[5]) and sys.argv[6] in self.label:
            os.kill(os.getpid(), signal.SIGKILL)

with toy_task(Path(sys.argv[2]).parent) as task:
    request = build_request(
        defenses=("rift",), attacks=("genetic", "pwws"), tasks=(task,), out=Path(sys.argv[3]),
        encoder=sys.argv[2], options=TOY_OPTIONS, device="cpu",
    )
    evaluate(request, Deadly())
"""


def killed(toy: Mapping[str, Any], out: Path, phase: str, at: int, label: str = "") -> None:
    """Run the evaluation in a process that kills itself (SIGKILL) when ``phase`` has done ``at`` steps."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED,
            str(HELPERS),
            toy["encoder"],
            str(out),
            phase,
            str(at),
            label,
        ],
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def test_killed_and_resumed_gives_the_same_trials(
    toy: dict[str, Any], unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    """Killed while training, then in the second attack, which leaves a torn last line; each time the next run goes on."""
    request, records = unbroken
    killed(toy, tmp_path, "training", 20)
    assert not (tmp_path / "trials").exists()
    killed(toy, tmp_path, "attack", 11, "pwws")
    assert len(trials(tmp_path)) == 30 + 11
    assert len(read_records(tmp_path / "records")) == 1
    torn = next(
        path
        for path in (tmp_path / "trials").iterdir()
        if len(path.read_bytes().splitlines()) == 11
    )
    torn.write_bytes(torn.read_bytes()[:-9])
    resumed = evaluate(request.model_copy(update={"out": tmp_path}), Silent())
    assert trials(tmp_path) == trials(request.out)
    assert [essence(record) for record in resumed] == [essence(record) for record in records]
    assert (tmp_path / "leaderboard.md").exists()


class Interrupting(Silent):
    """Ctrl-C after five trials."""

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Count."""
        if done == 5 and "accuracy under attack" in note:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_what_is_finished(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, records = unbroken
    (tmp_path / "victims").symlink_to(request.out / "victims")
    again = request.model_copy(update={"out": tmp_path})
    with pytest.raises(KeyboardInterrupt):
        evaluate(again, Interrupting())
    assert len(trials(tmp_path)) >= 5
    assert [essence(record) for record in evaluate(again, Silent())] == [
        essence(record) for record in records
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"limit": 0}, "--limit must be at least 1, got 0"),
        ({"limit": -3}, "--limit must be at least 1, got -3"),
        ({"budget": 0}, "--budget must be at least 1"),
        ({"workers": 0}, "--workers must be at least 1"),
        ({"seeds": ()}, "--seed takes whole numbers"),
        ({"seeds": (-1,)}, "--seed takes whole numbers"),
        ({"defenses": ()}, "at least one of the defenses"),
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
def test_what_cannot_work_is_refused_before_anything_is_trained(
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


def test_an_encoder_that_reads_too_little_is_refused_before_anything_is_trained(
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


def test_a_joint_defense_is_judged_under_one_name(toy: dict[str, Any], tmp_path: Path) -> None:
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


def test_a_limit_above_the_number_of_examples_is_said_and_is_none(
    toy: dict[str, Any], unbroken: tuple[EvaluationRequest, list[Record]]
) -> None:
    said: list[str] = []

    class Listening(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    request, records = unbroken
    assert evaluate(request.model_copy(update={"limit": 99}), Listening()) == records
    assert any("has no effect" in text for text in said)


def test_without_a_language_model_nothing_is_constrained(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, records = unbroken
    (tmp_path / "victims").symlink_to(request.out / "victims")
    free = evaluate(
        request.model_copy(update={"out": tmp_path, "lm": "none", "limit": 4}), Silent()
    )
    assert [record.surface.constrained for record in free] == [False, False]
    assert {record.surface.language_model for record in free} == {"none"}
    assert free[0].cell != records[0].cell


def test_a_damaged_victim_is_named(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, _ = unbroken
    shutil.copytree(request.out / "victims", tmp_path / "victims")
    weights = next((tmp_path / "victims").rglob("head.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(RobenchError, match=r"head\.safetensors"):
        evaluate(request.model_copy(update={"out": tmp_path}), Silent())


BROKEN = {"standard.learning_rate": "1e30"}


@pytest.mark.parametrize("searching", [True, False])
def test_a_victim_that_cannot_be_trained_does_not_end_the_others(
    toy: dict[str, Any], tmp_path: Path, searching: bool
) -> None:
    said: list[str] = []

    class Listening(Silent):
        def message(self, text: str) -> None:
            said.append(text)

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
        match=r"that failed: 1; .* standard\(.* on toy, seed 0: Training 'standard' on 'toy' diverged in epoch 1",
    ) as caught:
        evaluate(request, Listening()) if searching else train_only(request, Listening())
    assert caught.value.exit_code == 1
    assert [text.partition(":")[2] for text in said if "No result for standard(" in text] == [
        str(caught.value).rpartition("seed 0:")[2]
    ]
    if searching:
        assert [(record.defense.name, record.attack.name) for record in caught.value.done] == [
            ("weight-decay", "pwws"),
            ("weight-decay", "greedy"),
        ]
        assert "weight-decay" in (tmp_path / "leaderboard.md").read_text()
    else:
        assert [folder.name.partition("-toy-")[0] for folder in caught.value.done] == [
            "weight-decay"
        ]


def test_the_error_of_a_single_victim_is_its_own(toy: dict[str, Any], tmp_path: Path) -> None:
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


def test_a_damaged_record_of_another_cell_blocks_nothing_and_is_named(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, records = unbroken
    shutil.copytree(request.out, tmp_path / "out")
    torn = tmp_path / "out" / "records" / "torn.json"
    torn.write_text('{"schema": 1, "cell')
    (tmp_path / "out" / "leaderboard.md").unlink()
    assert evaluate(request.model_copy(update={"out": tmp_path / "out"}), Silent()) == records
    table = (tmp_path / "out" / "leaderboard.md").read_text()
    assert (
        f"## Records that cannot be read\n\n- `torn.json`: Cannot read the record {torn} (it is not JSON). Restore it, or delete it"
        in table
    )
    assert "| rift(" in table
    assert torn.read_text() == '{"schema": 1, "cell'


def test_a_damaged_record_of_a_cell_is_made_anew_from_its_trials(
    unbroken: tuple[EvaluationRequest, list[Record]], tmp_path: Path
) -> None:
    request, records = unbroken
    shutil.copytree(request.out, tmp_path / "out")
    path = tmp_path / "out" / "records" / records[0].file_name
    half = path.read_text()[:400]
    path.write_text(half)
    said: list[str] = []

    class Listening(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    again = evaluate(request.model_copy(update={"out": tmp_path / "out"}), Listening())
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
    assert [text for text in said if "could not be read" in text] == [
        f"The record {path} could not be read. It is made again from its trials, and the old file "
        f"is kept as {path.name}.unreadable."
    ]
    assert "cannot be read" not in (tmp_path / "out" / "leaderboard.md").read_text()
