"""Forged archives: each change of a submission is named, or leaves a record that fails."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from submissions import (
    Members,
    forged,
    members_of,
    of_a_folder,
    write_archive,
    write_certified,
    write_run,
)

from robench._base.errors import RobenchError
from robench.submission.checking import OTHERS, Problems, problems
from robench.submission.packing import pack
from robench.verification.unpacking import unpack

Change = Callable[[Members], object]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest archive of a run of two records and a certificate."""
    folder = tmp_path_factory.mktemp("submission")
    record, _ = write_run(folder / "run")
    write_certified(folder / "run", record, "CFUC")
    return pack(folder / "run").path


def found_in(archive: Path, folder: Path) -> Problems:
    passed_over: list[str] = []
    found = problems(unpack(archive, folder / "out", passed_over), passed_over)
    assert found is not None
    return found


def sentences(found: Problems) -> dict[str, str]:
    """Return name of a check -> its sentences; only checks that fail."""
    return {name: " ".join(each) for name, each in found.items() if each}


def name_with(members: Members, *parts: str) -> str:
    return next(name for name in sorted(members) if all(part in name for part in parts))


def test_an_honest_archive_has_no_problem(archive: Path, tmp_path: Path) -> None:
    found = found_in(archive, tmp_path)
    assert set(found) == {"files", OTHERS, "adversarial texts", "cards", "checklist"}
    assert sentences(found) == {}


def test_an_archive_of_a_folder_is_no_submission(archive: Path, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "plain.zip", of_a_folder(members_of(archive)))
    assert problems(unpack(path, tmp_path / "out")) is None


@pytest.mark.parametrize("kept", ["adversarial/", "CHECKLIST.md"])
def test_a_submission_that_lost_its_list_of_files(archive: Path, tmp_path: Path, kept: str) -> None:
    """Otherwise its cards and texts could say anything."""
    members = members_of(archive)
    left = of_a_folder(members) | {n: each for n, each in members.items() if n.startswith(kept)}
    path = write_archive(tmp_path / "lost.zip", left)
    found = problems(unpack(path, tmp_path / "out"))
    assert found is not None
    assert "and no 'submission.json'" in sentences(found)["files"]


def edit_text(members: Members) -> None:
    name = name_with(members, "adversarial/", "pwws")
    members[name] = members[name].replace(b"fine", b"nice")


def drop_text(members: Members) -> None:
    members[name_with(members, "adversarial/", "pwws")] = b""


def invent_texts(members: Members) -> None:
    members["adversarial/other.jsonl"] = b"{}\n"


def no_texts(members: Members) -> None:
    del members[name_with(members, "adversarial/", "genetic")]


def edit_fact(members: Members) -> None:
    members["CHECKLIST.md"] = members["CHECKLIST.md"].replace(b"75.0 %", b"95.0 %")


def answer_with_markup(members: Members) -> None:
    members["CHECKLIST.md"] = members["CHECKLIST.md"].replace(b"(open)", b"<img src=x>")


def no_checklist(members: Members) -> None:
    del members["CHECKLIST.md"]


def checklist_of_bytes(members: Members) -> None:
    members["CHECKLIST.md"] = b"\xff\xfe"


def edit_counts(members: Members) -> None:
    """Turn the fooled example of a record into a held one, as a text editor would."""
    name = name_with(members, "records/", "pwws")
    members[name] = members[name].replace(b'"WFHH"', b'"WHHH"')


def drop_trials(members: Members) -> None:
    del members[name_with(members, "trials/", "pwws")]


def edit_trials(members: Members) -> None:
    name = name_with(members, "trials/", "pwws")
    members[name] = members[name].replace(b'"fine"', b'"nice"')


def edit_texts_of_the_test_set(members: Members) -> None:
    name = name_with(members, "examples/")
    members[name] = members[name].replace(b"a good film 1", b"a good film 9")


def edit_certificate(members: Members) -> None:
    """Turn a fooled example into a certified one, as a text editor would."""
    name = certificate_in(members)
    members[name] = members[name].replace(b'"CFUC"', b'"CCUC"')


def drop_verdicts(members: Members) -> None:
    del members[name_with(members, "certificates/", ".jsonl")]


def certificate_in(members: Members) -> str:
    return next(each for each in members if each.endswith(".json") and "certificates/" in each)


def rename_verdicts(members: Members) -> None:
    members["certificates/other.jsonl"] = members[name_with(members, "certificates/", ".jsonl")]


def foreign_surface(members: Members) -> None:
    members["surfaces/x.parquet"] = b"x"


def deep_surface(members: Members) -> None:
    members["surfaces/inside/x.parquet"] = b"x"


CONTENT: list[tuple[Change, str, str]] = [
    (edit_text, "adversarial texts", "does not hold the texts of the trials"),
    (drop_text, "adversarial texts", "does not hold the texts of the trials"),
    (invent_texts, "adversarial texts", "'adversarial/other.jsonl' belongs to no record"),
    (no_texts, "adversarial texts", "cannot be read"),
    (edit_fact, "checklist", "says of the records what they do not say"),
    (answer_with_markup, "checklist", "holds '<'"),
    (no_checklist, "checklist", "missing or cannot be read"),
    (checklist_of_bytes, "checklist", "missing or cannot be read"),
    # A record that cannot be read has no texts of its own: its file of texts belongs to none.
    (edit_counts, "adversarial texts", "belongs to no record"),
    (drop_trials, "adversarial texts", "The trials are missing"),
    (edit_trials, "adversarial texts", "are not complete"),
    (edit_certificate, OTHERS, "was changed after it was written"),
    (drop_verdicts, OTHERS, "its verdicts are missing"),
    (rename_verdicts, OTHERS, "'certificates/other.jsonl' belongs to no record"),
    (foreign_surface, OTHERS, "'surfaces/x.parquet' belongs to no record"),
    (deep_surface, OTHERS, "'surfaces/inside' belongs to no record"),
    (edit_texts_of_the_test_set, "adversarial texts", "is damaged"),
]


