from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from robench._base.errors import RobenchError
from robench._base.files import write_text


def test_a_file_is_written_and_then_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_text(path, "ä\n")
    write_text(path, "second\n")
    assert path.read_bytes() == b"second\n"
    assert [each.name for each in path.parent.iterdir()] == ["b.txt"]


def test_a_failed_write_leaves_only_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.txt"
    write_text(path, "old\n")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RobenchError, match=r"No space left on device\. Free some space") as caught:
        write_text(path, "new\n")
    assert str(path) in str(caught.value)
    assert path.read_text() == "old\n"
    assert [each.name for each in tmp_path.iterdir()] == ["b.txt"]


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        RobenchError, match=r"Cannot write .*: (File exists|Not a directory)\. Name"
    ):
        write_text(tmp_path / "file" / "b.txt", "x")


def test_the_file_has_the_usual_permissions(tmp_path: Path) -> None:
    plain, atomic = tmp_path / "plain", tmp_path / "atomic"
    plain.write_text("x")
    write_text(atomic, "x")
    assert atomic.stat().st_mode == plain.stat().st_mode
