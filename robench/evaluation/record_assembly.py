"""Assemble the record of a cell from its parts, and save it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import robench
from robench._base.code_hash import source_sha256
from robench._base.environment import describe_device, peak_memory, versions
from robench._base.errors import RobenchError
from robench._base.foreign_code import foreign_code_ran
from robench._base.key_code import TRIAL_CODE
from robench.evaluation.fresh_draws import fresh_draws, fresh_draws_part
from robench.evaluation.training_surface import trained_on
from robench.evaluation.unattackable import count_unattackable
from robench.evaluation.unknown_words import unknown_part
from robench.records.by_label import count_by_label
from robench.records.curves import CurvesPart, draw_curve, query_points, word_points
from robench.records.record import (
    LETTERS,
    AttackPart,
    CostPart,
    Record,
    SearchPart,
    SoftwarePart,
    SurfacePart,
    TaskPart,
    VictimPart,
    count,
    digest_of_ids,
)
from robench.records.record_files import read_record, write_record
from robench.records.trial_texts import count_changes
from robench.records.trials_part import TrialsPart, digest_of_trials
from robench.records.unknown_part import UnknownPart
from robench.search.attack import Trial, Verdict
from robench.text.sources import WithoutPairs
from robench.text.surface_rules import surface_rules

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.cell import Cell
    from robench.evaluation.resolved import ResolvedAttack, ResolvedTest
    from robench.evaluation.resolved_victims import ResolvedVictim
    from robench.tasks.example import Example


def assemble_record(
    cell: Cell, trials: Sequence[Trial], cost: CostPart, created: datetime | None = None
) -> Record:
    """Return the record of ``cell``.

    Args:
        cell: the cell.
        trials: one trial per example, in the order of the examples.
        cost: what the cell cost.
        created: the date of the record; None for the present time.
    """
    examples, field = cell.test.examples, cell.victim.victim.attackable
    return Record(
        **parts_of_cell(cell),
        **parts_of_trials(trials, examples, field, cell.key, cell.victim.victim.labels),
        victim=victim_part(cell),
        unknown=unknown_of(cell, trials, examples),
        fresh_draws=fresh_draws_part(fresh_draws(cell.victim.victim, trials, examples)),
        cost=cost,
        software=software_part(cell.resolved),
        created=created or datetime.now(UTC).replace(microsecond=0),
    )


def parts_of_cell(cell: Cell) -> dict[str, Any]:
    """Return the fields of a record that no trial changes, by name (``shard_part.OF_CELL``)."""
    resolved, ready = cell.resolved, cell.victim
    return {
        "cell": cell.key,
        "task": task_part(cell.test, resolved),
        "encoder": resolved.encoder_part(ready.obtained),
        "defense": resolved.defense_part(ready.obtained),
        "attack": _attack_part(cell.attack),
        "protocol": cell.protocol,
        "surface": _surface_part(cell),
        "search": _search_part(cell),
        "limit": cell.test.limit,
        "trained_on": trained_on(ready.obtained.card),
    }


def parts_of_trials(
    trials: Sequence[Trial],
    examples: Sequence[Example],
    field: str,
    key: str,
    labels: Sequence[str],
) -> dict[str, Any]:
    """Return the fields of a record that follow from its trials and their texts, by name.

    Args:
        trials: one trial per example, in the order of the examples.
        examples: the judged examples.
        field: the attackable one.
        key: key of the cell.
        labels: names of the task's labels, in the order of their numbers.
    """
    outcomes = "".join(LETTERS[trial.verdict] for trial in trials)
    return {
        "outcomes": outcomes,
        "ids_digest": digest_of_ids(trial.id for trial in trials),
        "counts": count(outcomes),
        "disbelieved": sum(trial.disbelieved for trial in trials),
        "curves": _curves_part(trials, examples, field),
        "by_label": count_by_label(labels, trials),
        "trials": TrialsPart(sha256=digest_of_trials(trials, key)),
    }


def unknown_of(cell: Cell, trials: Sequence[Trial], examples: Sequence[Example]) -> UnknownPart:
    """Return the part about unknown words.

    ``examples`` are those of the trials. The counts of the surface are over all examples.
    """
    return unknown_part(
        cell.unknown.counts(constrained=cell.attack.constrained),
        trials,
        examples,
        cell.unknown.reader,
        outside=cell.attack.attack.outside,
    )


def task_part(test: ResolvedTest, victim: ResolvedVictim) -> TaskPart:
    """Return what a record or certificate says about the judged examples."""
    return TaskPart(
        name=test.task,
        test_name=test.test_name,
        digest=test.digest,
        examples=test.total,
        train_pool=victim.train_pool or "",
        synthetic=test.synthetic,
        other_test=test.other,
    )


def software_part(victim: ResolvedVictim) -> SoftwarePart:
    """Return the versions of this process and the device that the victim answers on."""
    return SoftwarePart(
        robench=robench.__version__,
        versions=versions(),
        device=describe_device(victim.device),
        foreign_code=foreign_code_ran(),
    )


def _attack_part(attack: ResolvedAttack) -> AttackPart:
    return AttackPart(
        name=attack.name,
        label=attack.label,
        options=attack.options,
        code_sha256=attack.code_sha256,
        searches=attack.attack.searches,
        access=attack.attack.access,
    )


def victim_part(cell: Cell) -> VictimPart:
    """Return the part about the victim, with what its checks found."""
    ready = cell.victim
    part = cell.resolved.victim_part(ready.obtained, ready.findings)
    return part.model_copy(update={"temperature": ready.temperature})


def _surface_part(cell: Cell) -> SurfacePart:
    source, outside = cell.test.source(cell.attack.substitutions), cell.attack.attack.outside
    return SurfacePart(
        key=cell.surface.key,
        rules=surface_rules(cell.surface.meta["made_from"]),
        own_key=None if cell.own_surface == cell.surface.key else cell.own_surface,
        substitutions=None if outside else source.name,
        substitutions_sha256=None if outside else source.sha256,
        held_out=None if outside else isinstance(source, WithoutPairs),
        language_model=cell.language_model,
        scores=cell.surface.meta["scores"],
        splitter=cell.surface.meta["made_from"]["splitter"],
        constrained=cell.attack.constrained and cell.language_model != "none",
        outside=outside,
        unattackable=None
        if outside
        else count_unattackable(
            cell.surface,
            cell.test.examples,
            constrained=cell.attack.constrained,
            threshold=cell.protocol.lm_threshold,
            without=cell.removed,
        ),
    )


def _curves_part(trials: Sequence[Trial], examples: Sequence[Example], field: str) -> CurvesPart:
    fooled = [
        (trial, example)
        for trial, example in zip(trials, examples, strict=True)
        if trial.verdict == Verdict.FOOLED
    ]
    words = [count_changes(trial, example.fields[field]) for trial, example in fooled]
    # Trials of an older version do not say when the victim was fooled.
    queries = [t.asked_at_success for t, _ in fooled if t.asked_at_success is not None]
    return CurvesPart(
        queries=draw_curve(queries, query_points()) if len(queries) == len(fooled) else None,
        words=draw_curve(words, word_points()),
    )


def _search_part(cell: Cell) -> SearchPart:
    return SearchPart(
        code_sha256=source_sha256(*TRIAL_CODE),
        seed=cell.resolved.seed,
        budget=cell.request.budget,
        precision=cell.request.search_precision,
        example_seconds=cell.example_seconds,
    )


def measure_cost(cell: Cell, trials: Sequence[Trial], *, new_trials: bool) -> CostPart:
    """Return what the cell cost.

    Args:
        cell: the cell.
        trials: the trials of all its examples.
        new_trials: whether this run made any of them. Otherwise this process's memory says
            nothing about the search.
    """
    if new_trials:
        memory, no_memory = peak_memory(cell.resolved.device)
    else:
        memory, no_memory = None, "every trial was there from an earlier run"
    missing: dict[str, str] = {}
    if cell.victim.obtained.no_seconds:
        missing["training_seconds"] = cell.victim.obtained.no_seconds
    if no_memory:
        missing["peak_memory_bytes"] = no_memory
    return CostPart(
        training_seconds=cell.victim.obtained.training_seconds,
        attack_seconds=round(sum(trial.seconds for trial in trials), 3),
        asked=sum(trial.asked for trial in trials),
        # A trial counts distinct queries. A randomised victim computes each of them many times.
        forwarded=sum(trial.forwarded for trial in trials) * cell.victim.victim.forwards_per_row,
        peak_memory_bytes=memory,
        missing=missing,
    )


def save_record(path: Path, record: Record, *, new_trials: bool, report: Reporter) -> Record:
    """Write ``record`` to ``path`` and return it, unless the file already says the same.

    If this run attacked nothing and the record in the file has the same content, the file is
    kept and its record returned: its date and cost are those of the run that did the work.

    Raises:
        RobenchError: the file cannot be written.
    """
    known = _read_or_set_aside(path, report) if path.exists() else None
    if known is not None and not new_trials and _same_content(known, record):
        return known
    write_record(path, record)
    return record


def _same_content(known: Record, record: Record) -> bool:
    """Return whether the records differ at most in cost, software and date."""
    measured = {"cost": record.cost, "software": record.software, "created": record.created}
    if known.victim.identity is None:
        # An earlier version did not write it. The key of the cell holds it.
        victim = record.victim.model_copy(update={"identity": None})
        record = record.model_copy(update={"victim": victim})
    return known.model_copy(update=measured) == record


def _read_or_set_aside(path: Path, report: Reporter) -> Record | None:
    """Return the record in ``path``, or None if it cannot be read.

    A damaged file is renamed and not deleted, so that a person can look at it.
    """
    try:
        return read_record(path)
    except RobenchError:
        aside = path.with_name(f"{path.name}.unreadable")
        path.replace(aside)
        report.message(
            f"The record {path} could not be read. It is made again from its trials, and the old "
            f"file is kept as {aside.name}."
        )
        return None
