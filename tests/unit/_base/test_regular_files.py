"""Opening files of strangers: what is no regular file, is too large or leaves its folder."""

from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from robench._base import regular_files
from robench._base.errors import RobenchError
from robench._base.regular_files import (
    FACTOR,
    Missing,
    Unreadable,
    how_to_raise,
    limit_of,
    open_bounded,
)

SECONDS = 10.0
"""More than opening may take; a pipe without a writer would wait for ever."""


def refusal(path: Path, size: int | None = 100, inside: Path | None = None) -> str:
    """Return why ``path`` is refused, or fail if opening waits."""
    found: list[str] = []

    def try_it() -> None:
        with pytest.raises(Unreadable) as caught:
            open_bounded(path, size, inside)
        found.append(caught.value.reason)

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert found, f"opening {path} waits, or it was opened"
    return found[0]


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with open_bounded(tmp_path / "a", 3) as stream:
        assert stream.read() == b"abc"


def test_a_link_to_a_regular_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to("a")
    with open_bounded(tmp_path / "b", 3, inside=tmp_path) as stream:
        assert stream.read() == b"abc"


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("missing", "file/below", "dangling"):
        with pytest.raises(Missing, match="it does not exist"):
            open_bounded(tmp_path / name, 100)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe" in refusal(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    assert "it is a pipe" in refusal(tmp_path / "link")


def test_a_file_that_becomes_a_pipe_after_the_first_look_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    check = regular_files._check_kind
    seen: list[int] = []

    def swap(path: Path, mode: int) -> None:
        check(path, mode)
        if not seen:
            path.unlink()
            os.mkfifo(path)
        seen.append(mode)

    monkeypatch.setattr(regular_files, "_check_kind", swap)
    assert "it is a pipe" in refusal(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/random", "/dev/tty"])
def test_a_device_is_refused(tmp_path: Path, device: str) -> None:
    (tmp_path / "link.json").symlink_to(device)
    assert "it is a device" in refusal(tmp_path / "link.json")


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The path of a socket may have 108 bytes only.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("s")
        assert "it is a socket" in refusal(Path("s"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "it is a folder"


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert refusal(tmp_path / "a") == "it is a link that leads back to itself"


def test_a_name_with_a_nul_is_refused() -> None:
    assert "NUL" in refusal(Path("a\0b"))


def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"abc")

    def fail(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    # The user root may read every file, so its mode would not do here.
    monkeypatch.setattr(os, "open", fail)
    assert refusal(tmp_path / "a") == "Permission denied"


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "secret").write_bytes(b"abc")
    (tmp_path / "runs" / "a").symlink_to(tmp_path / "secret")
    reason = refusal(tmp_path / "runs" / "a", inside=tmp_path / "runs")
    assert "leads out of the folder" in reason
    assert "put a copy in its place" in reason


def test_a_linked_folder_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_bytes(b"abc")
    (tmp_path / "runs" / "records").symlink_to(tmp_path / "other")
    path = tmp_path / "runs" / "records" / "a"
    assert "leads out" in refusal(path, inside=tmp_path / "runs")


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("runs")
    with open_bounded(tmp_path / "link" / "a", 3, inside=tmp_path / "link") as stream:
        assert stream.read() == b"abc"


def test_a_link_that_is_swapped_after_opening_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "a").symlink_to(tmp_path / "secret")
    check = regular_files._check_inside

    def swap(path: Path, found: os.stat_result, folder: Path) -> None:
        path.unlink()
        path.write_bytes(b"harmless")
        check(path, found, folder)

    monkeypatch.setattr(regular_files, "_check_inside", swap)
    assert "leads out" in refusal(folder / "a", inside=folder)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1_000_000_000)
    reason = refusal(tmp_path / "sparse", size=64_000_000)
    assert "1,000,000,000 bytes, and the limit is 64,000,000" in reason
    assert f"{FACTOR}=16 raises the limit" in reason


def test_the_factor_that_the_sentence_names_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1001)
    assert f"{FACTOR}=11 " in refusal(tmp_path / "a", size=100)
    monkeypatch.setenv(FACTOR, "10")
    assert f"{FACTOR}=20 " in refusal(tmp_path / "a", size=100)
    monkeypatch.setenv(FACTOR, "11")
    open_bounded(tmp_path / "a", 100).close()


def test_no_limit_means_no_limit(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    open_bounded(tmp_path / "sparse", None).close()


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "ten", "1e3", " 2", "²", "9" * 5000])
def test_a_wrong_factor_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FACTOR, text)
    with pytest.raises(RobenchError, match="takes a whole number"):
        limit_of(10)


def test_nothing_promises_to_read_what_no_factor_allows() -> None:
    assert how_to_raise(10**20, 10) == "this is more than robench can read"


def test_no_descriptor_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"too much")

    def next_descriptor() -> int:
        with (tmp_path / "a").open("rb") as stream:
            return stream.fileno()

    before = next_descriptor()
    for _ in range(5):
        refusal(tmp_path / "a", size=1)
    assert next_descriptor() == before
