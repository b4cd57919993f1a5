"""What a verification says to people: a table, and sentences below it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from robench._base.escaping import NAME, terminal
from robench.records.record import Record
from robench.verification.results import Report
from robench.verification.searching import fewest_found

if TYPE_CHECKING:
    from rich.table import Table

    from robench.verification.run import Verification

SURE: Final = 0.95
"""Probability with which a forgery of the stated size is not verified."""


def result_table(found: Verification) -> Table:
    """Return a table with a row for each record and certificate."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("record", "result", "asked again", "searched again", "proved again", "checks"):
        number = heading.endswith("again")
        table.add_column(heading, overflow="fold", justify="right" if number else "left")
    for each in found.reports:
        table.add_row(
            terminal(each.title, NAME),
            each.status,
            str(each.asked),
            str(each.searched),
            str(each.proved),
            _checks(each),
        )
    return table


def _checks(report: Report) -> str:
    """Return how many checks hold, and the names of the others."""
    held = sum(check.outcome == "ok" for check in report.checks)
    text = f"{held} of {len(report.checks)} hold"
    failed = [check.name for check in report.checks if check.outcome == "failed"]
    missing = [check.name for check in report.checks if check.outcome == "open"]
    text += f"; failed: {', '.join(failed)}" if failed else ""
    # One reason usually keeps several checks from being made.
    text += f"; not made: {', '.join(missing)}" if missing else ""
    return text


def explained(found: Verification) -> list[str]:
    """Return the sentences below the table."""
    lines: list[str] = [""]
    for each in found.reports:
        lines += [f"FAILED {each.title}: {text}" for text in _unique(each, "failed")]
    lines += [f"FAILED the board's table: {line}" for line in found.stale[:3]]
    lines += _grouped("not checked", [(each, _unique(each, "open")) for each in found.reports])
    lines += _grouped("note", [(each, each.notes) for each in found.reports])
    lines += [""] if lines[-1] else []
    lines.append(
        f"{found.number('verified')} verified, {found.number('claimed')} claimed, "
        f"{found.number('failed')} failed."
    )
    if found.files is not None:
        lines.append(f"Other files of the submission: {found.files}.")
    if any(each.searched for each in found.reports):
        lines.append(_power(found))
    if found.kept:
        lines.append(f"Marks of an earlier verification that are kept: {found.kept}.")
    if found.lost:
        lines.append(f"Marks of an earlier verification that are lost: {found.lost}.")
    if found.stored is not None:
        lines.append(f"Stored in {found.stored}")
    if found.remade:
        board = shlex.quote(found.target)
        lines.append(f"Marks have changed. Show them: robench leaderboard --board {board}")
    if found.unstored:
        lines.append(found.unstored)
    return lines


def _grouped(word: str, said: Sequence[tuple[Report, Sequence[str]]]) -> list[str]:
    """Return each sentence once, with the first record that it is about and how many more."""
    about: dict[str, list[str]] = {}
    for report, sentences in said:
        for sentence in sentences:
            about.setdefault(sentence, []).append(report.title)
    return [
        f"{word} {titles[0]}{f' and {len(titles) - 1} more' if titles[1:] else ''}: {sentence}"
        for sentence, titles in about.items()
    ]


def _unique(report: Report, outcome: str) -> list[str]:
    """Return the sentences of checks with one outcome, each reason once with its checks."""
    reasons: dict[str, list[str]] = {}
    for check in report.checks:
        if check.outcome == outcome:
            for sentence in check.sentences:
                reasons.setdefault(sentence, []).append(check.name)
    return [f"{', '.join(names)}: {sentence.rstrip('.')}." for sentence, names in reasons.items()]


def _power(found: Verification) -> str:
    """Return how many forged examples of a record meet the sample almost surely."""
    share, seed = found.settings.sample, found.settings.seed
    repeat = f"Repeat the same choice with --seed {seed}."
    if share == 1:
        return f"Every search was repeated. {repeat}"
    said = f"{100 * share:g} % of the searches were repeated."
    subjects = [each.subject for each in found.reports if each.searched]
    helds = [each.counts.held for each in subjects if isinstance(each, Record)]
    numbers = [fewest_found(held, share, SURE) for held in helds if held]
    # A record without held examples has none that is invented.
    if not numbers:
        return f"{said} {repeat}"
    return (
        f"{said} This keeps a record with {max(numbers)} invented held examples from being "
        f"verified, with a probability of at least {100 * SURE:g} %. {repeat}"
    )
