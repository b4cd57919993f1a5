"""One cell of the grid: its key, and the attack on the examples that have no trial yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import robench
from robench._base import arithmetic
from robench._base.code_hash import source_sha256
from robench._base.environment import reset_peak_memory, versions
from robench._base.errors import RobenchError
from robench._base.key_code import TRIAL_CODE, TRIAL_SOFTWARE
from robench.evaluation.known_trials import sort_known
from robench.evaluation.time_limit import remark_of_limit, time_limit
from robench.plugins.registry import IN_PROCESS
from robench.records.record import LETTERS
from robench.records.run_folder import RunFolder, cell_name
from robench.records.trial_check import TrialRules
from robench.search.attack import Trial
from robench.search.registry import ATTACKS
from robench.search.trials import TrialFile

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.evaluation.resolved import ResolvedAttack, ResolvedTest
    from robench.evaluation.resolved_victims import ResolvedVictim
    from robench.evaluation.unknown_words import UnknownWords
    from robench.evaluation.victims import ReadyVictim
    from robench.protocol import Protocol
    from robench.search.jobs import Job
    from robench.tasks.example import Example
    from robench.text.space import SearchSpace
    from robench.text.surface import Surface


def cell_key(
    request: EvaluationRequest,
    victim: ResolvedVictim,
    identity: str,
    attack: ResolvedAttack,
    made_from: Mapping[str, Any],
    calibration: str | None = None,
    *,
    device: str | None = None,
    products: str | None = None,
) -> str:
    """Return the SHA-256 (hex) of everything that decides a trial, apart from the example.

    ``--limit`` is not part of the key, so a longer run reuses the trials of a shorter one. The
    kind of device and the versions of ``TRIAL_SOFTWARE`` are part of it, because they change
    low-order bits.

    Args:
        request: the evaluation.
        victim: the victim, with the seed and the device of the search.
        identity: hash of everything that decides the victim's answers (``Obtained.identity``).
        attack: the attack with its options.
        made_from: everything that decides the surface (``Surface.meta["made_from"]``). Its
            digest of the attacked texts is left out, because it depends on the limit.
        calibration: digest of the examples that the victim's temperature is fitted on, or None.
            With the victim and the code it decides the temperature.
        device: kind of the device of another machine; None takes that of the victim.
        products: setting of its matrix products; None takes that of this process.
    """
    all_versions = versions()
    parts = {
        "robench": robench.__version__,
        "victim": identity,
        "configuration": victim.key,
        "attack": attack.name,
        "options": attack.options,
        "code": {"attack": attack.code_sha256, "search": source_sha256(*TRIAL_CODE)},
        "surface": {name: value for name, value in made_from.items() if name != "texts"},
        "constrained": attack.constrained,
        "seed": victim.seed,
        "budget": request.budget,
        "choices": {"unknown": request.unknown, "temperature": request.temperature},
        "calibration": calibration,
        "precision": request.search_precision,
        "device": device or victim.device.partition(":")[0],
        "arithmetic": products or arithmetic.products(),
        "software": {
            name: version for name, version in all_versions.items() if name in TRIAL_SOFTWARE
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


@dataclass(frozen=True)
class Cell:
    """One victim under one attack, with everything that the search and record need.

    Attributes:
        request: the evaluation.
        test: the test set with its examples.
        victim: the victim that is attacked.
        attack: the attack with its options.
        surface: the surface of the test set, with the attack's substitution set.
        own_surface: key of the surface with the task's own substitution set.
        language_model: identity of the scorer, or ``"none"``.
        unknown: what the victim does not know of the surface.
    """

    request: EvaluationRequest
    test: ResolvedTest
    victim: ReadyVictim
    attack: ResolvedAttack
    surface: Surface
    own_surface: str
    language_model: str
    unknown: UnknownWords

    @property
    def resolved(self) -> ResolvedVictim:
        """What the request says about the victim."""
        return self.victim.resolved

    @cached_property
    def protocol(self) -> Protocol:
        """The evaluation choices: those of the victim's protocol, and those of the run."""
        return self.request.judged_by(self.resolved.protocol)

    @property
    def removed(self) -> frozenset[str]:
        """The substitutes that the protocol takes from this victim."""
        unknown = self.unknown.words if self.protocol.unknown == "forbidden" else None
        return unknown or frozenset()

    @cached_property
    def key(self) -> str:
        """Key of the cell (``cell_key``)."""
        return cell_key(
            self.request,
            self.resolved,
            self.victim.obtained.identity,
            self.attack,
            self.surface.meta["made_from"],
            self.victim.calibration,
        )

    @property
    def name(self) -> str:
        """Name of the cell in file names."""
        return cell_name(
            self.test.file_part,
            self.resolved.row_name,
            self.attack.name,
            self.resolved.seed,
            self.key,
        )

    @property
    def example_seconds(self) -> float | None:
        """Time limit of an example; None for no limit."""
        return time_limit(self.request.example_seconds, self.attack)

    @property
    def title(self) -> str:
        """Name of the cell for people."""
        victim, texts = self.resolved, self.test.other or self.test.task
        return f"{victim.label} with {self.attack.label} on {texts}, seed {victim.seed}"


