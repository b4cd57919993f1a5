"""``submit start``: the code that a row needs, the commands that make it, and the open cells."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from records import make_record, sha
from submissions import write_board

from robench import __version__
from robench._base.code_hash import code_sha256, source_sha256
from robench._base.errors import UsageError
from robench._base.key_code import TRAINING_CODE, TRIAL_CODE
from robench.cli import main
from robench.records.record_files import write_record
from robench.search.registry import ATTACKS
from robench.submission.starting import OpenCells, Start, start_row

TITLE = 'title = "A toy board"'


def add_record(board: Path, attack: str = "pwws", **values: Any) -> None:
    """Put a record of this robench's code onto a board."""
    own: dict[str, Any] = {
        "search": {"code_sha256": source_sha256(*TRIAL_CODE)},
        "victim": {"training_code_sha256": source_sha256(*TRAINING_CODE)},
        "attack_code": code_sha256(ATTACKS.get(attack.partition("@")[0])),
        "version": __version__,
        "surface": {"rules": sha("rules")},
    }
    for name, value in values.items():
        own[name] = {**own[name], **value} if isinstance(own.get(name), dict) else value
    record = make_record("HHFW", attack=attack, **own)
    folder = board.parent / "records"
    folder.mkdir(exist_ok=True)
    write_record(folder / record.file_name, record)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return write_board(tmp_path / "board")


def change(board: Path, **lines: str) -> None:
    """Write further lines into a board's TOML file, or other ones."""
    text = board.read_text()
    for name, value in lines.items():
        kept = [line for line in text.splitlines() if not line.startswith(f"{name} =")]
        text = "\n".join([*kept, f"{name} = {value}", ""])
    board.write_text(text)


def words(found: Start) -> list[str]:
    return shlex.split(found.commands[0])


def values(found: Start, option: str) -> list[str]:
    said = words(found)
    return [said[place + 1] for place, word in enumerate(said) if word == option]


def test_records_of_the_same_code_can_be_joined(board: Path) -> None:
    add_record(board)
    assert start_row(board).differs == ()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"search": {"code_sha256": sha("other")}}, "the code of the search"),
        ({"victim": {"training_code_sha256": sha("other")}}, "the code of training"),
        ({"attack_code": sha("other")}, "the code of the attack 'pwws'"),
        ({"version": "0.0.1"}, f"its version (0.0.1 made them, this is {__version__})"),
    ],
)
def test_other_code_is_named(board: Path, other: dict[str, Any], said: str) -> None:
    add_record(board, **other)
    assert start_row(board).differs == (said,)


def test_an_attack_that_is_not_installed_is_other_code(board: Path) -> None:
    change(board, attacks='["elsewhere"]')
    record = make_record(
        "HHFW",
        attack="elsewhere",
        search={"code_sha256": source_sha256(*TRIAL_CODE)},
        victim={"training_code_sha256": source_sha256(*TRAINING_CODE)},
        version=__version__,
    )
    (board.parent / "records").mkdir()
    write_record(board.parent / "records" / record.file_name, record)
    assert start_row(board).differs == ("the code of the attack 'elsewhere'",)


def test_a_board_without_records_asks_for_three_seeds(board: Path) -> None:
    change(board, defenses='["rift"]')
    found = start_row(board)
    assert values(found, "--seed") == ["0", "1", "2"]
    assert found.open_cells == (
        OpenCells("rift", "pwws", (0, 1, 2)),
        OpenCells("rift", "genetic", (0, 1, 2)),
    )


def test_the_command_makes_a_row_of_the_board(board: Path) -> None:
    change(
        board,
        attacks='["pwws", "pwws@held-out", "genetic(population=5, iterations=2)"]',
        train_pool='"small"',
        budget="100",
    )
    found = start_row(board)
    assert values(found, "--task") == ["toy"]
    assert values(found, "--encoder") == ["tiny"]
    assert values(found, "--attack") == ["pwws", "pwws@held-out", "genetic"]
    assert values(found, "--option") == ["genetic.population=5", "genetic.iterations=2"]
    assert values(found, "--train-pool") == ["small"]
    assert values(found, "--budget") == ["100"]
    # The command line takes every word of it but the name that the user fills in.
    context = main.commands["evaluate"].make_context("evaluate", words(found)[2:])
    assert context.params["seeds"] == (0, 1, 2)


def test_the_command_has_the_settings_of_the_records(board: Path) -> None:
    surface = {"language_model": "none", "constrained": False}
    add_record(
        board,
        surface=surface,
        victim={"precision": "bf16"},
        search={"precision": "bf16"},
        task={"other_test": "others"},
        seed=7,
    )
    found = start_row(board)
    assert values(found, "--lm") == ["none"]
    assert values(found, "--precision") == values(found, "--search-precision") == ["bf16"]
    assert values(found, "--test") == ["others"]
    assert values(found, "--seed") == ["7"]
    assert found.notes == ()


def test_what_a_command_cannot_say_is_a_note(board: Path) -> None:
    add_record(board, task={"test_name": "jia2019"}, surface={"language_model": "masked:ab"})
    change(board, test_name='"jia2019"')
    first, second = start_row(board).notes
    assert first == "The board judges the list 'jia2019': name its file with --ids."
    assert second.startswith("The board's language model is masked:ab")


def test_the_cells_without_a_record_are_named(board: Path) -> None:
    for seed in (0, 1):
        add_record(board, seed=seed, surface={"constrained": False})
    add_record(board, "genetic", seed=1)
    assert start_row(board).open_cells == (OpenCells("standard", "genetic", (0,)),)


def run(board: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["submit", "start", str(board), *options])


def test_the_exit_code_says_whether_this_robench_can_make_a_row(board: Path) -> None:
    add_record(board)
    result = run(board)
    assert result.exit_code == 0
    assert "This robench can make rows of this board." in result.stdout
    assert "  standard under genetic: seed 0" in result.stdout
    assert "Cells without a record: 1\n" in result.stdout


def test_other_code_comes_with_the_commit_that_has_it(board: Path) -> None:
    add_record(board, search={"code_sha256": sha("other")})
    said = run(board)
    assert (said.exit_code, "does not say which commit" in said.stdout) == (1, True)
    change(board, commit='"0123abc"')
    said = run(board)
    assert "  the code of the search" in said.stdout
    assert "  git checkout 0123abc && make install" in said.stdout
    assert json.loads(run(board, "--json").stdout)["commit"] == "0123abc"


@pytest.mark.parametrize("commit", ['"main"', '"0123AB7"', '"012"', '"0123abc; rm -rf x"', "5"])
def test_a_commit_is_a_hash(board: Path, commit: str) -> None:
    change(board, commit=commit)
    with pytest.raises(UsageError, match=r"toy.toml: 'commit': "):
        start_row(board)


def test_a_missing_board_is_one_sentence(tmp_path: Path) -> None:
    result = run(tmp_path / "nothing.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") <= 2
