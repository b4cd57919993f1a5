"""What the check of a pull request looks at, without a verification."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from submissions import write_archive

from scripts import check_submissions


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return check_submissions


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return put(tmp_path / "base", "records/toy/old.json", "old")


def put(checkout: Path, name: str, content: str) -> Path:
    path = checkout / "leaderboards" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return checkout


@pytest.fixture
def offered(tmp_path: Path) -> Path:
    """One old record, one changed one, one new one, and the marks of a verification."""
    for name, content in (("old", "old"), ("new", "new"), ("verified", "{}"), ("mine", "mine")):
        put(tmp_path / "offered", f"records/toy/{name}.json", content)
    (tmp_path / "offered" / "leaderboards" / "submissions").mkdir()
    return tmp_path / "offered"


def test_new_and_changed_records_are_found(script: ModuleType, offered: Path, base: Path) -> None:
    assert [p.name for p in script.new_records(offered, base)] == ["mine.json", "new.json"]
    put(offered, "records/toy/old.json", "changed")
    assert len(script.new_records(offered, base)) == 3


def test_records_that_no_archive_holds(script: ModuleType, offered: Path, base: Path) -> None:
    place = offered / "leaderboards" / "submissions"
    write_archive(place / "a.zip", {"records/new.json": b"new", "records/mine.json": b"other"})
    (place / "damaged.zip").write_text("no archive")
    (place / "link.zip").symlink_to(place / "a.zip")
    archives = script.archives_in(offered)
    assert [path.name for path in archives] == ["a.zip", "damaged.zip"]
    left = script.without_archive(script.new_records(offered, base), archives)
    assert [path.name for path in left] == ["mine.json"]


@pytest.mark.parametrize(("code", "said"), [(0, "2 verified"), (1, "FAILED rift ```` **bold**")])
def test_a_failure_decides_the_exit_code_and_texts_stay_texts(
    script: ModuleType,
    offered: Path,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    said: str,
) -> None:
    write_archive(offered / "leaderboards" / "submissions" / "a.zip", {"records/new.json": b"new"})
    monkeypatch.setattr(script, "verify", lambda archive: (code, said))
    report = tmp_path / "report.md"
    words = [str(offered), "--base", str(base), "--report", str(report)]
    result = CliRunner().invoke(script.main, words)
    assert result.exit_code == code
    text = report.read_text()
    assert text.count("````") == 4
    assert "mine.json" in text
    assert "new.json" not in text


def test_nothing_to_verify(script: ModuleType, base: Path) -> None:
    result = CliRunner().invoke(script.main, [str(base), "--base", str(base)])
    assert (result.exit_code, result.output) == (0, "There is nothing to verify.\n")
