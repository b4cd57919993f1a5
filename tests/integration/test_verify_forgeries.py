"""Forged results of every kind: 'robench verify' finds each, or the record stays a claim."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import ForgedRun, follow, held, only_first
from safetensors.numpy import load_file, save_file

from robench._base.seals import with_seal
from robench.models.victim_folder import file_hashes, weights_hash
from robench.records.record_files import write_record
from robench.records.test_set import read_test_set, write_test_set
from robench.records.verified import read_verified, verified_names
from robench.search.attack import Change, Trial, Verdict
from robench.tasks.example import Example
from robench.tasks.frozen import digest
from robench.verification.results import Report
from robench.verification.run import Verification, verify
from robench.verification.settings import VerificationSettings

pytestmark = pytest.mark.slow

EVERYTHING = VerificationSettings(sample=1.0, seed=0, device="cpu", workers=1)


def checked(forged: ForgedRun, attack: str = "pwws", **changes: object) -> Report:
    """Verify the record of one attack."""
    settings = VerificationSettings(**{**vars(EVERYTHING), "names": (f"-{attack}-s",), **changes})
    (report,) = verify(forged.root, settings).reports
    return report


def failures(report: Report) -> str:
    """Return what failed, as one text."""
    assert report.status == "failed", report.to_dict()
    return " ".join(report.sentences("failed"))


def test_an_honest_run_is_verified(forged: ForgedRun) -> None:
    found = verify(forged.root, EVERYTHING)
    assert [each.status for each in found.reports] == ["verified", "verified"]
    assert not found.failed
    for each in found.reports:
        record = forged.record("pwws" if "pwws" in each.path.name else "genetic")
        attacked = record.counts.fooled + record.counts.held
        assert each.same_software
        assert each.fooled == record.counts.fooled > 0
        assert each.searched >= attacked
        assert each.asked >= 24 + record.counts.fooled
    names = [each.path.name for each in found.reports]
    assert verified_names(forged.folder.records, names) == set(names)
    assert " verified |" in forged.folder.leaderboard.read_text()


def test_a_record_that_is_changed_after_the_check_is_a_claim_again(forged: ForgedRun) -> None:
    verify(forged.root, EVERYTHING)
    path = forged.path("pwws")
    path.write_text(path.read_text() + "\n")
    left = [each.name for each in forged.folder.records.glob("*-s0-*.json")]
    assert verified_names(forged.folder.records, left) == {forged.path("genetic").name}


def test_a_later_failure_takes_the_mark_away(forged: ForgedRun) -> None:
    verify(forged.root, EVERYTHING)
    forged.write_trials(forged.record("pwws"), forged.trials("pwws")[:-1])
    assert "missing" in failures(checked(forged))
    entries = read_verified(forged.folder.records).records.values()
    assert [entry.file for entry in entries] == [forged.path("genetic").name]


def test_every_fooled_letter_turned_into_held(forged: ForgedRun) -> None:
    record = forged.record("pwws")
    trials = [held(trial) for trial in forged.trials("pwws")]
    write_record(forged.path("pwws"), follow(record, trials))
    assert "letters are not those of the trials" in failures(checked(forged))


def test_one_fooled_letter_turned_into_held(forged: ForgedRun) -> None:
    record = forged.record("pwws")
    one = only_first(held, Verdict.FOOLED)
    write_record(forged.path("pwws"), follow(record, [one(t) for t in forged.trials("pwws")]))
    assert "is H, and its trial says F" in failures(checked(forged))


def test_trials_and_record_forged_together(forged: ForgedRun) -> None:
    forged.forge("pwws", held)
    text = failures(checked(forged))
    assert "searches" in text
    assert "the same attack gives 'fooled'" in text


def test_one_forged_example_is_found_where_every_search_is_repeated(forged: ForgedRun) -> None:
    forged.forge("pwws", only_first(held, Verdict.FOOLED))
    assert "is 'held', and the same attack gives 'fooled'" in failures(checked(forged))


def test_a_record_of_another_processor_is_verified_where_everything_agrees(
    forged: ForgedRun,
) -> None:
    forged.edit("pwws", software__device="another processor (4 cores)")
    report = checked(forged)
    assert report.status == "verified", report.to_dict()
    assert not report.same_software


def test_another_processor_does_not_excuse_an_invented_held_example(forged: ForgedRun) -> None:
    """The record itself would choose how strictly it is checked."""

    def cheap(trial: Trial) -> Trial:
        return held(trial).model_copy(update={"asked": 1, "forwarded": 1})

    forged.forge("pwws", only_first(cheap, Verdict.FOOLED))
    forged.edit("pwws", software__device="another processor (4 cores)")
    report = checked(forged)
    assert report.status == "claimed"
    assert "1 of" in " ".join(report.sentences("open"))
    assert "the same attack gives 'fooled'" in " ".join(report.sentences("open"))


def test_another_processor_does_not_excuse_fewer_queries(forged: ForgedRun) -> None:
    def cheap(trial: Trial) -> Trial:
        return trial.model_copy(update={"asked": 1, "asked_at_success": 1, "forwarded": 1})

    forged.forge("pwws", only_first(cheap, Verdict.FOOLED))
    forged.edit("pwws", software__device="another processor (4 cores)")
    report = checked(forged)
    assert report.status == "claimed"
    assert "has 1 queries, and the same attack makes" in " ".join(report.sentences("open"))


def test_a_held_example_turned_into_proved(forged: ForgedRun) -> None:
    def proved(trial: Trial) -> Trial:
        return trial.model_copy(update={"verdict": Verdict.HELD_PROVED})

    forged.forge("genetic", lambda t: proved(t) if t.verdict == Verdict.HELD else t)
    report = checked(forged, "genetic")
    # A small space may really be proved; the others are attacked again.
    assert "'held-proved'" in failures(report)


def test_a_fooled_example_turned_into_proved(forged: ForgedRun) -> None:
    def proved(trial: Trial) -> Trial:
        return held(trial).model_copy(update={"verdict": Verdict.HELD_PROVED})

    forged.forge("pwws", only_first(proved, Verdict.FOOLED))
    assert "prov" in failures(checked(forged))


def test_an_adversarial_text_outside_the_surface(forged: ForgedRun) -> None:
    def outside(trial: Trial) -> Trial:
        first, *rest = trial.changes
        changed = Change(position=first.position, original=first.original, substitute="awful")
        return trial.model_copy(update={"changes": (changed, *rest)})

    forged.forge("pwws", only_first(outside, Verdict.FOOLED))
    assert "which its surface does not allow" in failures(checked(forged))


def test_a_change_of_a_word_that_is_not_there(forged: ForgedRun) -> None:
    def elsewhere(trial: Trial) -> Trial:
        first, *rest = trial.changes
        changed = first.model_copy(update={"position": 10**6})
        return trial.model_copy(update={"changes": (changed, *rest)})

    forged.forge("pwws", only_first(elsewhere, Verdict.FOOLED))
    assert "has no word" in failures(checked(forged))


def test_a_held_example_turned_into_fooled_with_an_allowed_text(forged: ForgedRun) -> None:
    """A rival's record can be forged as well: the text must fool the victim."""

    def fooled(trial: Trial) -> Trial:
        return trial.model_copy(
            update={
                "verdict": Verdict.FOOLED,
                "adversarial_prediction": 1 - trial.label,
                "asked_at_success": 1,
            }
        )

    forged.forge("pwws", only_first(fooled, Verdict.HELD))
    assert "fool" in failures(checked(forged))


