"""Put the boards beside the numbers of papers, in tables of their own, as Markdown.

No table of accuracies mixes both. The table of the orderings has columns for what the paper reports
and columns for what was measured here, and their headings say which is which.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.escaping import Markdown, cell, markdown
from robench.records.board import Board, board_files, board_records, load_board
from robench.records.columns import board_columns
from robench.records.notes import health_lines, synthetic_notice
from robench.records.orderings import (
    Judged,
    Method,
    PaperScores,
    Verdict,
    judge_orderings,
    method_of,
    orderings,
    paper_scores,
)
from robench.records.paired_notes import seeds_text
from robench.records.percent import p_value_text, signed_percent
from robench.records.record import Record
from robench.records.record_files import KnownRecords
from robench.records.render import ABSENT, score_text, tabulated
from robench.records.reported import CLEAN, Reported, Setup
from robench.records.rows import DefenseRow, build_rows
from robench.records.settings_found import settings_found
from robench.records.shown_records import shown_records

WIDTH = 100
VERDICTS: tuple[Verdict, ...] = ("holds", "does not hold", "cannot be told", "not judged")

SETTING_NAMES: Mapping[str, str] = {
    "encoder": "encoder",
    "training": "training examples",
    "epochs": "epochs",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "selection": "choice of the epoch",
    "tokens": "tokens",
    "language_model": "language model",
    "attacks": "attacks",
    "judged": "judged examples",
    "trainings": "trainings of each row",
}
"""Field of ``Setup`` -> how the table of what differs names it."""

HOW_TO_READ = (
    "An ordering is a pair of methods of which the paper reports one above the other, for every "
    "encoder that it has. It **holds** on a board if a test on the same examples tells the two "
    "rows apart in this direction. It **does not hold** if the test tells them apart in the other "
    "direction. Otherwise it **cannot be told**. It is **not judged** where a health check found "
    "that a victim of one of the rows has not learned the task. The p-values are corrected by "
    "Holm's method for all tests of the board, and the level is 0.05. In brackets is a 95 % "
    "interval of the difference, not corrected. Where an order cannot be told, it says how large a "
    "difference could still be. With several seeds, test and interval are about other trainings "
    "and other examples, as on the boards. With one seed each they are the exact McNemar test and "
    "Tango's interval, and they say nothing about another training."
)
COUNTED_AGAIN = (
    "Counted above as well: orderings of this line that a board above it tested with the same "
    "answers of the same victims. Count them once."
)


@dataclass(frozen=True)
class BoardBeside:
    """A board that is shown beside a paper's numbers.

    Attributes:
        path: its TOML file.
        board: its definition.
        records: its records for methods and attacks of the paper.
        judged: the orderings of the paper that it has both rows for.
    """

    path: Path
    board: Board
    records: tuple[Record, ...]
    judged: tuple[Judged, ...]


def render_beside(
    path: Path, reported: Reported, page: Path, known: KnownRecords | None = None
) -> str:
    """Return the Markdown that shows the boards beside the papers, without a last line end.

    Args:
        path: the file of reported numbers; the boards lie beside it.
        reported: what it holds.
        page: the page that gets the text, for the links.
        known: the records of an earlier call, which are not read again.

    Raises:
        UsageError: the TOML file of a board is missing or wrong.
        RobenchError: a record cannot be read, or the records of a board disagree.
    """
    known = KnownRecords() if known is None else known
    parts: list[tuple[PaperScores, list[BoardBeside]]] = []
    for scores in paper_scores(reported):
        stand_ins = [task for task, other in reported.stand_ins.items() if other == scores.task]
        boards = [_beside(board, scores, known) for board in board_files(path.parent)]
        fitting = [each for each in boards if each.board.task in (scores.task, *stand_ins)]
        # A board of the task itself comes before one that stands in for it.
        parts.append((scores, sorted(fitting, key=lambda each: each.board.task != scores.task)))
    lines = [*_summary(parts, page), *_wrapped(HOW_TO_READ), ""]
    for scores, boards in parts:
        lines += _section(scores, boards, reported, page)
    return "\n".join(lines).rstrip("\n")


def _beside(path: Path, scores: PaperScores, known: KnownRecords) -> BoardBeside:
    board = load_board(path)
    shown = shown_records(board_records(path, board, known)[0].records)
    records = tuple(
        each
        for each in shown.values()
        if each.attack.label in scores.attacks and method_of(each, scores.methods) is not None
    )
    return BoardBeside(path, board, records, tuple(judge_orderings(scores, records)))


def _summary(parts: Sequence[tuple[PaperScores, list[BoardBeside]]], page: Path) -> list[str]:
    """Return the table that counts the verdicts, one line for each paper, task and board."""
    headings = ["paper and task", "board", *VERDICTS, "no such rows here", "counted above as well"]
    body = []
    for scores, boards in parts:
        total = len(orderings(scores)[0])
        above: list[Judged] = []
        for each in boards:
            verdicts = [judged.verdict for judged in each.judged]
            counts = [verdicts.count(verdict) for verdict in VERDICTS]
            again = sum(any(map(judged.shares_answers, above)) for judged in each.judged)
            numbers = [*counts, total - len(verdicts), again]
            name = _link(each, page)
            if synthetic_notice(each.records):
                name = Markdown(f"{name} (synthetic texts)")
            body.append([f"{scores.paper}, {scores.task}", name, *map(str, numbers)])
            above += each.judged
        if not boards:
            absent = [*[ABSENT] * len(VERDICTS), str(total), ABSENT]
            body.append([f"{scores.paper}, {scores.task}", ABSENT, *absent])
    return [*tabulated(body, headings, "pipe", names=2), "", *_wrapped(COUNTED_AGAIN), ""]


def _link(each: BoardBeside, page: Path) -> Markdown:
    target = Path(os.path.relpath(each.path.with_suffix(".md"), page.parent)).as_posix()
    return Markdown(f"[{cell(each.board.title).replace('[', '(').replace(']', ')')}]({target})")


def _section(
    scores: PaperScores, boards: Sequence[BoardBeside], reported: Reported, page: Path
) -> list[str]:
    heading = f"### {markdown(scores.paper)} on {markdown(scores.task)}"
    lines = [heading, "", "**Reported by the paper, not measured here:**", ""]
    lines += [*_reported_table(scores), ""]
    if not boards:
        lines += ["**Measured here:** no board has this task yet.", ""]
    for each in boards:
        link = _wrapped(f"**Measured here:** {_link(each, page)}")
        lines += [*link, "", *_measured(each, scores)]
    lines += _differences(scores, boards, reported)
    for each in boards:
        lines += _orderings_section(each, scores, page)
    return lines


def _reported_table(scores: PaperScores) -> list[str]:
    columns = [(encoder, attack) for encoder in scores.encoders for attack in scores.attacks]
    headings = ["method", "in robench", *(f"{_accuracy(a)}, {encoder}" for encoder, a in columns)]
    body = []
    for method in scores.methods:
        numbers = [scores.numbers.get((method.label, *column)) for column in columns]
        printed = [ABSENT if number is None else number.printed for number in numbers]
        body.append([method.printed, method.label, *printed])
    return tabulated(body, headings, "pipe", names=2)


def _accuracy(attack: str) -> str:
    return "clean" if attack == CLEAN else attack


def _measured(each: BoardBeside, scores: PaperScores) -> list[str]:
    """Return the table of the rows that stand for methods of the paper, with notes."""
    notes = []
    if each.board.task != scores.task:
        notes.append(f"This board stands in for the task {scores.task}. It is another task.")
    if notice := synthetic_notice(each.records):
        notes.append(notice)
    lines = [line for note in notes for line in (*_wrapped(note), "")]
    attacks = [attack for attack in scores.attacks if attack in each.board.attacks]
    attacks = [attack for attack in attacks if attack != CLEAN]
    columns = board_columns(attacks)
    rows = build_rows(each.records, columns.attacks)
    methods = _methods_of_rows(each, scores)
    rows.sort(key=lambda row: (scores.methods.index(methods[row.defense]), row.defense))
    if not rows:
        return [*lines, "It has no row for a method of the paper yet.", ""]
    headings = ["method", "row", "seeds", "n", "clean", *attacks]
    body = [_measured_cells(row, attacks, methods[row.defense]) for row in rows]
    return [*lines, *tabulated(body, headings, "pipe", names=2), "", *_findings(each.records)]


def _findings(records: Sequence[Record]) -> list[str]:
    """Return a table of what the health checks found about the rows, or nothing."""
    found = [[line] for line in health_lines(records)]
    if not found:
        return []
    note = "Health checks found something about these rows. Read their orderings with care."
    return [*_wrapped(note), "", *tabulated(found, ["health check"], "pipe", names=1), ""]


def _methods_of_rows(each: BoardBeside, scores: PaperScores) -> dict[str, Method]:
    """Return label of a row -> the method of the paper that it stands for."""
    found = {record.row: method_of(record, scores.methods) for record in each.records}
    return {row: method for row, method in found.items() if method is not None}


def _measured_cells(row: DefenseRow, attacks: Sequence[str], method: Method) -> list[str]:
    under = [score_text(row.under[attack]) for attack in attacks]
    examples = ABSENT if row.examples is None else str(row.examples)
    return [
        method.printed,
        row.defense,
        str(len(row.seeds)),
        examples,
        score_text(row.clean),
        *under,
    ]


def _differences(
    scores: PaperScores, boards: Sequence[BoardBeside], reported: Reported
) -> list[str]:
    """Return the table of what differs, or nothing where the paper's setup is not in the file."""
    key = scores.paper, scores.task
    setups = [each for each in reported.setups if (each.paper, each.task) == key]
    filled = [each for each in boards if each.records]
    if not setups or not filled:
        return []
    found = [settings_found(each.records) for each in filled]
    headings = ["what differs", f"the paper ({setups[0].source})"]
    headings += [f"here: {each.board.title}" for each in filled]
    body = [
        [name, _setting(setups[0], field), *(each.get(field, ABSENT) for each in found)]
        for field, name in SETTING_NAMES.items()
    ]
    table = tabulated(body, headings, "pipe", names=len(headings))
    return ["**What differs:**", "", *table, ""]


