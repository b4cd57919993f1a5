"""Archives of strangers: bombs, long lists of members and pipes; none fills the memory."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import resource
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from robench._base.bounded_reading import GB, MB
from robench._base.regular_files import FACTOR
from robench.tasks import archive_bounds, archives
from robench.tasks.archives import BrokenArchive, members, report_damage


class Zeros(io.RawIOBase):
    """Endless zeros."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        buffer[:] = bytes(len(buffer))
        return len(buffer)


def tar_with(path: Path, add: Callable[[tarfile.TarFile], object], mode: str = "w:xz") -> Path:
    opened: tarfile.TarFile = cast(Any, tarfile.open)(path, mode)
    with opened as tar:
        add(tar)
    return path


def member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def read_all(path: Path, limit: int = 1 * MB) -> list[str]:
    names = []
    for name, stream in members(path, lambda _: limit):
        with report_damage(path):
            stream.read()
        names.append(name)
    return names


def refusal(path: Path, limit: int = 1 * MB) -> str:
    """Return the sentence, and check that the memory did not grow by 200 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BrokenArchive) as caught:
        read_all(path, limit)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.gz", ".zip"])
def test_a_bomb_as_a_review_is_refused_before_it_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("aclImdb/test/neg/0_1.txt", bytes(50 * MB))
    else:
        info = member("aclImdb/test/neg/0_1.txt", 50 * MB)
        tar_with(path, lambda tar: tar.addfile(info, Zeros()), f"w:{suffix[5:]}")
    assert path.stat().st_size < 200_000
    said = refusal(path)
    assert str(path) in said
    assert "unpacks to 50,000,000 bytes, and the limit is 1,000,000" in said
    assert f"{FACTOR}=50 raises the limit" in said


def test_the_limit_can_be_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar_with(
        tmp_path / "x.tar.gz", lambda tar: tar.addfile(member("a", 300), Zeros()), "w:gz"
    )
    assert f"{FACTOR}=3 " in refusal(path, 100)
    monkeypatch.setenv(FACTOR, "3")
    assert read_all(path, 100) == ["a"]


def test_a_large_member_that_nobody_wants_is_passed_over(tmp_path: Path) -> None:
    def add(tar: tarfile.TarFile) -> None:
        tar.addfile(member("large", 5 * MB), Zeros())
        tar.addfile(member("small", 3), io.BytesIO(b"abc"))

    path = tar_with(tmp_path / "x.tar.gz", add, "w:gz")
    found = members(path, lambda name: 10 if name == "small" else None)
    assert [(name, stream.read()) for name, stream in found] == [("small", b"abc")]


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.gz", ".zip"])
def test_the_whole_archive_is_bounded(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (archive_bounds, archives):
        monkeypatch.setattr(module, "WHOLE", 100_000)
    path = tmp_path / f"x{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for number in range(20):
                zipped.writestr(str(number), bytes(10_000))
    else:

        def add(tar: tarfile.TarFile) -> None:
            for number in range(20):
                tar.addfile(member(str(number), 10_000), Zeros())

        tar_with(path, add, f"w:{suffix[5:]}")
    assert "unpacks to more than 100,000 bytes" in refusal(path)


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_the_number_of_members_is_bounded(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_bounds, "MEMBERS", 50)
    path = tmp_path / f"x{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for number in range(51):
                zipped.writestr(str(number), b"")
    else:

        def add(tar: tarfile.TarFile) -> None:
            for number in range(51):
                tar.addfile(member(str(number), 0))

        tar_with(path, add, "w:gz")
    assert "it has more than 50 members" in refusal(path)


def test_the_list_of_members_of_a_zip_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for number in range(2000):
            zipped.writestr(f"{number}" + "x" * 100, b"")
    monkeypatch.setattr(archive_bounds, "_NAMES", 100_000)
    assert "the list of its members has" in refusal(path)


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_of_megabytes_is_refused(tmp_path: Path, kind: int) -> None:
    info = member("x" * (3 * MB), 0)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=kind) as tar:
        tar.addfile(info)
    assert "the name or the attributes of a member have 3," in refusal(tmp_path / "x.tar.gz")


def test_a_long_name_is_read(tmp_path: Path) -> None:
    path = tar_with(tmp_path / "x.tar.xz", lambda tar: tar.addfile(member("x" * 900, 0)))
    assert read_all(path) == ["x" * 900]


def test_an_xz_that_asks_for_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    packed = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    path = tmp_path / "x.tar.xz"
    try:
        path.write_bytes(packed.compress(bytes(10_240)) + packed.flush())
    except MemoryError:
        pytest.fail("this machine cannot make the file")
    assert "Memory usage limit" in refusal(path)


def test_streams_of_xz_that_follow_each_other_are_one(tmp_path: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.addfile(member("a", 3), io.BytesIO(b"abc"))
    content = plain.getvalue()
    first, second = lzma.compress(content[:700]), lzma.compress(content[700:])
    for between in (b"", bytes(4), bytes(400_000)):
        (tmp_path / "x.tar.xz").write_bytes(first + between + second + between)
        found = members(tmp_path / "x.tar.xz")
        assert [(name, stream.read()) for name, stream in found] == [("a", b"abc")]


def test_what_follows_an_xz_is_damage(tmp_path: Path) -> None:
    path = tar_with(tmp_path / "x.tar.xz", lambda tar: tar.addfile(member("a", 0)))
    path.write_bytes(path.read_bytes() + b"more")
    assert "damaged or incomplete" in refusal(path)


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    info = member("GNUSparseFile.0/x", 512)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "x",
        "GNU.sparse.realsize": str(10**15),
    }
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"99999999\n" + b"0\n" * 251 + b"\n"))
    assert "it holds a sparse file" in refusal(tmp_path / "x.tar.gz")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.xz"])
def test_a_pipe_is_no_archive(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"x{suffix}")
    assert "it is a pipe" in refusal(tmp_path / f"x{suffix}")


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.xz"])
def test_an_archive_of_terabytes_is_refused(tmp_path: Path, suffix: str) -> None:
    with (tmp_path / f"x{suffix}").open("wb") as stream:
        stream.truncate(9 * GB)
    assert "it has 9,000,000,000 bytes, and the limit is 8,000,000,000" in refusal(
        tmp_path / f"x{suffix}"
    )


@pytest.mark.slow
def test_a_zip_of_a_hundred_thousand_members_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
        for number in range(100_000):
            zipped.writestr(f"{number:06}", b"")
    assert len(read_all(tmp_path / "x.zip")) == 100_000


@pytest.mark.slow
def test_a_bomb_of_gigabytes_in_a_member_that_nobody_wants_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (archive_bounds, archives):
        monkeypatch.setattr(module, "WHOLE", 200 * MB)
    with gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(member("a", 5 * GB).tobuf())
        for _ in range(300):
            stream.write(bytes(MB))
    with pytest.raises(BrokenArchive, match="unpacks to more than 200,000,000 bytes"):
        list(members(tmp_path / "x.tar.gz", lambda _: None))
