"""Archives of strangers: what is written, and what is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import IO, cast

import pytest

from robench._base.errors import RobenchError, UsageError
from robench.verification import unpacking
from robench.verification.targets import opened
from robench.verification.unpacking import is_archive, unpack


def packed(path: Path, *names: str, content: bytes = b"{}") -> Path:
    """Write a zip with members of these names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def files(folder: Path) -> set[str]:
    """Return the files below a folder."""
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("root", ["", "runs/", "a/runs/", "./"])
def test_the_folder_of_a_run_is_found_where_it_lies(tmp_path: Path, root: str) -> None:
    path = packed(tmp_path / "a.zip", f"{root}records/r.json", f"{root}trials/t.jsonl")
    target = tmp_path / "out"
    found = unpack(path, target)
    assert files(found) == {"records/r.json", "trials/t.jsonl"}


def test_only_the_folders_of_a_run_are_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", "records/r.json", "other/x.json", "run.sh", "a/b/c/records/x")
    assert files(unpack(path, tmp_path / "out")) == {"records/r.json"}


@pytest.mark.parametrize(
    "name",
    [
        "../records/x.json",
        "/records/x.json",
        "records/../../x.json",
        "records\\..\\x.json",
        "C:/records/x.json",
        "records/" + "a/" * 20 + "x.json",
    ],
)
def test_names_that_lead_out_are_passed_over(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "a.zip", "records/r.json", name)
    assert files(unpack(path, tmp_path / "out")) == {"records/r.json"}
    assert files(tmp_path) == {"a.zip", "out/records/r.json"}


def test_a_name_twice_keeps_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for content in (b"first", b"second"):
            info = tarfile.TarInfo("records/r.json")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    found = unpack(path, tmp_path / "out")
    assert (found / "records/r.json").read_bytes() == b"first"


def test_a_file_in_the_place_of_a_folder_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("records/r.json", "records/r.json/x.json"):
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"{}"))
    assert files(unpack(path, tmp_path / "out")) == {"records/r.json"}


@pytest.mark.parametrize("name", [f"records/{'x' * 300}.json", f"records/{'x' * 300}/a.json"])
def test_a_name_that_is_too_long_for_the_disk_is_passed_over_and_named(
    tmp_path: Path, name: str
) -> None:
    path = packed(tmp_path / "a.zip", "records/r.json", name)
    passed_over: list[str] = []
    assert files(unpack(path, tmp_path / "out", passed_over)) == {"records/r.json"}
    assert passed_over == [name]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_full_disk_is_not_called_damage_of_the_archive(tmp_path: Path, kind: str) -> None:
    """Every write to this device fails as on a full disk."""
    path = tmp_path / f"a.{kind}"
    content = b"{}" * 100_000
    if kind == "zip":
        packed(path, "records/r.json", content=content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            info = tarfile.TarInfo("records/r.json")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with pytest.MonkeyPatch.context() as patch:
        whole = Path.open

        def full(self: Path, mode: str = "r") -> IO[bytes]:
            other = Path("/dev/full") if mode == "xb" else self
            return cast(IO[bytes], whole(other, "wb" if mode == "xb" else mode))

        patch.setattr(Path, "open", full)
        with pytest.raises(RobenchError, match=r"No space left on device.*Free some") as error:
            unpack(path, tmp_path / "out")
    assert "damaged" not in str(error.value)
    assert error.value.exit_code == 1


def test_damage_of_a_member_is_still_damage(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", "records/r.json", content=bytes(range(256)) * 1000)
    raw = bytearray(path.read_bytes())
    raw[200:220] = b"\xff" * 20
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"it is damaged or incomplete\. Fetch it again"):
        unpack(path, tmp_path / "out")


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 2)
    path = packed(tmp_path / "a.zip", *(f"records/{number}.json" for number in range(3)))
    with pytest.raises(RobenchError, match="more than 2 files"):
        unpack(path, tmp_path / "out")


def test_files_that_are_far_larger_than_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1000)
    monkeypatch.setattr(unpacking, "MOST_RATIO", 1)
    path = packed(tmp_path / "a.zip", "records/r.json", content=b"0" * 100_000)
    with pytest.raises(RobenchError, match="far larger than it is itself"):
        unpack(path, tmp_path / "out")
    assert sum(each.stat().st_size for each in (tmp_path / "out").rglob("*.json")) == 0


def test_an_archive_without_records(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", "trials/t.jsonl")
    with pytest.raises(RobenchError, match="holds no folder 'records'"):
        unpack(path, tmp_path / "out")


def test_an_archive_with_several_runs_is_refused(tmp_path: Path) -> None:
    """Only the first run would be verified, and the user would not know it."""
    path = packed(tmp_path / "a.zip", "b/records/r.json", "a/records/r.json", "c/records/r.json")
    with pytest.raises(UsageError, match=r"holds 3 runs \('a', 'b', …\).*folder of each run"):
        unpack(path, tmp_path / "out")


def test_a_folder_of_that_name_inside_a_run_is_no_second_run(tmp_path: Path) -> None:
    names = ("run/records/r.json", "run/victims/records/x.json", "other/trials/t.jsonl")
    path = packed(tmp_path / "a.zip", *names)
    assert unpack(path, tmp_path / "out") == tmp_path / "out" / "run"


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", "records/r.json")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RobenchError, match="cannot be read"):
        unpack(path, tmp_path / "out")


def test_what_is_an_archive(tmp_path: Path) -> None:
    assert is_archive(packed(tmp_path / "A.ZIP"))
    assert not is_archive(tmp_path / "missing.zip")
    assert not is_archive(tmp_path)


def test_runs_may_be_archives(tmp_path: Path) -> None:
    """The trials and victims of a board's records may lie in the archive of a submission."""
    (tmp_path / "runs" / "records").mkdir(parents=True)
    path = packed(tmp_path / "a.zip", "records/r.json", "trials/t.jsonl")
    with opened(tmp_path / "runs", [path]) as target:
        assert files(target.folders[1].root) == {"records/r.json", "trials/t.jsonl"}
    assert not target.folders[1].root.exists()
    with (
        pytest.raises(UsageError, match="no such folder or archive"),
        opened(tmp_path, [tmp_path / "x"]),
    ):
        pass


def test_what_was_passed_over_is_told(tmp_path: Path) -> None:
    passed_over: list[str] = []
    names = ("records/r.json", "run.sh", "../records/x.json", "submission.json")
    path = packed(tmp_path / "a.zip", *names)
    assert files(unpack(path, tmp_path / "out", passed_over)) == {
        "records/r.json",
        "submission.json",
    }
    assert passed_over == ["run.sh", "../records/x.json"]


def test_the_folder_of_records_stands_for_its_run(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    with opened(tmp_path / "records", []) as target:
        assert target.run is not None
        assert target.run.root == tmp_path
    with opened(tmp_path, []) as target:
        assert target.records == tmp_path / "records"


def test_the_temporary_folder_of_an_archive_goes(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", "records/r.json")
    with opened(path, []) as target:
        place = target.records
        assert place.is_dir()
        assert not target.lasting
    assert not place.exists()
