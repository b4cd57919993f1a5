"""The registry: names without imports, clashes, broken guests, joint and temporary names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from robench._base.errors import UsageError
from robench.plugins.names import canonical, members_of
from robench.plugins.registry import BrokenPlugin, DuplicatePlugin, Entry, Registry, UnknownPlugin
from robench.search.registry import ATTACKS
from robench.tasks.registry import TASKS
from robench.training.registry import DEFENSES

Make = Callable[..., Registry[object]]


def point(name: str, value: str, package: str | None = None) -> EntryPoint:
    found = EntryPoint(name, value, "wing")
    vars(found)["dist"] = SimpleNamespace(name=package, version="1.0") if package else None
    return found


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a registry whose guests are the given entry points.

    Its built-ins are ``alpha``, ``base`` and ``two-words``.
    """

    def build(*points: EntryPoint) -> Registry[object]:
        monkeypatch.setattr("robench.plugins.registry.entry_points", lambda group: list(points))
        return Registry("attack", "wing")

    return build


@pytest.fixture(autouse=True)
def wing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "wing"
    folder.mkdir()
    for stem in ("__init__", "alpha", "two_words", "_private", "base"):
        (folder / f"{stem}.py").write_text(
            "raise AssertionError('imported')\n" if stem != "__init__" else ""
        )
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name, module in list(sys.modules.items()):
        if name == "the_registry" or str(getattr(module, "__file__", None)).startswith(
            str(tmp_path)
        ):
            del sys.modules[name]


def test_names_come_from_files_and_entry_points_without_an_import(make: Make) -> None:
    registry = make(point("guest", "no_such_module:Guest", "pkg"))
    assert registry.names() == ["alpha", "base", "guest", "two-words"]
    assert list(registry) == registry.names()
    assert registry.entries()[-1] == Entry("two-words", "wing.two_words", "built-in")
    assert registry.entries()[2] == Entry("guest", "no_such_module", "package 'pkg'")


def test_modules_in_skip_are_not_plugins() -> None:
    assert Registry("attack", "wing", skip=frozenset({"base"})).names() == ["alpha", "two-words"]


def test_get_imports_one_module_and_returns_its_class(make: Make, wing: Path) -> None:
    registry = make()
    vars(sys.modules.setdefault("the_registry", ModuleType("the_registry")))["registry"] = registry
    (wing / "two_words.py").write_text(
        "from the_registry import registry\n@registry.register('two-words')\nclass Two: ...\n"
    )
    found = registry.get("two-words")
    assert (found.__module__, found.__name__) == ("wing.two_words", "Two")
    assert registry.name_of(found) == "two-words"
    assert "wing.alpha" not in sys.modules


def test_an_unknown_name_is_answered_with_the_nearest(make: Make) -> None:
    with pytest.raises(
        UnknownPlugin,
        match=(
            r"^There is no attack 'two_word'\. Did you mean 'two-words'\? "
            r"See 'robench list attacks'\.$"
        ),
    ):
        make().get("two_word")


def test_capital_letters_do_not_hide_the_nearest_name(make: Make) -> None:
    with pytest.raises(
        UnknownPlugin, match=r"^There is no attack 'ALPHA'\. Did you mean 'alpha'\? "
    ):
        make().get("ALPHA")


def test_an_unknown_name_without_a_near_one_has_no_hint(make: Make) -> None:
    with pytest.raises(
        UnknownPlugin, match=r"^There is no attack 'xyzzy'\. See 'robench list attacks'\.$"
    ):
        make().get("xyzzy")


@pytest.mark.parametrize("name", ["alpha", "two-words", "guest"])
def test_a_name_is_checked_without_importing_its_plugin(make: Make, name: str) -> None:
    make(point("guest", "no_such_module:Guest", "pkg")).check(name)


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("two_word", r"^There is no attack 'two_word'\. Did you mean 'two-words'\?"),
        ("base", r"^package 'pkg' wants to register attack 'base', but that is a built-in name\."),
        ("alpha+base", r"^There is no attack 'alpha\+base'\."),
    ],
)
def test_a_check_refuses_what_get_refuses_in_the_same_words(
    make: Make, name: str, refusal: str
) -> None:
    registry = make(point("base", "mine:Base", "pkg"))
    for ask in (registry.check, registry.get):
        with pytest.raises(UsageError, match=refusal):
            ask(name)


