"""Publishers' files: found in folders and archives, in which order, and what is refused."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import IO

import pytest
from publishers import ARCHIVES, pack

from robench._base.errors import UsageError
from robench.tasks.archives import BrokenArchive
from robench.tasks.publisher_files import (
    FileLayout,
    FoundFiles,
    decoded_lines,
    describe_missing,
    find_files,
    walk_files,
)


def _key(path: str) -> str | None:
    match = re.fullmatch(r"(?:.*/)?data/(\w+\.txt)", path)
    return match.group(1) if match else None


def _number(key: str, stream: IO[bytes]) -> int:
    return int(stream.read().decode())


LAYOUT = FileLayout(_key, _number, hints=("right",))


def find_two(folder: Path | None) -> FoundFiles[int]:
    return find_files(folder, LAYOUT, lambda files: {"a.txt", "b.txt"} <= files.keys())


def write(folder: Path, **files: str) -> Path:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / "data" / f"{name}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("inner", ["", "one", "one/two"])
def test_a_folder_and_its_subfolders_are_searched(tmp_path: Path, inner: str) -> None:
    write(tmp_path / "top" / inner, a="1", b="2", c="3")
    assert find_two(tmp_path / "top") == FoundFiles(
        {"a.txt": 1, "b.txt": 2, "c.txt": 3}, "folder top"
    )


def test_the_folder_may_be_the_publishers_own(tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2")
    assert find_two(tmp_path / "data").files == {"a.txt": 1, "b.txt": 2}


def test_a_relative_folder_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a="1", b="2")
    monkeypatch.chdir(tmp_path / "data")
    assert find_two(Path()).files == {"a.txt": 1, "b.txt": 2}


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_an_archive_is_as_good_as_a_folder(tmp_path: Path, suffix: str) -> None:
    pack(write(tmp_path / "plain", a="1", b="2"), tmp_path / "d" / f"x{suffix}")
    assert find_two(tmp_path / "d") == FoundFiles({"a.txt": 1, "b.txt": 2}, f"archive x{suffix}")


def test_the_folder_wins_and_archives_fill_the_gaps(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", a="1")
    pack(write(tmp_path / "x", a="99", b="2"), folder / "x.zip")
    assert find_two(folder) == FoundFiles({"a.txt": 1, "b.txt": 2}, "folder d, archive x.zip")


def test_no_archive_is_opened_once_all_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", a="1", b="2")
    (folder / "broken.zip").write_text("no zip")
    assert find_two(folder).origin == "folder d"


def test_a_damaged_archive_is_ignored_when_another_holds_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    pack(write(tmp_path / "x", a="1", b="2"), folder / "z.zip")
    (folder / "broken.tar.xz").write_text("no xz")
    assert find_two(folder).origin == "archive z.zip"


def test_a_damaged_archive_that_may_hold_what_is_missing_is_named(tmp_path: Path) -> None:
    archive = pack(write(tmp_path / "x", a="1", b="2" * 1000), tmp_path / "d" / "x.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-9])
    with pytest.raises(BrokenArchive, match=r"x\.tar\.gz cannot be read"):
        find_two(tmp_path / "d")


def test_nothing_found_gives_an_empty_result(tmp_path: Path) -> None:
    assert find_two(tmp_path) == FoundFiles({}, "")
    assert find_two(None) == FoundFiles({}, "")


def test_a_missing_folder_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(UsageError, match=r"There is no data folder .*--data"):
            find_two(path)


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar.xz"])
@pytest.mark.parametrize("content", [b"no number", b"\xff\xff"])
def test_content_of_another_form_is_one_sentence(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    folder = write(tmp_path / "d", a="1")
    (folder / "data" / "b.txt").write_bytes(content)
    if suffix:
        pack(folder, tmp_path / "e" / f"x{suffix}")
        folder = tmp_path / "e"
    with pytest.raises(
        UsageError,
        match=r"data/b\.txt.* does not hold what .* \(.*\)\. Fetch it again\. .*--task FILE\.$",
    ):
        find_two(folder)


def test_the_walk_is_sorted_bounded_and_skips_hidden_entries(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a/.hidden", ".git/x", "a/b/c", "a/b/c2/deep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [name for name, _ in walk_files(tmp_path, 3)] == ["a/b/c", "a/z", "b"]
    assert [name for name, _ in walk_files(tmp_path, 1)] == ["b"]
    assert all(Path(path) == tmp_path / name for name, path in walk_files(tmp_path, 5))
    assert list(walk_files(tmp_path / "none", 3)) == []


def test_the_walk_ends_on_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [name for name, _ in walk_files(tmp_path, 3)] == ["file"]


def test_a_link_to_itself_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "self").symlink_to("self")
    assert [name for name, _ in walk_files(tmp_path, 3)] == ["a", "self"]


def test_a_folder_that_two_names_lead_to_is_searched_under_both(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch()
    (tmp_path / "also").symlink_to("data")
    assert [name for name, _ in walk_files(tmp_path, 3)] == ["also/a", "data/a"]


def test_many_links_to_the_top_do_not_multiply(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for number in range(60):
        (tmp_path / f"loop{number}").symlink_to(tmp_path, target_is_directory=True)
    assert [name for name, _ in walk_files(tmp_path, 6)] == ["file"]


def test_a_pipe_in_the_place_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    folder = write(tmp_path, a="1")
    os.mkfifo(folder / "data" / "b.txt")
    with pytest.raises(UsageError, match=r"b\.txt cannot be read: it is a pipe"):
        find_two(folder)


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar.xz"])
def test_a_file_beyond_the_limit_of_the_layout_is_refused(tmp_path: Path, suffix: str) -> None:
    folder = write(tmp_path / "d", a="1", b="2" * 101)
    if suffix:
        pack(folder, tmp_path / "e" / f"x{suffix}")
        folder = tmp_path / "e"
    small = FileLayout(_key, _number, limit=100)
    with pytest.raises(UsageError, match=r"101 bytes, and the limit is 100; if you trust"):
        find_files(folder, small, lambda files: len(files) == 2)


def test_a_line_of_megabytes_is_refused() -> None:
    assert list(decoded_lines(io.BytesIO(b"a\n" + b"x" * 999_999 + b"\nb")))[2] == "b"
    with pytest.raises(ValueError, match="line 2 has more than 1,000,000 bytes"):
        list(decoded_lines(io.BytesIO(b"a\n" + b"x" * 1_000_001)))


def test_describe_missing_says_where_it_looked() -> None:
    assert "--data or ROBENCH_DATA" in describe_missing("x.jsonl", None)
    assert "folder some/where or in an archive (.tar.gz" in describe_missing(
        "x.jsonl", Path("some/where")
    )