def test_swapped_labels(forged: ForgedRun) -> None:
    def swapped(trial: Trial) -> Trial:
        return trial.model_copy(update={"label": 1 - trial.label})

    def with_answer(trial: Trial) -> Trial:
        assert trial.prediction is not None
        return swapped(trial).model_copy(update={"prediction": 1 - trial.prediction})

    forged.forge("pwws", with_answer)
    assert "and its text has" in failures(checked(forged))
    # With the answers as they were, the counts by label cannot be those of the letters.
    forged.forge("pwws", swapped)
    assert "the counts for each label add up to" in failures(checked(forged))


def test_a_wrong_example_turned_into_held(forged: ForgedRun) -> None:
    def right(trial: Trial) -> Trial:
        return trial.model_copy(update={"verdict": Verdict.HELD, "prediction": trial.label})

    forged.forge("pwws", only_first(right, Verdict.WRONG))
    assert "the victim is wrong on the clean text" in failures(checked(forged))


def test_trials_of_another_attack(forged: ForgedRun) -> None:
    """The other attack's trials are true, but they are not those of this attack."""
    others = {trial.id: trial for trial in forged.trials("genetic")}
    forged.forge("pwws", lambda trial: others[trial.id])
    assert "the same attack" in failures(checked(forged))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"victim__sha256": "0" * 64}, "have the hash"),
        ({"victim__configuration": "0" * 64}, "names another configuration"),
        ({"cost__asked": 0, "cost__forwarded": 0, "cost__attack_seconds": 0.0}, "add up to"),
        ({"cost__training_seconds": 0.0}, "impossible"),
        ({"cost__peak_memory_bytes": 10}, "less than the victim's weights"),
        ({"created": f"{datetime.now(UTC) + timedelta(days=400):%Y-%m-%dT%H:%M:%SZ}"}, "future"),
        ({"defense__options": {"epochs": 99}}, "'defense.options"),
        ({"defense__label": "rift"}, "defense.label"),
        ({"encoder__name": "bert"}, "encoder.name"),
        ({"task__test_name": "frozen-999"}, "its test set is called"),
        ({"protocol__lm_threshold": 50.0}, "protocol.lm_threshold"),
        ({"surface__constrained": True}, "surface.constrained"),
        ({"surface__unattackable": 3}, "surface.unattackable"),
        ({"surface__key": "1" * 64}, ""),
        ({"unknown__words": 10**6}, "unknown.words"),
        ({"trained_on": {"attacks": [], "substitutions": "mini"}}, "trained_on"),
        ({"victim__precision": "bf16"}, "victim.precision"),
        ({"disbelieved": 1}, "claims were rejected"),
        ({"search__seed": 7}, ""),
        ({"search__budget": 10}, ""),
        ({"attack__options": {"scores": "probabilities"}}, ""),
    ],
)
def test_a_forged_field(forged: ForgedRun, fields: dict[str, object], said: str) -> None:
    forged.edit("pwws", **fields)
    report = checked(forged)
    assert report.status != "verified"
    assert said in " ".join(report.sentences("failed"))


