"""A record and its trials agree, or a sentence says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_runs import TRIALS, write_run, write_trials

from robench._base.errors import RobenchError
from robench.records.run_folder import RunFolder
from robench.records.trials_agree import disagreement
from robench.records.trials_part import digest_of_trials
from robench.search.attack import Verdict
from robench.search.trial_lines import sketch_of

IDS = [trial.id for trial in TRIALS]


@pytest.mark.parametrize("ids", [None, IDS])
def test_a_record_agrees_with_its_trials(tmp_path: Path, ids: list[str] | None) -> None:
    record = write_run(tmp_path)
    assert disagreement(RunFolder(tmp_path), record, ids) is None


def test_a_record_without_trials_disagrees_with_nothing(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    assert disagreement(RunFolder(tmp_path / "elsewhere"), record) is None


@pytest.mark.parametrize(
    ("update", "why"),
    [
        ({"asked": 13}, "are not those that the record was made from"),
        ({"seconds": 0.1}, "are not those that the record was made from"),
        ({"verdict": Verdict.HELD}, "1 letters are not those of the trials in"),
        ({"id": "toy/0"}, "are about other examples than the record"),
    ],
)
def test_other_trials_with_fitting_seals_disagree(
    tmp_path: Path, update: dict[str, object], why: str
) -> None:
    record = write_run(tmp_path)
    write_trials(tmp_path, record, [TRIALS[0].model_copy(update=update), *TRIALS[1:]])
    assert why in (disagreement(RunFolder(tmp_path), record) or "")


def test_damage_and_missing_trials_are_named(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    path.write_bytes(path.read_bytes().replace(b'"asked":12', b'"asked":13'))
    said = disagreement(RunFolder(tmp_path), record) or ""
    assert "are not complete (line 2 is damaged: its seal does not fit)" in said
    said = disagreement(RunFolder(tmp_path), record, IDS) or ""
    assert "1 trials are missing in" in said
    assert "(line 2 is damaged: its seal does not fit), the first for toy/1" in said


def test_a_forged_record_disagrees(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    forged = record.model_copy(update={"outcomes": record.outcomes.replace("F", "H")})
    assert "2 letters are not those of the trials" in (
        disagreement(RunFolder(tmp_path), forged) or ""
    )


def test_the_trials_of_another_cell_are_refused(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    other = record.model_copy(update={"cell": record.cell[:8] + "0" * 56})
    write_trials(tmp_path, other, TRIALS)
    with pytest.raises(RobenchError, match="of another cell"):
        disagreement(RunFolder(tmp_path), record)


def test_the_digest_depends_on_all_that_a_trial_holds_and_on_its_place() -> None:
    digests = {
        digest_of_trials(TRIALS, "a"),
        digest_of_trials(TRIALS, "b"),
        digest_of_trials(TRIALS[::-1], "a"),
        digest_of_trials(TRIALS[:5], "a"),
        digest_of_trials([TRIALS[0].model_copy(update={"seconds": 9.0}), *TRIALS[1:]], "a"),
    }
    assert len(digests) == 5
    assert digest_of_trials(map(sketch_of, TRIALS), "a") in digests
