"""Running the boards with a stand-in for robench: time limit, kills, going on, and what is said."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from robench._base.errors import UsageError
from robench.models import fetched_encoders
from scripts import board_runs
from scripts.board_jobs import JOURNAL, Runner
from scripts.board_plan import Job

ROOT = Path(__file__).parents[3]
FAKE = """
import json, os, signal, sys, time
from pathlib import Path

# A shell starts background jobs with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
words = sys.argv[1:]
values = {name: value for name, value in zip(words, words[1:]) if name.startswith("--")}
row, out = values["--defense"], Path(values["--out"])
if "--dry-run" in words:
    if row == "broken":
        sys.exit("Error: There is no defense 'broken'.")
    cells = [{"total": 1000, "done": 400}]
    total = {"likely": 600.0, "unknown": 1}
    print(json.dumps({"cells": cells, "parts": [1, 2], "total": total}))
    sys.exit(0)
(out / "records").mkdir(parents=True, exist_ok=True)
(out / "started").mkdir(exist_ok=True)
(out / "started" / f"{row}-{time.monotonic_ns()}").write_text(" ".join(words))
(out / "threads").write_text(os.environ["OMP_NUM_THREADS"])
if row == "broken":
    print("a first line")
    sys.exit("Error: the disk is full.")
if row.startswith("slow"):
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        (out / f"{row}.interrupted").touch()
        sys.exit(130)
if row == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(60)
(out / "records" / f"{row}.json").write_text("{}")
(out / "model.safetensors").write_text("large")
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    path = tmp_path / "fake.py"
    path.write_text(FAKE)
    return [sys.executable, str(path)]


def plan_of(folder: Path, rows: Sequence[str], extra: str = "") -> Path:
    """Write a plan of one board with these rows."""
    path = folder / "plan.toml"
    path.write_text(
        '[[steps]]\nboard = "b"\nseeds = [0]\n[boards.b]\nabout = "made up"\n'
        f'options = "--task snli {extra}"\ndefenses = {json.dumps(list(rows))}\n'
        'attacks = ["pwws"]\n'
    )
    return path


def jobs(*rows: str) -> list[Job]:
    return [Job("b", "b", row, (0,), ("evaluate", "--defense", row)) for row in rows]


def runner_of(out: Path, program: Sequence[str], slots: int = 2, stamp: str = "") -> Runner:
    return Runner(out, program, "cpu", slots, 4, lambda _line: None, stamp)


def started(out: Path) -> list[str]:
    """Rows in the order in which they were started."""
    names = [path.name.rpartition("-") for path in (out / "b" / "started").iterdir()]
    return [row for row, _, _ in sorted(names, key=lambda parts: int(parts[2]))]


def call(program: Sequence[str], *arguments: str | Path) -> Result:
    words = [*map(str, arguments), "--device", "cpu", "--robench", shlex.join(program)]
    return CliRunner().invoke(board_runs.main, words)


def test_jobs_run_in_their_order_and_say_what_they_do(tmp_path: Path, program: list[str]) -> None:
    plan, out = plan_of(tmp_path, ["one", "two", "three"]), tmp_path / "out"
    done = call(program, "--plan", plan, "--out", out, "--side-by-side", "1")
    assert done.exit_code == 0, done.output
    assert started(out) == ["one", "two", "three"]
    where = f"--device cpu --workers 1 --out {out / 'b'}"
    command = "robench evaluate --task snli --defense two --attack pwws --seed 0"
    assert f"       {command} {where}\n" in done.output
    assert "3 jobs on cpu, 0 of them done before; 1 at a time, no time limit." in done.output
    assert "Done:\n  b: one, seed 0: " in done.output
    assert "Nothing is left." in done.output
    assert (out / "logs" / "b-one-s0.log").is_file()


