"""Facts that a record tells of its run: dates, keys, logs and texts that somebody invented."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from forging import ForgedRun, follow, only_first

from robench._base.seals import SEAL, with_seal
from robench.records.record_files import write_record
from robench.search.attack import Trial, Verdict
from robench.search.trials import TrialFile
from robench.text.surface import METADATA
from robench.text.surface import SEAL as SURFACE_SEAL
from robench.text.surface_building import _write
from robench.text.surface_rules import surface_rules
from robench.verification.results import Report
from robench.verification.run import verify
from robench.verification.settings import VerificationSettings

pytestmark = pytest.mark.slow


def checked(forged: ForgedRun) -> Report:
    """Verify the record of one attack, with a small sample."""
    settings = VerificationSettings(
        sample=0.05, seed=0, device="cpu", workers=1, names=("-pwws-s",)
    )
    (report,) = verify(forged.root, settings).reports
    return report


def failures(report: Report) -> str:
    """Return what failed, as one text."""
    assert report.status == "failed", report.to_dict()
    return " ".join(report.sentences("failed"))


def _change(path: Path, old: float, new: float) -> None:
    """Put another number into a sealed file, wherever the old one stands."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: changed(each) for name, each in value.items() if name != SEAL}
        if isinstance(value, list):
            return [changed(each) for each in value]
        return new if isinstance(value, float) and value == old else value

    path.write_text(json.dumps(with_seal(changed(json.loads(path.read_text())))))


def test_a_dev_accuracy_that_the_weights_do_not_have(forged: ForgedRun) -> None:
    """Log, card and record agree, and only the weights know better."""
    (card,) = forged.folder.victims.glob("*/victim.json")
    old = json.loads(card.read_text())["dev_accuracy"]
    new = old + 0.25 if old < 0.75 else old - 0.25
    for path in (card, card.parent / "training.json", forged.path("pwws")):
        _change(path, old, new)
    text = failures(checked(forged))
    assert f"findings: the dev accuracy of the training is {new}" in text
    assert "and the saved weights are right on" in text


def test_a_log_that_contradicts_its_card(forged: ForgedRun) -> None:
    (card,) = forged.folder.victims.glob("*/victim.json")
    old = json.loads(card.read_text())["dev_accuracy"]
    _change(card.parent / "training.json", old, old / 2)
    assert "the log of the training says otherwise" in failures(checked(forged))


@pytest.mark.parametrize("verdict", [Verdict.WRONG, Verdict.FOOLED, Verdict.HELD])
def test_a_free_text_on_a_trial(forged: ForgedRun, verdict: Verdict) -> None:
    def said(trial: Trial) -> Trial:
        return trial.model_copy(update={"problem": "forged \u202e<b>text"})

    forged.forge("pwws", only_first(said, verdict))
    text = failures(checked(forged))
    assert "and there is a problem" in text or "no sentence that robench writes" in text
    assert "\u202e" not in text


def test_a_letter_of_another_alphabet_is_shown_by_its_number(forged: ForgedRun) -> None:
    def alike(trial: Trial) -> Trial:
        first, *rest = trial.changes
        changed = first.model_copy(update={"substitute": f"{first.substitute}\u0435"})
        return trial.model_copy(update={"changes": (changed, *rest)})

    forged.forge("pwws", only_first(alike, Verdict.FOOLED))
    text = failures(checked(forged))
    assert "\\u0435'" in text
    assert "\u0435" not in text


def test_trials_of_examples_that_do_not_exist_are_noted(forged: ForgedRun) -> None:
    record, trials = forged.record("pwws"), forged.trials("pwws")
    strange = trials[0].model_copy(update={"id": "mini-reviews/ffffffffffffffff"})
    with TrialFile(forged.folder.trials_file(record.cell_name), cell=record.cell) as file:
        file.append(strange)
        file.revoke(trials[0].id, "forged \x1b[31m reason")
        file.append(trials[0])
    report = checked(forged)
    assert report.status == "verified", report.to_dict()
    notes = " ".join(report.notes)
    assert "holds 1 trial of examples that are not in the test set" in notes
    assert "1 trial was revoked, and the later trials count" in notes
    assert "\x1b" not in notes