def test_forged_seconds_of_training(forged: ForgedRun) -> None:
    true = forged.record("pwws").cost.training_seconds
    assert true is not None
    forged.edit("pwws", cost__training_seconds=true + 10)
    assert "the victim's log adds up to" in failures(checked(forged))


def test_a_forged_key_of_the_cell(forged: ForgedRun) -> None:
    """The trials follow the forged key, so only the key itself tells."""
    record, path = forged.record("pwws"), forged.path("pwws")
    trials = forged.trials("pwws")
    false = follow(record.model_copy(update={"cell": "f" * 64}), trials)
    forged.folder.trials_file(record.cell_name).rename(forged.folder.trials_file(false.cell_name))
    forged.write_trials(false, trials)
    path.unlink()
    write_record(forged.folder.records / false.file_name, false)
    assert "does not follow from what made the record" in failures(checked(forged))


def test_a_record_under_another_name(forged: ForgedRun) -> None:
    path = forged.path("pwws")
    path.rename(path.with_name(path.name.replace("standard", "rift")))
    assert "its content belongs to" in failures(checked(forged))


def test_forged_curves(forged: ForgedRun) -> None:
    record = forged.record("pwws")
    assert record.curves is not None
    assert record.curves.queries is not None
    fooled = record.counts.fooled
    forged.edit("pwws", curves__queries={"at_most": [1, 1000], "fooled": [0, fooled]})
    assert "curve over queries" in failures(checked(forged))


