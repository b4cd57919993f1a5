"""``robench slurm``: what it writes, and what it refuses before a job waits in a queue."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from robench.cli import main

EVALUATE = ("evaluate", "--defense", "rift", "--attack", "pwws")


def slurm(*words: str) -> Result:
    return CliRunner().invoke(main, ["slurm", *words])


def test_the_script_has_the_array_its_needs_and_the_order_of_the_jobs() -> None:
    found = slurm("--shards", "12", "--time", "1-02:00:00", "--cpus", "3", "--", *EVALUATE)
    assert found.exit_code == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "#!/bin/bash"
    for wanted in ("--time=1-02:00:00", "--cpus-per-task=3", "--gres=gpu:1", "--mem=16G"):
        assert f"#SBATCH {wanted}" in lines
    # sbatch reads no directive behind the first command.
    first = lines.index("set -euo pipefail")
    assert all(index < first for index, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert found.stdout.count("afterok") == 2
    assert "--array=1-12" in found.stdout
    assert '--shard "$SLURM_ARRAY_TASK_ID/12"' in found.stdout


def test_the_script_is_bash(tmp_path: Path) -> None:
    found = slurm("--setup", "module load 'a b'", "--", *EVALUATE, "--out", "it's here")
    (tmp_path / "job.sh").write_text(found.stdout)
    checked = subprocess.run(["bash", "-n", str(tmp_path / "job.sh")], capture_output=True)
    assert checked.returncode == 0, checked.stderr
    assert """robench merge 'it'"'"'s here'""" in found.stdout


def test_every_victim_that_is_trained_has_a_task_with_its_own_options() -> None:
    found = slurm(
        "--", "robench", *EVALUATE, "--defense", "standard", "--seed", "0", "--seed", "3",
        "--option", "rift.alpha=0.3", "--option", "attack.scores=probabilities", "--limit", "9",
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    trainings = [line.strip() for line in found.stdout.splitlines() if "robench train" in line]
    assert trainings == [
        "1) robench train --task mini-reviews --defense rift --seed 0 --option rift.alpha=0.3 ;;",
        "2) robench train --task mini-reviews --defense rift --seed 3 --option rift.alpha=0.3 ;;",
        "3) robench train --task mini-reviews --defense standard --seed 0 ;;",
        "4) robench train --task mini-reviews --defense standard --seed 3 ;;",
    ]
    assert "robench-train --array=1-4" in found.stdout


def test_a_run_that_trains_nothing_has_no_job_for_it(tmp_path: Path) -> None:
    found = slurm("--gpus", "0", "--", "evaluate", "--victim", str(tmp_path), "--attack", "pwws")
    assert found.exit_code == 0, found.stderr
    assert "robench train" not in found.stdout
    assert "gres" not in found.stdout


def test_options_of_the_cluster_go_to_the_script() -> None:
    found = slurm("--sbatch=--partition=x", "--sbatch=--account=y", "--", *EVALUATE)
    assert "#SBATCH --partition=x\n#SBATCH --account=y\n" in found.stdout


def test_with_json_the_script_is_a_text() -> None:
    found = slurm("--json", "--shards", "3", "--", *EVALUATE)
    data = json.loads(found.stdout)
    assert data["script"].startswith("#!/bin/bash\n")
    assert (data["shards"], data["trainings"], data["file"]) == (3, 1, None)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "After -- stands a command line of 'robench evaluate'"),
        (("--", "train", "--defense", "rift"), "After -- stands a command line"),
        (("--", *EVALUATE, "--shard", "1/2"), "Leave --shard out"),
        (("--", *EVALUATE, "--retrain"), "Leave --retrain out"),
        (("--", *EVALUATE, "--dry-run"), "Leave --dry-run out"),
        (("--", *EVALUATE, "--backend", "ray"), "Leave --backend out"),
        (("--", *EVALUATE, "--attack", "pws"), "pws"),
        (("--", *EVALUATE, "--seeed", "1"), "There is no option '--seeed'"),
        (("--time", "soon", "--", *EVALUATE), "--time 'soon' is no time of SLURM"),
        (("--time", "1:00\nrm", "--", *EVALUATE), "is no time of SLURM"),
        (("--memory", "lots", "--", *EVALUATE), "--memory 'lots' is no size of SLURM"),
        (("--file", "no/such/job.sh", "--", *EVALUATE), "There is no folder 'no/such' for --file"),
        (("--shards", "9", "--", *EVALUATE, "--limit", "8"), "Use 8 shards at most"),
        (("--setup", "a\nb", "--", *EVALUATE), "--setup holds a line break"),
        (("--sbatch", "partition=x", "--", *EVALUATE), "--sbatch takes an option of sbatch"),
        (("--shards", "0", "--", *EVALUATE), "0 is not in the range"),
    ],
)
def test_what_cannot_run_is_refused_in_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    found = slurm(*words)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert found.stdout == ""
