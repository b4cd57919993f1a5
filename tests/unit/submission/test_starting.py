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
from robench._base.key_code import SURFACE_CODE, TRAINING_CODE, TRIAL_CODE
from robench.cli import main
from robench.records.record_files import write_record
from robench.search.registry import ATTACKS
from robench.submission.row_commands import shared_options, split_label
from robench.submission.starting import Start, start_row
from robench.text.surface_rules import surface_rules
from robench.text.words import splitter_version
from robench.training.registry import DEFENSES


def rules_of(task: str) -> str:
    """Return the hash of the rules of a surface of this robench's code."""
    return surface_rules(
        {
            "code": source_sha256(*SURFACE_CODE),
            "task": task,
            "attackable": "text",
            "substitutions": sha("set"),
            "splitter": splitter_version(),
            "max_words": 61,
        }
    )


RULES, RULES_OF_IMDB = rules_of("mini-reviews"), rules_of("imdb")


def add_record(board: Path, attack: str = "pwws", **values: Any) -> None:
    """Put a record of this robench's code onto a board."""
    own: dict[str, Any] = {
        "search": {"code_sha256": source_sha256(*TRIAL_CODE)},
        "victim": {"training_code_sha256": source_sha256(*TRAINING_CODE)},
        "attack_code": code_sha256(ATTACKS.get(attack.partition("@")[0])),
        "version": __version__,
        "surface": {
            "rules": RULES,
            "substitutions_sha256": sha("set"),
            "splitter": splitter_version(),
        },
        "task": {"name": "mini-reviews"},
        "code": code_sha256(DEFENSES.get("standard")),
    }
    for name, value in values.items():
        own[name] = {**own[name], **value} if isinstance(own.get(name), dict) else value
    record = make_record(own.pop("outcomes", "HHFW"), attack=attack, **own)
    folder = board.parent / "records"
    folder.mkdir(exist_ok=True)
    write_record(folder / record.file_name, record)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = write_board(tmp_path / "board")
    change(path, task='"mini-reviews"')
    return path


def change(board: Path, **lines: str) -> None:
    """Write further lines into a board's TOML file, or other ones."""
    text = board.read_text()
    for name, value in lines.items():
        kept = [line for line in text.splitlines() if not line.startswith(f"{name} =")]
        text = "\n".join([*kept, f"{name} = {value}", ""])
    board.write_text(text)


def words(found: Start) -> list[str]:
    return shlex.split(found.commands[0])


def named(command: str, option: str) -> list[str]:
    """Return the values of an option in a command."""
    said = shlex.split(command)
    return [said[place + 1] for place, word in enumerate(said) if word == option]


def values(found: Start, option: str) -> list[str]:
    return named(found.commands[0], option)


def other_notes(found: Start) -> tuple[str, ...]:
    """Return the notes without the one that a board of one seed has."""
    return tuple(note for note in found.notes if not note.startswith("The rows of this board"))


def cells(found: Start) -> list[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    return [(each.defense, each.attacks, each.seeds) for each in found.open_cells]


def test_records_of_the_same_code_can_be_joined(board: Path) -> None:
    add_record(board)
    found = start_row(board)
    assert (found.differs, found.compared, other_notes(found)[1:]) == ((), 1, ())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"search": {"code_sha256": sha("other")}}, "the code of the search"),
        ({"victim": {"training_code_sha256": sha("other")}}, "the code of training"),
        ({"attack_code": sha("other")}, "the code of the attack 'pwws'"),
        ({"version": "0.0.1"}, f"its version (0.0.1 made them, this is {__version__})"),
        ({"surface": {"rules": sha("other")}}, "the code of surfaces"),
        ({"victim": {"training_code_sha256": None}}, "the code of training"),
        (
            {"surface": {"splitter": "nltk-0+punkt-1"}},
            f"the splitter of words (nltk-0+punkt-1 made them, this is {splitter_version()})",
        ),
    ],
)
def test_other_code_is_named(board: Path, other: dict[str, Any], said: str) -> None:
    add_record(board, **other)
    assert start_row(board).differs == (said,)


