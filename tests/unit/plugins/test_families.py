"""Families: many plugins under one prefix, each made when it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests import environment, install_guest, robench

from robench import ATTACKS, Attack
from robench._base.errors import UsageError
from robench.inspection.catalogue import list_kind
from robench.plugins.registry import Family, Registry, UnknownPlugin

ROOT = Path(__file__).resolve().parents[3]
FAMILY = '''"""Trees."""
import sys
from robench.plugins.registry import Family, UnknownMember
registry = sys.modules["the_families"].registry

@registry.register("tree")
class Trees(Family):
    def names(self):
        return ["birch", "oak"]

    def make(self, name):
        if name == "elm":
            raise LOOKUP("elm needs water")
        if name == "ash":
            return {}["bark"]
        if name not in self.names():
            raise UnknownMember
        return {"birch": int, "oak": str}[name]
'''


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[object]]:
    """A registry with the plugin ``plain`` and the family ``tree``."""
    for folder in ("grove", "grove/families"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "grove" / "plain.py").write_text("raise AssertionError('imported')\n")
    (tmp_path / "grove" / "families" / "tree.py").write_text(
        FAMILY.replace("LOOKUP", "__import__('robench._base.errors', fromlist=['x']).UsageError")
    )
    monkeypatch.syspath_prepend(tmp_path)
    families: Registry[Family[object]] = Registry("plant family", "grove.families")
    holder = type(sys)("the_families")
    holder.registry = families  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "the_families", holder)
    yield Registry("plant", "grove", skip=frozenset({"families"}), families=families)
    for name in [name for name in sys.modules if name.partition(".")[0] == "grove"]:
        del sys.modules[name]


def test_a_member_is_made_once_by_its_family(registry: Registry[object]) -> None:
    assert registry.get("tree:oak") is str
    assert registry.get("tree:oak") is registry.get("tree:oak")
    assert registry.get("tree:birch") is int
    assert registry.origin("tree:oak") == "built-in"


def test_the_names_of_a_registry_do_not_include_members(registry: Registry[object]) -> None:
    registry.get("tree:oak")
    assert registry.names() == ["plain"]


def test_an_unknown_member_is_answered_with_the_nearest_and_all(registry: Registry[object]) -> None:
    with pytest.raises(UnknownPlugin) as caught:
        registry.get("tree:birk")
    assert (
        str(caught.value) == "There is no plant 'tree:birk'. Did you mean 'tree:birch'? "
        "After 'tree:' can stand: birch, oak."
    )
    with pytest.raises(
        UnknownPlugin, match=r"^There is no plant 'tree:'\. After 'tree:' can stand: birch, oak\.$"
    ):
        registry.get("tree:")


def test_an_unknown_prefix_is_answered_with_the_nearest(registry: Registry[object]) -> None:
    with pytest.raises(
        UnknownPlugin, match=r"^There is no plant family 'tre'\. Did you mean 'tree'\?"
    ):
        registry.get("tre:oak")


def test_a_check_of_a_member_looks_only_at_the_prefix(registry: Registry[object]) -> None:
    registry.check("tree:whatever")
    assert "grove.families.tree" not in sys.modules
    with pytest.raises(
        UnknownPlugin, match=r"^There is no plant family 'tre'\. Did you mean 'tree'\?"
    ):
        registry.check("tre:oak")
    with pytest.raises(UnknownPlugin, match=r"^'tree' is a family of plants"):
        registry.check("tree")


def test_a_prefix_alone_is_answered_with_its_form(registry: Registry[object]) -> None:
    with pytest.raises(
        UnknownPlugin,
        match=(
            r"^'tree' is a family of plants: name one of it as tree:NAME; "
            r"'robench show plant tree:' lists them\.$"
        ),
    ):
        registry.get("tree")


def test_a_member_that_cannot_be_used_says_why(registry: Registry[object]) -> None:
    with pytest.raises(UsageError, match=r"^elm needs water$"):
        registry.get("tree:elm")


def test_a_bug_inside_a_family_is_not_taken_for_an_unknown_member(
    registry: Registry[object],
) -> None:
    """A KeyError, for example of a file that lacks an entry, is not a misspelt name."""
    with pytest.raises(KeyError) as caught:
        registry.get("tree:ash")
    assert caught.value.args == ("bark",)


def test_a_plugin_name_with_a_colon_is_refused(registry: Registry[object]) -> None:
    with pytest.raises(
        UsageError,
        match=r"^The plant 'tree:oak' cannot be registered: ':' ends a family's prefix\.",
    ):
        registry.register("tree:oak")


def test_a_kind_without_families_has_no_prefixes() -> None:
    plain: Registry[object] = Registry("attack", "robench.attacks", skip=frozenset({"families"}))
    with pytest.raises(UnknownPlugin, match=r"^There is no attack 'textattack:pwws'\."):
        plain.get("textattack:pwws")


def test_the_list_has_one_row_for_a_family_and_imports_nothing() -> None:
    families = [row for row in list_kind("attack") if ":" in row.name]
    assert [(row.name, row.origin, row.problem) for row in families] == [
        ("textattack:NAME", "built-in", None),
        ("textattack-search:NAME", "built-in", None),
    ]
    assert families[0].summary.startswith(
        "TextAttack's own recipes as they ship, outside the surface"
    )
    code = (
        "import sys; from robench.inspection.catalogue import list_kind; list_kind('attack'); "
        "heavy = {'textattack', 'torch', 'robench.textattack'}; "
        "sys.exit(bool(heavy & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "textattack:NAME" not in ATTACKS.names()


GUEST = '''"""A guest's family."""
from robench import ATTACK_FAMILIES, Attack, Family, UnknownMember

class Nothing(Attack):
    """Tries nothing."""

    def search(self, space, oracle, label, rng):
        return None

@ATTACK_FAMILIES.register("guests")
class Guests(Family):
    """Attacks that try nothing."""

    def names(self):
        return ["one"]

    def make(self, name):
        if name != "one":
            raise UnknownMember
        return Nothing
'''


@pytest.mark.slow
def test_a_guest_adds_a_family_by_an_entry_point(tmp_path: Path) -> None:
    install_guest(
        tmp_path / "site",
        "guest-attacks",
        {"robench.attacks.families": {"guests": "guest_family:Guests"}},
        {"guest_family": GUEST},
    )
    env = environment(tmp_path / "site", tmp_path / "cache")
    # The child process that checks guests does not search the working directory.
    env["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    listed = robench("list", "attacks", env=env)
    assert "guests:NAME" in listed.stdout
    assert "Attacks that try nothing." in listed.stdout
    shown = robench("show", "attack", "guests:one", env=env)
    assert (shown.returncode, "package 'guest-attacks'" in shown.stdout) == (0, True), shown.stderr
    missed = robench("show", "attack", "guests:two", env=env)
    assert (missed.returncode, missed.stderr) == (
        2,
        "Error: There is no attack 'guests:two'. After 'guests:' can stand: one.\n",
    )


def test_families_of_attacks_make_attacks() -> None:
    assert ATTACKS.families is not None
    assert issubclass(ATTACKS.get("genetic"), Attack)
