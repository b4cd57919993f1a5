"""Problems of held trials, and what else a file of trials holds."""

from __future__ import annotations

import tracemalloc
from itertools import product
from pathlib import Path

import pytest
from trial_runs import TEST_SET, TRIALS, write_run

from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.stored_trials import find_trials
from robench.search import judge
from robench.search.attack import Trial, Verdict
from robench.search.trial_lines import Revoked
from robench.search.trials import TrialFile
from robench.verification.trial_notes import NOT_EXACT, REJECTED, free_texts, stray_notes


def trial(problem: str | None, verdict: Verdict = Verdict.HELD) -> Trial:
    """Return a trial with a problem."""
    return Trial(id="toy/1", verdict=verdict, label=1, prediction=1, problem=problem)


def test_every_sentence_of_the_judge_is_known() -> None:
    classes = [(0, 1), (1, 0), (1, 1)]
    said = {
        judge._why_rejected(1, text, words, intended)
        for (text, words), intended in product(classes, (True, False))
    }
    assert {*said, judge.UNCHANGED} == REJECTED


@pytest.mark.parametrize("problem", [None, *sorted(REJECTED), NOT_EXACT])
def test_what_robench_writes_is_no_free_text(problem: str | None) -> None:
    assert free_texts([trial(problem)], None) == []


def test_the_note_on_a_budget_belongs_to_its_budget() -> None:
    spent = [trial("the budget of 75 rows was spent")]
    assert free_texts(spent, 75) == []
    assert len(free_texts(spent, 80)) == len(free_texts(spent, None)) == 1


def test_free_text_is_not_shown() -> None:
    (said,) = free_texts([trial("forged \x1b[31m text")], None)
    assert said == "toy/1 is 'held', and its 'problem' is no sentence that robench writes"
    assert free_texts([trial("anything", Verdict.ERROR)], None) == []


def notes(root: Path, record: Record) -> list[str]:
    stored = find_trials(record, [RunFolder(root)])
    return list(stray_notes(stored, TEST_SET, record))


def test_a_revoked_trial_is_named(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    assert notes(tmp_path, record) == []
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    with TrialFile(path, cell=record.cell) as file:
        file.revoke("toy/1", "it asked too little")
        file.append(TRIALS[0])
    assert notes(tmp_path, record) == [
        f"In {path.name}, 1 trial was revoked, and the later trials count. The first is that of "
        "toy/1 (it asked too little)."
    ]


@pytest.mark.parametrize("cell", [None, "0" * 64])
def test_a_line_without_the_seal_of_its_cell_revokes_nothing(
    tmp_path: Path, cell: str | None
) -> None:
    record = write_run(tmp_path)
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    plain = b'{"revoked":"toy/1","reason":"an invention"}\n'
    with path.open("ab") as file:
        file.write(plain if cell is None else Revoked("toy/1", "an invention").line(cell))
    assert notes(tmp_path, record) == []


def test_a_file_of_one_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    stored = find_trials(record, [RunFolder(tmp_path)])
    with stored.path.open("ab") as file:
        file.truncate(200 * 2**20)
        file.seek(0, 2)
        file.write(b"\n")
    tracemalloc.start()
    try:
        assert list(stray_notes(stored, TEST_SET, record)) == []
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
