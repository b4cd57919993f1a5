"""The plan of the board runs: it names what exists, and its jobs come in the order of worth."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import click
import pytest

from robench._base.errors import UsageError
from robench.cli import main
from robench.evaluation.request import build_request
from robench.evaluation.resolve import check_names
from robench.models import fetched_encoders
from robench.models.encoders import ENCODERS
from robench.plugins.names import canonical
from robench.search.registry import ATTACKS
from robench.training.registry import DEFENSES
from scripts.board_plan import (
    Job,
    Kind,
    board_commands,
    jobs_of,
    left_for_a_gpu,
    read_plan,
)

PLAN = read_plan()
KINDS: tuple[Kind, ...] = ("gpu", "cpu")
SMALL = """
[[steps]]
board = "b"
seeds = [0]
[[steps]]
board = "a"
seeds = [0, 1]
[boards.a]
about = "first"
options = "--task snli"
defenses = ["standard", "rift"]
attacks = ["pwws", "exhaustive"]
[boards.a.leave_out]
exhaustive = ["rift"]
[boards.a.gpu]
options = "--precision bf16"
[boards.a.cpu]
options = "--option defense.train_examples=60"
defenses = ["standard"]
[boards.b]
about = "second"
options = "--task imdb"
defenses = ["ascc"]
attacks = ["pwws"]
[boards.b.gpu]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(SMALL)
    return path


def value_of(arguments: tuple[str, ...], option: str) -> list[str]:
    return [value for name, value in pairwise(arguments) if name == option]


def all_jobs() -> list[Job]:
    return [job for kind in KINDS for job in jobs_of(PLAN, kind)]


def test_every_command_has_options_that_exist() -> None:
    command = main.get_command(click.Context(main), "evaluate")
    assert command is not None
    known = {name for each in command.params for name in each.opts}
    for job in all_jobs():
        assert job.arguments[0] == "evaluate"
        assert {word for word in job.arguments if word.startswith("--")} <= known


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("board", PLAN.boards)
def test_robench_knows_every_name_of_a_board(
    kind: Kind, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong name or option of a plugin would be found only when the time is running."""
    monkeypatch.setattr(fetched_encoders.FetchedEncoder, "check", lambda _self: None)
    for words in board_commands(PLAN, board, kind):
        (encoder,) = value_of(words, "--encoder") or ["tiny"]
        assert encoder in ENCODERS
        options = dict(each.split("=") for each in value_of(words, "--option"))
        request = build_request(
            tasks=tuple(value_of(words, "--task")),
            tests=tuple(value_of(words, "--test")),
            defenses=tuple(value_of(words, "--defense")),
            attacks=tuple(value_of(words, "--attack")),
            encoder=encoder,
            options=options,
        )
        check_names(request)


def test_the_board_of_every_defense_has_every_defense() -> None:
    rows = set(PLAN.boards["mini-reviews"].defenses)
    built_in = {entry.name for entry in DEFENSES.entries() if entry.origin == "built-in"}
    assert built_in <= rows
    assert all(canonical(row) == "+".join(sorted(row.split("+"))) for row in rows)


def test_the_question_of_the_papers_comes_first() -> None:
    first = jobs_of(PLAN, "gpu")[:8]
    assert {job.board for job in first} == {"snli-minilm"}
    assert {job.seeds for job in first} == {(0,)}
    assert [job.defense for job in first[:3]] == ["rift", "ascc", "standard"]
    columns = ["pwws", "genetic", "convex-hull", "exhaustive", "pwws@held-out"]
    assert value_of(first[0].arguments, "--attack") == columns


def test_every_board_gets_three_seeds() -> None:
    for name in PLAN.boards:
        seeds = [seed for step in PLAN.steps if step.board == name for seed in step.seeds]
        assert sorted(seeds) == [0, 1, 2]


def test_no_two_jobs_share_a_name_or_a_command() -> None:
    for kind in KINDS:
        jobs = jobs_of(PLAN, kind)
        assert len({job.name for job in jobs}) == len(jobs)
        assert len({job.arguments for job in jobs}) == len(jobs)


def test_what_is_cut_for_a_processor_is_said_in_the_label() -> None:
    """Such rows must never be taken for those of the whole board."""
    for job in jobs_of(PLAN, "cpu"):
        board = PLAN.boards[job.board]
        if board.cpu is not None and board.cpu.options:
            assert any("train_examples" in each for each in value_of(job.arguments, "--option"))
            assert job.folder == f"{job.board}-cpu"
    assert not any(job.board == "imdb-minilm" for job in jobs_of(PLAN, "cpu"))


# -- a small plan ----------------------------------------------------------------------------------


def test_jobs_come_in_the_order_of_the_steps(small: Path) -> None:
    plan = read_plan(small)
    words = "evaluate --task snli --precision bf16 --defense rift --attack pwws --seed 0 --seed 1"
    jobs = jobs_of(plan, "gpu")
    assert [(job.board, job.defense) for job in jobs] == [
        ("b", "ascc"),
        ("a", "standard"),
        ("a", "rift"),
    ]
    assert jobs[2].arguments == tuple(words.split())
    assert jobs[2].title == "a: rift, seeds 0, 1"
    assert jobs[2].folder == "a"
    assert jobs_of(plan, "gpu", ["a"]) == jobs[1:]


def test_a_processor_runs_what_fits_and_leaves_the_rest(small: Path) -> None:
    plan = read_plan(small)
    (job,) = jobs_of(plan, "cpu")
    assert (job.board, job.folder, job.defense) == ("a", "a-cpu", "standard")
    assert "defense.train_examples=60" in job.arguments
    assert left_for_a_gpu(plan) == [
        "a: the whole board with '--task snli --precision bf16'; rift",
        "b: all of it",
    ]
    assert left_for_a_gpu(plan, ["b"]) == ["b: all of it"]


def test_a_board_is_made_again_by_one_command_for_each_set_of_columns(small: Path) -> None:
    plan = read_plan(small)
    commands = [" ".join(words) for words in board_commands(plan, "a", "gpu")]
    base, seeds = "evaluate --task snli --precision bf16", "--seed 0 --seed 1"
    assert commands == [
        f"{base} --defense standard --attack pwws --attack exhaustive {seeds}",
        f"{base} --defense rift --attack pwws {seeds}",
    ]
    assert board_commands(plan, "b", "cpu") == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('board = "b"', 'board = "c"', "names no board"),
        ("seeds = [0]", "seeds = []", "at 'steps.0.seeds'"),
        ('board = "b"', 'board = "a"', "stands there twice"),
        ('exhaustive = ["rift"]', 'greedy = ["rift"]', "leave_out names a row or a column"),
        ('defenses = ["standard"]', 'defenses = ["mixout"]', "a device has a row or a column"),
        ('about = "second"', 'abuot = "second"', "at 'boards.b.about'"),
        ("[[steps]]", "[[steps", "plan.toml"),
    ],
)
def test_a_wrong_plan_is_one_sentence(small: Path, old: str, new: str, sentence: str) -> None:
    small.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read_plan(small)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_board_is_named(small: Path) -> None:
    with pytest.raises(UsageError, match=r"^There is no board 'c'\. Boards: a, b\.$"):
        jobs_of(read_plan(small), "gpu", ["c"])


def test_attacks_of_the_plan_exist() -> None:
    for board in PLAN.boards.values():
        for attack in board.attacks:
            ATTACKS.check(attack.partition("@")[0])
