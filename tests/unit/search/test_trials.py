"""Tests of the trials on disk, which are appended as whole lines or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robench import Trial, Verdict
from robench._base.errors import RobenchError
from robench.search.attack import Change
from robench.search.trials import LINES_PER_SYNC, TrialFile


def trial(number: int, verdict: Verdict = Verdict.HELD) -> Trial:
    return Trial(
        id=f"imdb/{number:04d}",
        verdict=verdict,
        label=1,
        prediction=1,
        asked=number,
        changes=(Change(position=0, original="naïve", substitute="a\nb"),),
    )


def write(path: Path, *trials: Trial) -> None:
    with TrialFile(path) as file:
        for one in trials:
            file.append(one)


def test_appended_trials_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "trials.jsonl"
    write(path, trial(1), trial(2))
    write(path, trial(3))
    assert TrialFile(path).read() == [trial(1), trial(2), trial(3)]
    assert TrialFile(path).ids_done() == {"imdb/0001", "imdb/0002", "imdb/0003"}
    assert len(path.read_text().splitlines()) == 3


def test_a_missing_file_has_no_trials(tmp_path: Path) -> None:
    assert TrialFile(tmp_path / "none.jsonl").read() == []
    TrialFile(tmp_path / "none.jsonl").close()
    assert not (tmp_path / "none.jsonl").exists()


def test_the_context_manager_locks_the_file_before_the_first_trial(tmp_path: Path) -> None:
    with TrialFile(tmp_path / "trials.jsonl") as mine:
        assert mine.read() == []
        with pytest.raises(RobenchError, match="Another run is writing"), TrialFile(mine.path):
            pass
        mine.append(trial(1))
    with TrialFile(mine.path) as other:
        assert other.read() == [trial(1)]


def test_every_line_is_written_before_the_file_is_closed(tmp_path: Path) -> None:
    file = TrialFile(tmp_path / "trials.jsonl")
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


LINES = [f"{trial(number).model_dump_json()}\n".encode() for number in range(1, 5)]


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
    path.write_bytes(b"".join(content))
    file = TrialFile(path)
    assert file.read() == [trial(number) for number in kept]
    assert file.damaged == 1
    write(path, trial(9))
    assert TrialFile(path).read() == [trial(number) for number in [*kept, 9]]


def test_an_undamaged_file_has_no_damaged_lines(tmp_path: Path) -> None:
    write(tmp_path / "trials.jsonl", trial(1), trial(2))
    file = TrialFile(tmp_path / "trials.jsonl")
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
    file = TrialFile(tmp_path / "trials.jsonl")
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
    assert file.path.read_bytes().count(b"\n") == 1
    assert file.path.read_bytes().endswith(b"\n")
    file.append(trial(3))
    file.close()
    assert TrialFile(file.path).read() == [trial(1), trial(3)]


def test_a_disk_that_fills_up_on_sync_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = TrialFile(tmp_path / "trials.jsonl")
    monkeypatch.setattr("robench.search.trials.SECONDS_PER_SYNC", 1e9)
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
    first, second = TrialFile(tmp_path / "trials.jsonl"), TrialFile(tmp_path / "trials.jsonl")
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
        TrialFile(tmp_path / "file" / "trials.jsonl").append(trial(1))
    with pytest.raises(RobenchError, match="cannot be read"):
        TrialFile(tmp_path).read()


def test_nan_and_infinity_are_never_written(tmp_path: Path) -> None:
    write(tmp_path / "trials.jsonl", trial(1))
    assert "NaN" not in (tmp_path / "trials.jsonl").read_text()
    with pytest.raises(ValueError, match="finite"):
        Trial(id="x", verdict=Verdict.HELD, label=0, prediction=0, seconds=float("nan"))
