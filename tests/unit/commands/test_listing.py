"""``robench list`` names everything that can be chosen; ``robench show`` describes one name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from guests import WORKING_ATTACK, environment, install_guest, robench
from pydantic import Field

from robench._base.errors import UsageError
from robench.cli import main
from robench.inspection.catalogue import KINDS, builtin_sees, builtin_summary, find_kind, list_kind
from robench.inspection.describe import describe, describe_options
from robench.plugins.options import Options
from robench.plugins.registry import Entry, Registry
from robench.search.registry import ATTACKS
from robench.tasks.registry import TASKS
from robench.training.registry import DEFENSES


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("attacks", "attack"),
        ("attack", "attack"),
        ("Defenses", "defense"),
        ("protocols", "protocol"),
    ],
)
def test_a_kind_may_be_singular_or_plural(word: str, kind: str) -> None:
    assert find_kind(word) == kind


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError,
        match=r"^There is no kind 'xyz'\. Kinds: attacks, defenses, tasks, encoders, protocols\.$",
    ):
        find_kind("xyz")


def test_list_shows_every_name_of_every_kind() -> None:
    shown = run("list")
    for kind in KINDS:
        assert f"{kind}s\n" in shown
        for row in list_kind(kind):
            assert f"\n  {row.name} " in shown


def test_no_line_of_the_list_ends_in_blanks() -> None:
    for line in run("list").splitlines():
        assert line == line.rstrip()


def test_the_list_of_one_kind_has_no_other_kind() -> None:
    shown = run("list", "encoders")
    assert "tiny" in shown
    assert "genetic" not in shown


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_list_has_the_same_rows(kind: str) -> None:
    listed = json.loads(run("list", f"{kind}s", "--json"))
    assert [(row["kind"], row["name"], row["summary"], row["problem"]) for row in listed] == [
        (kind, r.name, r.summary, r.problem) for r in list_kind(kind)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_has_a_summary(kind: str) -> None:
    # Plugins that other tests register in this process have no file to read a summary from.
    assert [
        row.name
        for row in list_kind(kind)
        if row.origin != "registered in this process" and not row.summary
    ] == []


def test_a_summary_is_read_without_importing_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wing = tmp_path / "summarised_wing"
    wing.mkdir()
    (wing / "__init__.py").write_text("")
    (wing / "plain.py").write_text('"""One line.\n\nMore."""\nraise AssertionError\n')
    (wing / "bare.py").write_text("raise AssertionError\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert builtin_summary(Entry("plain", "summarised_wing.plain", "built-in")) == "One line."
    assert builtin_summary(Entry("bare", "summarised_wing.bare", "built-in")) == ""
    assert builtin_summary(Entry("absent", "summarised_wing.absent", "built-in")) == ""
    assert builtin_summary(Entry("local", "__main__", "registered in this process")) == ""


def test_the_list_of_attacks_says_what_each_sees_of_a_victim() -> None:
    rows = [row for row in list_kind("attack") if row.origin == "built-in"]
    assert {row.sees for row in rows} == {"probabilities", "labels", "gradients", "nothing"}
    for row in rows:
        if ":" not in row.name:
            cls = ATTACKS.get(row.name)
            assert row.sees == (cls.access if cls.searches else "nothing")
            assert cls.cost, f"{row.name} does not say what it costs"
    heading, *lines = run("list", "attacks").splitlines()[1:]
    assert heading.split() == ["name", "sees", "what", "it", "is"]
    assert any(line.split()[:2] == ["a2t", "gradients"] for line in lines)
    assert any(line.split()[:2] == ["none", "nothing"] for line in lines)


def test_other_kinds_see_nothing_and_have_no_such_column() -> None:
    assert {row.sees for kind in KINDS if kind != "attack" for row in list_kind(kind)} == {""}
    assert "sees" not in run("list", "encoders")


def test_what_an_attack_sees_is_read_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wing = tmp_path / "seeing_wing"
    wing.mkdir()
    (wing / "__init__.py").write_text("")
    (wing / "closed.py").write_text("class A:\n    access = 'labels'\nraise AssertionError\n")
    (wing / "usual.py").write_text("class A: pass\nraise AssertionError\n")
    (wing / "idle.py").write_text("class A:\n    searches = False\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = [
        builtin_sees(Entry(name, f"seeing_wing.{name}", "built-in"))
        for name in ("closed", "usual", "idle", "absent")
    ]
    assert found == ["labels", "probabilities", "nothing", ""]
    assert builtin_sees(Entry("local", "__main__", "registered in this process")) == ""


def test_show_says_what_an_attack_costs() -> None:
    assert "Queries: steps + 1 for each restart" in run("show", "attack", "convex-hull")
    assert describe("attack", "none")["sees"] == "nothing"


LIGHT = """
import sys
from click.testing import CliRunner
from robench.cli import main
result = CliRunner().invoke(main, sys.argv[1:])
slow = ("torch", "transformers", "datasets", "scipy", "pandas")
heavy = [name for name in slow if name in sys.modules]
folders = ("robench.attacks.", "robench.defenses.")
plugins = [name for name in sys.modules if name.startswith(folders)]
plugins = [name for name in plugins if name != "robench.attacks.families"]
print(result.exit_code, heavy, plugins)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "--json"],
        ["evaluate", "--help"],
        ["evaluate", "--no-such"],
    ],
)
def test_light_commands_import_nothing_heavy_and_no_plugin(arguments: list[str]) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{2 if '--no-such' in arguments else 0} [] []"


