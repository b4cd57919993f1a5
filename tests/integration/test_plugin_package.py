"""The package in tests/plugin_example from a user's point of view.

It is installed by pip, found through its entry points, evaluated, put on a board, and broken.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from guests import Done, environment, several

# One installation and one evaluation serve all tests.
pytestmark = pytest.mark.xdist_group("plugin-package")

EXAMPLE = Path(__file__).resolve().parents[1] / "plugin_example"
QUICK = (
    "--option",
    "defense.epochs=3",
    "--option",
    "defense.batch_size=8",
    "--option",
    "defense.learning_rate=0.001",
    "--out",
    "runs",
)
GRID = (
    "--task",
    "outings",
    "--defense",
    "focal-loss",
    "--attack",
    "random-search",
    "--attack",
    "pwws",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory; the package is installed in its folder ``site``."""
    home = tmp_path_factory.mktemp("home")
    source = shutil.copytree(
        EXAMPLE,
        home / "source",
        ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"),
    )
    install = [
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(home / "site"),
        str(source),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *install], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return home


@pytest.fixture(scope="module")
def env(home: Path) -> dict[str, str]:
    return environment(home / "site", home / "cache")


@pytest.fixture(scope="module")
def done(home: Path, env: Mapping[str, str]) -> dict[str, Done]:
    """The results of everything that a user of the package might do, by name."""
    board = home / "leaderboards" / "outings.toml"
    board.parent.mkdir()
    fields = {
        "title": "Outings",
        "task": "outings",
        "encoder": "tiny",
        "protocol": "rift2021",
        "test_name": "frozen-40",
        "records": "../runs/records",
    }
    board.write_text(
        "\n".join(f'{name} = "{value}"' for name, value in fields.items())
        + '\nattacks = ["random-search", "pwws"]\n'
    )
    commands = {
        "list": ["list", "--json"],
        "show": ["show", "defense", "focal-loss", "--json"],
        "wrong option": ["evaluate", *GRID, *QUICK, "--option", "focal-loss.focus=-2", "--dry-run"],
        "plan": ["evaluate", *GRID, *QUICK, "--dry-run"],
        "evaluate": ["evaluate", *GRID, *QUICK],
        "second plan": ["evaluate", *GRID, *QUICK, "--dry-run"],
        "again": ["evaluate", *GRID, *QUICK],
        "leaderboard": ["leaderboard"],
        "check": ["leaderboard", "--check"],
    }
    return dict(zip(commands, several(*commands.values(), env=env, cwd=home), strict=True))


def test_list_shows_the_three_plugins_with_their_package(done: dict[str, Done]) -> None:
    rows = {(row["kind"], row["name"]): row for row in json.loads(done["list"].stdout)}
    for kind, name in (("defense", "focal-loss"), ("attack", "random-search"), ("task", "outings")):
        assert rows[(kind, name)]["origin"] == "package 'robench-example'"
        assert rows[(kind, name)]["problem"] is None
        assert rows[(kind, name)]["summary"]
    assert ("attack", "pwws") in rows


def test_show_describes_a_guest_like_a_built_in(done: dict[str, Done]) -> None:
    facts = json.loads(done["show"].stdout)
    assert facts["paper"].startswith("Lin et al. 2017")
    options = {option["name"]: option for option in facts["options"]}
    assert (options["focus"]["default"], options["focus"]["takes"]) == (2.0, "float >= 0")
    assert "learning_rate" in options


def test_an_option_of_the_guest_is_checked(done: dict[str, Done]) -> None:
    wrong = done["wrong option"]
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1), wrong.stderr
    assert "focus" in wrong.stderr
    assert "greater than or equal to 0" in wrong.stderr


def test_a_plan_shows_what_is_missing_and_later_what_is_reused(done: dict[str, Done]) -> None:
    ends = [
        [line.split()[-5:] for line in done[name].stdout.partition("\n\n")[0].splitlines()[1:]]
        for name in ("plan", "second plan")
    ]
    assert ends == [
        [["train", "build", "40", "of", "40"]] * 2,
        [["reuse", "reuse", "0", "of", "40"]] * 2,
    ]


def test_evaluate_trains_attacks_and_prints_the_table(home: Path, done: dict[str, Done]) -> None:
    evaluated = done["evaluate"]
    assert evaluated.returncode == 0, evaluated.stderr
    assert "focal-loss" in evaluated.stdout
    assert "random-search" in evaluated.stdout
    records = [
        json.loads(path.read_text()) for path in sorted((home / "runs" / "records").glob("*.json"))
    ]
    assert {
        (record["task"]["name"], record["attack"]["name"], sum(record["counts"].values()))
        for record in records
    } == {
        ("outings", "random-search", 40),
        ("outings", "pwws", 40),
    }
    assert all(record["counts"]["error"] == 0 for record in records)
    assert "focal-loss" in (home / "runs" / "leaderboard.md").read_text()


def test_the_victim_learns_the_task_and_the_attacks_fool_it(
    home: Path, done: dict[str, Done]
) -> None:
    """An example with a victim that learns nothing, or an idle attack, would show nothing."""
    counts = [
        json.loads(path.read_text())["counts"]
        for path in (home / "runs" / "records").glob("*.json")
    ]
    assert all(count["wrong"] <= 10 for count in counts)
    assert sum(count["fooled"] for count in counts) > 0


def test_a_second_run_prints_the_same_and_trains_nothing(done: dict[str, Done]) -> None:
    assert done["again"].stdout == done["evaluate"].stdout
    assert "training" in done["evaluate"].stderr
    assert "training" not in done["again"].stderr


def test_the_records_make_a_board(home: Path, done: dict[str, Done]) -> None:
    assert done["leaderboard"].stdout.strip() == "wrote leaderboards/outings.md"
    table = (home / "leaderboards" / "outings.md").read_text()
    assert any(line.startswith("| focal-loss") for line in table.splitlines())
    assert (done["check"].returncode, done["check"].stdout.strip()) == (
        0,
        "leaderboards/outings.md agrees with its records",
    )


def test_an_interrupted_run_says_what_is_kept(home: Path, env: Mapping[str, str]) -> None:
    command = [
        sys.executable,
        "-c",
        "from robench.cli import main; main()",
        "evaluate",
        *GRID,
        *QUICK[:-1],
        "broken-off",
    ]
    running = subprocess.Popen(
        command, env=dict(env), cwd=home, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    seen = []
    for line in running.stderr:
        seen.append(line)
        if line.startswith("training"):
            break
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=120)
    assert running.returncode == 130, "".join(seen) + rest
    assert (
        rest.strip().splitlines()[-1] == "Interrupted. What was finished under broken-off is kept; "
        "run the same command again to continue from there."
    )
    assert "Traceback" not in rest


def test_a_broken_module_is_listed_with_its_problem_and_the_others_work(
    home: Path, tmp_path: Path
) -> None:
    site = shutil.copytree(home / "site", tmp_path / "site")
    (site / "robench_example" / "random_search.py").write_text("import no_such_dependency\n")
    env = environment(site, tmp_path / "cache")
    listed, used = several(
        ["list", "--json"], ["evaluate", *GRID, "--dry-run"], env=env, cwd=tmp_path
    )
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert "No module named 'no_such_dependency'" in rows["random-search"]["problem"]
    assert rows["focal-loss"]["problem"] is None
    assert used.returncode == 2
    assert used.stderr.startswith(
        "Error: attack 'random-search' from package 'robench-example' cannot be imported "
        "(ModuleNotFoundError"
    )
