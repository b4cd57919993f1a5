"""Forged errors, proofs and surfaces: 'robench verify' attacks such examples again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forging import OPTIONS, ForgedRun, copied, held, only_first

from robench._base.reporting import Silent
from robench._base.seals import SEAL, seal_of
from robench.evaluation.run import build_request, evaluate
from robench.search.attack import Trial, Verdict
from robench.verification import searching
from robench.verification.results import Report
from robench.verification.run import verify
from robench.verification.searching import MOST_TEXTS
from robench.verification.settings import VerificationSettings

pytestmark = pytest.mark.slow


def checked(forged: ForgedRun, attack: str = "pwws", sample: float = 1.0) -> Report:
    """Verify the record of one attack."""
    settings = VerificationSettings(
        sample=sample, seed=0, device="cpu", workers=1, names=(f"-{attack}-s",)
    )
    (report,) = verify(forged.root, settings).reports
    return report


def failures(report: Report) -> str:
    """Return what failed, as one text."""
    assert report.status == "failed", report.to_dict()
    return " ".join(report.sentences("failed"))


def error(trial: Trial, problem: str = "the worker died", *, clean: bool = True) -> Trial:
    """Return a trial as one that ended in an error, with or without a clean answer."""
    without: dict[str, Any] = {} if clean else {"prediction": None, "probs": None}
    changes: dict[str, Any] = {"verdict": Verdict.ERROR, "problem": problem, **without}
    changes |= {"adversarial_prediction": None, "adversarial_probs": None, "changes": ()}
    return trial.model_copy(update={**changes, "asked_at_success": None})


def turned(
    *verdicts: Verdict, problem: str = "the worker died", clean: bool = True
) -> Callable[[Trial], Trial]:
    """Return a change of the trials with some verdicts into errors."""

    def change(trial: Trial) -> Trial:
        return error(trial, problem, clean=clean) if trial.verdict in verdicts else trial

    return change


@pytest.mark.parametrize("sample", [1.0, 0.05])
@pytest.mark.parametrize(
    ("verdicts", "clean"),
    [
        ((Verdict.FOOLED,), True),
        ((Verdict.WRONG,), False),
        ((Verdict.WRONG, Verdict.FOOLED), False),
    ],
)
def test_results_turned_into_errors(
    forged: ForgedRun, verdicts: tuple[Verdict, ...], clean: bool, sample: float
) -> None:
    """An error is no result that anybody may choose, whatever the sample is."""
    number = sum(trial.verdict in verdicts for trial in forged.trials("pwws"))
    assert number > 1
    forged.forge("pwws", turned(*verdicts, clean=clean))
    text = failures(checked(forged, sample=sample))
    assert f"{number} examples ended in an error that does not occur here" in text
    assert "(the worker died)" in text


@pytest.mark.parametrize(
    "problem",
    [
        "the worker process died on it twice (signal 9)",
        "the victim failed: OutOfMemoryError: CUDA out of memory",
    ],
)
def test_an_error_of_the_machine_leaves_a_claim(forged: ForgedRun, problem: str) -> None:
    """Nobody can decide here how much memory another machine had."""
    forged.forge("pwws", only_first(lambda t: error(t, problem), Verdict.FOOLED))
    report = checked(forged)
    assert report.status == "claimed", report.to_dict()
    said = " ".join(report.sentences("open"))
    assert "1 example ended in an error that does not occur here" in said
    assert "gives 'fooled'" in said


def test_an_error_of_another_processor_leaves_a_claim(forged: ForgedRun) -> None:
    forged.forge("pwws", turned(Verdict.FOOLED))
    forged.edit("pwws", software__device="another processor (4 cores)")
    report = checked(forged)
    assert report.status == "claimed", report.to_dict()
    assert "does not occur here" in " ".join(report.sentences("open"))


def test_an_error_with_another_clean_answer(forged: ForgedRun) -> None:
    def other(trial: Trial) -> Trial:
        changed = error(trial, "the worker process died on it twice (signal 9)")
        return changed.model_copy(update={"probs": (0.5, 0.5)})

    forged.forge("pwws", only_first(other, Verdict.HELD))
    assert "has other probabilities on its clean text" in failures(checked(forged))


@pytest.fixture(scope="module")
def proving_run(short_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same victim under an attack that asks about every text."""
    out = copied(short_run, tmp_path_factory.mktemp("proving") / "run").root
    options = {name: value for name, value in OPTIONS.items() if name.startswith("defense.")}
    request = build_request(
        defenses=("standard",),
        attacks=("exhaustive",),
        limit=24,
        options=options,
        device="cpu",
        workers=1,
        out=out,
    )
    evaluate(request, Silent())
    return out


@pytest.fixture
def proving(proving_run: Path, tmp_path: Path) -> ForgedRun:
    """A copy of that run."""
    return copied(proving_run, tmp_path / "proving")


