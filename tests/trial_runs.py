"""A small run on disk, made without a victim, for tests of what people see of it."""

from __future__ import annotations

from pathlib import Path

from records import make_record

from robench.records.by_label import count_by_label
from robench.records.record import LETTERS, Record, digest_of_ids
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.test_set import TestSet, write_test_set
from robench.records.trials_part import TrialsPart, digest_of_trials
from robench.search.attack import Change, Trial, Verdict
from robench.search.trials import TrialFile
from robench.tasks.example import Example
from robench.tasks.frozen import digest

TEXTS = {
    "toy/1": ('He said:  "a good film", didn\'t he?', 1),
    "toy/2": ("I cannot like <b>this</b> dull film.", 0),
    "toy/3": ("=SUM(A1) is fine & good", 1),
    "toy/4": ("Nothing here works .", 0),
    "toy/5": ("A good, good thing", 1),
    "toy/6": ("It failed", 0),
}
EXAMPLES = [Example(id_, {"text": text}, label) for id_, (text, label) in TEXTS.items()]
TEST_SET = TestSet("toy", digest(EXAMPLES), ("negative", "positive"), "text", EXAMPLES)
TRIALS = [
    Trial(
        id="toy/1",
        verdict=Verdict.FOOLED,
        label=1,
        prediction=1,
        probs=(0.02, 0.98),
        adversarial_prediction=0,
        adversarial_probs=(0.61, 0.39),
        changes=(Change(position=5, original="good", substitute="fine"),),
        asked=12,
        asked_at_success=11,
        forwarded=10,
        seconds=0.5,
    ),
    Trial(
        id="toy/2",
        verdict=Verdict.FOOLED,
        label=0,
        prediction=0,
        adversarial_prediction=1,
        changes=(
            Change(position=2, original="not", substitute="hardly"),
            Change(position=11, original="dull", substitute="slow"),
        ),
        asked=40,
        forwarded=33,
    ),
    Trial(id="toy/3", verdict=Verdict.WRONG, label=1, prediction=0, probs=(0.7, 0.3)),
    Trial(id="toy/4", verdict=Verdict.HELD_PROVED, label=0, prediction=0, probs=(0.9, 0.1)),
    Trial(
        id="toy/5",
        verdict=Verdict.HELD,
        label=1,
        prediction=1,
        probs=(0.4, 0.6),
        adversarial_prediction=1,
        adversarial_probs=(0.45, 0.55),
        changes=(Change(position=1, original="good", substitute="fair"),),
        asked=3,
        problem="the attack claimed a success, but the victim is right on the returned text",
    ),
    Trial(
        id="toy/6",
        verdict=Verdict.ERROR,
        label=0,
        prediction=None,
        problem="the victim failed on the clean text: OSError: gone",
    ),
]


def record_of(
    trials: list[Trial],
    test_set: TestSet = TEST_SET,
    *,
    limit: int | None = None,
    **options: object,
) -> Record:
    """Return the record of these trials."""
    outcomes = "".join(LETTERS[trial.verdict] for trial in trials)
    record = make_record(
        outcomes,
        limit=limit,
        examples=len(test_set.examples),
        task={"digest": test_set.digest, "name": test_set.task},
        disbelieved=sum(trial.disbelieved for trial in trials),
        **options,  # type: ignore[arg-type]
    )
    part = TrialsPart(sha256=digest_of_trials(trials, record.cell))
    ids = digest_of_ids(trial.id for trial in trials)
    by_label = count_by_label(test_set.labels, trials)
    found = {"ids_digest": ids, "trials": part, "by_label": by_label}
    return record.model_copy(update=found)


def write_trials(root: Path, record: Record, trials: list[Trial]) -> None:
    """Replace the trials of a record by others, with a header and seals that fit."""
    path = RunFolder(root).trials_file(record.cell_name)
    path.unlink(missing_ok=True)
    with TrialFile(path, cell=record.cell) as file:
        for trial in trials:
            file.append(trial)


def write_run(
    root: Path,
    trials: list[Trial] | None = None,
    test_set: TestSet = TEST_SET,
    *,
    limit: int | None = None,
    **options: object,
) -> Record:
    """Write the texts, the trials and the record of one cell, and return the record."""
    folder = RunFolder(root)
    record = record_of(trials or TRIALS, test_set, limit=limit, **options)
    write_test_set(folder.examples_file(test_set.task, test_set.digest), test_set)
    path = folder.trials_file(record.cell_name)
    with TrialFile(path, cell=record.cell) as file:
        for trial in trials or TRIALS:
            file.append(trial)
    write_record(folder.records / record.file_name, record)
    return record
