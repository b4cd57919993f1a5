"""verified.json: which records it names, and how tables show it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import RobenchError
from robench._base.seals import file_sha256
from robench.records.comparable import Admitted
from robench.records.leaderboard import render_run
from robench.records.marks import MEANING, Marks, marks_in
from robench.records.record import Record
from robench.records.record_files import RecordsOnDisk, find_records, write_record
from robench.records.verified import (
    FILE_NAME,
    VerifiedRecord,
    read_verified,
    verified_names,
    write_verified,
)

MakeRecord = Callable[..., Record]


def entry(file: str, **changes: Any) -> VerifiedRecord:
    """Return what was checked of an invented record."""
    values: dict[str, Any] = {
        "file": file,
        "checks": ("file", "texts"),
        "examples": 4,
        "fooled": 1,
        "searched": 3,
        "proved": 0,
        "sample": 1.0,
        "seed": 0,
        "same_software": True,
        "trials": None,
        "victim": "a" * 64,
        "robench": "0.1.0",
        "checked": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return VerifiedRecord(**{**values, **changes})


@pytest.fixture
def folder(tmp_path: Path, make_record: MakeRecord) -> Path:
    """A folder with two records."""
    write_record(tmp_path / "a.json", make_record("WFHH"))
    write_record(tmp_path / "b.json", make_record("WFFH", attack="pwws"))
    return tmp_path


def store(folder: Path, *names: str) -> None:
    """Store that records are verified."""
    write_verified(folder, {file_sha256(folder / name): entry(name) for name in names})


def test_a_folder_without_the_file_has_no_verified_record(folder: Path) -> None:
    assert read_verified(folder).records == {}
    assert read_verified(folder).problem is None
    assert verified_names(folder, ["a.json"]) == frozenset()


def test_what_is_written_is_read(folder: Path) -> None:
    store(folder, "a.json")
    assert verified_names(folder, ["a.json", "b.json", "gone.json"]) == {"a.json"}
    (found,) = read_verified(folder).records.values()
    assert found == entry("a.json")


def test_the_file_is_no_record(folder: Path) -> None:
    store(folder, "a.json")
    found = find_records(folder)
    assert list(found.records) == ["a.json", "b.json"]
    assert found.damaged == {}


def test_a_changed_record_is_not_verified(folder: Path) -> None:
    store(folder, "a.json", "b.json")
    path = folder / "a.json"
    path.write_text(path.read_text().replace("\n", "\n ", 1))
    assert verified_names(folder, ["a.json", "b.json"]) == {"b.json"}


def test_a_copy_under_another_name_is_not_verified(folder: Path) -> None:
    store(folder, "a.json")
    (folder / "c.json").write_bytes((folder / "a.json").read_bytes())
    assert verified_names(folder, ["a.json", "c.json"]) == {"a.json"}


def test_entries_are_added_and_those_of_other_files_dropped(folder: Path) -> None:
    store(folder, "a.json")
    store(folder, "b.json")
    assert verified_names(folder, ["a.json", "b.json"]) == {"a.json", "b.json"}
    (folder / "a.json").unlink()
    write_verified(folder, {})
    assert [each.file for each in read_verified(folder).records.values()] == ["b.json"]


def test_a_record_that_does_not_hold_any_more_loses_its_entry(folder: Path) -> None:
    store(folder, "a.json", "b.json")
    write_verified(folder, {}, [file_sha256(folder / "a.json")])
    assert verified_names(folder, ["a.json", "b.json"]) == {"b.json"}


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", "[" * 10_000, '{"records": 3}', '{"robench": "verified", "version": 2}'],
)
def test_a_damaged_file_verifies_nothing_and_is_named(folder: Path, content: str) -> None:
    (folder / FILE_NAME).write_text(content)
    found = read_verified(folder)
    assert found.records == {}
    assert found.problem is not None
    assert FILE_NAME in found.problem
    marks = marks_in(folder, find_records(folder).records)
    assert marks.names == frozenset()
    assert any("No row counts as verified" in note for note in marks.notes(Admitted({}, {}, {})))


@pytest.mark.parametrize("seal", [None, "0" * 64])
def test_a_file_without_the_seal_of_its_content_verifies_nothing(
    folder: Path, seal: str | None
) -> None:
    store(folder, "a.json")
    content = json.loads((folder / FILE_NAME).read_text())
    content = {name: value for name, value in content.items() if name != "seal"}
    content |= {} if seal is None else {"seal": seal}
    (folder / FILE_NAME).write_text(json.dumps(content))
    assert read_verified(folder).records == {}
    assert "was changed after it was written" in str(read_verified(folder).problem)
    assert verified_names(folder, ["a.json"]) == frozenset()


def test_a_folder_in_its_place_verifies_nothing(folder: Path) -> None:
    (folder / FILE_NAME).mkdir()
    assert read_verified(folder).records == {}
    assert read_verified(folder).problem is not None
    with pytest.raises(RobenchError, match="cannot be stored"):
        store(folder, "a.json")


def test_a_row_is_verified_if_all_of_its_records_are(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("WFHH"),
        "b.json": make_record("WFHH", attack="pwws"),
        "c.json": make_record("WFHH", defense="rift"),
    }
    failed = {"d.json": make_record("WFHE", defense="rift", attack="pwws")}
    admitted = Admitted(records, failed)
    assert Marks().of_rows(admitted) == {"standard": "claimed", "rift": "claimed"}
    some = Marks(frozenset({"a.json", "c.json", "b.json"}))
    assert some.of_rows(admitted) == {"standard": "verified", "rift": "claimed"}
    everything = Marks(frozenset({"a.json", "b.json", "c.json", "d.json"}))
    assert set(everything.of_rows(admitted).values()) == {"verified"}


def test_the_claimed_cells_of_a_row_with_verified_ones_are_named(make_record: MakeRecord) -> None:
    records = {
        "a.json": make_record("WFHH"),
        "b.json": make_record("WFHH", attack="pwws"),
        "c.json": make_record("WFHH", defense="rift"),
    }
    admitted = Admitted(records, {})
    said = "Only claimed, in rows that have verified cells as well: standard under pwws, seed 0."
    some = Marks(frozenset({"a.json"}))
    assert said in some.lines(admitted)
    assert said in map(str, some.notes(admitted))
    for names in ((), ("a.json", "b.json"), ("a.json", "b.json", "c.json")):
        assert not any("as well" in line for line in Marks(frozenset(names)).lines(admitted))


def test_a_table_marks_its_rows_and_says_what_the_mark_means(make_record: MakeRecord) -> None:
    records = {"a.json": make_record("WFHH"), "b.json": make_record("WFHH", defense="rift")}
    text = render_run(RecordsOnDisk(records, {}), marks=Marks(frozenset({"a.json"})))
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line[:1] == "|"}
    assert rows["standard"].endswith(" verified |") or " verified |" in text
    assert " claimed |" in text
    assert str(MEANING) in text


def test_the_file_is_plain_json(folder: Path) -> None:
    store(folder, "a.json")
    data = json.loads((folder / FILE_NAME).read_text())
    assert data["robench"] == "verified"
    assert data["version"] == 1
    assert next(iter(data["records"].values()))["file"] == "a.json"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"checks": ()}, "it names no check"),
        ({"checked": datetime(2999, 1, 1, tzinfo=UTC)}, "its date is in the future"),
        ({"sample": 1e-300}, "a share of 1e-300 of the searches was repeated"),
        ({"searched": 99}, "it counts more examples than there are"),
        ({"searched": 0}, "0 searches were repeated, and its share demands 1"),
    ],
)
def test_an_entry_that_no_verification_wrote(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    store(folder, "b.json")
    write_verified(folder, {file_sha256(folder / "a.json"): entry("a.json", **changes)})
    found = read_verified(folder)
    assert [each.file for each in found.records.values()] == ["b.json"]
    assert found.problem is not None
    assert "1 entry of verified.json cannot be true and does not count" in found.problem
    assert f"a.json: {said}." in found.problem
    assert verified_names(folder, ["a.json", "b.json"]) == {"b.json"}


@pytest.mark.parametrize(
    "changes",
    [
        {"searched": 2},
        {"examples": 3, "searched": 3},
        {"victim": "b" * 64},
        {"trials": "b" * 64},
        {"checked": datetime(1999, 1, 2, tzinfo=UTC)},
    ],
)
def test_an_entry_that_does_not_fit_its_record(
    folder: Path, make_record: MakeRecord, changes: dict[str, Any]
) -> None:
    records = find_records(folder).records
    fitting: dict[str, Any] = {"victim": records["a.json"].victim.sha256}
    trials = records["a.json"].trials
    fitting |= {"trials": None if trials is None else trials.sha256}
    sha256 = file_sha256(folder / "a.json")
    write_verified(folder, {sha256: entry("a.json", **fitting)})
    assert verified_names(folder, records, records) == {"a.json"}
    assert marks_in(folder, records).names == {"a.json"}
    write_verified(folder, {sha256: entry("a.json", **{**fitting, **changes})})
    # A record of an earlier version does not say which trials it was made from.
    expected = {"a.json"} if trials is None and "trials" in changes else set()
    assert verified_names(folder, records, records) == expected
    # The tables of runs and boards ask with the records as well.
    assert marks_in(folder, records).names == expected


def _write_one(folder: Path, name: str, start: Any) -> None:
    start.wait()
    store(folder, name)


def test_verifications_that_end_together_lose_nothing(folder: Path) -> None:
    for _ in range(5):
        (folder / FILE_NAME).unlink(missing_ok=True)
        start = threading.Barrier(2)
        both = [
            threading.Thread(target=_write_one, args=(folder, name, start))
            for name in ("a.json", "b.json")
        ]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert len(read_verified(folder).records) == 2
    assert sorted(each.name for each in folder.iterdir()) == ["a.json", "b.json", FILE_NAME]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """The folder may be one of a stranger."""
    folder, outside = tmp_path / "records", tmp_path / "outside.json"
    folder.mkdir()
    (folder / FILE_NAME).symlink_to(outside)
    outside.write_text('{"robench": "verified", "version": 1, "records": {}}')
    found = read_verified(folder)
    assert not found.records
    assert found.problem is not None
    assert "cannot be read" in found.problem