def test_forged_counts_by_label(forged: ForgedRun) -> None:
    """A victim that leans towards one label is said to hold as much of the other."""
    record = forged.record("pwws")
    assert record.by_label is not None
    negative, positive = (each.model_dump() for each in record.by_label)
    robust = [positive["robust"] - 1, negative["robust"] + 1]
    even = [{**negative, "robust": robust[1]}, {**positive, "robust": robust[0]}]
    forged.edit("pwws", by_label=even)
    assert "the counts of the label 'negative' are not those" in failures(checked(forged))
    names = [{**negative, "label": "positive"}, {**positive, "label": "negative"}]
    forged.edit("pwws", by_label=names)
    assert "'by_label' is" in failures(checked(forged))


@pytest.mark.parametrize(
    "part", ["unknown", "curves", "disbelieved", "trained_on", "trials", "by_label"]
)
def test_a_part_that_was_removed(forged: ForgedRun, part: str) -> None:
    forged.edit("pwws", **{part: None})
    assert part in failures(checked(forged))


def _on_a_list(forged: ForgedRun, change: Callable[[Example], Example]) -> None:
    """Let a record name a list, whose texts are those of the task after a change."""
    record = forged.record("pwws")
    old = forged.folder.examples_file(record.task.file_part, record.task.digest)
    texts = read_test_set(old, record.task.digest)
    changed = [change(each) for each in texts.examples]
    new = digest(changed)
    path = forged.folder.examples_file(record.task.file_part, new)
    write_test_set(path, replace(texts, examples=changed, digest=new))
    forged.edit("pwws", task__test_name="list-mine", task__digest=new)


def test_a_list_that_is_not_here_leaves_a_claim(forged: ForgedRun) -> None:
    _on_a_list(forged, lambda example: example)
    report = checked(forged)
    assert "the list 'mine' that chose them is not here" in " ".join(report.sentences("open"))
    assert {check.name: check.outcome for check in report.checks}["task"] == "open"


@pytest.mark.parametrize(
    "change",
    [
        lambda example: replace(example, label=1 - example.label),
        lambda example: replace(example, id=f"mini-reviews/x{example.id}"),
        lambda example: replace(example, fields={"text": f"{example.fields['text']} more"}),
    ],
)
def test_a_list_of_other_texts_than_those_of_the_task(
    forged: ForgedRun, change: Callable[[Example], Example]
) -> None:
    _on_a_list(forged, change)
    assert "task: its test examples" in failures(checked(forged))


def test_a_list_in_the_folder_of_the_data(forged: ForgedRun, tmp_path: Path) -> None:
    _on_a_list(forged, lambda example: example)
    data = tmp_path / "data"
    data.mkdir()
    record = forged.record("pwws")
    texts = forged.folder.examples_file(record.task.file_part, record.task.digest)
    ids = [each.id for each in read_test_set(texts, record.task.digest).examples]
    (data / "mine.txt").write_text("\n".join(ids))
    outcomes = {check.name: check.outcome for check in checked(forged, data=data).checks}
    assert outcomes["task"] == "ok"
    (data / "mine.txt").write_text("\n".join(ids[:-1]))
    assert "not those of the list 'mine'" in failures(checked(forged, data=data))


def test_a_test_set_of_a_name_that_nobody_knows(forged: ForgedRun) -> None:
    forged.edit("pwws", task__test_name="standard-1000")
    assert "its test set is called 'standard-1000'" in failures(checked(forged))