def test_a_small_proof_with_fewer_queries(
    proving: ForgedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its texts could be asked about, and that would say nothing of the queries."""
    trials = proving.trials("exhaustive")
    proved = [t for t in trials if t.verdict == Verdict.HELD_PROVED and t.asked > 1]
    smallest = min(proved, key=lambda trial: trial.asked)
    monkeypatch.setattr(searching, "MOST_TEXTS", max(MOST_TEXTS, smallest.asked))

    def cheap(trial: Trial) -> Trial:
        fewer = {"asked": 1, "forwarded": 1}
        return trial.model_copy(update=fewer) if trial.id == smallest.id else trial

    proving.forge("exhaustive", cheap)
    text = failures(checked(proving, "exhaustive", sample=0.05))
    said = f"{smallest.id} has 1 queries, and the same attack makes {smallest.asked}"
    assert said in text


def test_a_proof_by_an_attack_that_does_not_prove(forged: ForgedRun) -> None:
    """Every claim is found, however small the space is and whatever the sample."""

    def claimed(trial: Trial) -> Trial:
        verdict = {"verdict": Verdict.HELD_PROVED}
        return trial.model_copy(update=verdict) if trial.verdict == Verdict.HELD else trial

    number = sum(trial.verdict == Verdict.HELD for trial in forged.trials("pwws"))
    forged.forge("pwws", claimed)
    report = checked(forged, sample=0.05)
    text = failures(report)
    assert "is 'held-proved', and the same attack gives 'held'" in text
    shown = text.count("is 'held-proved', and the same attack gives")
    more = number - shown
    assert more <= 0 or f"There are {more} more differences of this kind" in text


def _without_options_of(forged: ForgedRun, ids: set[str]) -> None:
    """Take the substitutes of some examples out of the surface, and count again as it says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from robench.text.surface import METADATA
    from robench.text.surface_building import _write

    key = forged.record("pwws").surface.key
    path = forged.folder.surfaces / f"{key}.parquet"
    table = pq.read_table(path, read_dictionary=["id", "word"])
    rows = list(
        zip(table.column("id").to_pylist(), table.column("option").to_pylist(), strict=True)
    )
    keep = [not (id_ in ids and option > 0) for id_, option in rows]
    about = json.loads(table.schema.metadata[METADATA])
    left = [option for kept, (_, option) in zip(keep, rows, strict=True) if kept]
    about["counts"] |= {
        "words": left.count(0),
        "positions": left.count(1),
        "substitutes": sum(option > 0 for option in left),
    }
    kept = table.filter(pa.array(keep))
    _write(kept.replace_schema_metadata({METADATA: json.dumps(about).encode()}), path)


def test_a_surface_that_was_emptied_where_nothing_is_attacked(forged: ForgedRun) -> None:
    """The file has a new seal and the record the new counts; no search ever saw these words."""
    wrong = {t.id for t in forged.trials("pwws") if t.verdict == Verdict.WRONG}
    assert wrong
    _without_options_of(forged, wrong)
    text = failures(checked(forged))
    assert "the stored surface allows other words than a new one" in text
    # Whoever adapts the counts of the record as well is found in the same way.
    path = forged.path("pwws")
    said = [each for each in text.split("'") if each.startswith(("surface.", "unknown."))]
    data = json.loads(path.read_text())
    for name in said:
        part, field = name.split(".")
        value = text.split(f"'{name}' is ")[1].split("its files give ")[1].split()[0]
        data[part][field] = json.loads(value)
    data[SEAL] = seal_of(data)
    path.write_text(json.dumps(data))
    assert said
    text = failures(checked(forged))
    assert "the stored surface allows other words than a new one" in text
    assert "other fields" not in text


def test_a_part_of_a_surface_is_named_in_a_note(forged: ForgedRun) -> None:
    report = checked(forged, sample=0.1)
    assert report.status == "verified", report.to_dict()
    assert "compared with the stored surface only" in " ".join(report.notes)
    assert not checked(forged).notes


def test_probabilities_that_were_removed(forged: ForgedRun) -> None:
    without = {"probs": None, "adversarial_probs": None}
    forged.forge("pwws", lambda t: t.model_copy(update=without))
    # The name of another processor excuses rounding, and no missing number.
    forged.edit("pwws", software__device="another processor (4 cores)")
    assert "has no probabilities on its clean text" in failures(checked(forged, sample=0.05))


def test_probabilities_that_were_removed_from_one_wrong_example(forged: ForgedRun) -> None:
    forged.forge("pwws", only_first(_bare, Verdict.WRONG))
    assert "has no probabilities on its clean text" in failures(checked(forged))


def _bare(trial: Trial) -> Trial:
    return trial.model_copy(update={"probs": None})


def test_held_examples_stay_what_they_are(forged: ForgedRun) -> None:
    """A change that changes nothing is no forgery."""
    forged.forge("pwws", lambda t: t if t.verdict == Verdict.FOOLED else held(t))
    assert checked(forged).status == "verified"
