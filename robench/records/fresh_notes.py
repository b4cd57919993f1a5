"""Sentences about fooling texts that were asked again with fresh random variants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from robench.records.record import Record

FEWEST = 10
"""Fewer texts than this give no share."""


@dataclass
class _Sum:
    """Counts of one row under one attack, over all seeds of the run.

    Attributes:
        texts: number of fooling texts.
        answers: number of answers to them.
        wrong: how many of these answers are wrong.
    """

    texts: int = 0
    answers: int = 0
    wrong: int = 0


def fresh_lines(records: Iterable[Record]) -> list[str]:
    """Return one line for each randomised row: how often its fooling texts fool it again.

    Attacks with fewer than ``FEWEST`` texts are named without a share.
    """
    sums: dict[str, dict[str, _Sum]] = {}
    for record in records:
        part = record.fresh_draws
        if part is None:
            continue
        each = sums.setdefault(record.row, {}).setdefault(record.attack.label, _Sum())
        each.texts += part.texts
        each.answers += part.texts * part.seeds
        each.wrong += part.fooled
    return [_line(row, sums[row]) for row in sorted(sums)]


def _line(row: str, attacks: dict[str, _Sum]) -> str:
    shares = [
        f"{100 * each.wrong / each.answers:.0f} % under {attack} ({each.wrong} of {each.answers} "
        f"answers, {each.texts} texts)"
        for attack, each in sorted(attacks.items())
        if each.texts >= FEWEST
    ]
    few = [
        f"{attack} {each.texts}" for attack, each in sorted(attacks.items()) if each.texts < FEWEST
    ]
    parts = [f"wrong in {', '.join(shares)}"] if shares else []
    parts += [f"too few texts for a share: {', '.join(few)}"] if few else []
    return f"Fooling texts of {row}, asked again with fresh variants: {'; '.join(parts)}."
