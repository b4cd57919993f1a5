from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import IO, Any

import datasets
import huggingface_hub
import pytest
from publishers import ARCHIVES, Hub, pack

from robench._base.errors import UsageError
from robench.tasks import _hub
from robench.tasks.archives import BrokenArchive
from robench.tasks.reading import Found, Layout, choose_pool, find, missing, walk


def _key(path: str) -> str | None:
    match = re.fullmatch(r"(?:.*/)?data/(\w+\.txt)", path)
    return match.group(1) if match else None


def _number(key: str, stream: IO[bytes]) -> int:
    return int(stream.read().decode())


LAYOUT = Layout(_key, _number, hints=("right",))


def find_two(folder: Path | None) -> Found[int]:
    return find(folder, LAYOUT, lambda files: {"a.txt", "b.txt"} <= files.keys())


def write(folder: Path, **files: str) -> Path:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / "data" / f"{name}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("inner", ["", "one", "one/two"])
def test_a_folder_is_searched_itself_and_below(tmp_path: Path, inner: str) -> None:
    write(tmp_path / "top" / inner, a="1", b="2", c="3")
    assert find_two(tmp_path / "top") == Found({"a.txt": 1, "b.txt": 2, "c.txt": 3}, "folder top")


def test_the_folder_may_be_the_publishers_own(tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2")
    assert find_two(tmp_path / "data").files == {"a.txt": 1, "b.txt": 2}


def test_a_relative_folder_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a="1", b="2")
    monkeypatch.chdir(tmp_path / "data")
    assert find_two(Path()).files == {"a.txt": 1, "b.txt": 2}


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_an_archive_is_as_good_as_a_folder(tmp_path: Path, suffix: str) -> None:
    pack(write(tmp_path / "plain", a="1", b="2"), tmp_path / "d" / f"x{suffix}")
    assert find_two(tmp_path / "d") == Found({"a.txt": 1, "b.txt": 2}, f"archive x{suffix}")


def test_the_folder_wins_and_archives_fill_the_gaps(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", a="1")
    pack(write(tmp_path / "x", a="99", b="2"), folder / "x.zip")
    assert find_two(folder) == Found({"a.txt": 1, "b.txt": 2}, "folder d, archive x.zip")


def test_archives_are_left_alone_once_all_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", a="1", b="2")
    (folder / "broken.zip").write_text("no zip")
    assert find_two(folder).origin == "folder d"


def test_a_damaged_stranger_does_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    pack(write(tmp_path / "x", a="1", b="2"), folder / "z.zip")
    (folder / "broken.tar.xz").write_text("no xz")
    assert find_two(folder).origin == "archive z.zip"


def test_a_damaged_archive_that_may_hold_what_is_missing_is_named(tmp_path: Path) -> None:
    archive = pack(write(tmp_path / "x", a="1", b="2" * 1000), tmp_path / "d" / "x.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-9])
    with pytest.raises(BrokenArchive, match=r"x\.tar\.gz cannot be read"):
        find_two(tmp_path / "d")


def test_nothing_found_is_handed_back_as_nothing(tmp_path: Path) -> None:
    assert find_two(tmp_path) == Found({}, "")
    assert find_two(None) == Found({}, "")


def test_a_missing_folder_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(UsageError, match=r"There is no data folder .*--data"):
            find_two(path)


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar.xz"])
@pytest.mark.parametrize("content", [b"no number", b"\xff\xff"])
def test_content_that_is_not_as_it_should_be_is_one_sentence(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    folder = write(tmp_path / "d", a="1")
    (folder / "data" / "b.txt").write_bytes(content)
    if suffix:
        pack(folder, tmp_path / "e" / f"x{suffix}")
        folder = tmp_path / "e"
    with pytest.raises(
        UsageError, match=r"data/b\.txt.* is not what its name promises \(.*\)\. Fetch it again\.$"
    ):
        find_two(folder)


def test_walk_is_sorted_bounded_and_skips_hidden_entries(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a/.hidden", ".git/x", "a/b/c", "a/b/c2/deep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [name for name, _ in walk(tmp_path, 3)] == ["a/b/c", "a/z", "b"]
    assert [name for name, _ in walk(tmp_path, 1)] == ["b"]
    assert all(Path(path) == tmp_path / name for name, path in walk(tmp_path, 5))
    assert list(walk(tmp_path / "none", 3)) == []


def test_walk_ends_on_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [name for name, _ in walk(tmp_path, 3)] == ["file", "loop/file", "loop/loop/file"]


def test_choose_pool() -> None:
    assert choose_pool("t", ("train", "small"), None) == "train"
    assert choose_pool("t", ("train", "small"), "small") == "small"
    with pytest.raises(
        UsageError, match=r"Task 't' has no training pool 'smal'. It takes: train, small\."
    ):
        choose_pool("t", ("train", "small"), "smal")


def test_missing_says_where() -> None:
    assert "--data or ROBENCH_DATA" in missing("x.jsonl", None)
    assert "folder some/where or in an archive (.tar.gz" in missing("x.jsonl", Path("some/where"))


def test_the_hub_hands_out_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        Hub({("some/set", "train"): {"label": [1, 0], "extra": [None, None], "text": ["a", "b"]}}),
    )
    assert list(_hub.rows("some/set", "train", ("text", "label"))) == [("a", 1), ("b", 0)]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no route\nmore"),
        FileNotFoundError("no script"),
        ValueError(""),
        RuntimeError("odd."),
    ],
)
def test_whatever_the_hub_raises_becomes_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(
        _hub.HubUnavailable,
        match=r"^The hub's some/set cannot be had \(\w+: .+\)\. Name a folder that holds the data with --data\.$",
    ) as caught:
        _hub.rows("some/set", "train", ("text",))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_column_that_is_not_there_becomes_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", Hub({("some/set", "train"): {"text": ["a"]}}))
    with pytest.raises(_hub.HubUnavailable, match="label"):
        _hub.rows("some/set", "train", ("text", "label"))


def test_ctrl_c_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "load_dataset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _hub.rows("some/set", "train", ("text",))


@pytest.mark.parametrize("resolves", [True, False])
def test_without_a_name_server_only_the_cache_is_asked(
    monkeypatch: pytest.MonkeyPatch, resolves: bool
) -> None:
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    seen = []

    def look_up(*_: Any) -> list[Any]:
        if not resolves:
            raise socket.gaierror(-2, "Name or service not known")
        return []

    def note(*_: Any, **__: Any) -> datasets.Dataset:
        seen.append((huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE))
        return datasets.Dataset.from_dict({"text": ["a"]})

    for name in (
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(datasets, "load_dataset", note)
    assert list(_hub.rows("some/set", "train", ("text",))) == [("a",)]
    assert seen == [(before, before)] if resolves else seen == [(True, True)]
    assert before == huggingface_hub.constants.HF_HUB_OFFLINE == datasets.config.HF_HUB_OFFLINE


def test_behind_a_proxy_names_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("looked up")

    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(datasets, "load_dataset", Hub({("some/set", "train"): {"text": ["a"]}}))
    assert list(_hub.rows("some/set", "train", ("text",))) == [("a",)]
