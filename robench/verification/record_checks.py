"""All checks of one record, from its file to the repeated searches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robench._base.code_hash import source_sha256
from robench._base.errors import RobenchError, UsageError
from robench._base.key_code import TRAINING_CODE
from robench.evaluation.searching import search_examples
from robench.records.invented_names import label_problems
from robench.records.record import Record
from robench.records.stored_trials import MissingTrials, StoredTrials, find_trials
from robench.records.test_set import TestSet
from robench.records.trial_texts import ids_of_judged, impossible_trials
from robench.search.attack import Trial, Verdict
from robench.search.jobs import Job, make_jobs
from robench.training.registry import DEFENSES
from robench.verification import claims, parts, searching
from robench.verification.asking import ask_again, differences
from robench.verification.checking import Checking, guarded
from robench.verification.results import Report, not_made, passed
from robench.verification.settings import VerificationSettings
from robench.verification.surfaces import StoredSurface, differing, key_problems, other_ingredients
from robench.verification.task_checks import task_problems
from robench.verification.victims import FoundVictim, NotThere
from robench.verification.workshop import Bench, Workshop

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.tasks.example import Example
    from robench.text.surface import Surface

FILE, TRIALS, TASK, VICTIM, COST = "file", "trials", "task", "victim", "cost"
SURFACE, TEXTS, SEARCH, PROOFS = "surface", "texts", "searches", "proofs"
FINDINGS, PARTS, KEY = "findings", "other fields", "cell key"
"""Names of the checks."""
NEEDING_VICTIM: Final = (SURFACE, TEXTS, SEARCH, PROOFS, FINDINGS, PARTS, KEY)
"""Checks that cannot be made without the victim."""


@dataclass
class _Work(Checking):
    """What is known of the record that is being checked.

    Attributes:
        record: the record.
        texts: its test set, or None where it is not there.
        trials: its trials in order; None where they are missing.
        found: the folder of its victim.
        bench: everything that made it.
        full: the surface of all judged examples.
        new: a surface that was built again, of the examples that are asked or attacked.
        chosen: ids of the examples that are attacked again.
    """

    record: Record
    texts: TestSet | None = None
    trials: list[Trial] | None = None
    found: FoundVictim | None = None
    bench: Bench | None = None
    full: Surface | None = None
    new: Surface | None = None
    chosen: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether the record is of a version that leaves no part out."""
        return self.report.schema >= claims.SCHEMA_WITH_ALL_PARTS


class _OtherSurface(NotThere):
    """The stored surface is not there, and a new one has another key."""

    def __init__(self, surface: Surface, stored: StoredSurface | None) -> None:
        why = "is not there" if stored is None else f"cannot be used: {stored.problem}"
        super().__init__(
            f"its surface {why}, and one that is built here has another key. The code, the words "
            "or the window may differ"
        )
        self.surface = surface