def test_examples_that_another_task_does_not_have(forged: ForgedRun) -> None:
    forged.edit("pwws", task__other_test="mini-reviews", task__test_name="mini-reviews:mine")
    assert checked(forged).status != "verified"


def test_a_finding_with_other_numbers(forged: ForgedRun) -> None:
    (finding,) = forged.record("pwws").victim.findings
    name = finding.partition(":")[0]
    forged.edit("pwws", victim__findings=[f"{name}: nothing to worry about."])
    text = failures(checked(forged))
    assert f"the record has the finding '{name}: nothing to worry about.'" in text
    # On another processor, a number may be another one.
    forged.edit("pwws", software__device="another processor (4 cores)")
    report = checked(forged)
    assert report.status == "claimed", report.to_dict()
    assert "nothing to worry about" in " ".join(report.sentences("open"))


def test_findings_that_were_removed(forged: ForgedRun) -> None:
    assert forged.record("pwws").victim.findings, "a training that was still improving"
    forged.edit("pwws", victim__findings=[])
    assert "leaves out the finding" in failures(checked(forged))


def sealed(card: dict[str, Any]) -> dict[str, Any]:
    """Return a changed card with a new seal."""
    return with_seal({name: value for name, value in card.items() if name != "seal"})


def _swap_weights(forged: ForgedRun, scale: float) -> Path:
    """Change a victim's weights, and adapt its card."""
    (folder,) = (path.parent for path in forged.folder.victims.glob("*/victim.json"))
    weights = load_file(folder / "model.safetensors")
    changed = {name: np.ascontiguousarray(each * scale) for name, each in weights.items()}
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
    card = json.loads((folder / "victim.json").read_text())
    card["files"] = file_hashes(folder)
    card["sha256"] = weights_hash(card["files"])
    (folder / "victim.json").write_text(json.dumps(sealed(card)))
    # The log names the victim that the training made; without it nothing does.
    (folder / "training.json").unlink()
    return folder


def test_another_victim_with_an_adapted_card(forged: ForgedRun) -> None:
    _swap_weights(forged, 0.5)
    assert "have the hash" in failures(checked(forged))


def test_a_damaged_file_of_the_weights_is_named(forged: ForgedRun) -> None:
    (path,) = forged.folder.victims.glob("*/model.safetensors")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    said = failures(checked(forged))
    assert "model.safetensors' is damaged: its SHA-256 is not the one in 'victim.json'" in said
    assert "Restore it, or train the victim again." in said


def test_another_victim_whose_hash_the_record_has(forged: ForgedRun) -> None:
    """Everything names the other victim, but its answers are not those of the trials."""
    folder = _swap_weights(forged, 0.2)
    sha256 = json.loads((folder / "victim.json").read_text())["sha256"]
    forged.edit("pwws", victim__sha256=sha256)
    assert "texts:" in failures(checked(forged))


def _swap_tokenizer(forged: ForgedRun) -> None:
    """Change a file of the tokenizer, and adapt the card."""
    (path,) = forged.folder.victims.glob("*/victim.json")
    folder = path.parent
    card = json.loads(path.read_text())
    name = next(each for each in card["files"] if each.startswith("tokenizer/"))
    (folder / name).write_text((folder / name).read_text() + "\n")
    card["files"] = file_hashes(folder)
    path.write_text(json.dumps(sealed(card)))
    (folder / "training.json").unlink()


def test_a_record_of_an_earlier_version_is_verified_with_a_note(forged: ForgedRun) -> None:
    """It has no hash of the tokenizer, and the code that made it was another one."""
    forged.of_other_code("pwws")
    path = forged.path("pwws")
    data = {**json.loads(path.read_text()), "schema": 5}
    for name in ("seal", "trials", "by_label"):
        del data[name]
    del data["victim"]["identity"], data["software"]["foreign_code"]
    del data["search"]["example_seconds"]
    path.write_text(json.dumps(data))
    report = checked(forged)
    assert report.status == "verified", report.sentences("failed")
    notes = " ".join(report.notes)
    assert "Made by other code" in notes
    assert "Those of the victim at hand were used" in notes


