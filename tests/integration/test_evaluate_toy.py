"""An evaluation of the toy task: finished, continued, interrupted, and with several workers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from evaluation_cases import FinishedRun, Listening, rewrite_trials, trials_of, without_measurements
from toy import TOY_OPTIONS

from robench._base.errors import Incomplete
from robench.evaluation.run import (
    Silent,
    evaluate,
    plan,
    train_only,
)
from robench.records.record_files import read_records
from robench.records.run_folder import RunFolder
from robench.search.attack import Trial, Verdict

HELPERS = Path(__file__).parent.parent


def test_a_finished_evaluation(finished: FinishedRun) -> None:
    request, records = finished
    assert [record.attack.name for record in records] == ["genetic", "pwws"]
    assert list(read_records(request.out / "records").values()) == sorted(
        records, key=lambda record: record.file_name
    )
    # The trials and the record of a cell share a readable name.
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
    assert (genetic.attack.access, pwws.attack.access) == ("probabilities", "probabilities")
    assert pwws.curves is not None
    assert pwws.curves.queries is not None
    assert pwws.curves.words is not None
    assert pwws.curves.queries.total == pwws.curves.words.total == pwws.counts.fooled
    # PWWS asks about several texts before it changes anything.
    assert pwws.curves.queries.fooled_at(1) == 0
    assert genetic.cost.training_seconds is not None
    assert len(trials_of(request.out)) == 60
    board = (request.out / "leaderboard.md").read_text()
    assert "| rift(" in board
    assert "Synthetic task" in board
    assert not list(request.out.rglob("*.tmp"))


def test_records_and_trials_hold_no_path_of_this_machine(
    finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory
) -> None:
    request, _ = finished
    base = str(tmp_path_factory.getbasetemp())
    for path in [
        *(request.out / "records").iterdir(),
        request.out / "leaderboard.md",
        *(request.out / "trials").iterdir(),
    ]:
        assert base not in path.read_text()


def test_every_trained_victim_has_a_model_card_with_its_records(finished: FinishedRun) -> None:
    request, records = finished
    for folder in (request.out / "victims").iterdir():
        weights = json.loads((folder / "victim.json").read_text())["sha256"]
        mine = [record for record in records if record.victim.sha256 == weights]
        rows = (folder / "README.md").read_text().splitlines()
        assert sum(row.startswith("| toy |") for row in rows) == len(mine) > 0


def test_a_second_run_changes_no_file(finished: FinishedRun) -> None:
    request, records = finished
    before = {
        path: path.stat().st_mtime_ns
        for path in request.out.rglob("*")
        if path.is_file() and path.name != "leaderboard.md"
    }
    assert evaluate(request, Silent()) == records
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_plan_of_a_finished_run_has_nothing_to_do(finished: FinishedRun) -> None:
    request, _ = finished
    for cell in plan(request):
        assert (cell.victim, cell.surface, cell.done, cell.total) == ("reuse", "reuse", 30, 30)


def test_a_limited_run_reuses_the_trials_of_the_whole_run(
    finished: FinishedRun,
) -> None:
    request, records = finished
    before = trials_of(request.out)
    limited = evaluate(request.model_copy(update={"limit": 10}), Silent())
    # Nothing was attacked again.
    assert trials_of(request.out) == before
    assert [record.limit for record in limited] == [10, 10]
    assert {record.cell for record in limited} == {record.cell for record in records}
    assert {record.cost.missing["peak_memory_bytes"] for record in limited} == {
        "every trial was there from an earlier run"
    }
    assert len(read_records(request.out / "records")) == 4
    assert "only 10 of 30 examples" in (request.out / "leaderboard.md").read_text()


def test_two_workers_give_the_same_trials(
    finished: FinishedRun, toy: dict[str, Any], tmp_path: Path
) -> None:
    request, records = finished
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
    assert trials_of(tmp_path).items() <= trials_of(request.out).items()
    assert without_measurements(other) == without_measurements(records[1])


def test_the_number_of_workers_is_chosen_by_the_work_unless_given(
    finished: FinishedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, records = finished
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
        without_measurements(record)
        for record in evaluate(request.model_copy(update={"out": tmp_path}), Silent())
    ] == [without_measurements(record) for record in records]
    assert asked == [("cpu", 30), ("cpu", 30)]


def test_a_search_in_bf16_has_its_own_cells_and_the_same_wrong_examples(
    finished: FinishedRun, tmp_path: Path
) -> None:
    request, records = finished
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


def test_examples_of_damaged_trials_are_reported_and_attacked_again(
    finished: FinishedRun, tmp_path: Path
) -> None:
    request, records = finished
    (tmp_path / "victims").symlink_to(request.out / "victims")
    for path in (request.out / "trials").glob("*.jsonl"):
        (tmp_path / "trials").mkdir(exist_ok=True)
        content = path.read_bytes()
        (tmp_path / "trials" / path.name).write_bytes(content[:300] + bytes(600) + content[900:])
    report = Listening()
    again = request.model_copy(update={"out": tmp_path})
    assert [without_measurements(record) for record in evaluate(again, report)] == [
        without_measurements(record) for record in records
    ]
    assert trials_of(tmp_path) == trials_of(request.out)
    assert (
        sum(
            "has damaged lines (1; line" in text and "trials are lost are attacked again" in text
            for text in report.messages
        )
        == 2
    )


def test_examples_with_errors_are_attacked_again(finished: FinishedRun, tmp_path: Path) -> None:
    request, records = finished
    (tmp_path / "victims").symlink_to(request.out / "victims")
    again = request.model_copy(update={"out": tmp_path})

    def break_one(trials: list[Trial]) -> None:
        trials[3] = Trial(
            id=trials[3].id,
            verdict=Verdict.ERROR,
            label=trials[3].label,
            prediction=None,
            problem="made up",
        )

    for path in (request.out / "trials").glob("*.jsonl"):
        rewrite_trials(path, tmp_path / "trials" / path.name, break_one)
    assert [cell.done for cell in plan(again)] == [29, 29]
    assert [without_measurements(record) for record in evaluate(again, Silent())] == [
        without_measurements(record) for record in records
    ]


def test_trials_that_cannot_be_true_are_named_and_made_again(
    finished: FinishedRun, tmp_path: Path
) -> None:
    """Edit trials as a careful person would: every line has a seal that fits."""
    request, records = finished
    (tmp_path / "victims").symlink_to(request.out / "victims")
    again = request.model_copy(update={"out": tmp_path})

    def edit(trials: list[Trial]) -> None:
        trials[1] = trials[1].model_copy(update={"label": 1 - trials[1].label})
        trials[2] = trials[2].model_copy(update={"asked": -(10**30)})
        trials[3] = trials[3].model_copy(update={"id": "toy/of-another-test-set"})
        fooled = next(i for i, t in enumerate(trials) if i > 3 and t.verdict == Verdict.FOOLED)
        (first, *rest) = trials[fooled].changes
        bad = first.model_copy(update={"substitute": "outside"})
        trials[fooled] = trials[fooled].model_copy(update={"changes": (bad, *rest)})

    for path in (request.out / "trials").glob("*.jsonl"):
        rewrite_trials(path, tmp_path / "trials" / path.name, edit)
    report = Listening()
    assert [without_measurements(record) for record in evaluate(again, report)] == [
        without_measurements(record) for record in records
    ]
    told = [text for text in report.messages if "cannot be true (3; " in text]
    assert len(told) == 2
    assert all(text.endswith("Their examples are attacked again.") for text in told)
    told = [text for text in report.messages if "(1; toy/of-another-test-set)" in text]
    assert len(told) == 2
    # What was revoked stays revoked.
    quiet = Listening()
    evaluate(again, quiet)
    assert not any("cannot be true" in text for text in quiet.messages)


def test_the_trials_of_another_attack_are_refused(finished: FinishedRun, tmp_path: Path) -> None:
    request, records = finished
    (tmp_path / "victims").symlink_to(request.out / "victims")
    genetic, pwws = (RunFolder(request.out).trials_file(record.cell_name) for record in records)
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / pwws.name).write_bytes(genetic.read_bytes())
    with pytest.raises(Incomplete) as caught:
        evaluate(request.model_copy(update={"out": tmp_path}), Silent())
    assert f"holds the trials of another cell ({genetic.stem}). Put the right" in str(caught.value)
    assert [record.attack.name for record in caught.value.done] == ["genetic"]


def test_train_only_returns_the_folder_of_the_victim(
    toy: dict[str, Any], finished: FinishedRun
) -> None:
    request, records = finished
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


def run_and_kill(toy: Mapping[str, Any], out: Path, phase: str, at: int, label: str = "") -> None:
    """Run the evaluation in a process that kills itself (SIGKILL) after some steps of a phase.

    Args:
        toy: the fixture.
        out: folder of the run.
        phase: the phase in which it is killed.
        at: number of steps after which it is killed.
        label: part of the phase's label, to choose among several attacks.
    """
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


def test_a_killed_run_continues_and_gives_the_same_trials(
    toy: dict[str, Any], finished: FinishedRun, tmp_path: Path
) -> None:
    """Kill the run in training and then in the second attack, with an incomplete last line."""
    request, records = finished
    run_and_kill(toy, tmp_path, "training", 20)
    assert not (tmp_path / "trials").exists()
    run_and_kill(toy, tmp_path, "attack", 11, "pwws")
    assert len(trials_of(tmp_path)) == 30 + 11
    assert len(read_records(tmp_path / "records")) == 1
    torn = next(
        path
        for path in (tmp_path / "trials").iterdir()
        if len(path.read_bytes().splitlines()) == 1 + 11
    )
    torn.write_bytes(torn.read_bytes()[:-9])
    resumed = evaluate(request.model_copy(update={"out": tmp_path}), Silent())
    assert trials_of(tmp_path) == trials_of(request.out)
    assert [without_measurements(record) for record in resumed] == [
        without_measurements(record) for record in records
    ]
    assert (tmp_path / "leaderboard.md").exists()


class Interrupting(Silent):
    """Press Ctrl-C after five trials."""

    def advanced(self, done: int, total: int | None, note: str) -> None:
        """Raise after the fifth trial."""
        if done == 5 and "accuracy under attack" in note:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_the_finished_trials(finished: FinishedRun, tmp_path: Path) -> None:
    request, records = finished
    (tmp_path / "victims").symlink_to(request.out / "victims")
    again = request.model_copy(update={"out": tmp_path})
    with pytest.raises(KeyboardInterrupt):
        evaluate(again, Interrupting())
    assert len(trials_of(tmp_path)) >= 5
    assert [without_measurements(record) for record in evaluate(again, Silent())] == [
        without_measurements(record) for record in records
    ]
