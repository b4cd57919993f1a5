"""Files of lines: the file that is written is the one with the name, and every line is whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from robench._base.errors import RobenchError
from robench._base.line_file import LineFile
from robench._base.waiting import Patience


class Words(LineFile):
    """Lines of words under a header."""

    holds: ClassVar[str] = "words"

    def new_header(self) -> bytes:
        return b"words\n"


def lines(path: Path) -> list[bytes]:
    return [line for _, line in Words(path).whole_lines()]


class Waits:
    """Notes that a run began to wait."""

    def __init__(self) -> None:
        self.began = threading.Event()

    def __call__(self, _sentence: str) -> None:
        self.began.set()


def appending(path: Path, line: bytes, say: Waits) -> threading.Thread:
    """Return a started thread that appends a line when it has the file."""

    def append() -> None:
        with Words(path, Patience(None, say)) as file:
            file.append_line(line)

    thread = threading.Thread(target=append)
    thread.start()
    return thread


def test_who_waited_for_a_file_that_was_put_aside_begins_a_new_one(tmp_path: Path) -> None:
    path, aside, say = tmp_path / "a.jsonl", tmp_path / "a.jsonl.aside", Waits()
    with Words(path) as first:
        first.append_line(b"of the first\n")
        thread = appending(path, b"of the second\n", say)
        assert say.began.wait(10)
        path.replace(aside)
    thread.join(10)
    assert lines(aside) == [b"words", b"of the first"]
    assert lines(path) == [b"words", b"of the second"]


def test_who_waited_for_a_file_that_was_removed_begins_a_new_one(tmp_path: Path) -> None:
    path, say = tmp_path / "a.jsonl", Waits()
    with Words(path) as first:
        first.append_line(b"of the first\n")
        thread = appending(path, b"of the second\n", say)
        assert say.began.wait(10)
        path.unlink()
    thread.join(10)
    assert lines(path) == [b"words", b"of the second"]


def test_who_waited_for_a_file_that_stays_writes_on(tmp_path: Path) -> None:
    path, say = tmp_path / "a.jsonl", Waits()
    with Words(path) as first:
        first.append_line(b"of the first\n")
        thread = appending(path, b"of the second\n", say)
        assert say.began.wait(10)
    thread.join(10)
    assert lines(path) == [b"words", b"of the first", b"of the second"]


def test_a_link_in_the_place_of_the_file_is_refused_after_the_wait(tmp_path: Path) -> None:
    path, precious = tmp_path / "a.jsonl", tmp_path / "precious"
    precious.write_bytes(b"of the user")

    def exchange(_sentence: str) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(precious)
        first.close()

    first = Words(path)
    first.append_line(b"of the first\n")
    with pytest.raises(RobenchError, match="it is a link"):
        Words(path, Patience(None, exchange)).append_line(b"of the second\n")
    assert precious.read_bytes() == b"of the user"


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_line_that_is_written_in_many_pieces_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: whole(descriptor, data[:most]))
    with Words(tmp_path / "a") as file:
        file.append_line(b"the first line\n")
        file.append_line(b"the second line\n")
    assert (tmp_path / "a").read_bytes() == b"words\nthe first line\nthe second line\n"


@pytest.mark.parametrize("error", [True, False])
def test_a_disk_that_fills_up_after_several_pieces_leaves_no_torn_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: bool
) -> None:
    whole, left = os.write, [3, 3]

    def write(descriptor: int, data: bytes) -> int:
        most = left.pop() if left else 0
        if most == 0 and error:
            raise OSError(28, os.strerror(28))
        return whole(descriptor, data[:most]) if most else 0

    file = Words(tmp_path / "a")
    with file:
        file.append_line(b"the first line\n")
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(RobenchError, match="No space left on device"):
            file.append_line(b"the second line\n")
        monkeypatch.undo()
        file.append_line(b"the third line\n")
    assert (tmp_path / "a").read_bytes() == b"words\nthe first line\nthe third line\n"