def test_a_key_that_cannot_be_computed_is_named_with_all_that_is_believed(
    forged: ForgedRun,
) -> None:
    """Another budget and another key are possible where the record names other code."""
    record, trials = forged.record("pwws"), forged.trials("pwws")
    path = forged.path("pwws")
    search = record.search.model_copy(update={"code_sha256": "0" * 64, "budget": 10**6})
    false = follow(record.model_copy(update={"cell": "1" * 64, "search": search}), trials)
    forged.folder.trials_file(record.cell_name).rename(forged.folder.trials_file(false.cell_name))
    forged.write_trials(false, trials)
    path.unlink()
    write_record(forged.folder.records / false.file_name, false)
    report = checked(forged)
    assert report.status == "verified", report.to_dict()
    notes = " ".join(report.notes)
    assert "Nothing but the record says the key, the code, the software, the device and" in notes
    assert "the budget of 1000000 queries, which no search spent" in notes


def test_a_budget_that_a_search_exceeded(forged: ForgedRun) -> None:
    most = max(trial.asked for trial in forged.trials("pwws"))
    forged.edit("pwws", search__code_sha256="0" * 64, search__budget=most - 1)
    assert f"{most} queries are more than the budget of {most - 1}" in failures(checked(forged))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"created": "1970-01-01T00:00:00Z"}, "when there was no robench"),
        ({"cost__peak_memory_bytes": 2**43}, "more memory than a machine has"),
    ],
)
def test_numbers_that_no_run_has(forged: ForgedRun, fields: dict[str, object], said: str) -> None:
    forged.edit("pwws", **fields)
    assert said in failures(checked(forged))


def test_one_training_that_is_shown_as_two(forged: ForgedRun) -> None:
    """The copy stands under another seed. Both files fail, as nobody knows which one is true."""
    record = forged.record("pwws")
    search = record.search.model_copy(update={"seed": 1})
    copy = record.model_copy(update={"search": search, "cell": "1" * 64})
    forged.write_copy(record, copy)
    settings = VerificationSettings(
        sample=0.05, seed=0, device="cpu", workers=1, names=("-pwws-s",)
    )
    reports = verify(forged.root, settings).reports
    assert len(reports) == 2
    for report in reports:
        text = failures(report)
        assert "seeds: These have the same weights, so they are one training and not 2" in text
        assert f"{record.row}, seed 0; {record.row}, seed 1." in text


def _surface_of_other_code(forged: ForgedRun, key: str) -> tuple[str, str]:
    """Let a stored surface name other code; return its new key and its rules."""
    import pyarrow.parquet as pq

    path = forged.folder.surfaces / f"{key}.parquet"
    table = pq.read_table(path, read_dictionary=["id", "word"])
    metadata = {name: each for name, each in table.schema.metadata.items() if name != SURFACE_SEAL}
    about = json.loads(metadata[METADATA])
    made_from = {**about["made_from"], "code": "0" * 64}
    new = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    metadata[METADATA] = json.dumps({**about, "made_from": made_from, "key": new}).encode()
    _write(table.replace_schema_metadata(metadata), path.with_name(f"{new}.parquet"))
    return new, surface_rules(made_from)


def test_a_surface_that_names_other_code_does_not_hide_an_invented_key(forged: ForgedRun) -> None:
    """The key cannot be computed then, which is said with all that is believed."""
    record, trials = forged.record("pwws"), forged.trials("pwws")
    key, rules = _surface_of_other_code(forged, record.surface.key)
    surface = record.surface.model_copy(update={"key": key, "rules": rules})
    search = record.search.model_copy(update={"budget": 10**6})
    parts = {"cell": "1" * 64, "surface": surface, "search": search}
    false = follow(record.model_copy(update=parts), trials)
    forged.folder.trials_file(record.cell_name).rename(forged.folder.trials_file(false.cell_name))
    forged.write_trials(false, trials)
    forged.path("pwws").unlink()
    write_record(forged.folder.records / false.file_name, false)
    notes = " ".join(checked(forged).notes)
    assert "Made by other code of robench's surfaces. So its key cannot be computed here" in notes
    assert "the budget of 1000000 queries, which no search spent" in notes