def test_a_guest_may_not_take_a_builtin_name(make: Make) -> None:
    registry = make(point("alpha", "mine:Alpha", "greedy"), point("other", "mine:Other", "greedy"))
    sentence = (
        "package 'greedy' wants to register attack 'alpha', but that is a built-in name. "
        "Rename it in that package."
    )
    with pytest.raises(DuplicatePlugin) as refused:
        registry.get("alpha")
    assert str(refused.value) == sentence
    assert {entry.name: entry.problem for entry in registry.entries()} == {
        "alpha": sentence,
        "base": None,
        "other": None,
        "two-words": None,
    }


def test_two_guests_may_not_share_a_name(make: Make) -> None:
    registry = make(point("new", "b:New", "second"), point("new", "a:New", "first"))
    with pytest.raises(DuplicatePlugin) as refused:
        registry.get("new")
    assert (
        str(refused.value) == "attack 'new' is claimed by package 'first' and by package 'second'. "
        "Uninstall or rename one."
    )
    assert registry.guests() == []
    assert registry.names().count("new") == 1


def test_a_package_seen_twice_on_the_path_is_no_clash(make: Make) -> None:
    registry = make(point("new", "a:New", "first"), point("new", "a:New", "first"))
    assert [guest.name for guest in registry.guests()] == ["new"]
    assert all(entry.problem is None for entry in registry.entries())


def test_registering_a_name_twice_is_refused(make: Make) -> None:
    registry = make()
    first = type("First", (), {"__module__": "one"})
    registry.register("name")(first)
    registry.register("name")(first)  # a module that is loaded again
    with pytest.raises(
        DuplicatePlugin, match=r"^attack 'name' is registered by one and again by two\.$"
    ):
        registry.register("name")(type("Second", (), {"__module__": "two"}))
    assert registry.get("name") is first


def test_registering_a_builtin_name_from_elsewhere_is_refused(make: Make) -> None:
    with pytest.raises(
        DuplicatePlugin,
        match=r"^elsewhere wants to register attack 'alpha', but that is a built-in name\.$",
    ):
        make().register("alpha")(type("Alpha", (), {"__module__": "elsewhere"}))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("raise SystemExit('goodbye')", "SystemExit: goodbye"),
        # It looks like Ctrl-C, and nobody pressed it.
        ("raise KeyboardInterrupt", "KeyboardInterrupt: no message"),
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_a_guest_that_cannot_be_imported_says_why(
    make: Make, tmp_path: Path, source: str, reason: str
) -> None:
    (tmp_path / "broken_guest.py").write_text(source + "\n")
    with pytest.raises(BrokenPlugin) as broken:
        make(point("new", "broken_guest:New", "pkg")).get("new")
    assert reason in str(broken.value)
    assert str(broken.value).startswith("attack 'new' from package 'pkg' cannot be imported (")
    assert str(broken.value).endswith("Fix or uninstall that package.")
    assert "\n" not in str(broken.value)


def test_a_guest_that_registers_another_name_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "absent_minded.py").write_text("class New: ...\n")
    with pytest.raises(
        BrokenPlugin,
        match=(
            r"^absent_minded was imported for attack 'new' but registers no such name\. "
            r"Check the name in its decorator\.$"
        ),
    ):
        make(point("new", "absent_minded:New", "pkg")).get("new")


def test_an_interruption_during_an_import_is_not_a_broken_plugin(
    make: Make, tmp_path: Path
) -> None:
    source = "import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(1)\n"
    (tmp_path / "slow_guest.py").write_text(source)
    with pytest.raises(KeyboardInterrupt):
        make(point("new", "slow_guest:New", "pkg")).get("new")


@pytest.mark.parametrize(
    ("registry", "names"),
    [
        (ATTACKS, {"genetic", "pwws"}),
        (DEFENSES, {"standard", "rift"}),
        (TASKS, {"imdb", "snli", "mini-reviews"}),
    ],
)
def test_the_built_in_plugins_are_known(registry: Registry[object], names: set[str]) -> None:
    assert names <= set(registry.names())
    assert all(
        entry.module.startswith("robench.")
        for entry in registry.entries()
        if entry.origin == "built-in"
    )


