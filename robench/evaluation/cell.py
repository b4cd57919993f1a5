"""One cell of the grid: its key, its trials file and its search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import robench
from robench._base import arithmetic
from robench._base.code_hash import source_sha256
from robench._base.environment import reset_peak_memory, versions
from robench._base.errors import RobenchError
from robench._base.key_code import TRIAL_CODE, TRIAL_SOFTWARE
from robench.results.record import LETTERS
from robench.results.run_folder import cell_name
from robench.search.attack import Trial, Verdict
from robench.search.trials import TrialFile

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolve import ResolvedAttack, ResolvedTask, ResolvedVictim
    from robench.models.victim import Victim
    from robench.tasks.example import Example
    from robench.text.surface import Surface
    from robench.training.request import FitRequest


@dataclass(frozen=True)
class TrainedVictim:
    """A victim that is ready to be attacked.

    Attributes:
        seconds: its training took, None with the reason in ``unknown``.
        findings: of the checks.
    """

    victim: Victim
    folder: Path
    seconds: float | None
    unknown: str
    findings: tuple[str, ...]


def cell_key(
    request: EvaluationRequest,
    fit: FitRequest,
    victim_sha256: str,
    attack: ResolvedAttack,
    made_from: Mapping[str, Any],
) -> str:
    """SHA-256 (hex) of everything that decides a trial of this cell, but for the example itself.

    The number of examples is no part of it, so a run with a higher ``--limit`` or none goes on with the trials of a lower one. Another kind of device
    or other versions of ``TRIAL_SOFTWARE`` are: their last bits differ, so trials are not gone on with there.

    Args:
        fit: the training configuration, with the seed and the device of the search.
        made_from: what made the surface (``Surface.meta["made_from"]``); its digest of the texts attacked counts no more than the limit.
    """
    parts = {
        "robench": robench.__version__,
        "victim": victim_sha256,
        "configuration": fit.key,
        "attack": attack.name,
        "options": attack.options,
        "code": {"attack": attack.code_sha256, "search": source_sha256(*TRIAL_CODE)},
        "surface": {name: value for name, value in made_from.items() if name != "texts"},
        "constrained": attack.constrained,
        "seed": fit.seed,
        "budget": request.budget,
        "precision": request.search_precision,
        "device": fit.device.partition(":")[0],
        "arithmetic": arithmetic.products(),
        "software": {
            name: version for name, version in versions().items() if name in TRIAL_SOFTWARE
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def trials_path(out: Path, name: str) -> Path:
    """Where the trials of the cell called ``name`` are kept."""
    return out / "trials" / f"{name}.jsonl"


@dataclass(frozen=True)
class CellRun:
    """One victim under one attack: everything that the search, the trials and the record need."""

    request: EvaluationRequest
    inputs: ResolvedTask
    chosen: ResolvedVictim
    trained: TrainedVictim
    attack: ResolvedAttack
    surface: Surface
    language_model: str

    @property
    def key(self) -> str:
        """See ``cell_key``."""
        return cell_key(
            self.request,
            self.chosen.fit,
            self.trained.victim.sha256,
            self.attack,
            self.surface.meta["made_from"],
        )

    def run(self, report: Reporter) -> tuple[list[Trial], bool]:
        """Attack every example that has no trial yet.

        Returns:
            The trials of all examples, in the order of the examples, and whether any was made now.
        """
        fit = self.chosen.fit
        file = TrialFile(
            trials_path(
                self.request.out,
                cell_name(self.inputs.name, fit.defense, self.attack.name, fit.seed, self.key),
            )
        )
        examples = self.inputs.examples
        with file:  # read only once nobody else can add to it
            known = {trial.id: trial for trial in file.read()}
            # An error may have had a passing cause (memory), so it is tried again; the later line counts.
            done = {
                example.id: known[example.id]
                for example in examples
                if example.id in known and known[example.id].verdict != Verdict.ERROR
            }
            todo = [example for example in examples if example.id not in done]
            if todo and file.damaged:
                report.message(
                    f"'{file.path}' has damaged lines ({file.damaged}), as a power cut leaves them; the examples they lost are attacked again."
                )
            if todo:
                self._attack(file, todo, done, report)
            trials = {trial.id: trial for trial in file.read()}
        missing = [example.id for example in examples if example.id not in trials]
        if missing:
            raise RobenchError(
                f"{len(missing)} trials are missing in {file.path}, the first for {missing[0]}. Run the same command again."
            )
        judged = [trials[example.id] for example in examples]
        broken = [trial for trial in judged if trial.verdict == Verdict.ERROR]
        if broken:
            report.message(
                f"{len(broken)} of {len(judged)} examples ended in an error, the first ({broken[0].id}) in: {broken[0].problem}"
            )
        return judged, bool(todo)

    def _attack(
        self, file: TrialFile, todo: Sequence[Example], done: Mapping[str, Trial], report: Reporter
    ) -> None:
        total = len(done) + len(todo)
        report.started(
            "attack",
            f"{self.chosen.label} with {self.attack.label} on {self.inputs.name}, seed {self.chosen.fit.seed}",
            total,
        )
        if done:
            report.message(
                f"{len(done)} of {total} trials are there from an earlier run; going on with the other {len(todo)}."
            )
        letters = [LETTERS[trial.verdict] for trial in done.values()]
        reset_peak_memory(self.chosen.fit.device)
        for trial in self._trials(todo, report):
            file.append(trial)
            letters.append(LETTERS[trial.verdict])
            report.advanced(len(letters), total, running(letters))
        report.finished(running(letters))

    def _trials(self, todo: Sequence[Example], report: Reporter) -> Iterator[Trial]:
        from robench.search.engine import run
        from robench.search.jobs import make_jobs
        from robench.search.packing import choose_shapes
        from robench.search.workers import WorkerPlan, default_workers, run_workers

        threshold = self.chosen.fit.protocol.lm_threshold
        victim = self.trained.victim
        jobs = make_jobs(
            todo, self.surface, victim, constrained=self.attack.constrained, threshold=threshold
        )
        settings = self.request.search_settings(self.chosen.fit.seed, self.chosen.fit.device)
        shapes, remark = choose_shapes(victim, settings.precision, victim.vocabulary)
        for sentence in filter(None, (arithmetic.warning(), remark)):
            report.message(sentence)
        workers = settings.workers or default_workers(
            settings.device,
            len(todo),
            victim.row_cost([example.fields for example in todo]),
            victim.parameter_bytes,
        )
        if workers == 1:
            name, attack = self.attack.name, self.attack.attack
            return run(victim, attack, name, jobs, settings, shapes=shapes)
        plan = WorkerPlan(
            self.trained.folder, self.attack.name, self.attack.options, settings, shapes
        )
        return run_workers(plan, jobs, workers)


def running(letters: Sequence[str]) -> str:
    """The figure so far, in words."""
    robust = sum(letter in "HP" for letter in letters)
    errors = letters.count("E")
    return f"accuracy under attack {100 * robust / len(letters):.1f} %" + (
        f", {errors} errors" if errors else ""
    )
