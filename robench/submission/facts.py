"""What the records of a submission answer of its checklist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from robench._base.escaping import TEXT, Markdown, markdown
from robench.records.columns import listed
from robench.records.flags import find_flags
from robench.records.notes import randomised_lines
from robench.records.percent import percent
from robench.records.record import Record
from robench.records.shown_records import shown_part
from robench.records.statistics import clean_accuracy
from robench.records.training_notes import training_notes

BUDGETS = (10, 100, 1_000, 10_000)
"""Queries at which the curves of the records are read."""
UNDEFENDED = "standard"
"""Name of the defense that changes nothing."""


def facts_of(records: Sequence[Record]) -> dict[str, Markdown]:
    """Return title of an item -> what the records say of it, escaped for Markdown.

    Items that no record can answer are missing.
    """
    shown = sorted(
        map(shown_part, records), key=lambda r: (r.row, r.attack.label, r.search.seed, r.cell)
    )
    facts = {
        "Threat model": _threat_model(shown),
        "Clean accuracy": _clean(shown),
        "Stronger means stronger": _flags(shown),
        "More budget": _budgets(shown),
        "Whole space": _proved(shown),
        "Worst case by example": _attacks(shown),
        "Without gradients and scores": _access(shown),
        "Randomness": _randomness(shown),
        "Hyper-parameters": _options(shown),
        "Undefended twin": _twin(shown),
        "Several trainings": _seeds(shown),
        "Substitutions": " ".join(training_notes(shown)),
    }
    return {title: markdown(text, TEXT) for title, text in facts.items() if text}


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _threat_model(records: Sequence[Record]) -> str:
    tasks = _distinct(f"{r.task.name} ({r.counts.n} test examples)" for r in records)
    protocols = _distinct(r.protocol.name for r in records)
    sets = _distinct(r.surface.substitutions or "texts of the attack's own" for r in records)
    return (
        f"Task {listed(tasks)}; protocol {listed(protocols)}. An attack replaces words by "
        f"substitutes of: {listed(sets)}. It wants another label than the true one."
    )


def _clean(records: Sequence[Record]) -> str:
    rates = {
        f"{r.row}, seed {r.search.seed}: {percent(clean_accuracy(r.counts))} %"
        for r in records
        if not r.counts.error
    }
    return f"{'; '.join(sorted(rates))}."


def _flags(records: Sequence[Record]) -> str:
    flags = find_flags(records)
    if not flags:
        return "No result contradicts it."
    return " ".join(flag.sentence for flag in flags)


def _budgets(records: Sequence[Record]) -> str:
    parts = []
    for record in records:
        curve = None if record.curves is None else record.curves.queries
        if curve is None or not record.attack.searches:
            continue
        counts = [curve.fooled_at(most) for most in BUDGETS]
        cell = f"{record.row} under {record.attack.label}, seed {record.search.seed}"
        parts.append(f"{cell}: {' / '.join(map(str, counts))} / {record.counts.fooled}")
    if not parts:
        return ""
    budgets = " / ".join(f"{each:,}" for each in BUDGETS)
    return f"Examples fooled with at most {budgets} / any number of queries: {'; '.join(parts)}."


def _proved(records: Sequence[Record]) -> str:
    parts = [
        f"{r.row} under {r.attack.label}, seed {r.search.seed}: {r.counts.held_proved}"
        for r in records
        if r.counts.held_proved
    ]
    return f"Examples whose whole space was searched and held: {'; '.join(parts)}." if parts else ""


def _attacks(records: Sequence[Record]) -> str:
    rows: dict[str, set[str]] = {}
    for record in records:
        rows.setdefault(record.row, set()).add(record.attack.label)
    parts = [f"{row}: {listed(sorted(attacks))}" for row, attacks in sorted(rows.items())]
    return f"A board takes the worst case by example. Attacks here: {'; '.join(parts)}."


def _access(records: Sequence[Record]) -> str:
    kinds: dict[str, set[str]] = {}
    for record in records:
        kinds.setdefault(record.attack.access or "unknown", set()).add(record.attack.label)
    parts = [f"{kind}: {listed(sorted(attacks))}" for kind, attacks in sorted(kinds.items())]
    return f"What the attacks see: {'; '.join(parts)}."


def _randomness(records: Sequence[Record]) -> str:
    return " ".join(randomised_lines(records)) or "No victim answers at random."


def _options(records: Sequence[Record]) -> str:
    labels = _distinct(
        each.label for r in records for each in (r.defense, r.attack) if each is not None
    )
    return (
        f"Labels name the options that differ from the defaults: {listed(labels)}. robench chooses "
        "the epoch on dev examples."
    )


def _twin(records: Sequence[Record]) -> str:
    names = {r.defense.name for r in records if r.defense is not None}
    has = "holds" if UNDEFENDED in names else "does not hold"
    return f"The submission {has} the row {UNDEFENDED}."


def _seeds(records: Sequence[Record]) -> str:
    rows: dict[str, set[int]] = {}
    for record in records:
        rows.setdefault(record.row, set()).add(record.search.seed)
    parts = [
        f"{row}: {listed(list(map(str, sorted(seeds))))}" for row, seeds in sorted(rows.items())
    ]
    return f"Seeds: {'; '.join(parts)}."
