"""``--config``: a file holds the options of a command, and flags win over it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from robench._base.errors import UsageError
from robench.cli import main
from robench.commands.config import ConfiguredCommand, options_of
from robench.commands.config_writing import as_toml
from robench.evaluation.request import EvaluationRequest

BASE = 'defense = ["rift"]\nattack = "pwws"\n'


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> list[EvaluationRequest]:
    """Return the list that gets the request of each evaluation or training."""
    import robench.evaluation.run

    seen: list[EvaluationRequest] = []

    def remember(request: EvaluationRequest, report: Any) -> list[Any]:
        seen.append(request)
        return []

    monkeypatch.setattr(robench.evaluation.run, "evaluate", remember)
    monkeypatch.setattr(robench.evaluation.run, "train_only", remember)
    return seen


@pytest.fixture
def study(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="robench")


def evaluate(*arguments: str) -> None:
    result = run("evaluate", *arguments)
    assert result.exit_code == 0, result.stderr


def test_a_file_is_the_whole_request(
    requested: list[EvaluationRequest], study: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_text("x\n")
    file = study(
        """
        defense = ["standard", "rift"]
        attack = ["pwws", "genetic"]
        task = "imdb"
        seed = [0, 2]
        encoder = "bert-base-uncased"
        hub = false
        train_pool = "small"
        ids = "ids.txt"
        limit = 10
        workers = "auto"
        precision = "bf16"
        retrain = true
        out = "results"
        data = "."

        [options]
        defense.alpha = 0.3
        attack.population = 20
        """
    )
    evaluate("--config", file)
    assert requested == [
        EvaluationRequest(
            defenses=("standard", "rift"),
            attacks=("pwws", "genetic"),
            tasks=("imdb",),
            seeds=(0, 2),
            encoder="bert-base-uncased",
            hub=False,
            train_pool="small",
            ids=tmp_path / "ids.txt",
            limit=10,
            precision="bf16",
            retrain=True,
            out=tmp_path / "results",
            data=tmp_path,
            options={"defense.alpha": "0.3", "attack.population": "20"},
        )
    ]


def test_a_flag_replaces_the_value_of_the_file(
    requested: list[EvaluationRequest], study: Callable[[str], str]
) -> None:
    file = study(BASE + "limit = 10\nseed = [0, 1]\nhub = false\n")
    evaluate("--config", file, "--limit", "5", "--seed", "7", "--attack", "genetic", "--hub")
    (request,) = requested
    assert (request.limit, request.seeds, request.attacks) == (5, (7,), ("genetic",))
    assert (request.defenses, request.hub) == (("rift",), True)


def test_plugin_options_are_replaced_one_by_one(
    requested: list[EvaluationRequest], study: Callable[[str], str]
) -> None:
    file = study(BASE + "[options]\ndefense.alpha = 0.3\ndefense.beta = 5\n")
    evaluate("--config", file, "--option", "defense.alpha=0.4", "--option", "rift.epochs=1")
    assert requested[0].options == {
        "defense.alpha": "0.4",
        "defense.beta": "5",
        "rift.epochs": "1",
    }


@pytest.mark.parametrize(
    "text",
    [
        "[options]\ndefense.alpha = 0.3",
        "[options.defense]\nalpha = 0.3",
        'option = "defense.alpha=0.3"',
        'option = ["defense.alpha=0.3"]',
        "[option]\ndefense.alpha = 0.3",
        '[options]\n"defense.alpha" = "0.3"',
    ],
)
def test_plugin_options_may_be_written_in_several_ways(
    requested: list[EvaluationRequest], study: Callable[[str], str], text: str
) -> None:
    evaluate("--config", study(BASE + text + "\n"))
    assert requested[0].options == {"defense.alpha": "0.3"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "defence = 'rift'",
            "'defence' is no option of 'robench evaluate'. Did you mean 'defense'?",
        ),
        ("limit = 5.5", "'limit': '5.5' is not a whole number."),
        ("limit = 0", "'limit': 0 is not in the range x>=1."),
        ("limit = true", "'limit' takes a number, not true."),
        ("limit = [5]", "'limit' takes one value, not a list."),
        ("limit = 2026-01-01", "'limit' takes a number, not the date 2026-01-01."),
        ("encoder = 5", "'encoder' takes text, not 5. Write it in quotes: \"5\"."),
        ("encoder = {a = 1}", "'encoder' takes text, not a table."),
        ("hub = 'no'", "'hub' takes true or false, not 'no'."),
        ("precision = 'fp16'", "'precision': 'fp16' is not one of 'fp32', 'bf16'."),
        ("seed = [0, 'one']", "'seed': 'one' is not a whole number."),
        ("config = 'x.toml'", "'config' is no option of 'robench evaluate'."),
        ("train_pool = 'a'\ntrain-pool = 'b'", "'train-pool' is given twice."),
        (
            "[options]\ndefense.alpha = [0.1, 0.2]",
            "'defense.alpha' takes one value; several values are for 'robench sweep'.",
        ),
        (
            "[options]\ndefense.alpha = 2026-01-01",
            "'defense.alpha' takes a number or text, not the date 2026-01-01.",
        ),
    ],
)
def test_a_wrong_line_is_named(study: Callable[[str], str], line: str, sentence: str) -> None:
    file = study(f"{BASE}{line}\n")
    result = run("evaluate", "--config", file)
    number = len(f"{BASE}{line}".splitlines())
    assert result.exit_code == 2
    assert result.stderr == f"Error: {file}, line {number}: {sentence}\n"


@pytest.mark.parametrize("content", [b"defense = [", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    result = run("evaluate", "--config", str(path))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert f"--config '{path}' cannot be read: it is no" in result.stderr


@pytest.mark.parametrize("name", ["absent.toml", ""])
def test_a_missing_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    result = run("evaluate", "--config", str(tmp_path / name))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_a_file_with_a_byte_order_mark_is_read(
    requested: list[EvaluationRequest], tmp_path: Path
) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    evaluate("--config", str(path))
    assert requested[0].attacks == ("pwws",)


def test_options_of_another_command_are_named_and_left_out(
    requested: list[EvaluationRequest], study: Callable[[str], str]
) -> None:
    result = run("train", "--config", study(BASE + "limit = 5\n"))
    assert result.exit_code == 0
    assert "'attack', 'limit' not used, as 'train' has no such option." in result.stderr
    assert requested[0].attacks == ()


def test_the_file_wins_over_the_environment_and_a_flag_over_both(
    requested: list[EvaluationRequest],
    study: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("mine", "environment", "flag"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("ROBENCH_DATA", str(tmp_path / "environment"))
    file = study(BASE + 'data = "mine"\n')
    evaluate("--config", file)
    evaluate("--config", file, "--data", str(tmp_path / "flag"))
    assert [request.data for request in requested] == [tmp_path / "mine", tmp_path / "flag"]


def test_text_that_begins_with_a_dot_is_a_path_beside_the_file(
    requested: list[EvaluationRequest], study: Callable[[str], str], tmp_path: Path
) -> None:
    evaluate("--config", study(BASE + 'encoder = "./enc"\nlm = "file:../scores"\n'))
    assert requested[0].encoder == str(tmp_path / "enc")
    assert requested[0].lm == f"file:{tmp_path / '../scores'}"


def test_the_set_of_an_attack_is_a_path_beside_the_file(
    requested: list[EvaluationRequest], study: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text('{"good": ["fine"]}')
    names = '["pwws@./a.json", "pwws@masked-lm:./model", "genetic@mini"]'
    evaluate("--config", study(f'defense = "rift"\nattack = {names}\n'))
    assert requested[0].attacks == (
        f"pwws@{tmp_path / 'a.json'}",
        f"pwws@masked-lm:{tmp_path / 'model'}",
        "genetic@mini",
    )


def test_a_written_file_names_the_set_of_an_attack_as_seen_from_there(
    requested: list[EvaluationRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text('{"good": ["fine"]}')
    (tmp_path / "kept").mkdir()
    words = ("--defense", "rift", "--attack", "pwws@a.json", "--attack", "genetic@mini")
    evaluate(*words, "--write-config", "kept/study.toml")
    written = tomllib.loads((tmp_path / "kept/study.toml").read_text())
    assert written["attack"] == ["pwws@./../a.json", "genetic@mini"]
    evaluate("--config", "kept/study.toml")
    assert [Path(r.attacks[0].partition("@")[2]).resolve() for r in requested] == [
        tmp_path / "a.json"
    ] * 2


def test_every_option_of_the_commands_can_stand_in_a_file() -> None:
    for name in ("evaluate", "train", "sweep"):
        command = main.commands[name]
        assert isinstance(command, ConfiguredCommand)
        assert {"defense", "task", "option", "out", "tracker"} <= set(options_of(command))


def test_a_new_option_needs_no_list_of_names(
    study: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    @click.command("fake", cls=ConfiguredCommand)
    @click.option("--new-thing", multiple=True, type=int)
    def fake(new_thing: tuple[int, ...]) -> None:
        seen.append(new_thing)

    monkeypatch.setitem(main.commands, "fake", fake)
    assert run("fake", "--config", study("new-thing = [1, 2]\n")).exit_code == 0
    assert seen == [(1, 2)]


def test_a_written_file_gives_the_same_request(
    requested: list[EvaluationRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "enc" / "one").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    words = ["--defense", "rift", "--attack", "pwws", "--seed", "1", "--no-hub", "--out", "runs"]
    words += ["--encoder", "enc/one", "--option", "defense.alpha=1e-3", "--limit", "4"]
    evaluate(*words, "--write-config", "kept/study.toml")
    evaluate(*words, "--write-config", "kept/study.toml")
    evaluate("--config", "kept/study.toml")
    first, _, last = requested
    assert last.out.resolve() == first.out.resolve()
    assert Path(last.encoder).resolve() == Path(first.encoder).resolve()
    update = {"out": first.out, "encoder": first.encoder}
    assert last.model_copy(update=update) == first


def test_a_file_with_other_text_is_not_replaced(
    requested: list[EvaluationRequest], study: Callable[[str], str]
) -> None:
    file = study("# my notes\n")
    result = run("evaluate", "--defense", "rift", "--attack", "pwws", "--write-config", file)
    assert result.exit_code == 2
    assert "exists and holds something else" in result.stderr
    assert Path(file).read_text() == "# my notes\n"
    assert requested == []


def test_the_written_text_is_toml() -> None:
    settings = {
        "attack": ['a"b', "ü\x7f\n"],
        "hub": False,
        "limit": 3,
        "options": {"ascc+mixout.alpha": "0.30", "attack.x": "7", "defense.y": "nan"},
    }
    read = tomllib.loads(as_toml(settings, "evaluate"))
    assert read == {
        "attack": ['a"b', "ü\x7f\n"],
        "hub": False,
        "limit": 3,
        "options": {"ascc+mixout": {"alpha": "0.30"}, "attack": {"x": 7}, "defense": {"y": "nan"}},
    }


def test_a_sweep_takes_lists_of_values(
    study: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def points(options: Any, make: Any) -> Any:
        seen.append(options)
        raise UsageError("enough")

    monkeypatch.setattr("robench.evaluation.sweep.sweep_points", points)
    run("sweep", "--config", study(BASE + "[options]\ndefense.alpha = [0, 0.5]\n"))
    assert seen == [{"defense.alpha": "0,0.5"}]


def test_help_needs_no_valid_file(study: Callable[[str], str]) -> None:
    assert "--write-config" in run("evaluate", "--config", study("x"), "--help").stdout


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"seed = nan", "it holds nan, which is no finite number"),
        (b"seed = " + b"9" * 5000, "a number of thousands of digits"),
        (b"defense = " + b"[" * 4000, "more than 16 deep"),
        (b".".join([b"a"] * 100) + b" = 1", "more than 16 deep"),
        (b"x" * 2_000_000, "it has 2,000,000 bytes, and the limit is 1,000,000"),
    ],
)
def test_a_hostile_file_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    result = run("evaluate", "--config", str(path))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert f"--config '{path}' cannot be read: " in result.stderr
    assert sentence in result.stderr
