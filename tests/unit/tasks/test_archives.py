"""Archives: their members are read in one pass, and damage becomes one sentence."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from publishers import ARCHIVES, pack

from robench.tasks.archives import BrokenArchive, archives_in, members, report_damage


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "one.txt").write_bytes(b"one")
    (folder / "a" / "b" / "two.bin").write_bytes(bytes(range(256)) * 400)
    return folder


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_members_are_the_files_with_their_bytes(content: Path, tmp_path: Path, suffix: str) -> None:
    archive = pack(content, tmp_path / f"x{suffix}")
    assert {name: stream.read() for name, stream in members(archive)} == {
        "a/one.txt": b"one",
        "a/b/two.bin": bytes(range(256)) * 400,
    }


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_members_can_be_skipped_and_read_by_lines(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "content").mkdir()
    for name in "abc":
        (tmp_path / "content" / name).write_bytes(b"1\n2\n" * 5000)
    archive = pack(tmp_path / "content", tmp_path / f"x{suffix}")
    assert [len(list(stream)) for name, stream in members(archive) if name != "b"] == [10000, 10000]


def _read_all(archive: Path) -> None:
    for _, stream in members(archive):
        with report_damage(archive):
            stream.read()


@pytest.mark.parametrize("suffix", ARCHIVES)
@pytest.mark.parametrize("keep", [0, 7, 0.5, 0.98])
def test_a_truncated_archive_is_one_sentence_naming_the_file(
    content: Path, tmp_path: Path, suffix: str, keep: float
) -> None:
    archive = pack(content, tmp_path / f"x{suffix}")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    with pytest.raises(BrokenArchive, match=r"damaged or incomplete") as caught:
        _read_all(archive)
    assert str(archive) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.xz"])
def test_a_stream_cut_between_two_members_is_noticed(
    content: Path, tmp_path: Path, suffix: str
) -> None:
    """tarfile's own stream modes would take the cut for the archive's end."""
    archive = pack(content, tmp_path / f"x{suffix}")
    archive.write_bytes(archive.read_bytes()[:-4])
    with pytest.raises(BrokenArchive):
        _read_all(archive)


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_a_flipped_byte_is_noticed(content: Path, tmp_path: Path, suffix: str) -> None:
    archive = pack(content, tmp_path / f"x{suffix}")
    damaged = bytearray(archive.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    archive.write_bytes(bytes(damaged))
    with pytest.raises(BrokenArchive):
        _read_all(archive)


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_text("<html>404</html>" * 100)
    with pytest.raises(BrokenArchive):
        _read_all(tmp_path / f"x{suffix}")


def test_a_missing_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenArchive, match="it does not exist"):
        _read_all(tmp_path / "none.zip")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a", "text")
    raw = bytearray(archive.read_bytes())
    # Set the flag "encrypted", in the local header and in the directory.
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(bytes(raw))
    with pytest.raises(BrokenArchive, match="encrypted"):
        _read_all(archive)


def test_links_and_folders_are_skipped(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        info = tarfile.TarInfo("../outside")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"ok"))
    assert [(name, stream.read()) for name, stream in members(archive)] == [("../outside", b"ok")]
    assert not (tmp_path.parent / "outside").exists()


def test_an_error_raised_by_the_caller_is_not_taken_for_damage(
    content: Path, tmp_path: Path
) -> None:
    archive = pack(content, tmp_path / "x.zip")

    def read_and_fail() -> None:
        for _ in members(archive):
            raise OSError("of the caller")

    with pytest.raises(OSError, match="of the caller") as caught:
        read_and_fail()
    assert not isinstance(caught.value, BrokenArchive)


def test_archives_with_hinted_names_come_first(tmp_path: Path) -> None:
    for name in ("b.zip", "a.tar.xz", "z_IMDB.tar.gz", "notes.txt", "plain.tar", "C.TGZ"):
        (tmp_path / name).touch()
    (tmp_path / "folder.zip").mkdir()
    assert [path.name for path in archives_in(tmp_path, ["imdb"])] == [
        "z_IMDB.tar.gz",
        "C.TGZ",
        "a.tar.xz",
        "b.zip",
    ]
    assert [path.name for path in archives_in(tmp_path)] == [
        "C.TGZ",
        "a.tar.xz",
        "b.zip",
        "z_IMDB.tar.gz",
    ]
