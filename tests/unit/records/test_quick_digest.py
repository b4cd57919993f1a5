"""The digest of whole trials files, and what has none."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from trial_runs import EXAMPLES, TEST_SET, TRIALS, write_run, write_trials

from robench.records.quick_digest import QuickDigest, quick_digest
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.test_set import TestSet
from robench.records.trials_agree import disagreement
from robench.search.attack import Trial, Verdict
from robench.tasks.frozen import digest

WHOLE = [trial for trial in TRIALS if trial.verdict != Verdict.ERROR]
_EXAMPLES = [each for each in EXAMPLES if each.id in {trial.id for trial in WHOLE}]
SET = TestSet("toy", digest(_EXAMPLES), ("negative", "positive"), "text", _EXAMPLES)


def made(root: Path, trials: list[Trial] | None = None) -> tuple[Path, Record]:
    """Write a run without errors; return the file of its trials and its record."""
    record = write_run(root, trials, TEST_SET) if trials else write_run(root, WHOLE, SET)
    return RunFolder(root).trials_file(record.cell_name), record


def test_a_whole_file_has_the_digest_of_its_record(tmp_path: Path) -> None:
    path, record = made(tmp_path)
    assert record.trials is not None
    wanted = QuickDigest(record.trials.sha256, record.ids_digest, record.outcomes)
    assert quick_digest(path, record.cell, 5) == wanted
    # The order of the lines does not count.
    write_trials(tmp_path, record, WHOLE[::-1])
    assert quick_digest(path, record.cell, 5) == wanted


def test_an_error_is_left_to_the_slow_way(tmp_path: Path) -> None:
    path, record = made(tmp_path, TRIALS)
    assert quick_digest(path, record.cell, 5) is None
    assert disagreement(RunFolder(tmp_path), record) is None


def _twice(content: bytes) -> bytes:
    return content + content.splitlines(keepends=True)[1]


def _headless(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[1:])


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        _twice,
        _headless,
        lambda content: content[:-3],
        lambda content: content + b'{"revoked":"toy/1"}\n',
        lambda content: content + b"\0\0\0\n",
        lambda content: b"",
        lambda content: content.replace(b"fooled", b"doomed"),
    ],
)
def test_an_odd_file_has_none_or_another(tmp_path: Path, damage: Damage) -> None:
    path, record = made(tmp_path)
    whole = quick_digest(path, record.cell, 5)
    path.write_bytes(damage(path.read_bytes()))
    assert quick_digest(path, record.cell, 5) != whole


def test_a_changed_byte_of_any_trial_changes_it(tmp_path: Path) -> None:
    path, record = made(tmp_path)
    whole, content = quick_digest(path, record.cell, 5), path.read_bytes()
    tries = 0
    for number in range(content.index(b"\n") + 1, len(content), 7):
        seal = content.rfind(b',"seal":"', 0, number)
        # A seal may be damaged by itself: then every trial is still what it was.
        if seal >= 0 and b"\n" not in content[seal:number]:
            continue
        tries += 1
        changed = bytearray(content)
        changed[number] ^= 1
        path.write_bytes(changed)
        assert quick_digest(path, record.cell, 5) != whole, content[number - 20 : number + 1]
    assert tries > 100


def test_other_cells_and_missing_files(tmp_path: Path) -> None:
    path, record = made(tmp_path)
    assert quick_digest(path, "0" * 64, 5) is None
    assert quick_digest(path.with_name("gone.jsonl"), record.cell, 5) is None
    assert quick_digest(path.parent, record.cell, 5) is None


def test_a_huge_line_is_not_read(tmp_path: Path) -> None:
    path, record = made(tmp_path)
    with path.open("ab") as stream:
        stream.truncate(10_000_000)
    assert quick_digest(path, record.cell, 5) is None
    assert "not complete" not in (disagreement(RunFolder(tmp_path), record) or "")


def test_a_file_of_one_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A sparse file of zeros costs its maker nothing."""
    path, record = made(tmp_path)
    with path.open("ab") as file:
        file.truncate(400 * 2**20)
    tracemalloc.start()
    try:
        assert quick_digest(path, record.cell, 10_000) is None
        assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    finally:
        tracemalloc.stop()
