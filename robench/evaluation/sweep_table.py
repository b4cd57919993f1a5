"""What a sweep shows: its table on a terminal, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Final
from urllib.parse import quote

from robench._base.errors import RobenchError
from robench._base.escaping import NAME, markdown
from robench.evaluation.sweep import SweepPoint, SweepRow
from robench.records.comparable import comparable_groups
from robench.records.meanings import ORDER_OF_A_SWEEP, meanings_of_sweep
from robench.records.notes import conditions, encoder_data_lines, randomised_lines, synthetic_notice
from robench.records.record import Record
from robench.records.render import ABSENT, bullets, score_text, tabulated
from robench.records.terminal import ACCURACY, SEVERAL_SEEDS, fitted, wrapped
from robench.records.training_notes import training_notes
from robench.records.unknown_notes import unknown_lines
from robench.tasks.resolving import task_name

DISTANCE: Final = (
    "L2 distance of the encoder's weights after the last epoch from the pre-trained weights, "
    "relative to the norm of the latter."
)
WORST: Final = "right under every attack of the table, decided example by example."


def sweep_table(rows: Sequence[SweepRow]) -> list[str]:
    """Return the lines of the Markdown table, with one row per defense and point."""
    return tabulated(*_content(rows), "pipe", names=1)


def sweep_on_terminal(
    rows: Sequence[SweepRow], records: Sequence[Record], width: int | None = None
) -> str:
    """Return the table for a terminal, with its settings above it and the notes below it.

    Args:
        rows: the rows.
        records: all records.
        width: columns of the terminal, or None for any width.
    """
    named = {record.file_name: record for record in records}
    body, headings = _content(rows)
    # The swept values stand in columns of their own, and belong to the name of a row.
    table = fitted(headings, body, width, names=1 + len(rows[0].values))
    notes = [ACCURACY]
    if any(len(row.scores.seeds) > 1 for row in rows):
        notes.append(SEVERAL_SEEDS)
    notes += [f"Worst case: {WORST}", f"Distance: {DISTANCE}", ORDER_OF_A_SWEEP, *_about(records)]
    titles = [wrapped(title, width) for title in comparable_groups(named)]
    return "\n".join([*titles, *table, *(wrapped(note, width) for note in notes)])


def _about(records: Sequence[Record]) -> list[str]:
    """Return what a reader must know of the records."""
    notes = [*training_notes(records), *randomised_lines(records), *unknown_lines(records)]
    notes += encoder_data_lines(records)
    notice = synthetic_notice(records)
    return notes if notice is None else [*notes, notice]


def _content(rows: Sequence[SweepRow]) -> tuple[list[list[str]], list[str]]:
    """Return the cells, row by row, and the headings."""
    options, attacks = list(rows[0].values), list(rows[0].attacks)
    headings = [
        "defense",
        *options,
        "seeds",
        "n",
        "clean accuracy",
        *attacks,
        "worst case",
        "distance",
    ]
    return [_cells(row, options, attacks) for row in rows], headings


def _cells(row: SweepRow, options: Sequence[str], attacks: Sequence[str]) -> list[str]:
    scores = row.scores
    under = [scores.under[row.attacks[name]] for name in attacks]
    return [
        row.defense,
        *[row.values[name] for name in options],
        str(len(scores.seeds)),
        ABSENT if scores.examples is None else str(scores.examples),
        *map(score_text, [scores.clean, *under, scores.worst]),
        _distance_text(row.distances),
    ]


def _distance_text(distances: Sequence[float]) -> str:
    if not distances:
        return ABSENT
    text = f"{fmean(distances):.4f}"
    return f"{text} ± {stdev(distances):.4f}" if len(distances) > 1 else text


def render_sweep(
    points: Sequence[SweepPoint],
    rows: Sequence[SweepRow],
    records: Sequence[Record],
    figure: str | None,
) -> str:
    """Return the Markdown of a sweep.

    Args:
        points: the points.
        rows: the rows of the table.
        records: all records.
        figure: file name of the figure in the same folder, or None without one.

    Raises:
        RobenchError: there are no records.
    """
    if not rows:
        raise RobenchError("The sweep has no records.")
    swept = " and ".join(points[0].values)
    lines = [
        "<!-- Made by `robench sweep` from records. -->",
        "",
        f"# {markdown(f'{swept} on {task_name(points[0].request.tasks[0])}', NAME)}",
        "",
    ]
    notice = synthetic_notice(records)
    if notice:
        lines += [f"> {notice}", ""]
    lines += [*sweep_table(rows), ""]
    if figure:
        lines += [f"![the table as a figure]({quote(figure)})", ""]
    lines += [
        f"**Distance**: {DISTANCE}",
        "",
        "## Conditions",
        "",
        *bullets(conditions(records)),
        "",
        meanings_of_sweep(),
        "",
    ]
    return "\n".join(lines)