def test_a_record_of_schema_6_need_not_count_its_labels(forged: ForgedRun) -> None:
    path = forged.path("pwws")
    data = {**json.loads(path.read_text()), "schema": 6}
    del data["seal"], data["by_label"]
    path.write_text(json.dumps(with_seal(data)))
    report = checked(forged, sample=0.1)
    assert report.status == "verified", report.sentences("failed")
    # What is there is compared all the same.
    data["by_label"] = [
        {"label": "negative", "examples": 1, "answered": 1, "right": 1, "robust": 1},
    ]
    path.write_text(json.dumps(with_seal(data)))
    assert checked(forged, sample=0.1).status == "failed"


@pytest.mark.parametrize("code", [None, "0" * 64])
def test_a_record_whose_schema_was_lowered(forged: ForgedRun, code: str | None) -> None:
    """Records of schema 5 may lack parts, but the code here, or the key, is not one of theirs."""
    path = forged.path("pwws")
    data = {**json.loads(path.read_text()), "schema": 5}
    del data["seal"], data["trials"], data["curves"], data["by_label"]
    if code is not None:
        data["search"]["code_sha256"] = code
    path.write_text(json.dumps(data))
    text = failures(checked(forged, sample=0.1))
    assert "its schema is 5, and the code that made it writes schema 6 or more" in text


def test_another_tokenizer_where_the_record_names_other_software(forged: ForgedRun) -> None:
    _swap_tokenizer(forged)
    data = json.loads(forged.path("pwws").read_text())
    forged.edit("pwws", software={**data["software"], "robench": "0.0.1"})
    assert "victim.identity" in failures(checked(forged))
    # Without the hash the record does not say which victim it is about.
    forged.edit("pwws", victim__identity=None)
    report = checked(forged)
    assert report.status == "claimed"
    assert "which tokenizer" in " ".join(report.sentences("open"))


@pytest.mark.parametrize("name", ["rift", "RIFT "])
def test_a_victim_with_the_name_of_another_defense(forged: ForgedRun, name: str) -> None:
    record, path = forged.record("pwws"), forged.path("pwws")
    victim = record.victim.model_copy(update={"name": name})
    false, trials = record.model_copy(update={"victim": victim}), forged.trials("pwws")
    forged.folder.trials_file(record.cell_name).rename(forged.folder.trials_file(false.cell_name))
    path.unlink()
    write_record(forged.folder.records / false.file_name, false)
    assert len(trials) == 24
    assert "but the defense 'standard' trained it" in failures(checked(forged))


def test_a_card_that_names_another_training(forged: ForgedRun) -> None:
    (path,) = forged.folder.victims.glob("*/victim.json")
    card = json.loads(path.read_text())
    card["ingredients"]["options"]["epochs"] = 20
    path.write_text(json.dumps(sealed(card)))
    assert "does not follow from what the card says" in failures(checked(forged))


def test_a_victim_that_is_not_there(forged: ForgedRun) -> None:
    shutil.rmtree(forged.folder.victims)
    report = checked(forged)
    assert report.status == "claimed"
    assert "its victim is not there" in " ".join(report.sentences("open"))
    assert "searches: it needs the victim" in report.sentences("open")
    found = verify(forged.root, EVERYTHING)
    assert not found.failed
    assert found.stored is None
    assert "nothing is stored" in found.unstored


def test_trials_that_are_not_there(forged: ForgedRun) -> None:
    shutil.rmtree(forged.folder.trials)
    report = checked(forged)
    assert report.status == "claimed"
    assert "trials are missing" in " ".join(report.sentences("open"))
    assert "searches: it needs the trials" in report.sentences("open")