def complete_trials(cell: Cell, report: Reporter) -> tuple[list[Trial], bool]:
    """Attack the examples that have no trial in the cell's file.

    Returns:
        The trials of all examples in the order of the examples, and whether any of them is new.

    Raises:
        RobenchError: the disk is full, or trials are missing afterwards.
    """
    request = cell.request
    path = RunFolder(request.out).trials_file(cell.name)
    file = TrialFile(path, request.patience(report), cell=cell.key)
    examples = cell.test.examples
    # The file is locked first, so that no other run adds trials after it was read.
    with file:
        known = sort_known(
            file.read(), examples, cell.test.whole, rules_of(cell), partial(space_of, cell)
        )
        done = [known.done[example.id] for example in examples if example.id in known.done]
        todo = [example for example in examples if example.id not in known.done]
        for sentence in known.sentences(file, attacking=bool(todo)):
            report.message(sentence)
        for example_id, reason in known.impossible.items():
            file.revoke(example_id, reason)
        if not todo:
            return done, False
        _attack_unchanged(cell, file, todo, done, report)
        trials = {trial.id: trial for trial in file.read()}
    missing = [example.id for example in examples if example.id not in trials]
    if missing:
        raise RobenchError(
            f"{len(missing)} trials are missing in {file.path}, the first for {missing[0]}. Run "
            "the same command again."
        )
    return [trials[example.id] for example in examples], True


def rules_of(cell: Cell) -> TrialRules:
    """Return what holds for all trials of a cell."""
    victim = cell.victim.victim
    return TrialRules(
        victim.labels, victim.attackable, cell.attack.attack.outside, cell.request.budget
    )


def space_of(cell: Cell, example: Example) -> SearchSpace:
    """Return what the attack of a cell could choose for an example."""
    from robench.search.jobs import make_jobs

    (job,) = make_jobs(
        [example],
        cell.surface,
        cell.victim.victim,
        constrained=cell.attack.constrained,
        threshold=cell.protocol.lm_threshold,
        without=cell.removed,
    )
    return job.space


def _attack_unchanged(
    cell: Cell,
    file: TrialFile,
    todo: Sequence[Example],
    done: Sequence[Trial],
    report: Reporter,
) -> None:
    """Attack the examples ``todo``, and put the trials aside if that changed the victim.

    They are put aside as well if the attack keeps state.

    Raises:
        VictimChanged: it did. Trials of earlier runs are put aside too: one that was killed did
            not compare the victim any more.
    """
    from robench.search.repeats import KeepsState
    from robench.search.unchanged import UnchangedVictim, VictimChanged

    unchanged = UnchangedVictim(cell.victim.victim)
    try:
        try:
            _attack(cell, file, todo, done, report)
        except KeepsState:
            # A changed victim gives other trials too, and that is then the better reason.
            unchanged.check(cell.attack.label)
            raise
        unchanged.check(cell.attack.label)
    except VictimChanged as error:
        aside = file.path.with_name(f"{file.path.name}.aside")
        file.path.replace(aside)
        raise VictimChanged(f"{error} They are put aside in '{aside}'.") from error


