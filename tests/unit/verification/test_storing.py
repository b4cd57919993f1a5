"""What a verification stores, and when: after each victim, whatever happens to the next one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from records import make_record, sha
from submissions import BOARD
from trial_runs import write_run

from robench.cli import main
from robench.records.leaderboard import write_board as write_board_page
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.verified import FILE_NAME, read_verified
from robench.verification import run
from robench.verification.results import Report, not_made, passed
from robench.verification.run import Verification, verify
from robench.verification.settings import VerificationSettings
from robench.verification.text import explained

Check = Callable[[Report], None]
RECORDS = RunFolder(Path()).records.name


def good(report: Report) -> None:
    """Find nothing wrong."""
    record = report.subject
    assert isinstance(record, Record)
    problems = [] if report.path.name == record.file_name else ["it has another name"]
    report.checks.append(passed("file", problems))
    report.fooled, report.searched = record.counts.fooled, record.counts.n


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """What is done with each record, the last for all that follow; nothing else is checked."""
    todo: list[Check] = [good]

    class Verifier:
        def __init__(self, *_: object) -> None:
            pass

        def verify(self, report: Report) -> None:
            (todo.pop(0) if len(todo) > 1 else todo[0])(report)

    monkeypatch.setattr(run, "RecordVerifier", Verifier)
    return todo


def make_runs(root: Path, *victims: tuple[str, int, str]) -> list[Record]:
    """Write a record for each defense, seed and weights."""
    return [
        write_run(root, defense=defense, seed=seed, victim={"sha256": sha(weights)})
        for defense, seed, weights in victims
    ]


def verified(root: Path, *names: str) -> Verification:
    return verify(root, VerificationSettings(device="cpu", names=names))


def stored(root: Path) -> set[str]:
    """Return the names of the files that are stored as verified."""
    return {entry.file for entry in read_verified(RunFolder(root).records).records.values()}


TWO = (("standard", 0, "a"), ("rift", 0, "b"))


def test_what_holds_is_stored_after_each_victim(tmp_path: Path, checks: list[Check]) -> None:
    make_runs(tmp_path, *TWO)

    def killed(_: Report) -> None:
        assert len(stored(tmp_path)) == 1
        raise KeyboardInterrupt

    checks[:] = [good, killed]
    with pytest.raises(KeyboardInterrupt):
        verified(tmp_path)
    assert len(stored(tmp_path)) == 1


def test_an_error_that_nobody_thought_of_is_one_of_its_record(
    tmp_path: Path, checks: list[Check]
) -> None:
    make_runs(tmp_path, *TWO)

    def broken(_: Report) -> None:
        raise ZeroDivisionError("an empty list")

    checks[:] = [broken, good]
    found = verified(tmp_path)
    assert sorted(each.status for each in found.reports) == ["failed", "verified"]
    (failed,) = (each for each in found.reports if each.status == "failed")
    assert failed.sentences("failed") == [
        "verification: the verification failed (ZeroDivisionError: an empty list)"
    ]
    assert len(stored(tmp_path)) == 1
    assert " verified |" in RunFolder(tmp_path).leaderboard.read_text()


def test_an_interruption_says_what_is_kept(tmp_path: Path, checks: list[Check]) -> None:
    make_runs(tmp_path, *TWO)

    def interrupted(_: Report) -> None:
        raise KeyboardInterrupt

    checks[:] = [good, interrupted]
    done = CliRunner().invoke(main, ["verify", str(tmp_path), "--device", "cpu", "--quiet"])
    assert done.exit_code == 130, done.output
    assert "Of each victim that was finished, what holds is stored in verified.json." in done.stderr
    assert len(stored(tmp_path)) == 1
    assert RunFolder(tmp_path).leaderboard.read_text().count(" verified |") == 1


def test_one_training_under_two_seeds_is_found_whichever_is_named(tmp_path: Path) -> None:
    first, second = make_runs(tmp_path, ("standard", 0, "a"), ("standard", 1, "a"))
    folder = RunFolder(tmp_path).records
    for record in (first, second):
        found = verified(tmp_path, f"-s{record.search.seed}-")
        (report,) = found.reports
        assert report.path.name == record.file_name
        assert "they are one training and not 2" in " ".join(report.sentences("failed"))
        assert found.stored is None
    assert not (folder / FILE_NAME).exists()


def test_a_copy_under_another_seed_takes_the_mark_of_the_first_away(tmp_path: Path) -> None:
    make_runs(tmp_path, ("standard", 0, "a"))
    verified(tmp_path)
    (other,) = make_runs(tmp_path, ("rift", 0, "b"))
    assert len(stored(tmp_path)) == 1
    make_runs(tmp_path, ("standard", 1, "a"))
    # Whatever is named, what is known to be false loses its mark.
    found = verified(tmp_path, "rift")
    assert [each.status for each in found.reports] == ["verified"]
    assert stored(tmp_path) == {other.file_name}


def test_a_saved_victim_with_a_name_is_verified_under_several_seeds(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, seed=seed, victim={"sha256": sha("a"), "name": "mine"})
    assert [each.status for each in verified(tmp_path).reports] == ["verified"] * 2
    assert len(stored(tmp_path)) == 2


def test_a_copy_under_a_wrong_name_leaves_the_mark(tmp_path: Path) -> None:
    (record,) = make_runs(tmp_path, ("standard", 0, "a"))
    folder = RunFolder(tmp_path).records
    shutil.copy(folder / record.file_name, folder / "a-copy-s0-1.json")
    for names in ((), ("a-copy",)):
        found = verified(tmp_path, *names)
        assert found.failed
        assert stored(tmp_path) == {record.file_name}


def test_a_record_that_is_no_longer_verified_loses_its_mark(
    tmp_path: Path, checks: list[Check]
) -> None:
    make_runs(tmp_path, *TWO)
    verified(tmp_path)

    def left_open(report: Report) -> None:
        report.checks.append(not_made("texts", "its victim is not there"))

    checks[:] = [left_open, good]
    found = verified(tmp_path)
    assert len(stored(tmp_path)) == 1
    assert (found.kept, found.lost) == (0, 1)
    assert "Marks of an earlier verification that are lost: 1." in explained(found)
    # Once it is lost, it is not lost again.
    checks[:] = [left_open, good]
    assert verified(tmp_path).lost == 0


def test_a_record_whose_data_were_not_named_keeps_its_mark(
    tmp_path: Path, checks: list[Check]
) -> None:
    make_runs(tmp_path, *TWO)
    before = verified(tmp_path)
    assert (before.kept, before.lost) == (0, 0)

    def without_data(report: Report) -> None:
        good(report)
        report.checks.append(not_made("task", "its data are not here"))
        report.checks.append(not_made("findings", "they need the data"))

    checks[:] = [without_data]
    found = verified(tmp_path)
    assert [each.status for each in found.reports] == ["claimed", "claimed"]
    assert len(stored(tmp_path)) == 2
    assert (found.kept, found.lost) == (2, 0)
    assert "Marks of an earlier verification that are kept: 2." in explained(found)


def test_a_record_that_was_never_verified_has_no_mark_to_keep(
    tmp_path: Path, checks: list[Check]
) -> None:
    make_runs(tmp_path, *TWO)
    checks[:] = [lambda report: report.checks.append(not_made("task", "its data are not here"))]
    found = verified(tmp_path)
    assert (found.kept, found.lost, stored(tmp_path)) == (0, 0, set())


def test_what_is_not_at_hand_keeps_its_mark_on_a_board(tmp_path: Path, checks: list[Check]) -> None:
    make_runs(tmp_path, *TWO, ("ascc", 0, "c"))
    board = tmp_path / "toy.toml"
    board.write_text(f"{BOARD}\n".replace('records = "records"', f'records = "{RECORDS}"'))
    write_board_page(board)

    def left_open(report: Report) -> None:
        report.checks.append(not_made("trials", "they are not there"))

    def failing(report: Report) -> None:
        report.checks.append(passed("file", ["it is wrong"]))

    first = verify(board, VerificationSettings(device="cpu"), runs=[tmp_path])
    assert (first.stale, first.remade) == ([], True)
    assert len(stored(tmp_path)) == 3
    # Nothing has changed for the second one.
    write_board_page(board)
    second = verify(board, VerificationSettings(device="cpu"), runs=[tmp_path])
    assert (second.stale, second.remade) == ([], False)
    checks[:] = [left_open, failing, good]
    third = verify(board, VerificationSettings(device="cpu"), runs=[tmp_path])
    assert sorted(each.status for each in third.reports) == ["claimed", "failed", "verified"]
    failed = next(each.path.name for each in third.reports if each.status == "failed")
    assert stored(tmp_path) == {each.path.name for each in third.reports} - {failed}
    assert (third.stale, third.remade) == ([], True)


def test_a_table_that_was_wrong_before_is_a_failure(tmp_path: Path) -> None:
    make_runs(tmp_path, *TWO)
    board = tmp_path / "toy.toml"
    board.write_text(f"{BOARD}\n".replace('records = "records"', f'records = "{RECORDS}"'))
    found = verify(board, VerificationSettings(device="cpu"), runs=[tmp_path])
    assert found.stale
    assert found.failed


def test_a_folder_without_a_verified_record_gets_no_file(
    tmp_path: Path, checks: list[Check]
) -> None:
    record = make_record("HF")
    write_record(RunFolder(tmp_path).records / record.file_name, record)
    checks[:] = [lambda report: report.checks.append(passed("file", ["it is wrong"]))]
    found = verified(tmp_path)
    assert (found.stored, found.unstored) == (None, "No record is verified, so nothing is stored.")
    assert not (RunFolder(tmp_path).records / FILE_NAME).exists()
