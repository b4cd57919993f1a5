"""The command that makes a row again."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from records import make_record
from site_cases import cells

from robench.cli import main
from robench.records.record import Record
from robench.site.again import changed_options, commands_of, remarks_of


def words_of(*records: Record) -> list[str]:
    (command,) = commands_of(records)
    return shlex.split(command.replace("\\\n", ""))


def test_seeds_and_attacks_of_a_row_share_a_command() -> None:
    records = [each for name, each in cells().items() if name.startswith("rift")]
    (command,) = commands_of(records)
    assert shlex.split(command.replace("\\\n", "")) == shlex.split(
        "robench evaluate --task toy --encoder tiny --defense rift --attack genetic --attack pwws "
        "--seed 0 --seed 1"
    )
    assert max(map(len, command.splitlines())) <= 80


def test_seeds_with_other_attacks_have_a_command_of_their_own() -> None:
    found = cells()
    records = [found["rift-pwws-0.json"], found["rift-pwws-1.json"], found["rift-genetic-0.json"]]
    commands = [each.replace("\\\n", "") for each in commands_of(records)]
    assert [shlex.split(each)[8:] for each in commands] == [
        ["--attack", "pwws", "--attack", "genetic", "--seed", "0"],
        ["--attack", "pwws", "--seed", "1"],
    ]


def test_every_choice_of_a_record_is_named() -> None:
    record = make_record(
        "HHHHHHHHHH",
        defense="rift",
        label="rift(alpha=0.1, memory=0)",
        options={"alpha": 0.1, "beta": 5.0, "memory": 0},
        attack_label="genetic(population=5)",
        attack_options={"population": 5, "iterations": 40},
        protocol="rift2021(unknown=forbidden)",
        task={"train_pool": "small"},
        victim={"precision": "bf16"},
        surface={"language_model": "none"},
        search={"budget": 100, "precision": "bf16"},
    )
    words = words_of(record)
    pairs = set(pairwise(words))
    assert {
        ("--train-pool", "small"),
        ("--option", "rift.alpha=0.1"),
        ("--option", "rift.memory=0"),
        ("--option", "genetic.population=5"),
        ("--precision", "bf16"),
        ("--search-precision", "bf16"),
        ("--unknown", "forbidden"),
        ("--budget", "100"),
        ("--lm", "none"),
    } <= pairs
    assert "rift.beta=5.0" not in words


@pytest.mark.slow
def test_the_command_line_knows_every_word(tmp_path: Path) -> None:
    record = make_record(
        "HHHHHHHHHH",
        defense="rift",
        label="rift(alpha=0.1)",
        options={"alpha": 0.1},
        attack="pwws",
        task={"name": "mini-reviews"},
    )
    words = [*words_of(record)[1:], "--dry-run", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    assert "mini-reviews  rift        0  pwws" in result.stdout


def test_a_name_cannot_run_anything_in_a_shell() -> None:
    record = make_record("HHHHHHHHHH", defense="$(touch owned); x")
    assert "$(touch owned); x" in words_of(record)


def test_a_victim_that_was_given_is_a_blank_to_fill_in() -> None:
    record = make_record("HHHHHHHHHH", given="my-model")
    assert words_of(record)[2:6] == ["--task", "toy", "--victim", "VICTIM"]
    assert any("in place of VICTIM" in each for each in remarks_of([record]))


@pytest.mark.parametrize(
    ("task", "told"),
    [({"name": "mine.csv"}, ["mine.csv"]), ({"name": "hf-org-set"}, ["hf-org-set"]), ({}, []),
     ({"other_test": "test.jsonl"}, ["test.jsonl"])],
)  # fmt: skip
def test_a_file_of_somebodys_own_is_no_task(task: dict[str, str], told: list[str]) -> None:
    """Records hold the name of the file only, so the command alone would not run."""
    remarks = [each for each in remarks_of([make_record("HH", task=task)]) if "somebody" in each]
    assert [each.split()[0] for each in remarks] == told


def test_records_of_different_options_need_several_commands() -> None:
    records = [make_record("HHHHHHHHHH"), make_record("HHHHHHHHHH", search={"budget": 9})]
    assert len(commands_of(records)) == 2


def test_only_the_options_in_the_label_differ_from_the_defaults() -> None:
    record = make_record("HHHHHHHHHH", label="standard(a=None)", options={"a": None, "b": True})
    assert record.defense is not None
    assert changed_options(record.defense) == [("a", "")]