@pytest.mark.parametrize(
    ("change", "check", "said"),
    CONTENT,
    ids=[f"{change.__name__}-{number}" for number, (change, *_) in enumerate(CONTENT)],
)
def test_a_change_whose_list_of_files_follows(
    archive: Path, tmp_path: Path, change: Change, check: str, said: str
) -> None:
    """The hashes of a careful forger fit. What robench makes again does not."""
    path = forged(archive, tmp_path / "forged.zip", change, careful=True)
    found = sentences(found_in(path, tmp_path))
    assert said in found[check], found
    assert "files" not in found


@pytest.mark.parametrize("change", [change for change, _, _ in CONTENT], ids=lambda c: c.__name__)
def test_a_change_that_forgets_the_list_of_files(
    archive: Path, tmp_path: Path, change: Change
) -> None:
    path = forged(archive, tmp_path / "forged.zip", change, careful=False)
    assert "files" in sentences(found_in(path, tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "run.sh",
        "robench/__init__.py",
        "../escaped.json",
        "/etc/escaped.json",
        "records/../../escaped.json",
        "records\\..\\escaped.json",
        "C:/records/escaped.json",
        "setup.py",
    ],
)
@pytest.mark.parametrize("careful", [True, False])
def test_foreign_members_and_paths_outside(
    archive: Path, tmp_path: Path, name: str, careful: bool
) -> None:
    path = forged(
        archive,
        tmp_path / "forged.zip",
        lambda members: members.update({name: b"#!/bin/sh\n"}),
        careful,
    )
    found = sentences(found_in(path, tmp_path))
    assert "which no submission has" in found["files"]
    written = [each.name for each in tmp_path.rglob("*") if each.is_file()]
    assert "escaped.json" not in written
    assert not {"run.sh", "__init__.py", "setup.py"} & set(written)


def test_a_file_of_the_run_that_is_not_listed(archive: Path, tmp_path: Path) -> None:
    path = forged(
        archive, tmp_path / "f.zip", lambda m: m.update({"surfaces/x.parquet": b"x"}), careful=False
    )
    assert "'surfaces/x.parquet' is not in the list" in sentences(found_in(path, tmp_path))["files"]


def test_a_member_twice(archive: Path, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "twice.zip", members_of(archive))
    name = name_with(members_of(archive), "records/", "pwws")
    with zipfile.ZipFile(path, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr(name, b"{}")
    assert name in sentences(found_in(path, tmp_path))["files"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"kind": "robench submission"}', "cannot be read"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_read(
    archive: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    path = forged(
        archive, tmp_path / "f.zip", lambda m: m.update({"submission.json": content}), careful=False
    )
    assert said in sentences(found_in(path, tmp_path))["files"]


def test_a_list_of_another_version(archive: Path, tmp_path: Path) -> None:
    from robench._base.seals import with_seal

    raw = json.loads(members_of(archive)["submission.json"])
    raw = {name: value for name, value in raw.items() if name in ("kind", "robench", "files")}
    changed = json.dumps(with_seal({**raw, "version": 2})).encode()
    path = forged(
        archive, tmp_path / "f.zip", lambda m: m.update({"submission.json": changed}), careful=False
    )
    assert "'version'" in sentences(found_in(path, tmp_path))["files"]


def test_what_another_version_made_is_not_compared(archive: Path, tmp_path: Path) -> None:
    """Its cards and checklists may have other words. The list of files is compared all the same."""
    from robench._base.seals import with_seal

    members = members_of(archive)
    raw = json.loads(members["submission.json"])
    raw = {name: raw[name] for name in ("kind", "version", "files")}
    other = json.dumps(with_seal({**raw, "robench": "9.9.9"})).encode()
    for change, expected in ((None, {}), (edit_fact, {"files"})):
        forged_members = {**members, "submission.json": other}
        if change is not None:
            change(forged_members)
        path = write_archive(tmp_path / f"{change is None}.zip", forged_members)
        (tmp_path / str(change is None)).mkdir()
        found = found_in(path, tmp_path / str(change is None))
        assert set(found) == {"files", OTHERS}
        assert set(sentences(found)) == set(expected)


def test_a_bomb_is_not_unpacked(archive: Path, tmp_path: Path) -> None:
    """Ninety megabytes of zeros in a few kilobytes, in the place of a surface."""
    bomb = {"surfaces/bomb.parquet": b"\0" * 90_000_000}
    path = forged(archive, tmp_path / "bomb.zip", lambda m: m.update(bomb), careful=True)
    assert path.stat().st_size < 200_000
    with pytest.raises(RobenchError, match="far larger than it is itself"):
        unpack(path, tmp_path / "out")