def test_a_second_call_does_nothing_again_unless_the_code_changed(
    tmp_path: Path, program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = plan_of(tmp_path, ["one", "two"]), tmp_path / "out"
    call(program, "--plan", plan, "--out", out)
    again = call(program, "--plan", plan, "--out", out)
    assert "2 jobs on cpu, 2 of them done before" in again.output
    assert len(started(out)) == 2
    monkeypatch.setattr(board_runs, "code_stamp", lambda: "other")
    assert "0 of them done before" in call(program, "--plan", plan, "--out", out).output
    assert len(started(out)) == 4


def test_a_failed_job_is_named_with_its_last_line_and_tried_again(
    tmp_path: Path, program: list[str]
) -> None:
    plan, out = plan_of(tmp_path, ["broken", "one"]), tmp_path / "out"
    done = call(program, "--plan", plan, "--out", out)
    assert done.exit_code == 1
    said = r"Failed:\n  b: broken, seed 0: \d+ s Error: the disk is full\.\n"
    assert re.search(said, done.output)
    assert "Left: 1 of 2 jobs.\n  b: broken, seed 0\nThe same call goes on" in done.output
    assert "1 of them done before" in call(program, "--plan", plan, "--out", out).output


@pytest.mark.slow
def test_the_time_limit_ends_jobs_as_ctrl_c_does(tmp_path: Path, program: list[str]) -> None:
    plan, out = plan_of(tmp_path, ["one", "slow", "never"]), tmp_path / "out"
    begin = time.monotonic()
    done = call(program, "--plan", plan, "--out", out, "--side-by-side", "1", "--minutes", "0.15")
    assert time.monotonic() - begin < 25
    assert done.exit_code == 0
    assert (out / "b" / "slow.interrupted").exists()
    assert started(out) == ["one", "slow"]
    assert "Stopped by the time, their finished trials are kept:\n  b: slow" in done.output
    assert "Left: 2 of 3 jobs.\n  b: slow, seed 0\n  b: never, seed 0\n" in done.output


@pytest.mark.slow
def test_a_job_that_ignores_the_end_is_killed(tmp_path: Path, program: list[str]) -> None:
    runner = runner_of(tmp_path, program)
    (ended,) = runner.run(jobs("deaf"), 5)
    assert (ended.state, ended.seconds < 30) == ("stopped", True)
    # Its session is gone.
    assert subprocess.run(["pgrep", "-f", str(tmp_path / "fake.py")]).returncode == 1


@pytest.mark.slow
def test_several_jobs_run_side_by_side_in_sessions_of_their_own(
    tmp_path: Path, program: list[str]
) -> None:
    runner = runner_of(tmp_path, program, slots=2)
    ended = runner.run(jobs("slow1", "slow2", "slow3"), 5)
    assert [each.job.defense for each in ended] == ["slow1", "slow2"]
    assert {each.state for each in ended} == {"stopped"}
    # Four cores for two jobs.
    assert (tmp_path / "b" / "threads").read_text() == "2"


def test_a_line_of_the_journal_that_was_cut_is_passed_over(
    tmp_path: Path, program: list[str]
) -> None:
    runner = runner_of(tmp_path, program)
    runner.run(jobs("one"), None)
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write('{"key": "x", "sta')
    assert [job.defense for job in runner.done_before(jobs("one", "two"))] == ["one"]
    assert runner_of(tmp_path, program, stamp="other").done_before(jobs("one")) == []


def test_two_calls_on_one_folder_are_refused(tmp_path: Path, program: list[str]) -> None:
    with (
        FileLock(tmp_path / "board_runs.lock"),
        pytest.raises(UsageError, match=r"^Another process runs boards in .*name another --out"),
    ):
        runner_of(tmp_path, program).run(jobs("one"), None)


def running_call(folder: Path, program: Sequence[str]) -> subprocess.Popen[str]:
    """Start a call whose second job is slow, and wait until that job runs."""
    plan = plan_of(folder, ["one", "slow"])
    words = ["--plan", str(plan), "--out", str(folder / "out"), "--device", "cpu"]
    words += ["--side-by-side", "1", "--robench", shlex.join(program)]
    # A shell starts background jobs with Ctrl-C ignored, and tests may be such a job.
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "runpy.run_module('scripts.board_runs', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if any((folder / "out").glob("b/started/slow-*")):
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the call did not start its second job")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_call_that_is_ended_leaves_no_process_and_goes_on(
    tmp_path: Path, program: list[str], number: signal.Signals, code: int
) -> None:
    process = running_call(tmp_path, program)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code
    if number != signal.SIGKILL:
        assert "Left: 1 of 2 jobs.\n  b: slow, seed 0\n" in output
        assert (tmp_path / "out" / "b" / "slow.interrupted").exists()
    until = time.monotonic() + 20
    alive = ["pgrep", "-f", str(tmp_path / "fake.py")]
    while subprocess.run(alive, capture_output=True).returncode == 0 and time.monotonic() < until:
        time.sleep(0.1)
    assert subprocess.run(alive, capture_output=True).returncode == 1
    plan = plan_of(tmp_path, ["one", "slow"])
    again = call(program, "--plan", plan, "--out", tmp_path / "out", "--minutes", "0.1")
    assert "2 jobs on cpu, 1 of them done before" in again.output


# -- what a call may also do -----------------------------------------------------------------------


def test_the_plan_can_be_looked_at(tmp_path: Path, program: list[str]) -> None:
    plan = plan_of(tmp_path, ["one"])
    shown = call(program, "--plan", plan, "--list").output
    assert (
        "b: made up\n  robench evaluate --task snli --defense one --attack pwws --seed 0" in shown
    )
    assert "Order on a CPU:\n  b: one, seed 0\n" in shown


def test_every_command_can_be_checked_and_estimated(tmp_path: Path, program: list[str]) -> None:
    plan, out = plan_of(tmp_path, ["one"]), tmp_path / "out"
    shown = call(program, "--plan", plan, "--out", out, "--dry-run")
    assert shown.exit_code == 0
    assert shown.output == (
        "b: 1 cells, 600 trials to do, 1 of 2 parts without an estimate; the others take about "
        "10 minutes one after the other\n"
    )
    assert not out.exists()
    wrong = call(program, "--plan", plan_of(tmp_path, ["broken"]), "--dry-run")
    assert (wrong.exit_code, wrong.output) == (1, "b: Error: There is no defense 'broken'.\n")


def test_results_are_packed_without_weights(tmp_path: Path, program: list[str]) -> None:
    plan, out, pack = plan_of(tmp_path, ["one"]), tmp_path / "out", tmp_path / "out" / "r.tar.xz"
    done = call(program, "--plan", plan, "--out", out, "--pack", pack)
    with tarfile.open(pack) as archive:
        names = archive.getnames()
    assert {"b/records/one.json", JOURNAL, "logs/b-one-s0.log"} <= set(names)
    assert not any("safetensors" in name or name.endswith((".lock", ".xz")) for name in names)
    assert f"Packed: {pack} ({len(names)} files)" in done.output


def test_a_missing_encoder_is_named_before_anything_runs(
    tmp_path: Path, program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched_encoders, "cache_folder", lambda: tmp_path / "cache")
    plan = plan_of(tmp_path, ["one"], "--encoder minilm")
    done = call(program, "--plan", plan, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "run 'robench fetch minilm' once" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "c"], "Error: There is no board 'c'. Boards: b."),
        (["--minutes", "0"], "--minutes"),
        (["--plan", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    tmp_path: Path, program: list[str], arguments: list[str], sentence: str
) -> None:
    done = call(program, "--plan", plan_of(tmp_path, ["one"]), *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