def _attack(
    cell: Cell,
    file: TrialFile,
    todo: Sequence[Example],
    done: Sequence[Trial],
    report: Reporter,
) -> None:
    """Attack the examples ``todo`` and append their trials to ``file``."""
    total = len(done) + len(todo)
    report.started("attack", cell.title, total)
    if done:
        report.message(
            f"{len(done)} of {total} trials exist from an earlier run. The other {len(todo)} "
            "examples are attacked now."
        )
    letters = [LETTERS[trial.verdict] for trial in done]
    reset_peak_memory(cell.resolved.device)
    for trial in search_examples(cell, todo, report):
        file.append(trial)
        letters.append(LETTERS[trial.verdict])
        report.advanced(len(letters), total, progress_note(letters))
    report.finished(progress_note(letters))


def search_examples(cell: Cell, todo: Sequence[Example], report: Reporter) -> Iterator[Trial]:
    """Return the trials of ``todo`` as they finish, from this process or from workers."""
    from robench.search.engine import run
    from robench.search.jobs import make_jobs
    from robench.search.packing import choose_shapes
    from robench.search.workers import WorkerPlan, default_workers, run_workers

    victim, attack = cell.victim.victim, cell.attack
    threshold = cell.protocol.lm_threshold
    jobs = make_jobs(
        todo,
        cell.surface,
        victim,
        constrained=attack.constrained,
        threshold=threshold,
        without=cell.removed,
    )
    settings = replace(
        cell.request.search_settings(cell.resolved.seed, cell.resolved.device),
        temperature=cell.victim.temperature or 1.0,
        example_seconds=cell.example_seconds,
    )
    shapes, remark = choose_shapes(victim, settings.precision, victim.vocabulary)
    if remark is not None:
        report.message(remark)
    workers = settings.workers or default_workers(
        settings.device,
        len(todo),
        victim.row_cost([example.fields for example in todo]),
        victim.parameter_bytes,
    )
    load = cell.victim.obtained.load
    limited = remark_of_limit(cell.request.example_seconds, attack)
    if limited is not None:
        report.message(limited)
    alone = _why_one_process(cell)
    if alone is not None and (settings.workers or 1) > 1:
        report.message(f"{alone}, so --workers has no effect.")
    # The code of others runs where it cannot end this process.
    here = workers == 1 and attack.built_in
    if load is None or alone is not None or here:
        search = partial(run, victim, attack.attack, attack.registered, settings=settings)
        return _searched_here(partial(search, shapes=shapes), jobs, attack)
    source = cell.victim.obtained.source
    plan = WorkerPlan(source, attack.registered, attack.options, settings, shapes, load)
    return run_workers(plan, jobs, workers, report.message)


def _searched_here(
    search: Callable[..., Iterator[Trial]], jobs: Iterator[Job], attack: ResolvedAttack
) -> Iterator[Trial]:
    """Return the trials of ``jobs`` from this process.

    Raises:
        KeepsState: the code of others gave an example another trial the second time.
    """
    from robench.search.repeats import Repeats

    if attack.built_in:
        yield from search(jobs=jobs)
        return
    repeats = Repeats(attack.registered)
    for trial in search(jobs=repeats.jobs(jobs)):
        repeats.note(trial)
        yield trial
    repeats.check(lambda again: search(jobs=again))


def _why_one_process(cell: Cell) -> str | None:
    """Return why worker processes cannot make this search, or None where they can."""
    if cell.victim.obtained.load is None:
        return "A function runs in this process only"
    if ATTACKS.origin(cell.attack.registered) == IN_PROCESS:
        return f"Attack '{cell.attack.registered}' was registered in this process only"
    return None


def progress_note(letters: Sequence[str]) -> str:
    """Return the accuracy under attack of the trials so far, as text; none while one has an error.

    Tables print no number for such a cell either.
    """
    errors = letters.count("E")
    if errors:
        return f"accuracy under attack: error ({errors} of {len(letters)} examples)"
    robust = sum(letter in "HP" for letter in letters)
    return f"accuracy under attack {100 * robust / len(letters):.1f} %"
