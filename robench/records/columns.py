"""The columns of a table: the attacks, what the worst case covers, and marks with their notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench.records.comparable import attack_labels
from robench.records.record import Record

LONGEST_HEADING = 32
"""Characters of a heading of the worst case that names attacks. A longer one counts them."""

FREE_MARK = "*"
"""Mark of an attack that the language model does not bind."""


@dataclass(frozen=True)
class Columns:
    """The columns of a table and the notes that explain them.

    Attributes:
        attacks: labels of the attacks.
        worst_over: labels of the attacks that the worst case covers. Without any, there is none.
        headings: one heading for each attack, in the order of ``attacks``.
        worst_heading: heading of the worst case.
        notes: sentences about the columns, for below the table.
    """

    attacks: tuple[str, ...]
    worst_over: tuple[str, ...]
    headings: tuple[str, ...]
    worst_heading: str = "worst case"
    notes: tuple[str, ...] = ()


def board_columns(attacks: Iterable[str], records: Iterable[Record] = ()) -> Columns:
    """Return the columns of a board, whose TOML file names the attacks.

    The worst case covers all of them, but for those that search for nothing by ``records``. A row
    that lacks one has no worst case, because a new row must not change what the other rows' worst
    case means.
    """
    labels, idle = tuple(attacks), idle_attacks(records)
    searching = tuple(label for label in labels if label not in idle)
    notes = _worst_notes(searching, searching, idle)
    return Columns(labels, searching, labels, notes=tuple(notes))


def run_columns(records: Iterable[Record]) -> Columns:
    """Return the columns for the records of a run, which may lack attacks in some rows.

    The worst case covers the attacks that every row has. It leaves out attacks that search for
    nothing, because the accuracy under them is the clean accuracy. Attacks that the language model
    does not bind are marked if it binds others.
    """
    found = list(records)
    attacks = attack_labels(found)
    idle = idle_attacks(found)
    searching = [label for label in attacks if label not in idle]
    common = [label for label in common_attacks(found) if label not in idle]
    free = unbound_attacks(found)
    marked = [f"{label}{FREE_MARK}" if label in free else label for label in attacks]
    notes = [*_worst_notes(searching, common, idle), *_bound_notes(attacks, free)]
    return Columns(
        tuple(attacks),
        tuple(common),
        tuple(marked),
        _worst_heading(searching, common),
        tuple(notes),
    )


def common_attacks(records: Iterable[Record]) -> list[str]:
    """Return the labels of the attacks that every row has with each of its seeds, sorted.

    A record with errors counts as present: its row then shows "error" as worst case.
    """
    attacks_of: dict[tuple[str, int], set[str]] = {}
    for record in records:
        victim = record.row, record.search.seed
        attacks_of.setdefault(victim, set()).add(record.attack.label)
    return sorted(set.intersection(*attacks_of.values())) if attacks_of else []


def idle_attacks(records: Iterable[Record]) -> list[str]:
    """Return the labels of attacks that search for no text, sorted."""
    return sorted({record.attack.label for record in records if not record.attack.searches})


def unbound_attacks(records: Iterable[Record]) -> list[str]:
    """Return the labels of attacks that the language model does not bind, if it binds others.

    The result is sorted. It is empty where the language model treats all attacks alike.
    """
    bound = {record.attack.label: record.surface.constrained for record in records}
    free = sorted(label for label, constrained in bound.items() if not constrained)
    return free if len(free) < len(bound) else []


def listed(names: Sequence[str]) -> str:
    """Return names as part of a sentence: "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _worst_heading(attacks: Sequence[str], common: Sequence[str]) -> str:
    if not common or len(common) == len(attacks):
        return "worst case"
    named = f"worst case ({', '.join(common)})"
    if len(named) <= LONGEST_HEADING:
        return named
    return f"worst case ({len(common)} of {len(attacks)} attacks)"


def _worst_notes(attacks: Sequence[str], common: Sequence[str], idle: Sequence[str]) -> list[str]:
    """Return the notes on a worst case over ``common``, of ``attacks`` that search."""
    if idle and not attacks:
        return [
            "There is no worst case: no attack of this table searches for texts that fool the "
            "victim. Evaluate one that does, and it appears."
        ]
    if len(common) == len(attacks):
        return []
    if not common:
        return [
            f"There is no worst case: no attack {'that searches ' if idle else ''}has a record in "
            "every row. Evaluate the missing cells, and it appears."
        ]
    rest = [label for label in attacks if label not in common]
    subject = "attack" if len(common) == 1 else "attacks"
    return [
        f"Worst case: over {listed(common)}, the {subject} that every row has. It leaves out "
        f"{listed(rest)}."
    ]


def _bound_notes(attacks: Sequence[str], free: Sequence[str]) -> list[str]:
    if not free:
        return []
    bound = [label for label in attacks if label not in free]
    marked = listed([f"{label}{FREE_MARK}" for label in free])
    it = "it" if len(free) == 1 else "they"
    return [
        f"{marked}: not bound by the language model, so {it} may use substitutes that it forbids "
        f"to {listed(bound)}."
    ]
