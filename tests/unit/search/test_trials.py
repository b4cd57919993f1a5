"""Tests of the trials on disk, which are appended as whole lines or not at all."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from random import Random
from typing import cast

import pytest

from robench import Trial, Verdict
from robench._base.errors import RobenchError
from robench._base.line_file import LINES_PER_SYNC
from robench._base.seals import seal_line
from robench.search.attack import Change
from robench.search.trial_lines import Header, Revoked, sketch_of, trial_line
from robench.search.trials import TrialFile


def trial(number: int, verdict: Verdict = Verdict.HELD) -> Trial:
    return Trial(
        id=f"imdb/{number:04d}",
        verdict=verdict,
        label=1,
        prediction=1,
        asked=number,
        changes=(Change(position=0, original="naïve", substitute="a\nb"),),
    )


CELL, OTHER = "c" * 64, "0" * 64


def write(path: Path, *trials: Trial, cell: str = CELL) -> None:
    with TrialFile(path, cell=cell) as file:
        for one in trials:
            file.append(one)


def test_appended_trials_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "trials.jsonl"
    write(path, trial(1), trial(2))
    write(path, trial(3))
    assert TrialFile(path).read() == [trial(1), trial(2), trial(3)]
    assert TrialFile(path).ids_done() == {"imdb/0001", "imdb/0002", "imdb/0003"}
    assert len(path.read_text().splitlines()) == 4


def test_a_missing_file_has_no_trials(tmp_path: Path) -> None:
    assert TrialFile(tmp_path / "none.jsonl").read() == []
    TrialFile(tmp_path / "none.jsonl").close()
    assert not (tmp_path / "none.jsonl").exists()


def test_the_context_manager_locks_the_file_before_the_first_trial(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with TrialFile(path, cell=CELL) as mine:
        assert mine.read() == []
        other = TrialFile(path, cell=CELL)
        with pytest.raises(RobenchError, match="Another run is writing"), other:
            pass
        mine.append(trial(1))
    with other:
        assert other.read() == [trial(1)]


def test_every_line_is_written_before_the_file_is_closed(tmp_path: Path) -> None:
    file = TrialFile(tmp_path / "trials.jsonl", cell=CELL)
    for number in range(3):
        file.append(trial(number))
        assert len(TrialFile(file.path).read()) == number + 1
    file.close()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_ignored_and_removed(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "trials.jsonl"
    write(path, trial(1), trial(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert TrialFile(path).read() == [trial(1)]
    write(path, trial(2), trial(3))
    assert TrialFile(path).read() == [trial(1), trial(2), trial(3)]


def test_a_file_of_one_torn_line_starts_empty(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b'{"id": "imdb' + b"x" * 200_000)
    write(path, trial(1))
    assert TrialFile(path).read() == [trial(1)]


HEADER = Header(CELL, "trials").line()
LINES = [trial_line(trial(number), CELL) for number in range(1, 5)]
UNSEALED = [f"{trial(number).model_dump_json()}\n".encode() for number in range(1, 5)]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        # Half a line.
        ([LINES[0], LINES[1][:40], b"\n", LINES[2]], [1, 3]),
        ([LINES[0], b"\n", LINES[2]], [1, 3]),
        # A block of whole lines that never reached the disk.
        ([LINES[0], b"\0" * 4096, LINES[2]], [1, 3]),
        ([LINES[0], b"\0" * 4096, b"\n", LINES[2]], [1, 3]),
        # A missing block from the middle of one line into another.
        ([LINES[0], LINES[1][:40], b"\0" * 4096, LINES[2][40:], LINES[3]], [1, 4]),
        ([LINES[0], LINES[1][:-1], b"\0" * 4096, LINES[2]], [1, 2, 3]),
        ([b"\0" * 70_000, LINES[3]], [4]),
        ([b"{}\n", LINES[3]], [4]),
        ([b"\xff\xfe\n", LINES[3]], [4]),
    ],
)
def test_damage_in_the_middle_costs_no_other_trial(
    tmp_path: Path, content: list[bytes], kept: list[int]
) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(HEADER + b"".join(content))
    file = TrialFile(path, cell=CELL)
    assert file.read() == [trial(number) for number in kept]
    assert file.damaged == 1
    assert file.damage.startswith(f"line {2 + content[0].count(LINES[0])}: ")
    write(path, trial(9))
    assert TrialFile(path).read() == [trial(number) for number in [*kept, 9]]


def test_an_undamaged_file_has_no_damaged_lines(tmp_path: Path) -> None:
    write(tmp_path / "trials.jsonl", trial(1), trial(2))
    file = TrialFile(tmp_path / "trials.jsonl", cell=CELL)
    file.read()
    assert file.damaged == 0


def test_an_error_can_be_tried_again_and_the_later_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    write(path, trial(1, Verdict.ERROR), trial(2))
    assert TrialFile(path).ids_done(errors=False) == {"imdb/0002"}
    write(path, trial(1))
    assert TrialFile(path).read() == [trial(1), trial(2)]


def test_a_full_disk_is_reported_and_keeps_finished_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = TrialFile(tmp_path / "trials.jsonl", cell=CELL)
    file.append(trial(1))
    whole_write = os.write
    room = [30]

    def write_until_full(descriptor: int, content: bytes) -> int:
        if room[0] == 0:
            raise OSError(28, "No space left on device")
        written = whole_write(descriptor, content[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_until_full)
        with pytest.raises(
            RobenchError, match=r"No space left on device.*Finished trials are kept"
        ):
            file.append(trial(2))
    assert file.path.read_bytes().count(b"\n") == 2
    assert file.path.read_bytes().endswith(b"\n")
    file.append(trial(3))
    file.close()
    assert TrialFile(file.path).read() == [trial(1), trial(3)]


def test_a_disk_that_fills_up_on_sync_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = TrialFile(tmp_path / "trials.jsonl", cell=CELL)
    monkeypatch.setattr("robench._base.line_file.SECONDS_PER_SYNC", 1e9)
    file.append(trial(0))

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        for number in range(1, LINES_PER_SYNC - 1):
            file.append(trial(number))
        with pytest.raises(RobenchError, match="Input/output error"):
            file.append(trial(LINES_PER_SYNC))
    file.close()


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    first, second = (TrialFile(tmp_path / "trials.jsonl", cell=CELL) for _ in range(2))
    first.append(trial(1))
    with pytest.raises(RobenchError, match="Another run is writing"):
        second.append(trial(2))
    first.close()
    second.append(trial(2))
    second.close()
    assert len(first.read()) == 2


def test_a_path_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RobenchError, match="cannot be opened"):
        TrialFile(tmp_path / "file" / "trials.jsonl", cell=CELL).append(trial(1))
    with pytest.raises(RobenchError, match="cannot be read"):
        TrialFile(tmp_path).read()


def test_nan_and_infinity_are_never_written(tmp_path: Path) -> None:
    write(tmp_path / "trials.jsonl", trial(1))
    assert "NaN" not in (tmp_path / "trials.jsonl").read_text()
    with pytest.raises(ValueError, match="finite"):
        Trial(id="x", verdict=Verdict.HELD, label=0, prediction=0, seconds=float("nan"))


# -- Header and seals --


def test_the_file_of_another_cell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy-none-pwws-s0-cccccccc.jsonl"
    write(path, trial(1))
    whole = path.read_bytes() + b"torn"
    path.write_bytes(whole)
    sentence = r"holds the trials of another cell \(toy-none-pwws-s0-cccccccc\)\. Put the right"
    with pytest.raises(RobenchError, match=sentence):
        TrialFile(path, cell=OTHER).read()
    with pytest.raises(RobenchError, match=sentence):
        write(path, trial(2), cell=OTHER)
    assert path.read_bytes() == whole
    write(path, trial(2))
    assert TrialFile(path, cell=CELL).read() == TrialFile(path).read() == [trial(1), trial(2)]


def test_a_file_is_written_only_with_the_key_of_its_cell(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only with the key of its cell"):
        TrialFile(tmp_path / "trials.jsonl").append(trial(1))


def test_a_file_of_a_newer_robench_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(Header(CELL, "a", version=2).line())
    with pytest.raises(RobenchError, match=r"have format 2, and this robench reads 1\. Update"):
        TrialFile(path, cell=CELL).read()


@pytest.mark.parametrize(
    "line",
    [
        trial_line(trial(2), OTHER),
        UNSEALED[1],
        LINES[1].replace(b'"asked":2', b'"asked":3'),
        LINES[1].replace(b'"held"', b'"fooled"'),
        Header(OTHER, "another").line(),
    ],
)
def test_a_line_whose_seal_does_not_fit_is_no_trial(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(HEADER + LINES[0] + line + LINES[2])
    file = TrialFile(path, cell=CELL)
    assert file.read() == [trial(1), trial(3)]
    assert file.damaged == 1
    assert file.damage.startswith("line 3: it")


def test_trials_outlive_a_damaged_header(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    for bad in (b"\n", HEADER.replace(b"cc", b"cd", 1), b"\xff" + HEADER, HEADER[:9] + b"\n"):
        path.write_bytes(bad + LINES[0])
        file = TrialFile(path, cell=CELL)
        assert file.read() == [trial(1)]
        assert file.damaged == 1
        write(path, trial(2))
        assert TrialFile(path, cell=CELL).read() == [trial(1), trial(2)]


def test_a_second_trial_of_an_example_counts_only_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    write(path, trial(1), trial(2, Verdict.ERROR), trial(2, Verdict.ERROR), trial(2))
    write(path, trial(1, Verdict.WRONG), trial(2, Verdict.WRONG))
    file = TrialFile(path, cell=CELL)
    assert file.read() == [trial(1), trial(2)]
    assert (file.damaged, file.damage) == (2, "line 6: imdb/0001 has a trial already")


def test_a_file_of_an_older_version_is_read_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join(UNSEALED))
    four = [trial(number) for number in range(1, 5)]
    assert TrialFile(path).read() == TrialFile(path, cell=CELL, unsealed=True).read() == four
    file = TrialFile(path, cell=CELL)
    assert file.read() == []
    assert (file.damaged, file.damage) == (4, "line 1: it has no seal")
    assert file.which_damage == ("4 lines are damaged (1, 2, 3 and 4; line 1: it has no seal)")


def test_a_trial_with_values_of_other_types_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join(UNSEALED).replace(b'"asked":2', b'"asked":"2"'))
    file = TrialFile(path)
    assert len(file.read()) == 3
    assert file.damage == "line 2: it is not a trial"


@pytest.mark.parametrize("kind", ["bit", "cut", "swap"])
def test_random_damage_never_changes_a_trial(tmp_path: Path, kind: str) -> None:
    """Check that whatever is read was written, whatever happened to the bytes."""
    path = tmp_path / "trials.jsonl"
    written = [trial(number) for number in range(8)]
    write(path, *written)
    whole = path.read_bytes()
    rng = Random(kind)
    for _ in range(400):
        content = bytearray(whole)
        start, end = sorted(rng.sample(range(len(whole)), 2))
        if kind == "bit":
            content[start] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del content[start:end]
        else:
            content[start], content[end] = content[end], content[start]
        path.write_bytes(content)
        try:
            found = TrialFile(path, cell=CELL).read()
        except RobenchError as error:
            raise AssertionError("damage never looks like another cell") from error
        assert all(each in written for each in found)
        assert len({each.id for each in found}) == len(found)


def test_a_revoked_trial_makes_room_for_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    write(path, trial(1), trial(2))
    with TrialFile(path, cell=CELL) as file:
        file.revoke("imdb/0001", "its label is 7")
        assert file.read() == [trial(2)]
        file.append(trial(1, Verdict.WRONG))
    again = TrialFile(path, cell=CELL)
    assert again.read() == [trial(2), trial(1, Verdict.WRONG)]
    assert again.damaged == 0
    assert b'"reason":"its label is 7"' in path.read_bytes()


def test_nobody_revokes_a_trial_without_the_seal(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    write(path, trial(1))
    with path.open("ab") as stream:
        stream.write(Revoked("imdb/0001", "").line(OTHER))
        stream.write(b'{"revoked":"imdb/0001","reason":""}\n')
    file = TrialFile(path, cell=CELL)
    assert file.read() == [trial(1)]
    assert file.damaged == 2


# Files of strangers


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    os.mkfifo(path)
    with pytest.raises(RobenchError, match="it is a pipe"):
        TrialFile(path).read()
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(RobenchError, match="it is a device"):
        TrialFile(path).read()
    path.unlink()
    (tmp_path / "runs").mkdir()
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "runs" / "t.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(RobenchError, match="leads out of the folder"):
        TrialFile(tmp_path / "runs" / "t.jsonl").read()


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """Taking the lock alone would remove the end of the file behind the link."""
    precious = tmp_path / "of the user"
    precious.write_text("first\nwithout a newline")
    (tmp_path / "runs").mkdir()
    path = tmp_path / "runs" / "t.jsonl"
    path.symlink_to(precious)
    file = TrialFile(path, cell=CELL)
    with pytest.raises(RobenchError, match=r"cannot be opened \(it is a link; put the file"), file:
        raise AssertionError
    with pytest.raises(RobenchError, match="it is a link"):
        file.append(trial(1))
    path.unlink()
    path.symlink_to(tmp_path / "not there")
    with pytest.raises(RobenchError, match="it is a link"):
        file.append(trial(1))
    assert precious.read_text() == "first\nwithout a newline"
    assert not (tmp_path / "not there").exists()


HOSTILE_LINES = {
    "deep": b"[" * 100_000,
    "many digits": b'{"id":"a","asked":' + b"9" * 1_000_000 + b"}",
    "thousands of digits": b'{"id":"a","asked":' + b"9" * 4_000 + b"}",
    "a revoked list": b'{"revoked":["a"],"reason":"b"}',
    "a revoked number": b'{"revoked":1,"reason":2}',
    "a deep reason": b'{"revoked":"a","reason":' + b"[" * 100_000,
    "no object": b"[]",
    "NULs": b"\0" * 1000,
    "not UTF-8": b'{"id":"\xff"}',
    "longer than any trial": b"x" * 17_000_000,
}


@pytest.mark.parametrize("name", HOSTILE_LINES)
@pytest.mark.parametrize("cell", [None, "a" * 64])
def test_a_hostile_line_is_damage_and_stops_no_other(
    tmp_path: Path, name: str, cell: str | None
) -> None:
    path = tmp_path / "t.jsonl"
    good = Trial(id="good", verdict=Verdict.HELD, label=0, prediction=0)
    with TrialFile(path, cell="a" * 64) as trials:
        trials.append(good)
    line = HOSTILE_LINES[name]
    sealed = line[:-1] + b',"seal":"' + b"0" * 16 + b'"}'
    path.write_bytes(path.read_bytes() + line + b"\n" + sealed + b"\n")
    file = TrialFile(path, cell=cell)
    assert [trial.id for trial in file.read()] == ["good"]
    assert file.damaged == 2
    assert file.damage.startswith("line 3: ")


@pytest.mark.parametrize("odd", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x01", b"\x7f\xff"])
def test_an_id_that_is_no_text_is_damage_behind_a_fitting_seal_too(
    tmp_path: Path, odd: bytes
) -> None:
    path = tmp_path / "t.jsonl"
    write(path, trial(1))
    line = trial(2).model_dump_json().encode().replace(b"imdb/0002", b"imdb/" + odd)
    path.write_bytes(path.read_bytes() + seal_line(line, CELL))
    file = TrialFile(path, cell=CELL)
    assert list(file.sketches()) == ["imdb/0001"]
    assert (file.damaged, file.damage) == (1, "line 3: it is not a trial")
    assert [each.id for each in file.read()] == ["imdb/0001"]
    assert file.damaged == 1


@pytest.mark.parametrize("name", ["naïve", "日本", 'a"b', "a\\b", "a\tb", "", "a b~!"])
def test_sketches_and_trials_agree_on_ids_of_all_kinds(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.jsonl"
    write(path, trial(1).model_copy(update={"id": name}))
    file = TrialFile(path, cell=CELL)
    (whole,) = file.read()
    assert file.sketches() == {name: sketch_of(whole)}


def test_a_revoked_list_with_a_right_seal_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with TrialFile(path, cell="a" * 64) as trials:
        trials.append(Trial(id="good", verdict=Verdict.HELD, label=0, prediction=0))
    line = Revoked(cast(str, ["good"]), "why").line("a" * 64)
    path.write_bytes(path.read_bytes() + line)
    file = TrialFile(path, cell="a" * 64)
    assert ([trial.id for trial in file.read()], file.damaged) == (["good"], 1)


def test_a_new_file_and_its_folder_are_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    path = tmp_path / "new" / "a.jsonl"
    with TrialFile(path, cell=CELL):
        pass
    assert {each.stat().st_ino for each in (path, path.parent, tmp_path)} <= set(synced)


def test_sketches_say_what_the_trials_say(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    odd = trial(3).model_copy(update={"id": 'imdb/"\\\n'})
    write(path, trial(1), trial(2, Verdict.ERROR), odd, trial(2, Verdict.WRONG), trial(1))
    file = TrialFile(path, cell=CELL)
    sketches = file.sketches()
    assert file.damaged == 1
    assert list(sketches.values()) == [sketch_of(each) for each in file.read()]
    assert list(sketches) == ["imdb/0001", "imdb/0002", 'imdb/"\\\n']
    assert file.ids_done(errors=False) == set(sketches)


def test_sketches_of_a_file_without_seals_are_those_of_its_trials(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join(UNSEALED) + b"{}\n")
    file = TrialFile(path)
    assert list(file.sketches().values()) == [sketch_of(trial(n)) for n in range(1, 5)]
    assert file.damaged == 1


def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    write(path, trial(1))
    assert gc.isenabled()
    TrialFile(path).read()
    assert gc.isenabled()
    gc.disable()
    try:
        TrialFile(path).read()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_of_many_damaged_lines_the_first_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join([HEADER, *[b"{}\n"] * 9, LINES[0]]))
    file = TrialFile(path, cell=CELL)
    assert file.which_damage == ""
    assert len(file.read()) == 1
    assert file.damaged_lines == [2, 3, 4, 5, 6]
    assert file.which_damage == (
        "9 lines are damaged (2, 3, 4, 5, 6 and 4 more; line 2: it has no seal)"
    )
    path.write_bytes(b"".join([HEADER, LINES[0]]))
    assert len(file.sketches()) == 1
    assert (file.damaged_lines, file.which_damage) == ([], "")
