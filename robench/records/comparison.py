"""``robench.compare``: two rows on the same examples, with a sentence that a person can quote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.records.columns import idle_attacks, listed, unbound_attacks
from robench.records.compared import ComparedRows, Differing, Substitution
from robench.records.compared_curves import ComparedCurve, compare_curves
from robench.records.comparison_text import as_data, html, sentence
from robench.records.differences import allowed_differences, forbidden_difference
from robench.records.judged_ids import texts_of
from robench.records.notes import synthetic_notice
from robench.records.pairing import (
    Aligned,
    Measure,
    align,
    measure,
    outcomes_of,
    pair_seeds,
    substitutions_of,
)
from robench.records.shown_records import short_name
from robench.records.sides import Side, find_sides
from robench.records.statistics import ROBUST, BlockedCell

OUT = "runs"
"""Folder of rows without a folder."""


class RowComparison(ComparedRows):
    """The comparison of two rows. ``str()`` gives the sentence to quote."""

    def __str__(self) -> str:
        """Return the sentence to quote, for ``main``."""
        return sentence(self, self.main)

    def __repr__(self) -> str:
        return f"<{self}>"

    def _repr_html_(self) -> str:
        """Return the sentence, the table and the warnings as HTML, for notebooks."""
        return html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data. Rates and differences lie in [-1, 1]."""
        return as_data(self)


def compare(
    a: str | Path,
    b: str | Path,
    attack: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    out: str | Path = OUT,
) -> RowComparison:
    """Compare two rows on their common examples, as ``robench compare`` does.

    Args:
        a: a row of the folder ``out``, such as ``"rift"``; a run's folder that has one row; or
            ``"FOLDER:ROW"``. ``"rift@limit=100"`` selects among several settings.
        b: the other row.
        attack: label of an attack, or several. None takes every attack that both rows have.
        task: name of the task. None if there is one only.
        out: folder of rows without a folder.

    Raises:
        UsageError: a row does not exist or is not the only one, the rows have no attack or no
            seed in common, or they must not be compared.
    """
    first, second = find_sides(str(a), str(b), Path(out), task)
    named = [attack] if isinstance(attack, str) else list(attack or ())
    wanted = [short_name(label) for label in named]
    attacks = _common_attacks(first, second, wanted)
    seeds, notes = pair_seeds(first, second)
    seeds, missing = _whole_seeds(first, second, attacks, seeds)
    warnings = [*first.notes, *second.notes, *_differences(first, second, attacks, seeds)]
    aligned = {
        (label, *pair): align(
            first.cells[label, pair[0]], first.folder, second.cells[label, pair[1]], second.folder
        )
        for label in attacks
        for pair in seeds
    }
    warnings += [problem for each in aligned.values() for problem in each.problems]
    measures, gaps = _measures(first, attacks, seeds, aligned)
    if not measures:
        raise UsageError(
            f"{first.name} and {second.name} have no number to compare. {' '.join(gaps)}"
        )
    main = measures[-1]
    differing = _differing(main, attacks, seeds, aligned)
    words = _substitutions(main, seeds, aligned)
    record = first.cells[attacks[0], seeds[0][0]]
    other = second.cells[attacks[0], seeds[0][1]]
    texts = texts_of(first.folder, record) or texts_of(second.folder, other)
    differing = [replace(each, text=texts.get(each.id or "")) for each in differing]
    return RowComparison(
        first.name,
        second.name,
        record.task.file_part,
        tuple(measures),
        tuple(differing),
        *words,
        tuple(dict.fromkeys([*warnings, *notes, *missing, *gaps])),
        (*_row_notes(first, second), *_notes(first, attacks, seeds)),
        _curves(first, second, attacks, seeds),
    )


def _curves(
    first: Side, second: Side, attacks: Sequence[str], seeds: Sequence[tuple[int, int]]
) -> tuple[ComparedCurve, ...]:
    found: list[ComparedCurve] = []
    for label in attacks:
        pairs = [(first.cells[label, ours], second.cells[label, theirs]) for ours, theirs in seeds]
        if all(record.attack.searches for pair in pairs for record in pair):
            found += compare_curves(label, pairs)
    return tuple(found)


def _common_attacks(first: Side, second: Side, wanted: Sequence[str]) -> list[str]:
    ours, theirs = (sorted({label for label, _ in side.cells}) for side in (first, second))
    common = [label for label in ours if label in theirs]
    for label in wanted:
        if label not in common:
            lacking = [s.name for s, has in ((first, ours), (second, theirs)) if label not in has]
            raise UsageError(
                f"'{label}' has no record for {' and '.join(lacking)}."
                f"{did_you_mean(label, common)} Attacks that both have: "
                f"{', '.join(common) or 'none'}."
            )
    if not common:
        raise UsageError(
            f"{first.name} and {second.name} have no attack in common: {first.name} has "
            f"{', '.join(ours)}, and {second.name} has {', '.join(theirs)}."
        )
    return list(dict.fromkeys(wanted)) or common


