"""A record beside its trials: what is counted again, and what an edit changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from trial_runs import EXAMPLES, TRIALS, write_run

from robench._base.errors import RobenchError
from robench.records.by_label import LabelCounts
from robench.records.record import SCHEMA, Record
from robench.records.run_folder import RunFolder
from robench.records.stored_trials import MissingTrials, StoredTrials, find_trials
from robench.records.trials_part import TrialsPart
from robench.search.attack import Trial, Verdict
from robench.search.example_watch import too_long
from robench.verification import claims

IDS = [trial.id for trial in TRIALS]
TEXTS = {each.id: each.fields["text"] for each in EXAMPLES}


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """An honest record, with its trials on the disk."""
    made = write_run(tmp_path)
    cost = {
        "asked": sum(trial.asked for trial in TRIALS),
        "forwarded": sum(trial.forwarded for trial in TRIALS),
        "attack_seconds": sum(trial.seconds for trial in TRIALS),
    }
    return made.model_copy(update={"cost": made.cost.model_copy(update=cost)})


def stored(trials: Iterable[Trial], damage: str = "") -> StoredTrials:
    """Return trials as a file holds them."""
    return StoredTrials(Path("cell.jsonl"), {trial.id: trial for trial in trials}, damage)


def test_trials_are_found_in_the_second_folder(tmp_path: Path) -> None:
    record = write_run(tmp_path / "second")
    folders = [RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")]
    assert list(find_trials(record, folders).trials) == IDS


def test_missing_trials_are_no_failure_of_the_record(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    RunFolder(tmp_path).trials_file(record.cell_name).unlink()
    with pytest.raises(MissingTrials, match="trials are missing: there is no"):
        find_trials(record, [RunFolder(tmp_path)])


def test_trials_in_the_order_of_the_ids(record: Record) -> None:
    known = stored(reversed(TRIALS))
    assert claims.in_order(record, known, IDS) == TRIALS
    # Without the texts, the ids of the trials stand in their place.
    assert claims.in_order(record, known, None) == TRIALS


def test_a_trial_that_is_missing_among_others(record: Record) -> None:
    known = stored(TRIALS[1:])
    with pytest.raises(RobenchError, match="1 of 6 trials are missing, the first for toy/1"):
        claims.in_order(record, known, IDS)
    with pytest.raises(RobenchError, match="'ids_digest' is not that of the examples of its"):
        claims.in_order(record, known, None)


def test_damaged_trials_are_not_called_missing(record: Record) -> None:
    known = stored(TRIALS[1:], "line 2 is damaged: its seal does not fit")
    for ids in (IDS, None):
        with pytest.raises(RobenchError, match="1 of 6 trials cannot be used") as caught:
            claims.in_order(record, known, ids)
        assert "in cell.jsonl, line 2 is damaged: its seal does not fit" in str(caught.value)
        assert "missing" not in str(caught.value)


def test_the_damaged_lines_of_a_file_are_told_with_its_trials(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    path.write_bytes(path.read_bytes().replace(b'"asked":12', b'"asked":13'))
    found = find_trials(record, [RunFolder(tmp_path)])
    assert list(found.trials) == IDS[1:]
    assert found.damage == "line 2 is damaged: its seal does not fit"


def test_seconds_of_0_are_impossible(record: Record) -> None:
    # One of the two trials with queries has no time.
    (found,) = claims.differences_from_trials(record, TRIALS, TEXTS)
    assert found == "1 of the trials computed rows in 0 seconds, which is impossible"


def honest(record: Record) -> list[str]:
    """Return the differences of trials that have times."""
    trials = [trial.model_copy(update={"seconds": 0.5}) for trial in TRIALS]
    seconds = 0.5 * len(trials)
    cost = record.cost.model_copy(
        update={"attack_seconds": seconds if record.cost.attack_seconds else 0.0}
    )
    return claims.differences_from_trials(record.model_copy(update={"cost": cost}), trials, TEXTS)


def test_an_honest_record_has_no_difference(record: Record) -> None:
    assert honest(record.model_copy(update={"trials": None})) == []


def test_letters_of_other_trials(record: Record) -> None:
    (said,) = honest(record.model_copy(update={"outcomes": "FHWPHE", "trials": None}))
    assert said == "the letter of toy/2 is H, and its trial says F"
    (said,) = honest(record.model_copy(update={"outcomes": "HHWPHE", "trials": None}))
    assert said.startswith("2 letters are not those of the trials; the letter of toy/1 is H")


def test_another_number_of_letters(record: Record) -> None:
    (said,) = honest(record.model_copy(update={"outcomes": "FF", "trials": None}))
    assert said == "there are 6 trials and 2 letters"


def test_rejected_claims(record: Record) -> None:
    (said,) = honest(record.model_copy(update={"disbelieved": 0, "trials": None}))
    assert said == "0 claims were rejected according to the record, and 1 according to the trials"


def test_the_digest_of_the_trials(record: Record) -> None:
    part = TrialsPart(sha256="0" * 64)
    (said,) = honest(record.model_copy(update={"trials": part}))
    assert said == "its trials are other ones than those that the record was made from"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("asked", 0, "0 queries, and the trials add up to 55"),
        ("forwarded", 1, "1 forwarded rows, and the trials add up to 43"),
        ("attack_seconds", 0.0, "0 seconds of attack, and the trials add up to 3.000"),
    ],
)
def test_costs_that_do_not_add_up(record: Record, field: str, value: float, said: str) -> None:
    cost = record.cost.model_copy(update={field: value})
    assert said in honest(record.model_copy(update={"cost": cost, "trials": None}))


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0, True), (0.88, False), (0.891, False), (0.9, True), (0.86, True)]
)
def test_seconds_that_do_not_add_up(record: Record, seconds: float, told: bool) -> None:
    """Three decimals are rounding; a hundredth of a second is none."""
    trials = [trial.model_copy(update={"seconds": 0.8811 / len(TRIALS)}) for trial in TRIALS]
    cost = record.cost.model_copy(update={"attack_seconds": seconds})
    changed = record.model_copy(update={"cost": cost, "trials": None})
    said = claims.differences_from_trials(changed, trials, TEXTS)
    assert said == [f"{seconds:g} seconds of attack, and the trials add up to 0.881"] * told


def test_the_rows_of_a_randomised_victim_are_counted_once_for_each_draw(record: Record) -> None:
    victim = record.victim.model_copy(update={"smoothing": {"kind": "masking", "draws": 4}})
    cost = record.cost.model_copy(update={"forwarded": 4 * 43})
    changed = record.model_copy(update={"victim": victim, "cost": cost, "trials": None})
    assert honest(changed) == []


def test_a_date_in_the_future(record: Record) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for days, expected in ((0, 0), (1, 0), (2, 1)):
        changed = record.model_copy(update={"created": now + timedelta(days=days)})
        assert len(claims.impossible_dates(changed, now)) == expected


@pytest.mark.parametrize(
    ("training", "peak", "number"),
    [
        (12.5, 2**20, 0),
        (12.5, 2**45, 1),
        (0.0, 2**20, 1),
        (99.0, 2**20, 1),
        (12.5, 10, 1),
        (0.0, 10, 2),
    ],
)
def test_costs_that_cannot_be_true(record: Record, training: float, peak: int, number: int) -> None:
    changes = {"training_seconds": training, "peak_memory_bytes": peak}
    cost = record.cost.model_copy(update=changes)
    changed = record.model_copy(update={"cost": cost})
    found = claims.impossible_costs(changed, weights=1000, training=12.5)
    assert len(found) == number
    # Nothing is said where nothing is known.
    assert claims.impossible_costs(record, None, None) == []


@pytest.mark.parametrize(
    ("part", "first"),
    [("disbelieved", 6), ("curves", 6), ("unknown", 6), ("trials", 6), ("by_label", 7)],
)
def test_a_part_that_was_taken_out_of_a_new_record(record: Record, part: str, first: int) -> None:
    changed = record.model_copy(update={part: None})
    for schema in range(first, SCHEMA + 1):
        said = f"'{part}' is missing, and every record of schema {schema} has it"
        assert said in claims.missing_parts(changed, schema)
        assert part not in claims.parts_that_may_lack(schema)
    # Older runs did not measure it.
    assert not any(part in said for said in claims.missing_parts(changed, first - 1))
    assert part in claims.parts_that_may_lack(first - 1)


def test_trials_that_contradict_themselves_hide_no_other_difference(record: Record) -> None:
    """Their labels are swapped, and their verdicts and answers are not."""
    swapped = [trial.model_copy(update={"label": 1 - trial.label}) for trial in TRIALS]
    said = claims.differences_from_trials(record, swapped, TEXTS)
    assert "labels, answers and verdicts of its trials contradict each other" in said
    assert "its trials are other ones than those that the record was made from" in said


def test_counts_by_label(record: Record) -> None:
    assert record.by_label is not None
    negative, positive = record.by_label
    assert (negative.robust, positive.robust) == (1, 1)
    for wrong in (
        negative.model_copy(update={"robust": 0}),
        negative.model_copy(update={"answered": 2}),
    ):
        (said,) = honest(record.model_copy(update={"by_label": (wrong, positive), "trials": None}))
        assert said == "the counts of the label 'negative' are not those of the trials"
    (said,) = honest(record.model_copy(update={"by_label": (negative,), "trials": None}))
    assert said == "the trials have more labels than its counts by label"
    more = LabelCounts(label="neutral", examples=0, answered=0, right=0, robust=0)
    # A label without examples does not show in the trials; the names are those of the task.
    assert honest(record.model_copy(update={"by_label": (*record.by_label, more)})) == [
        "its trials are other ones than those that the record was made from"
    ]


def test_a_file_under_another_name() -> None:
    assert claims.name_problems(Path("a/b.json"), "b.json") == []
    assert "belongs to c.json" in claims.name_problems(Path("a/b.json"), "c.json")[0]


def test_the_time_limit_is_that_of_the_searches_that_it_ended(record: Record) -> None:
    ended = TRIALS[0].model_copy(update={"verdict": Verdict.ERROR, "problem": too_long(2.5)})

    def said(limit: float | None) -> list[str]:
        search = record.search.model_copy(update={"example_seconds": limit})
        changed = record.model_copy(update={"search": search})
        return claims.time_limit_problems(changed, [ended, *TRIALS[1:]])

    assert said(2.5) == []
    (other,) = said(60.0)
    assert other.startswith("the record names a time limit of 60 s, and the trial of toy/1 says: ")
    assert "no time limit" in said(None)[0]
    # A limit that ended no search cannot be seen in the trials.
    assert claims.time_limit_problems(record, TRIALS) == []