def test_guests_are_listed_with_their_package_or_their_problem(tmp_path: Path) -> None:
    points = {
        "robench.attacks": {
            "working": "good_guest:Guest",
            "broken": "bad_guest:Guest",
            "pwws": "good_guest:Guest",
        }
    }
    modules = {
        "good_guest": WORKING_ATTACK.format(name="working"),
        "bad_guest": "import no_such_dependency",
    }
    env = environment(
        install_guest(tmp_path / "guests", "pkg", points, modules), tmp_path / "cache"
    )
    shown = robench("list", "attacks", env=env).stdout
    assert "Tries nothing.  (package 'pkg')" in shown
    assert (
        "UNAVAILABLE: attack 'broken' from package 'pkg' cannot be imported "
        "(ModuleNotFoundError: No module named 'no_such_dependency')." in shown
    )
    assert (
        "UNAVAILABLE: package 'pkg' wants to register attack 'pwws', "
        "but that is a built-in name." in shown
    )
    assert "genetic" in shown
    used = robench("show", "attack", "broken", env=env)
    assert (used.returncode, used.stderr.count("\n")) == (2, 1)
    assert "cannot be imported" in used.stderr


@pytest.mark.parametrize(
    ("kind", "registry"), [("attack", ATTACKS), ("defense", DEFENSES), ("task", TASKS)]
)
def test_show_describes_every_built_in_plugin(kind: str, registry: Registry[Any]) -> None:
    for name in (entry.name for entry in registry.entries() if entry.origin == "built-in"):
        facts = describe(kind, name)
        assert facts == json.loads(run("show", kind, name, "--json"))
        shown = run("show", kind, name)
        assert shown.startswith(f"{kind} {name} (built-in)")
        assert " ".join(facts["summary"].replace("``", "'").split())[:60] in shown
        for option in facts.get("options", []):
            assert f"\n  {option['name']} " in shown
            assert option["description"], (
                f"option {option['name']} of {kind} {name} says nothing about itself"
            )


