"""Attack examples of a record again: a sample, all proofs, and what ended in an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from robench.evaluation.searching import search_examples
from robench.search.attack import Trial, Verdict
from robench.verification import searching
from robench.verification.error_trials import error_differences, unended
from robench.verification.victims import NotThere
from robench.verification.work import PROOFS, SEARCH, Work, jobs_of
from robench.verification.workshop import Bench

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.tasks.example import Example


def check_searches(
    work: Work, bench: Bench, trials: Sequence[Trial], progress: Reporter, *, exact: bool
) -> None:
    """Repeat a sample of the searches, every proof and the searches that ended in an error.

    A proof is a search that asked about every text. So the same attack must prove it again.
    """
    known = {trial.id: trial for trial in trials}
    claimed = [trial.id for trial in trials if trial.verdict == Verdict.HELD_PROVED]
    again: list[Trial] = []
    with work.check(SEARCH) as problems:
        again += _searched_again(work, bench, sorted({*work.chosen, *claimed}), progress)
        limit = _limit_of_errors(bench)
        again += _searched_again(work, bench, work.errors, progress, limit)
        found, open_ = _differences(known, again, limit, exact=exact)
        problems += found
        lost = unended(known, again, limit)
        work.report.searched = len(again) - len(lost)
        if lost:
            raise NotThere(
                f"{len(lost)} of {len(again)} repeated searches did not end, the first of "
                f"{lost[0].id}: {lost[0].problem}"
            )
        if open_:
            raise NotThere(open_)
    _note_errors(work, trials)
    _check_proofs(work, bench, claimed, again)


def _differences(
    known: Mapping[str, Trial], again: Sequence[Trial], limit: float | None, *, exact: bool
) -> tuple[list[str], str]:
    """Return what fails, and why the rest cannot be decided; empty where nothing is left."""
    failed = {each.id for each in again if known[each.id].verdict == Verdict.ERROR}
    ended = [each for each in again if each.verdict != Verdict.ERROR and each.id not in failed]
    found, soft = searching.search_differences(known, ended, exact=exact)
    errors = [each for each in again if each.id in failed]
    wrong, undecided = error_differences(known, errors, exact=exact)
    said = f"{undecided[0]}" if undecided else ""
    if soft:
        said = (
            f"{len(soft)} of {len(ended)} repeated searches end otherwise. The record names other "
            f"software or another processor, which can turn a search: {soft[0]}"
        )
    return [*found, *wrong], said


def _limit_of_errors(bench: Bench) -> float | None:
    """Return the time limit of the searches that ended in an error; None sets no limit.

    It is that of the record where it is shorter. Such a search need not take an hour again.
    """
    mine, theirs = bench.request.example_seconds, bench.record.search.example_seconds
    limits = [each for each in (mine, theirs) if each]
    return min(limits) if limits else None


def _searched_again(
    work: Work,
    bench: Bench,
    ids: Sequence[str],
    progress: Reporter,
    limit: float | None = None,
) -> list[Trial]:
    """Attack examples again, with another time limit where one is given."""
    if not ids:
        return []
    assert work.new is not None
    examples: list[Example] = [each for each in bench.test.examples if each.id in set(ids)]
    cell, total = bench.cell(work.new), len(examples)
    if limit is not None:
        request = cell.request.model_copy(update={"example_seconds": limit})
        cell = replace(cell, request=request)
    progress.started("verify", f"{work.report.title}: searches", total)
    done: list[Trial] = []
    for trial in search_examples(cell, examples, progress):
        done.append(trial)
        progress.advanced(len(done), total, "")
    progress.finished(f"{total} searches repeated")
    return done


def _note_errors(work: Work, trials: Sequence[Trial]) -> None:
    """Note how many of the errors were attacked again."""
    errors = sum(trial.verdict == Verdict.ERROR for trial in trials)
    if errors > len(work.errors):
        work.note(
            f"{len(work.errors)} of the {errors} examples that ended in an error were attacked "
            "again. --sample 1 attacks all of them."
        )


def _check_proofs(work: Work, bench: Bench, claimed: Sequence[str], again: Sequence[Trial]) -> None:
    """Ask about every text of the small spaces that the repeated search did not prove."""
    proved = {trial.id for trial in again if trial.verdict == Verdict.HELD_PROVED}
    with work.check(PROOFS) as problems:
        left = set(claimed) - proved
        examples = [each for each in bench.test.examples if each.id in left]
        small = [job for job in jobs_of(work, bench, examples) if searching.is_small(job)]
        letters = searching.prove_by_asking(small, bench.victim)
        problems += [
            f"{id_} is proved according to its trial, and a text of its space fools the victim"
            for id_, letter in letters.items()
            if letter == "F"
        ]
        work.report.proved = len(claimed)