def test_texts_that_are_not_there(forged: ForgedRun) -> None:
    shutil.rmtree(forged.folder.examples)
    report = checked(forged)
    assert report.status == "claimed"
    assert "searches: it needs the texts" in report.sentences("open")


def test_all_that_is_not_there_is_named(forged: ForgedRun) -> None:
    shutil.rmtree(forged.folder.victims)
    shutil.rmtree(forged.folder.trials)
    assert "searches: it needs the victim and the trials" in checked(forged).sentences("open")


def _empty_surface(forged: ForgedRun) -> None:
    """Take every substitute out of the surfaces, whose keys stay as they are."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from robench.text.surface import SEAL
    from robench.text.surface_building import _write

    for path in forged.folder.surfaces.glob("*.parquet"):
        table = pq.read_table(path, read_dictionary=["id", "word"])
        kept = table.filter(pc.equal(table.column("option"), 0))
        about = {name: each for name, each in table.schema.metadata.items() if name != SEAL}
        _write(kept.replace_schema_metadata(about), path)


def test_a_surface_without_substitutes(forged: ForgedRun) -> None:
    """The trials fit such a surface: nothing can be changed, so everything is proved."""
    _empty_surface(forged)

    def proved(trial: Trial) -> Trial:
        if trial.verdict in (Verdict.WRONG, Verdict.ERROR):
            return trial
        return held(trial).model_copy(update={"verdict": Verdict.HELD_PROVED, "problem": None})

    forged.forge("pwws", proved)
    report = checked(forged)
    assert report.status == "failed"
    assert "surface" in " ".join(report.sentences("failed"))


def test_a_surface_that_is_not_there_is_built_again(forged: ForgedRun) -> None:
    shutil.rmtree(forged.folder.surfaces)
    assert checked(forged).status == "verified"


def test_a_damaged_surface_is_named_and_built_again(forged: ForgedRun) -> None:
    for path in forged.folder.surfaces.glob("*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    report = checked(forged)
    assert report.status == "verified"
    assert any(note.startswith("the stored surface cannot be used (") for note in report.notes)


def test_a_smaller_sample_is_repeated_with_its_seed(forged: ForgedRun) -> None:
    one, same = (checked(forged, sample=0.2, seed=5) for _ in range(2))
    assert one.status == same.status == "verified"
    assert one.searched == same.searched < 24


def test_another_language_model_leaves_a_claim(forged: ForgedRun) -> None:
    report = checked(forged, lm="none")
    assert report.status == "claimed"
    assert "another language model" in " ".join(report.sentences("open"))


Damage = Callable[[ForgedRun], None]


def _deep(forged: ForgedRun) -> None:
    (forged.folder.records / "a-deep.json").write_text("[" * 100_000)


def _digits(forged: ForgedRun) -> None:
    (forged.folder.records / "a-digits.json").write_text('{"schema": ' + "9" * 10_000 + "}")


def _options(forged: ForgedRun) -> None:
    forged.edit("genetic", attack__options={"population": "many", "\x1b[31m": []})


def _card(forged: ForgedRun) -> None:
    (path,) = forged.folder.victims.glob("*/victim.json")
    other = path.parent.parent / "other"
    other.mkdir()
    other.joinpath("victim.json").write_text('{"schema": 2, "files": 3}')


def _tokens(forged: ForgedRun) -> None:
    (forged.folder.trials / "x.jsonl").write_bytes(b"\0" * 1000)


@pytest.mark.parametrize("damage", [_deep, _digits, _options, _card, _tokens])
def test_a_hostile_file_does_not_stop_the_others(forged: ForgedRun, damage: Damage) -> None:
    damage(forged)
    found: Verification = verify(forged.root, EVERYTHING)
    by_name = {each.path.name: each for each in found.reports}
    assert by_name[forged.path("pwws").name].status == "verified"
