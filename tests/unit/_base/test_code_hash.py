from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from robench import ATTACKS, DEFENSES
from robench._base.code_hash import code_sha256, source_sha256


def package(folder: Path, name: str, **files: str) -> Path:
    home = folder / name
    home.mkdir(parents=True)
    for stem, text in {"__init__": "", **files}.items():
        (home / f"{stem}.py").write_text(text)
    return home


def loaded(name: str) -> ModuleType:
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_a_package_counts_with_every_module_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "counted_whole", one="A = 1\n", two="B = 2\n")
    seen = set()
    for edit in (None, ("one", "A = 2\n"), ("two", "B = 3\n"), ("three", "")):
        if edit is not None:
            (home / f"{edit[0]}.py").write_text(edit[1])
        source_sha256.cache_clear()
        seen.add(source_sha256("counted_whole"))
    assert len(seen) == 4
    assert source_sha256("counted_whole.one") != source_sha256("counted_whole.two")


def test_a_file_under_another_name_is_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "renamed_inside", one="A = 1\n")
    before = source_sha256("renamed_inside")
    (home / "one.py").rename(home / "uno.py")
    source_sha256.cache_clear()
    assert source_sha256("renamed_inside") != before


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        source_sha256("no_such_module")


def test_a_built_in_is_its_own_file() -> None:
    assert code_sha256(DEFENSES.get("rift")) == source_sha256("robench.defenses.rift")
    assert len({code_sha256(ATTACKS.get(name)) for name in ("genetic", "pwws")}) == 2


def test_a_guest_is_its_whole_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "guest_of_two_files", plugin="class Mine: ...\n", helper="X = 1\n")
    mine = loaded("guest_of_two_files.plugin").Mine
    before = code_sha256(mine)
    (home / "helper.py").write_text("X = 2\n")
    source_sha256.cache_clear()
    assert code_sha256(mine) != before


def test_a_class_made_at_run_time_has_no_code() -> None:
    assert code_sha256(type("Made", (), {"__module__": "nowhere"})) is None


def test_what_lies_in_further_modules_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "counted_further", helper="A = 1\n")
    pwws = ATTACKS.get("pwws")
    helped = type(
        "Helped", (pwws,), {"__module__": pwws.__module__, "further_code": ("counted_further",)}
    )
    before = code_sha256(helped)
    assert before != code_sha256(pwws)
    (home / "helper.py").write_text("A = 2\n")
    source_sha256.cache_clear()
    assert before != code_sha256(helped)