class RecordVerifier:
    """Checks records one after the other.

    Args:
        workshop: builds what a record was made from.
        settings: how much is checked.
        progress: receives the progress.
    """

    def __init__(
        self, workshop: Workshop, settings: VerificationSettings, progress: Reporter
    ) -> None:
        self._workshop, self._settings, self._progress = workshop, settings, progress

    def verify(self, report: Report) -> None:
        """Check a record, and note every check in its report."""
        assert isinstance(report.subject, Record)
        work = _Work(report, report.subject)
        self._file(work)
        self._texts_there(work)
        self._trials(work)
        self._victim(work)
        if work.found is None or work.trials is None or work.texts is None:
            self._give_up(work, "it needs the victim, the texts and the trials")
            return
        try:
            with guarded("building the cell again"):
                work.bench = self._workshop.bench(work.record, work.found)
        except (NotThere, UsageError) as error:
            self._give_up(work, str(error))
            return
        except RobenchError as error:
            work.add(passed(VICTIM, [str(error)]))
            self._give_up(work, "the victim cannot be used")
            return
        self._with_victim(work, work.bench, work.trials)

    def _with_victim(self, work: _Work, bench: Bench, trials: Sequence[Trial]) -> None:
        """Make the checks for which the victim is asked."""
        work.chosen = searching.choose_sample(
            trials, self._settings.sample, self._settings.seed, work.record.cell
        )
        self._surface(work, bench, trials)
        if work.full is None or work.new is None:
            self._give_up(work, "its surface is neither there nor can it be built")
            return
        exact = self._same_software(work, bench)
        work.report.same_software = exact
        self._ask(work, bench, trials, exact=exact)
        self._search(work, bench, trials, exact=exact)
        self._remake(work, bench, trials, exact=exact)

    def _give_up(self, work: _Work, reason: str) -> None:
        """Note that the checks which need the victim could not be made."""
        made = {check.name for check in work.report.checks}
        for name in NEEDING_VICTIM:
            if name not in made:
                work.add(not_made(name, reason))

    def _file(self, work: _Work) -> None:
        with work.check(FILE) as problems:
            problems += claims.name_problems(work.report.path, work.record.file_name)
            problems += claims.impossible_dates(work.record)
            problems += label_problems(work.record)
        if work.record.software.foreign_code:
            work.note(
                "Code of a model's folder ran in its run. 'robench verify' never runs such code."
            )

    def _texts_there(self, work: _Work) -> None:
        with work.check(TASK) as problems:
            work.texts = self._workshop.texts(work.record.task)
            problems += task_problems(work.record.task, work.texts, self._workshop.data)

    def _trials(self, work: _Work) -> None:
        record, texts = work.record, work.texts
        stored: StoredTrials | None = None
        with work.check(TRIALS) as problems:
            try:
                stored = find_trials(record, work.report.folders)
            except MissingTrials as error:
                raise NotThere(str(error)) from error
            ids = None if texts is None else ids_of_judged(texts, record)
            work.trials = claims.in_order(record, stored, ids)
            by_id = None if texts is None else texts.texts
            problems += claims.differences_from_trials(record, work.trials, by_id)
            problems += claims.missing_parts(record, work.report.schema)
            if texts is not None:
                problems += impossible_trials(work.trials, texts, record)
        if stored is not None and stored.damage and work.trials is not None:
            work.note(
                f"In {stored.path.name}, {stored.damage}. Nothing is missing: later lines hold "
                "these trials."
            )

    def _victim(self, work: _Work) -> None:
        with work.check(VICTIM) as problems:
            found = self._workshop.victims.find(work.record)
            problems += parts.card_problems(found.card)
            problems += parts.name_problems(
                work.record.victim, str(found.card["ingredients"]["defense"]), DEFENSES.names()
            )
            problems += parts.seed_problems(work.record.victim, work.record.search.seed, found.card)
            work.found = found
        found_now = work.found
        with work.check(COST) as problems:
            weights = None if found_now is None else found_now.weights_bytes
            training = None if found_now is None else found_now.training_seconds
            problems += claims.impossible_costs(work.record, weights, training)

    def _surface(self, work: _Work, bench: Bench, trials: Sequence[Trial]) -> None:
        """Build the surface of the examples that are asked or attacked, and compare it."""
        needed = {each.id for each in trials if each.changes or each.verdict == Verdict.HELD_PROVED}
        ids = frozenset({*needed, *work.chosen})
        with work.check(SURFACE) as problems:
            try:
                work.new, work.full, found = self._surfaces(bench, ids)
            except _OtherSurface as error:
                work.new = work.full = error.surface
                raise
            problems += found

    def _surfaces(self, bench: Bench, ids: frozenset[str]) -> tuple[Surface, Surface, list[str]]:
        """Return the new surface, that of all examples, and what is wrong with the stored one."""
        from robench.text.surface_building import build_surface

        stored, record = bench.stored, bench.record
        request = bench.surface_request()
        if stored is None or not stored.made_from:
            whole = build_surface(request)
            if request.key != record.surface.key:
                raise _OtherSurface(whole, stored)
            return whole, whole, []
        problems = key_problems(stored, record.surface.key)
        problems += other_ingredients(stored, request.ingredients)
        if stored.surface is None:
            whole = build_surface(request)
            return whole, whole, problems
        new = build_surface(bench.surface_request(ids))
        threshold = record.protocol.lm_threshold
        other = differing(new, stored.surface, sorted(ids), threshold)
        if other and stored.same_code:
            problems.append(
                f"the stored surface allows other words than a new one in {len(other)} of "
                f"{len(ids)} examples, the first is {other[0]}"
            )
        elif other:
            raise NotThere(
                f"other code made the surface, and a new one allows other words in {len(other)} "
                f"of {len(ids)} examples, the first is {other[0]}"
            )
        return new, stored.surface, problems

    def _same_software(self, work: _Work, bench: Bench) -> bool:
        """Note whether the key of the cell follows, and return whether bits must be equal."""
        made_from = bench.surface_request().ingredients
        surface_code = bench.surface_request().key == work.record.surface.key
        if bench.stored is not None and bench.stored.made_from:
            made_from, surface_code = bench.stored.made_from, bench.stored.same_code
        assert work.full is not None
        cell = bench.cell(work.full)
        others = parts.same_code(work.record, bench.attack)
        mine = False
        with work.check(KEY) as problems:
            keys = dict(parts.keys_of(cell, made_from, older=not work.whole))
            known = work.record.cell in keys
            mine = keys.get(work.record.cell, False)
            if not known and not others and surface_code:
                problems.append("the cell's key does not follow from what made the record")
            untold = work.record.victim.identity is None
            if not known and untold and (work.whole or not others):
                raise NotThere(
                    "its key cannot be computed here, and the record of an earlier version does "
                    "not tell which tokenizer and configuration its victim has"
                )
        if others:
            work.note(
                f"Made by {', '.join(others)}. So its key cannot be computed here, and its "
                "searches need not agree in every digit."
            )
        if others and untold:
            work.note(
                "An earlier version made it and did not write which tokenizer and configuration "
                "its victim has. Those of the victim at hand were used."
            )
        return mine and parts.same_processor(work.record, bench.ready.resolved.device)

    def _ask(self, work: _Work, bench: Bench, trials: Sequence[Trial], *, exact: bool) -> None:
        """Ask about the clean and the adversarial texts again."""
        record, report = work.record, work.report
        labels = {each.id: each.label for each in bench.test.examples}
        with work.check(TEXTS) as problems:
            self._progress.started("verify", f"{report.title}: texts", None)
            jobs = list(self._jobs(work, bench, bench.test.examples))
            known = {trial.id: trial for trial in trials}
            answers = ask_again(bench.victim, jobs, known, outside=bench.attack.attack.outside)
            found, soft = differences(trials, answers, labels, exact=exact)
            problems += found
            report.fooled = record.counts.fooled
            report.asked = len(jobs) + sum(bool(t.changes or t.text is not None) for t in trials)
            self._progress.finished(f"{report.asked} texts asked again")
            if soft:
                raise NotThere(
                    f"{len(soft)} answers are so close to the border that rounding on another "
                    f"machine decides: {soft[0]}"
                )

    def _jobs(self, work: _Work, bench: Bench, examples: Iterable[Example]) -> Iterator[Job]:
        """Yield the jobs of examples, on the new surface where it has them."""
        assert work.full is not None
        assert work.new is not None
        cells = {True: bench.cell(work.new), False: bench.cell(work.full)}
        for example in examples:
            cell = cells[example.id in work.new]
            yield from make_jobs(
                [example],
                cell.surface,
                bench.victim,
                constrained=cell.attack.constrained,
                threshold=cell.protocol.lm_threshold,
                without=cell.removed,
            )

    def _search(self, work: _Work, bench: Bench, trials: Sequence[Trial], *, exact: bool) -> None:
        """Make the proofs again, and repeat a sample of the searches."""
        by_id = {each.id: each for each in bench.test.examples}
        known = {trial.id: trial for trial in trials}
        repeated = list(work.chosen)
        with work.check(PROOFS) as problems:
            claimed = [by_id[t.id] for t in trials if t.verdict == Verdict.HELD_PROVED]
            small = [job for job in self._jobs(work, bench, claimed) if searching.is_small(job)]
            letters = searching.prove_by_asking(small, bench.victim)
            problems += [
                f"{id_} is proved according to its trial, and a text of its space fools the victim"
                for id_, letter in letters.items()
                if letter == "F"
            ]
            settled = {id_ for id_, letter in letters.items() if letter != "U"}
            repeated += [each.id for each in claimed if each.id not in settled]
            work.report.proved = len(claimed)
        with work.check(SEARCH) as problems:
            again = self._searched_again(work, bench, [by_id[id_] for id_ in sorted(repeated)])
            ended = [trial for trial in again if trial.verdict != Verdict.ERROR]
            found, soft = searching.search_differences(known, ended, exact=exact)
            problems += found
            work.report.searched = len(ended)
            if len(ended) < len(again):
                first = next(trial for trial in again if trial.verdict == Verdict.ERROR)
                raise NotThere(
                    f"{len(again) - len(ended)} of {len(again)} repeated searches did not end, "
                    f"the first of {first.id}: {first.problem}"
                )
            if soft:
                raise NotThere(
                    f"{len(soft)} of {len(ended)} repeated searches end otherwise. The record "
                    "names other software or another processor, which can turn a search: "
                    f"{soft[0]}"
                )

    def _searched_again(
        self, work: _Work, bench: Bench, examples: Sequence[Example]
    ) -> list[Trial]:
        if not examples:
            return []
        assert work.new is not None
        cell, total = bench.cell(work.new), len(examples)
        self._progress.started("verify", f"{work.report.title}: searches", total)
        done: list[Trial] = []
        for trial in search_examples(cell, examples, self._progress):
            done.append(trial)
            self._progress.advanced(len(done), total, "")
        self._progress.finished(f"{total} searches repeated")
        return done

    def _remake(self, work: _Work, bench: Bench, trials: Sequence[Trial], *, exact: bool) -> None:
        """Compare the health checks and every other field with what the files give now."""
        assert work.full is not None
        record, cell = work.record, bench.cell(work.full)
        with work.check(FINDINGS) as problems:
            if bench.task is None:
                raise NotThere(
                    "the health checks of the victim need the dev examples of its task, which are "
                    "not here. Give the folder of the data with --data, or your file with --task"
                )
            claimed, real = record.victim.findings, cell.victim.findings
            found = parts.finding_problems(claimed, real)
            reworded = parts.reworded_findings(claimed, real)
            mine = record.victim.training_code_sha256 == source_sha256(*TRAINING_CODE)
            if (found or reworded) and not mine:
                # The health checks are part of that code, and they may have been others.
                raise NotThere(
                    f"an earlier version made the health checks: {[*found, *reworded][0]}"
                )
            problems += found
            if reworded and not exact:
                raise NotThere(
                    f"{reworded[0]}. The record names other software or another processor, which "
                    "can turn an answer"
                )
            problems += reworded
        with work.check(PARTS) as problems:
            code = cell.surface.key == record.surface.key
            now = parts.remade(cell, record, trials)
            problems += parts.part_differences(
                record,
                now,
                surface_code=code,
                same_numbers=exact,
                whole=work.whole,
            )
            if not exact and record.fresh_draws != now.fresh_draws:
                raise NotThere(
                    "'fresh_draws' is not what the victim gives here. The record names other "
                    "software or another processor, which can turn an answer."
                )