def test_every_built_in_task_name_is_a_task() -> None:
    """Helper modules of robench/tasks begin with an underscore or are listed in ``skip``."""
    for entry in TASKS.entries():
        if entry.origin == "built-in":
            assert TASKS.get(entry.name).__module__ == entry.module


# -- joint names ------------------------------------------------------------------------------


def test_a_joint_name_is_sorted_and_a_malformed_one_is_unchanged() -> None:
    assert canonical("rift+ascc") == canonical("ascc+rift") == "ascc+rift"
    assert canonical("rift") == "rift"
    assert canonical("rift+") == "rift+"
    assert members_of("a+b") == ("a", "b")


def test_a_joint_name_has_one_class_in_either_order() -> None:
    first = DEFENSES.get("mixout+ascc")
    assert first is DEFENSES.get("ascc+mixout")
    assert list(first.members) == ["ascc", "mixout"]  # type: ignore[attr-defined]
    assert DEFENSES.origin("ascc+mixout") == DEFENSES.origin("ascc") == "built-in"
    assert not any("+" in name for name in DEFENSES)  # 'all' stays the single ones


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rift+rose-frist", r"There is no defense 'rose-frist'\. Did you mean 'rose-first'\?"),
        (
            "rift+",
            r"'rift\+' does not name a defense on each side of '\+'\. "
            r"Join whole names, such as one\+other\.",
        ),
        ("rift+rift", r"'rift\+rift' names 'rift' twice\. Name each defense once\."),
        (
            "rift+ascc",
            r"'ascc' and 'rift' cannot be joined: both define a loss, "
            r"and a training run uses only one\.",
        ),
        (
            "rose-second+rose-first",
            r"'rose-first' and 'rose-second' cannot be joined: both define an optimizer",
        ),
        (
            "rift+standard",
            r"'standard' changes nothing in 'rift\+standard': "
            r"it is the plain training loop\. Use 'rift'\.",
        ),
    ],
)
def test_plugins_that_cannot_be_joined_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        DEFENSES.get(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rift+rose-frist", "Did you mean 'rose-first'"),
        ("+rift", "does not name a defense on each side"),
        ("rift+ascc+rift", "names 'rift' twice"),
    ],
)
def test_a_joint_name_is_checked_member_by_member(name: str, sentence: str) -> None:
    DEFENSES.check("rift+ascc")  # whether they go together needs their classes
    with pytest.raises(UsageError, match=sentence):
        DEFENSES.check(name)


def test_a_kind_without_joining_has_no_joint_names() -> None:
    with pytest.raises(
        UnknownPlugin, match=r"There is no attack 'genetic\+pwws'\. Did you mean 'genetic'\?"
    ):
        ATTACKS.get("genetic+pwws")


def test_a_name_with_a_plus_sign_cannot_be_registered(make: Make) -> None:
    with pytest.raises(UsageError, match=r"The attack 'a\+b' cannot be registered"):
        make().register("a+b")


def test_a_class_is_registered_temporarily_and_the_registry_restored(make: Make) -> None:
    registry = make()
    first, second = (type(name, (), {"__module__": name}) for name in ("first", "second"))
    registry.register("name")(first)
    with registry.temporarily("name", second) as inside, registry.temporarily("new", second):
        assert inside is registry.get("name") is registry.get("new") is second
        assert {"name", "new"} <= set(registry.names())
    assert registry.get("name") is first
    assert "new" not in registry.names()


def test_a_temporary_class_is_gone_after_an_error(make: Make) -> None:
    registry = make()
    with pytest.raises(KeyError), registry.temporarily("new", type("New", (), {})):
        raise KeyError
    assert "new" not in registry.names()


def test_a_joint_class_follows_a_temporary_member() -> None:
    before = DEFENSES.get("ascc+mixout")
    other = type("Other", (DEFENSES.get("mixout"),), {})
    with DEFENSES.temporarily("mixout", other):
        assert DEFENSES.get("ascc+mixout").members["mixout"] is other  # type: ignore[attr-defined]
    assert DEFENSES.get("ascc+mixout") is before


def test_a_temporary_name_is_refused_like_any_other(make: Make) -> None:
    with (
        pytest.raises(UsageError, match=r"The attack 'a\+b' cannot be registered"),
        make().temporarily("a+b", object),
    ):
        pytest.fail("it was registered")
