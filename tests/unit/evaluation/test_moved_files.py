"""What a merge copies into ``out``: whole victims, once, and never what a link points to."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from evaluation_cases import Listening
from saved_victims import victim

from robench._base.errors import RobenchError
from robench._base.reporting import Silent
from robench.evaluation import moved_files
from robench.evaluation.moved_files import copy_victim
from robench.models.victim_folder import belonging_files, checked_card, identity

NAME = "rift-toy-mini-s0-12345678"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder of a victim, as a stranger's shard has it."""
    folder = tmp_path / "shard" / "victims" / NAME
    victim().save(folder)
    (folder / "README.md").write_text("a card")
    (folder / "curves").mkdir()
    (folder / "curves" / "metrics.csv").write_text("step,loss\n")
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the user that no stranger may get."""
    path = tmp_path / "home" / "id_rsa"
    path.parent.mkdir()
    path.write_text("secret")
    return path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_copied_victim_is_that_victim_with_all_its_files(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "victims" / NAME
    card = checked_card(source)
    report = Listening()
    copy_victim(source, card, target, report)
    assert identity(checked_card(target)) == identity(card)
    assert files(target) == files(source) >= {"README.md", "curves/metrics.csv"}
    assert report.messages == []
    assert list(target.parent.iterdir()) == [target]
    # The folder can be used by whom the folders of the run can be used.
    assert target.stat().st_mode == target.parent.stat().st_mode


def test_links_and_other_files_are_not_copied_and_named(
    source: Path, secret: Path, tmp_path: Path
) -> None:
    (source / "notes.txt").symlink_to(secret)
    (source / "curves" / "more.csv").symlink_to(secret)
    (source / "curves" / "all").symlink_to(secret.parent)
    (source / "run.sh").write_text("rm -r /")
    target = tmp_path / "out" / "victims" / NAME
    report = Listening()
    copy_victim(source, checked_card(source), target, report)
    assert files(target) == files(source) - {"notes.txt", "curves/more.csv", "run.sh"}
    assert not any("secret" in path.read_bytes().decode("latin1") for path in _all(target))
    (sentence,) = report.messages
    assert sentence.startswith("'curves/all' and 3 more were not copied from")


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def linked_weights(source: Path) -> str:
    return _linked(source, "model.safetensors")


def linked_card(source: Path) -> str:
    return _linked(source, "victim.json")


def linked_tokenizer(source: Path) -> str:
    _linked(source, "tokenizer")
    return "tokenizer/"


def _linked(source: Path, name: str) -> str:
    elsewhere = source.parents[2] / "elsewhere"
    (source / name).rename(elsewhere)
    (source / name).symlink_to(elsewhere)
    return name


@pytest.mark.parametrize("link", [linked_weights, linked_card, linked_tokenizer])
def test_a_victim_that_is_made_of_links_is_refused(
    source: Path, tmp_path: Path, link: Callable[[Path], str]
) -> None:
    name = link(source)
    card = json.loads((source / "victim.json").read_text())
    with pytest.raises(RobenchError, match="is a link, or lies behind one") as error:
        copy_victim(source, card, tmp_path / "out" / NAME, Silent())
    assert name in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(
    source: Path, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = checked_card(source)
    whole = belonging_files

    def exchanged(folder: Path, of: dict[str, object]) -> tuple[list[str], list[str]]:
        found = whole(folder, of)
        (source / "README.md").unlink()
        (source / "README.md").symlink_to(secret)
        return found

    monkeypatch.setattr(moved_files, "belonging_files", exchanged)
    with pytest.raises(OSError, match="it is a link"):
        copy_victim(source, card, tmp_path / "out" / NAME, Silent())
    assert list((tmp_path / "out").iterdir()) == []


def test_mergers_at_the_same_time_copy_the_victim_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / NAME
    card = checked_card(source)
    copies: list[Path] = []
    start = threading.Barrier(4)
    whole = moved_files._copy_own

    def counted(names: list[str], source: Path, draft: Path) -> None:
        copies.append(draft)
        whole(names, source, draft)

    monkeypatch.setattr(moved_files, "_copy_own", counted)
    failed: list[BaseException] = []

    def merge() -> None:
        start.wait()
        try:
            copy_victim(source, card, target, Silent())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=merge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(copies) == 1
    assert identity(checked_card(target)) == identity(card)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("there", [False, True])
def test_half_a_copy_of_a_killed_merge_does_not_stay(
    source: Path, tmp_path: Path, there: bool
) -> None:
    target = tmp_path / "out" / NAME
    card = checked_card(source)
    if there:
        copy_victim(source, card, target, Silent())
    halves = [target.with_name(f".{NAME}{end}") for end in (".copy", ".0f3a.copy")]
    for half in halves:
        half.mkdir(parents=True)
        (half / "victim.json").write_text("{")
    other = target.with_name(".another-victim.copy")
    other.mkdir()
    copy_victim(source, card, target, Silent())
    assert sorted(target.parent.iterdir()) == sorted([target, other])


def test_a_disk_that_is_full_leaves_no_half_copy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: Path, _target: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(moved_files, "_copy_itself", full)
    with pytest.raises(OSError, match="No space left"):
        copy_victim(source, checked_card(source), tmp_path / "out" / NAME, Silent())
    assert list((tmp_path / "out").iterdir()) == []