@pytest.mark.parametrize("code", [None, sha("elsewhere")])
def test_an_attack_that_is_not_installed_is_other_code(
    board: Path, code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(board, attacks='["elsewhere"]')
    with monkeypatch.context() as patch:
        patch.setattr(ATTACKS, "get", lambda name: str)
        add_record(board, "elsewhere", attack_code=code or sha("elsewhere"))
    assert start_row(board).differs == ("the attack 'elsewhere', which is not installed",)


def test_a_record_with_errors_and_one_of_the_other_protocol_are_compared(board: Path) -> None:
    add_record(board, outcomes="HHFE", search={"code_sha256": sha("other")})
    found = start_row(board)
    assert (found.differs, found.compared) == (("the code of the search",), 1)
    add_record(
        board,
        "genetic",
        protocol="rift2021(unknown=forbidden)",
        search={"code_sha256": sha("other")},
    )
    found = start_row(board)
    assert found.compared == 2
    assert any("with --unknown forbidden" in note for note in found.notes)


def test_a_record_that_does_not_count_keeps_its_cell(board: Path) -> None:
    change(board, digest=f'"{sha("another")}"', defenses='["standard"]')
    add_record(board)
    found = start_row(board)
    assert found.compared == 0
    assert cells(found) == [
        ("standard", ("pwws",), (1, 2)),
        ("standard", ("genetic",), (0, 1, 2)),
    ]
    assert "1 of 1 records do not count. Their cells stay taken" in found.notes[-1]
    assert "no code can be compared" in run(board).stdout


def test_a_board_without_records_asks_for_three_seeds(board: Path) -> None:
    change(board, defenses='["rift"]')
    found = start_row(board)
    assert values(found, "--seed") == ["0", "1", "2"]
    assert cells(found) == [("rift", ("pwws", "genetic"), (0, 1, 2))]
    (command,) = found.open_cells[0].commands
    assert "--defense rift --attack pwws --attack genetic --seed 0 --seed 1 --seed 2" in command


def test_the_command_makes_a_row_of_the_board(board: Path) -> None:
    change(
        board,
        attacks='["pwws", "pwws@held-out", "genetic(population=5, iterations=2)"]',
        train_pool='"small"',
        budget="100",
    )
    found = start_row(board)
    assert values(found, "--task") == ["mini-reviews"]
    assert values(found, "--encoder") == ["tiny"]
    assert values(found, "--attack") == ["pwws", "pwws@held-out", "genetic"]
    assert values(found, "--option") == ["genetic.population=5", "genetic.iterations=2"]
    assert values(found, "--train-pool") == ["small"]
    assert values(found, "--budget") == ["100"]
    # The command line takes every word of it but the name that the user fills in.
    context = main.commands["evaluate"].make_context("evaluate", words(found)[2:])
    assert context.params["seeds"] == (0, 1, 2)


def test_the_command_has_the_settings_of_the_records(board: Path) -> None:
    add_record(
        board,
        surface={"language_model": "none", "constrained": False},
        victim={"precision": "bf16"},
        search={"precision": "bf16"},
        seed=7,
    )
    found = start_row(board)
    assert values(found, "--lm") == ["none"]
    assert values(found, "--precision") == values(found, "--search-precision") == ["bf16"]
    assert values(found, "--seed") == ["7"]
    assert other_notes(found) == ()


def test_the_command_has_the_settings_that_the_board_pins(board: Path) -> None:
    change(
        board,
        language_model='"none"',
        training_precision='"bf16"',
        search_precision='"bf16"',
        test_name='"advglue-sst2:frozen-148"',
    )
    found = start_row(board)
    assert values(found, "--lm") == ["none"]
    assert values(found, "--precision") == values(found, "--search-precision") == ["bf16"]
    assert values(found, "--test") == ["advglue-sst2"]
    assert other_notes(found) == (
        "The board has no record yet. It takes those with the test examples "
        "'advglue-sst2:frozen-148', the training pool 'train' and the query budget none.",
    )


def test_the_surface_of_an_own_file_is_not_compared(board: Path) -> None:
    """What may be replaced in a user's file is not known here."""
    change(board, task='"reviews.csv"')
    add_record(board, task={"name": "reviews.csv"})
    found = start_row(board)
    assert found.compared == 1
    assert found.differs == ()


@pytest.mark.parametrize(("other", "rules"), [("mine.csv", sha("rules")), ("imdb", RULES_OF_IMDB)])
def test_the_surface_is_that_of_the_texts_that_are_judged(
    board: Path, other: str, rules: str
) -> None:
    change(board, test_name=f'"{other}:frozen-4"')
    add_record(
        board,
        surface={"rules": rules},
        task={"name": "mini-reviews", "other_test": other, "test_name": f"{other}:frozen-4"},
    )
    found = start_row(board)
    assert (found.compared, found.differs) == (1, ())


def test_the_surface_of_a_registered_task_is_compared(board: Path) -> None:
    add_record(board, surface={"rules": sha("other rules")})
    assert start_row(board).differs == ("the code of surfaces",)


def test_the_sentence_parameters_of_nltk_are_named(board: Path) -> None:
    add_record(board, surface={"splitter": "nltk-3.9+punkt-nltk-0123"})
    assert values(start_row(board), "--punkt") == ["nltk"]


def test_columns_with_other_options_of_one_attack_need_several_commands(board: Path) -> None:
    change(board, attacks='["genetic", "genetic(population=5)", "pwws", "pwws@held-out(x=[1, 2])"]')
    first, second = start_row(board).commands
    assert named(first, "--attack") == ["genetic", "pwws"]
    assert named(first, "--option") == []
    assert named(second, "--attack") == ["genetic", "pwws@held-out"]
    assert named(second, "--option") == ["genetic.population=5", "pwws.x=[1, 2]"]


def test_what_all_rows_have_is_in_the_command(board: Path) -> None:
    change(board, defenses='["standard(train_examples=9)", "rift(alpha=1, train_examples=9)"]')
    found = start_row(board)
    assert values(found, "--defense") == ["YOUR-DEFENSE"]
    assert values(found, "--option") == ["defense.train_examples=9"]
    (command,) = found.open_cells[1].commands
    assert "--defense rift --option defense.alpha=1 --option defense.train_examples=9" in command


def test_a_given_model_needs_a_label_and_no_command(board: Path) -> None:
    change(board, defenses='["mine (given)"]')
    found = start_row(board)
    assert found.open_cells[0].commands == ()
    assert "name --victim in the place of --defense" in found.notes[-1]


def test_open_cells_of_a_defense_with_other_code_are_named(board: Path) -> None:
    add_record(board, code=sha("other"))
    assert start_row(board).notes[-1].startswith("The defense 'standard' has other code here.")


@pytest.mark.parametrize(
    ("label", "name", "options"),
    [
        ("pwws", "pwws", []),
        ("pwws@held-out", "pwws@held-out", []),
        ("rift(alpha=0.1, beta=1.0)", "rift", ["alpha=0.1", "beta=1.0"]),
        ("mine(a=[1, 2], b=(3, 4))", "mine", ["a=[1, 2]", "b=(3, 4)"]),
    ],
)
def test_a_label_is_a_name_and_options(label: str, name: str, options: list[str]) -> None:
    assert split_label(label) == (name, options)


def test_no_rows_share_no_option() -> None:
    assert shared_options([]) == []


def test_what_a_command_cannot_say_is_a_note(board: Path) -> None:
    add_record(board, task={"test_name": "a-frozen-one"}, surface={"language_model": "masked:ab"})
    change(board, test_name='"a-frozen-one"')
    first, second = other_notes(start_row(board))
    assert first == "The board judges the list 'a-frozen-one': name its file with --ids."
    assert second.startswith("The board's language model is masked:ab")


def test_one_seed_is_said_to_be_too_few_for_a_claim(board: Path) -> None:
    add_record(board, seed=4)
    found = start_row(board)
    (note,) = set(found.notes) - set(other_notes(found))
    assert note.startswith("The rows of this board have seed 4 only")
    add_record(board, seed=5)
    found = start_row(board)
    assert found.notes == other_notes(found)


def test_the_cells_without_a_record_are_named(board: Path) -> None:
    for seed in (0, 1):
        add_record(board, seed=seed, surface={"constrained": False})
    add_record(board, "genetic", seed=1)
    found = start_row(board)
    assert cells(found) == [("standard", ("genetic",), (0,))]
    (command,) = found.open_cells[0].commands
    assert "--defense standard --attack genetic --seed 0 --out runs" in command


def run(board: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["submit", "start", str(board), *options])


def test_the_exit_code_says_whether_this_robench_can_make_a_row(board: Path) -> None:
    add_record(board)
    result = run(board)
    assert result.exit_code == 0
    assert "This robench has the code that made the board's records." in result.stdout
    assert "  standard under genetic: seed 0" in result.stdout
    assert "Cells without a record: 1\n" in result.stdout


def test_other_code_comes_with_the_commit_that_has_it(board: Path) -> None:
    add_record(board, search={"code_sha256": sha("other")})
    said = run(board)
    assert (said.exit_code, "does not say which commit" in said.stdout) == (1, True)
    change(board, commit='"0123abc"')
    said = run(board)
    assert "  the code of the search" in said.stdout
    place = "../robench-0123abc"
    assert f"  git worktree add {place} 0123abc && make -C {place} install" in said.stdout
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
