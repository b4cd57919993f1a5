"""Invented runs that a board could take, their archives, and forged archives."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from certified import make_certificate
from records import make_record, sha

from robench.certification.results import ExampleResult, ResultFile
from robench.records.certificate import Certificate
from robench.records.certificate_files import write_certificate
from robench.records.record import LETTERS, Record, digest_of_ids
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.records.test_set import TestSet, write_test_set
from robench.records.trials_part import TrialsPart, digest_of_trials
from robench.search.attack import Change, Trial
from robench.search.trials import TrialFile
from robench.submission.manifest import MANIFEST, file_part, manifest_of
from robench.tasks.example import Example
from robench.tasks.frozen import digest, make_examples

VERDICTS = {letter: verdict for verdict, letter in LETTERS.items()}
BOARD = """\
title = "A toy board"
task = "toy"
encoder = "tiny"
protocol = "rift2021"
attacks = ["pwws", "genetic"]
records = "records"
"""


def examples_of(number: int) -> list[Example]:
    """Return examples whose second word may become ``fine``."""
    return make_examples("toy", [({"text": f"a good film {i}"}, i % 2) for i in range(number)])


def trial_of(example: Example, letter: str) -> Trial:
    """Return a possible trial with this verdict."""
    right, fooled = letter != "W", letter == "F"
    prediction = example.label if right else 1 - example.label
    return Trial(
        id=example.id,
        verdict=VERDICTS[letter],
        label=example.label,
        prediction=prediction,
        adversarial_prediction=1 - example.label if fooled else None,
        changes=(Change(position=1, original="good", substitute="fine"),) if fooled else (),
        asked=8 if right else 0,
        asked_at_success=5 if fooled else None,
        forwarded=6 if right else 0,
        problem="it broke" if letter == "E" else None,
    )


def write_cell(run: Path, outcomes: str, **values: Any) -> Record:
    """Write record, trials and texts of one cell into the folder of a run."""
    folder, examples = RunFolder(run), examples_of(max(len(outcomes), values.get("examples") or 0))
    own = {"task": {"digest": digest(examples)}, "surface": {"rules": sha("rules")}}
    record = make_record(outcomes, **{**own, **values})
    test_set = TestSet("toy", record.task.digest, ("negative", "positive"), "text", examples)
    write_test_set(folder.examples_file("toy", record.task.digest), test_set)
    trials = [trial_of(each, letter) for each, letter in zip(examples, outcomes, strict=False)]
    with TrialFile(folder.trials_file(record.cell_name), cell=record.cell) as file:
        for trial in trials:
            file.append(trial)
    update = {
        "trials": TrialsPart(sha256=digest_of_trials(trials, record.cell)),
        "ids_digest": digest_of_ids(trial.id for trial in trials),
    }
    whole = record.model_copy(update=update)
    write_record(folder.records / whole.file_name, whole)
    return whole


def write_run(run: Path) -> list[Record]:
    """Write a run of one row under two attacks on four texts."""
    return [write_cell(run, "WFHH", attack="pwws"), write_cell(run, "WHFH", attack="genetic")]


def write_certified(run: Path, record: Record, letters: str, **fields: Any) -> Certificate:
    """Write a certificate about the victim of a record with its verdicts, and its surface."""
    folder, surface = RunFolder(run), record.surface
    space = {
        "key": surface.key,
        "rules": surface.rules,
        "language_model": surface.language_model,
        "constrained": surface.constrained,
    }
    of_record: dict[str, Any] = {
        "task": record.task,
        "victim": record.victim,
        "protocol": record.protocol,
        "ids_digest": record.ids_digest,
        "space": space,
    }
    made = make_certificate(letters, **(of_record | fields))
    write_certificate(folder.certificates / made.file_name, made)
    file = ResultFile(folder.certificates / f"{made.name}.jsonl", made.key)
    with file:
        for number, letter in enumerate(letters):
            verdict = {"id": str(number), "letter": letter, "reason": "enumeration"}
            file.append(ExampleResult.model_validate({**verdict, "positions": number}))
    folder.surfaces.mkdir(exist_ok=True)
    (folder.surfaces / f"{surface.key}.parquet").write_bytes(b"a surface")
    return made


def write_board(folder: Path) -> Path:
    """Write a board that takes such runs, without records, and return its TOML file."""
    folder.mkdir(exist_ok=True)
    path = folder / "toy.toml"
    path.write_text(BOARD)
    return path


Members = dict[str, bytes]


def of_a_folder(members: Members) -> Members:
    """Return the members that the archive of a run's folder has as well."""
    own = ("submission.json", "CHECKLIST.md", "adversarial/")
    return {name: content for name, content in members.items() if not name.startswith(own)}


def members_of(archive: Path) -> Members:
    """Return name -> content of the members of an archive."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write_archive(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write an archive with these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def listed_again(members: Members) -> Members:
    """Return the members with a list of files that fits them, as a careful forger would do."""
    rest = {name: content for name, content in members.items() if name != MANIFEST}
    return {**rest, MANIFEST: manifest_of({n: file_part(each) for n, each in rest.items()})}


def forged(archive: Path, target: Path, change: Callable[[Members], object], careful: bool) -> Path:
    """Return a copy of an archive after a change of its members.

    Args:
        archive: an honest archive.
        target: the copy.
        change: changes the members in place.
        careful: whether the list of files follows the change.
    """
    members = members_of(archive)
    change(members)
    return write_archive(target, listed_again(members) if careful else members)