def _whole_seeds(
    first: Side, second: Side, attacks: Sequence[str], seeds: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[str]]:
    """Return the pairs of seeds that have all attacks, and sentences about the others."""
    whole, notes = [], []
    for ours, theirs in seeds:
        lacking = [
            label
            for label in attacks
            if (label, ours) not in first.cells or (label, theirs) not in second.cells
        ]
        if lacking:
            notes.append(
                f"Seed {ours} is left out: no record of {', '.join(lacking)} in both rows."
            )
        else:
            whole.append((ours, theirs))
    if not whole:
        raise UsageError(
            f"No seed has a record of {', '.join(attacks)} in both rows. Name one attack with "
            "--attack, or evaluate the missing cells."
        )
    return whole, notes


def _differences(
    first: Side, second: Side, attacks: Sequence[str], seeds: Sequence[tuple[int, int]]
) -> list[str]:
    """Return the allowed differences of the paired records.

    Raises:
        UsageError: two records must not be compared.
    """
    found: list[str] = []
    for label in attacks:
        for ours, theirs in seeds:
            pair = first.cells[label, ours], second.cells[label, theirs]
            reason = forbidden_difference(*pair)
            if reason is not None:
                raise UsageError(
                    f"{first.name} and {second.name} must not be compared under {label}. {reason} "
                    "Evaluate both rows in the same setting."
                )
            found += allowed_differences(*pair)
    return found


def _measures(
    first: Side,
    attacks: Sequence[str],
    seeds: Sequence[tuple[int, int]],
    aligned: dict[tuple[str, int, int], Aligned],
) -> tuple[list[Measure], list[str]]:
    """Return the measures, the main one last, and sentences about those without a number."""
    outside = {label for label, seed in first.cells if first.cells[label, seed].surface.outside}
    without_search = idle_attacks(first.cells.values())
    searching = [label for label in attacks if label not in without_search]
    inside = [label for label in searching if label not in outside]
    # The worst case never mixes attacks inside and outside the surface, as no table does.
    worst = inside or searching
    wanted: list[tuple[Any, list[str]]] = [("clean", list(attacks))]
    # Under an attack that searches for nothing, the accuracy is the clean one: no test of its own.
    wanted += [("attack", [label]) for label in searching]
    if len(worst) > 1:
        wanted.append(("worst", worst))
    measures, gaps = [], []
    for kind, labels in wanted:
        try:
            measures.append(measure(kind, labels, aligned, seeds))
        except BlockedCell as error:
            name = {"clean": "clean accuracy", "worst": "worst case"}.get(kind, labels[0])
            gaps.append(f"No number for {name}: {error}.")
        except ValueError as error:
            raise UsageError(f"The records do not go together: {error}.") from error
    return measures, gaps


def _differing(
    main: Measure,
    attacks: Sequence[str],
    seeds: Sequence[tuple[int, int]],
    aligned: dict[tuple[str, int, int], Aligned],
) -> list[Differing]:
    labels = main.attacks or tuple(attacks)
    counts: dict[int, list[int]] = {}
    for pair in seeds:
        ours, theirs = outcomes_of(main.kind, labels, aligned, pair)
        for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if (a in ROBUST) != (b in ROBUST):
                counts.setdefault(position, [0, 0])[0 if a in ROBUST else 1] += 1
    known = [aligned[label, *pair].ids for label in labels for pair in seeds]
    ids = next((each for each in known if each is not None), None)
    found = [
        Differing(None if ids is None else ids[position], position, first=each[0], second=each[1])
        for position, each in counts.items()
    ]
    return sorted(found, key=lambda each: (-abs(each.first - each.second), each.position))


def _substitutions(
    main: Measure,
    seeds: Sequence[tuple[int, int]],
    aligned: dict[tuple[str, int, int], Aligned],
) -> tuple[tuple[Substitution, ...], tuple[Substitution, ...]]:
    """Return the substitutions that fooled only the second row, and those of the first row."""
    second: Counter[tuple[str, str]] = Counter()
    first: Counter[tuple[str, str]] = Counter()
    for pair in seeds if main.attacks else ():
        ours, theirs = outcomes_of(main.kind, main.attacks, aligned, pair)
        cells = [aligned[label, *pair] for label in main.attacks]
        second += substitutions_of([cell.trials_second for cell in cells], theirs, ours)
        first += substitutions_of([cell.trials_first for cell in cells], ours, theirs)
    return _sorted(second), _sorted(first)


def _sorted(counts: Counter[tuple[str, str]]) -> tuple[Substitution, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Substitution(*words, count) for words, count in ordered)


def _row_notes(*sides: Side) -> list[str]:
    """Return the whole labels of rows that are named without their options."""
    return [f"{side.name} is the row {side.row}." for side in sides if side.row not in side.name]


def _notes(first: Side, attacks: Sequence[str], seeds: Sequence[tuple[int, int]]) -> list[str]:
    records = [first.cells[label, seeds[0][0]] for label in attacks]
    notes = []
    free = unbound_attacks(r for r in records if not r.surface.outside)
    if free:
        notes.append(f"The language model does not bind {listed(free)}, and it binds the others.")
    outside = sorted(r.attack.label for r in records if r.surface.outside)
    if outside:
        notes.append(
            f"Outside the surface, and not in a worst case with others: {listed(outside)}."
        )
    notice = synthetic_notice(records)
    return [*notes, *([notice] if notice else [])]
