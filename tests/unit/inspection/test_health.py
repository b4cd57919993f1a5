"""The health check of guest plugins.

Guests are imported once, in another process. The results are remembered until something changes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from guests import WORKING_ATTACK, install_guest

from robench.inspection import health as plugin_health
from robench.inspection.health import Health, check_guests, check_in_child
from robench.plugins.registry import Registry

WORKING = WORKING_ATTACK.format(name="working")
Install = Callable[[dict[str, str]], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with one attack per module, the attack ``name`` in ``guest_<name>``.

    The package is on the path of this process and of its children.
    """

    def build(sources: dict[str, str]) -> Path:
        points = {"robench.attacks": {name: f"guest_{name}:Guest" for name in sources}}
        folder = install_guest(
            tmp_path / "site-packages",
            "guests",
            points,
            {f"guest_{name}": source for name, source in sources.items()},
        )
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setattr(
            plugin_health, "CHECKED_REGISTRIES", (Registry("attack", "robench.attacks"),)
        )
        return folder

    return build


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, str]]]:
    """The guests that each child process was asked to check."""
    asked: list[list[tuple[str, str]]] = []
    real = plugin_health._run_child

    def counting(guests: list[tuple[str, str]]) -> tuple[dict[tuple[str, str], Health], str]:
        asked.append(list(guests))
        return real(guests)

    monkeypatch.setattr(plugin_health, "_run_child", counting)
    return asked


def test_no_process_starts_where_there_are_no_guests(
    monkeypatch: pytest.MonkeyPatch, children: list[object], tmp_path: Path
) -> None:
    monkeypatch.setattr(plugin_health, "CHECKED_REGISTRIES", ())
    assert check_guests(cache=tmp_path) == {}
    assert children == []


def test_every_guest_is_checked_and_none_is_imported_in_this_process(
    install: Install,
    tmp_path: Path,
    children: list[list[tuple[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Other tests of this process may have imported guests of these names.
    for name in [name for name in sys.modules if name.startswith("guest_")]:
        monkeypatch.delitem(sys.modules, name)
    install(
        {
            "working": WORKING,
            "broken": "import no_such_dependency\n",
            "ending": "import os\nos._exit(7)\n",
        }
    )
    health = check_guests(cache=tmp_path / "cache")
    assert health[("attack", "working")] == Health(
        problem=None, summary="Tries nothing.", sees="probabilities"
    )
    assert health[("attack", "broken")].problem == (
        "attack 'broken' from package 'guests' cannot be imported "
        "(ModuleNotFoundError: No module named 'no_such_dependency'). "
        "Fix or uninstall that package."
    )
    assert health[("attack", "ending")].problem == "Importing it ended the process (exit code 7)."
    assert not any(name.startswith("guest_") for name in sys.modules)
    # The second child continues after the guest that ended the first one.
    assert len(children) == 2


def test_results_are_remembered_until_the_guest_changes(
    install: Install, tmp_path: Path, children: list[list[tuple[str, str]]]
) -> None:
    folder = install({"working": WORKING, "broken": "import no_such_dependency\n"})
    first = check_guests(cache=tmp_path / "cache")
    assert check_guests(cache=tmp_path / "cache") == first
    assert len(children) == 1
    mended = folder / "guest_broken.py"
    mended.write_text(WORKING_ATTACK.format(name="broken"))
    os.utime(mended, ns=(1, mended.stat().st_mtime_ns + 1_000_000_000))
    assert check_guests(cache=tmp_path / "cache")[("attack", "broken")].problem is None
    assert children[1] == [("attack", "broken")]


def test_guests_are_checked_again_after_another_installation(
    install: Install, tmp_path: Path, children: list[list[tuple[str, str]]]
) -> None:
    folder = install({"broken": "import late_dependency\n" + WORKING_ATTACK.format(name="broken")})
    assert "late_dependency" in str(
        check_guests(cache=tmp_path / "cache")[("attack", "broken")].problem
    )
    (folder / "late_dependency.py").write_text("")
    os.utime(folder, ns=(1, folder.stat().st_mtime_ns + 1_000_000_000))
    assert check_guests(cache=tmp_path / "cache")[("attack", "broken")].problem is None


def test_force_ignores_remembered_results(
    install: Install, tmp_path: Path, children: list[list[tuple[str, str]]]
) -> None:
    install({"working": WORKING})
    check_guests(cache=tmp_path / "cache")
    check_guests(cache=tmp_path / "cache", force=True)
    assert len(children) == 2


@pytest.mark.parametrize("content", ["", "not json", "[1]", '{"unknown": 1}'])
def test_a_damaged_result_is_replaced_by_a_new_check(
    install: Install, tmp_path: Path, children: list[list[tuple[str, str]]], content: str
) -> None:
    install({"working": WORKING})
    first = check_guests(cache=tmp_path / "cache")
    for file in (tmp_path / "cache").iterdir():
        file.write_text(content)
    assert check_guests(cache=tmp_path / "cache") == first
    assert len(children) == 2


def test_guests_are_checked_where_the_cache_cannot_be_written(
    install: Install, tmp_path: Path
) -> None:
    install({"working": WORKING})
    (tmp_path / "file").write_text("")
    assert check_guests(cache=tmp_path / "file" / "below")[("attack", "working")].problem is None


def test_a_guest_whose_import_hangs_counts_as_broken(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install({"hanging": "import time\ntime.sleep(60)\n"})
    monkeypatch.setattr(plugin_health, "CHECK_SECONDS", 1.0)
    assert (
        check_in_child([("attack", "hanging")])[("attack", "hanging")].problem
        == "Importing it took longer than 1 seconds."
    )
