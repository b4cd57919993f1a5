"""All checks of one record, from its file to the repeated searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench._base.code_hash import source_sha256
from robench._base.errors import RobenchError, UsageError
from robench._base.key_code import TRAINING_CODE
from robench.records.invented_names import label_problems
from robench.records.record import Record
from robench.records.stored_trials import MissingTrials, StoredTrials, find_trials
from robench.records.trial_texts import ids_of_judged, impossible_trials
from robench.search.attack import Trial
from robench.training.registry import DEFENSES
from robench.verification import claims, parts, searching
from robench.verification.asking import ask_again, differences
from robench.verification.checking import guarded
from robench.verification.error_trials import choose_errors
from robench.verification.results import Report, not_made, passed
from robench.verification.search_check import check_searches
from robench.verification.settings import VerificationSettings
from robench.verification.surface_check import check_surface
from robench.verification.task_checks import task_problems
from robench.verification.trial_notes import free_texts, stray_notes
from robench.verification.victims import NotThere
from robench.verification.work import (
    COST,
    FILE,
    FINDINGS,
    KEY,
    NEEDING_VICTIM,
    PARTS,
    TASK,
    TEXTS,
    TRIALS,
    VICTIM,
    Work,
    jobs_of,
)
from robench.verification.workshop import Bench, Workshop

if TYPE_CHECKING:
    from robench._base.reporting import Reporter


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
        work = Work(report, report.subject)
        self._file(work)
        self._texts_there(work)
        self._trials(work)
        self._victim(work)
        if work.found is None or work.trials is None or work.texts is None:
            # The checks before say what is wrong with them.
            self._give_up(work, f"it needs {' and '.join(work.lacking)}")
            return
        try:
            with guarded("building the cell again"):
                work.bench = self._workshop.bench(work.record, work.found)
        except (NotThere, UsageError) as error:
            self._give_up(work, str(error))
            return
        except RobenchError as error:
            work.add(passed(VICTIM, [str(error)]))
            self._give_up(work, "the victim could not be loaded")
            return
        self._with_victim(work, work.bench, work.trials)

    def _with_victim(self, work: Work, bench: Bench, trials: Sequence[Trial]) -> None:
        """Make the checks for which the victim is asked."""
        how = self._settings.sample, self._settings.seed, work.record.cell
        work.chosen = searching.choose_sample(trials, *how)
        work.errors = choose_errors(trials, *how)
        check_surface(work, bench, trials, self._settings)
        if work.full is None or work.new is None:
            self._give_up(work, "its surface is neither there nor can it be built")
            return
        exact = self._same_software(work, bench)
        work.report.same_software = exact
        self._ask(work, bench, trials, exact=exact)
        check_searches(work, bench, trials, self._progress, exact=exact)
        self._remake(work, bench, trials, exact=exact)

    def _give_up(self, work: Work, reason: str) -> None:
        """Note that the checks which need the victim could not be made."""
        made = {check.name for check in work.report.checks}
        for name in NEEDING_VICTIM:
            if name not in made:
                work.add(not_made(name, reason))

    def _file(self, work: Work) -> None:
        with work.check(FILE) as problems:
            problems += claims.name_problems(work.report.path, work.record.file_name)
            problems += claims.impossible_dates(work.record)
            problems += work.lowered()
            problems += label_problems(work.record)
        if work.record.software.foreign_code:
            work.note(
                "Code of a model's folder ran in its run. 'robench verify' never runs such code."
            )

    def _texts_there(self, work: Work) -> None:
        with work.check(TASK) as problems:
            work.texts = self._workshop.texts(work.record.task)
            trained = parts.trained_in_its_run(work.record.victim)
            data = self._workshop.data
            problems += task_problems(work.record.task, work.texts, data, trained=trained)

    def _trials(self, work: Work) -> None:
        record, texts = work.record, work.texts
        stored: StoredTrials | None = None
        with work.check(TRIALS) as problems:
            ids = None if texts is None else ids_of_judged(texts, record)
            try:
                stored = find_trials(record, work.report.folders, ids)
            except MissingTrials as error:
                raise NotThere(str(error)) from error
            work.trials = claims.in_order(record, stored, ids)
            by_id = None if texts is None else texts.texts
            problems += claims.differences_from_trials(record, work.trials, by_id)
            problems += free_texts(work.trials, record.search.budget) if work.names_trials else []
            problems += claims.missing_parts(record, work.report.schema)
            if texts is not None:
                problems += impossible_trials(work.trials, texts, record)
        if stored is not None:
            for note in stray_notes(stored, texts, record):
                work.note(note)
        if stored is not None and stored.damage and work.trials is not None:
            work.note(
                f"In {stored.path.name}, {stored.damage}. Nothing is missing: later lines hold "
                "these trials."
            )

    def _victim(self, work: Work) -> None:
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

    def _same_software(self, work: Work, bench: Bench) -> bool:
        """Note whether the key of the cell follows, and return whether bits must be equal."""
        made_from = bench.surface_request().ingredients
        surface_code = bench.surface_request().key == work.record.surface.key
        if bench.stored is not None and bench.stored.made_from:
            made_from, surface_code = bench.stored.made_from, bench.stored.same_code
        assert work.full is not None
        cell = bench.cell(work.full)
        others = parts.same_code(work.record, bench.attack)
        mine, untold = False, work.record.victim.identity is None
        with work.check(KEY) as problems:
            keys = dict(parts.keys_of(cell, made_from, older=not work.names_trials))
            known = work.record.cell in keys
            mine = keys.get(work.record.cell, False)
            problems += work.lowered(own_key=True) if known else []
            if not known and not surface_code:
                # The stored surface says so itself, and anybody can write it.
                others = [*others, "other code of robench's surfaces"]
            if not known and not others:
                problems.append("the cell's key does not follow from what made the record")
            if not known and untold and (work.names_trials or not others):
                raise NotThere(
                    "its key cannot be computed here, and the record of an earlier version does "
                    "not tell which tokenizer and configuration its victim has"
                )
        if others:
            work.note(
                f"Made by {', '.join(others)}. So its key cannot be computed here, and its "
                "searches need not agree in every digit. "
                + parts.believed(work.record, work.trials)
            )
        if others and untold:
            work.note(
                "An earlier version made it and did not write which tokenizer and configuration "
                "its victim has. Those of the victim at hand were used."
            )
        return mine and parts.same_processor(work.record, bench.ready.resolved.device)

    def _ask(self, work: Work, bench: Bench, trials: Sequence[Trial], *, exact: bool) -> None:
        """Ask about the clean and the adversarial texts again."""
        record, report = work.record, work.report
        labels = {each.id: each.label for each in bench.test.examples}
        with work.check(TEXTS) as problems:
            self._progress.started("verify", f"{report.title}: texts", None)
            jobs = list(jobs_of(work, bench, bench.test.examples))
            known = {trial.id: trial for trial in trials}
            answers = ask_again(bench.victim, jobs, known, outside=bench.attack.attack.outside)
            found, soft = differences(trials, answers, labels, exact=exact, whole=work.names_trials)
            problems += found
            report.fooled = record.counts.fooled
            report.asked = len(jobs) + sum(bool(t.changes or t.text is not None) for t in trials)
            self._progress.finished(f"{report.asked} texts asked again")
            if soft:
                raise NotThere(
                    f"{len(soft)} answers are so close to the border that rounding on another "
                    f"machine decides: {soft[0]}"
                )

    def _remake(self, work: Work, bench: Bench, trials: Sequence[Trial], *, exact: bool) -> None:
        """Compare the health checks and every other field with what the files give now."""
        assert work.full is not None
        record, cell = work.record, bench.cell(work.full)
        with work.check(FINDINGS) as problems:
            if bench.task is None:
                raise NotThere(
                    "the health checks of the victim need the dev examples of its task, which are "
                    "not here. Give the folder of the data with --data, or your file with --task"
                )
            mine = record.victim.training_code_sha256 == source_sha256(*TRAINING_CODE)
            log = self._workshop.log_check(bench)
            if log.undecided or (log.wrong and not mine):
                raise NotThere(
                    f"another machine or version trained it: {[*log.wrong, *log.undecided][0]}"
                )
            problems += log.wrong
            claimed, real = record.victim.findings, cell.victim.findings
            found = parts.finding_problems(claimed, real)
            reworded = parts.reworded_findings(claimed, real)
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
                may_lack=claims.parts_that_may_lack(work.report.schema),
            )
            if not exact and record.fresh_draws != now.fresh_draws:
                raise NotThere(
                    "'fresh_draws' is not what the victim gives here. The record names other "
                    "software or another processor, which can turn an answer."
                )