def _setting(setup: Setup, field: str) -> str:
    return str(getattr(setup, field))


def _orderings_section(each: BoardBeside, scores: PaperScores, page: Path) -> list[str]:
    """Return the table of the orderings whose rows the board has, with the number of others."""
    wanted, without = orderings(scores)
    absent = len(wanted) - len(each.judged)
    link = _link(each, page)
    lines = [*_wrapped(f"**The paper's orderings, tested here:** {link}"), ""]
    if each.judged:
        headings = ["accuracy", "reported: higher", "reported: lower"]
        headings += [f"reported: points, {encoder}" for encoder in scores.encoders]
        headings += ["here: points [95 %]", "here: seeds", "here: p-value (Holm)", "here"]
        body = [_ordering_cells(judged, scores) for judged in each.judged]
        lines += [*tabulated(body, headings, "pipe", names=3), ""]
    text = (
        f"The paper has {len(wanted)} orderings on this task. The board has no rows or no column "
        f"for {absent} of them."
    )
    if without:
        text += (
            f" Another {without} pairs have no ordering, because the paper's encoders disagree or "
            "the two numbers are equal."
        )
    return [*lines, *_wrapped(text), ""]


def _ordering_cells(judged: Judged, scores: PaperScores) -> list[str]:
    ordering = judged.ordering
    points = [ordering.points.get(encoder) for encoder in scores.encoders]
    return [
        _accuracy(ordering.attack),
        ordering.higher.printed,
        ordering.lower.printed,
        *(ABSENT if each is None else f"+{each:.1f}" for each in points),
        _with_interval(judged),
        seeds_text(judged.seeds),
        ABSENT if judged.corrected is None else p_value_text(judged.corrected),
        judged.verdict,
    ]


def _with_interval(judged: Judged) -> str:
    low, high = map(signed_percent, judged.interval)
    return f"{signed_percent(judged.difference)} [{low}, {high}]"


def _wrapped(text: str) -> list[str]:
    """Return the lines of a paragraph that robench wrote."""
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