def test_show_describes_a_joint_defense() -> None:
    facts = describe("defense", "rose-first+rift")
    assert facts["name"] == "rift+rose-first"
    assert "EMNLP 2022" in facts["paper"]
    assert "NeurIPS 2021" in facts["paper"]
    options = {option["name"]: option for option in facts["options"]}
    assert options["rift.alpha"]["task_defaults"] == {"imdb": 0.1, "snli": 0.7}
    assert options["max_gradient_norm"]["default"] == 1.0
    assert {line.partition(": ")[0] for line in facts["deviations"]} >= {"rift", "rose-first"}
    assert "\n  rose-first.upper " in run("show", "defense", "rift+rose-first")


def test_show_describes_an_encoder_and_a_protocol() -> None:
    assert "google-bert/bert-base-uncased" in run("show", "encoder", "bert-base-uncased")
    assert "lm_threshold=5.0" in run("show", "protocol", "rift2021")


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        (
            "attack",
            "pws",
            "There is no attack 'pws'. Did you mean 'pwws'? See 'robench list attacks'.",
        ),
        (
            "encoder",
            "tinny",
            "No encoder is called 'tinny' here. Did you mean 'tiny'? "
            "See 'robench list encoders'; --encoder also takes any hub id or local",
        ),
        ("protocol", "rift2020", "There is no protocol 'rift2020'. Did you mean 'rift2021'?"),
    ],
)
def test_show_suggests_the_nearest_name(kind: str, name: str, sentence: str) -> None:
    result = CliRunner().invoke(main, ["show", kind, name])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {sentence}")


class Sample(Options):
    """Options of every shape."""

    rate: float = Field(
        0.5, gt=0, le=1, description="A rate.", json_schema_extra={"unit": "per step"}
    )
    steps: int | None = Field(None, ge=1, description="How many.")
    plain: bool = Field(True, description="Whether.")


def test_an_option_is_described_with_default_unit_type_bounds_and_task_values() -> None:
    rate, steps, plain = describe_options(Sample, {"imdb": {"rate": 0.1}, "snli": {"steps": 3}})
    assert rate == {
        "name": "rate",
        "default": 0.5,
        "task_defaults": {"imdb": 0.1},
        "unit": "per step",
        "takes": "float > 0, <= 1",
        "description": "A rate.",
    }
    assert (steps["takes"], steps["default"], steps["task_defaults"]) == (
        "int | none >= 1",
        None,
        {"snli": 3},
    )
    assert (plain["takes"], plain["default"]) == ("bool", True)


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("rift", "defense rift (built-in)"),
        ("pwws", "attack pwws (built-in)"),
        ("imdb", "task imdb (built-in)"),
        ("tiny", "encoder tiny (built-in)"),
        ("subword", "protocol subword (built-in)"),
        ("rose-first+rift", "defense rift+rose-first (built-in)"),
    ],
)
def test_show_needs_no_kind_where_only_one_has_the_name(name: str, heading: str) -> None:
    assert run("show", name).startswith(heading)


def test_show_without_a_kind_names_the_kinds_of_an_ambiguous_name() -> None:
    with ATTACKS.temporarily("rift", type("Rift", (ATTACKS.get("pwws"),), {})):
        result = CliRunner().invoke(main, ["show", "rift"])
        assert "defense rift" in run("show", "defense", "rift")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: The name 'rift' belongs to several kinds: attack, defense. "
        "Say 'robench show attack rift' or 'robench show defense rift'.\n",
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rfit"], "There is no 'rfit'. Did you mean 'rift'? See 'robench list'."),
        (["xyzzy"], "There is no 'xyzzy'. See 'robench list'."),
        (
            ["attacks"],
            "'attacks' is a kind: add the name of one attack. See 'robench list attacks'.",
        ),
        (["textattack"], "'textattack' is a family of attacks: name one of it as textattack:NAME"),
        (["rift+"], "'rift+' does not name a defense on each side of '+'."),
        ([], "Missing argument 'NAME'."),
        (["attack", "pwws", "imdb"], "Got unexpected extra argument (imdb)."),
    ],
)
def test_show_without_a_kind_suggests_what_to_type(words: list[str], sentence: str) -> None:
    result = CliRunner().invoke(main, ["show", *words])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {sentence}")
