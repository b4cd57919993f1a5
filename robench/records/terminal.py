"""The table that a run prints on a terminal, not wider than the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill

from robench._base.escaping import TEXT
from robench._base.escaping import terminal as shown
from robench.records.columns import Columns
from robench.records.comparable import Admitted
from robench.records.exact_robustness import overestimates
from robench.records.flags import Flag
from robench.records.label_tables import constant_notes
from robench.records.marks import Marks
from robench.records.notes import encoder_data_lines, randomised_lines, synthetic_notice
from robench.records.paired import compare_rows
from robench.records.paired_notes import detectable_sentence, group_sentence
from robench.records.percent import percent
from robench.records.render import main_cells, main_headings, percent_range, tabulated
from robench.records.rows import DefenseRow, build_rows
from robench.records.trade_off import TradeOff, weigh
from robench.records.training_notes import training_notes
from robench.records.transfer_flags import NOT_TRANSFERRED, Transferred, table_flags
from robench.records.unknown_notes import unknown_lines

NARROW = 24
"""Width of a label, in columns, in a table that would not fit otherwise."""
STYLE = "rounded_outline"
"""Table format of tabulate."""
ACCURACY = (
    "Accuracy in % of all n examples [95 % Wilson interval]; a column named after an attack: "
    "accuracy under that attack."
)
SEVERAL_SEEDS = (
    "Several seeds: mean ± standard deviation over the seeds [interval of a bootstrap over seeds "
    "and examples]."
)


def terminal_table(
    columns: Columns,
    admitted: Admitted,
    width: int | None = None,
    transferred: Transferred = NOT_TRANSFERRED,
    marks: Marks | None = None,
) -> str:
    """Return the main table of ``render.section`` for a terminal, with the notes below it.

    Args:
        columns: the columns of the table.
        admitted: the records.
        width: columns of the terminal, or None for any width.
        transferred: what ``robench transfer`` found in the run.
        marks: what ``robench verify`` and the trials say. None: nothing is said of it.
    """
    records = [*admitted.records.values(), *admitted.failed.values()]
    rows = build_rows(records, columns.attacks, worst_over=columns.worst_over)
    body = [main_cells(row, columns) for row in rows]
    lines = fitted(main_headings(columns), body, width)
    flags = table_flags(admitted.records.values(), transferred)
    notes = _notes(columns, admitted, rows, flags)
    notes += [] if marks is None else marks.lines(admitted)
    # Only the sentences are wrapped. A wrapped table could not be read.
    return "\n".join([*lines, *(wrapped(note, width) for note in notes)])


def wrapped(note: str, width: int | None) -> str:
    """Return a sentence for a terminal, in lines of at most ``width`` columns; None: any width."""
    sentence = shown(note, TEXT)
    return sentence if width is None else fill(sentence, width)


def fitted(
    headings: Sequence[str], body: Sequence[Sequence[str]], width: int | None, names: int = 1
) -> list[str]:
    """Return a table that is not wider than ``width``, as lines.

    A table that is too wide gets intervals below their rates and broken labels. If it is still
    too wide, it is split into several tables, which repeat the leading columns. A column that is
    wider than the terminal stays whole.

    Args:
        headings: the headings.
        body: the cells, row by row.
        width: columns of the terminal, or None for any width.
        names: number of leading columns that hold names.
    """
    headings = [shown(heading) for heading in headings]
    body = [[shown(each) for each in cells] for cells in body]
    table = tabulated(body, headings, STYLE, names)
    if width is None or _width(table) <= width:
        return table
    headings = [_broken_heading(heading) for heading in headings]
    body = [_narrow_cells(cells, names) for cells in body]

    def part(numbers: Sequence[int]) -> list[str]:
        shown = [*range(names), *numbers]
        cells = [[row[number] for number in shown] for row in body]
        return tabulated(cells, [headings[number] for number in shown], STYLE, names)

    lines: list[str] = []
    taken: list[int] = []
    for number in range(names, len(headings)):
        if taken and _width(part([*taken, number])) > width:
            lines += part(taken)
            taken = []
        taken.append(number)
    return [*lines, *part(taken)]


def _width(table: Sequence[str]) -> int:
    return max(map(len, table))


def _broken_heading(heading: str) -> str:
    """Return a heading with a line for each word, or with broken lines if it names options."""
    if "(" in heading and "=" in heading:
        return fill(heading, NARROW, break_long_words=False)
    return heading.replace(" ", "\n")


def _narrow_cells(cells: Sequence[str], names: int) -> list[str]:
    labels = [fill(label, NARROW, break_long_words=False) for label in cells[:names]]
    return [*labels, *[number.replace(" [", "\n[") for number in cells[names:]]]


def _notes(
    columns: Columns,
    admitted: Admitted,
    rows: Sequence[DefenseRow],
    flags: Sequence[Flag],
) -> list[str]:
    """Return the sentences below the table."""
    records = [*admitted.records.values(), *admitted.failed.values()]
    notes = [
        ACCURACY,
        *columns.notes,
        *constant_notes(rows, records),
    ]
    if any(len(row.seeds) > 1 for row in rows):
        notes.append(SEVERAL_SEEDS)
    compared = compare_rows(rows)
    if compared.groups:
        notes += [group_sentence(compared), detectable_sentence(compared)]
    notes += _trade_off_sentences(weigh(rows))
    notes += [f"Flag: {flag.sentence}" for flag in flags]
    notes += training_notes(records)
    for name, record in admitted.failed.items():
        cell = f"{record.row} under {record.attack.label}"
        notes.append(f"{cell}: {admitted.reasons[name]}.")
    notes += randomised_lines(records)
    notes += unknown_lines(records)
    for each in overestimates(admitted.records.values()):
        cell = f"{each.defense} under {each.attack}, seed {each.seed}"
        notes.append(f"{cell}: {percent_range(*each.bounds)} points above exact robustness.")
    notes += encoder_data_lines(records)
    notice = synthetic_notice(records)
    if notice:
        notes.append(notice)
    return notes


def _trade_off_sentences(trade_offs: Iterable[TradeOff]) -> list[str]:
    """Return what a reader of the order of the rows must know, as sentences."""
    found = list(trade_offs)
    lost = [f"{each.row} {percent(each.lost)}" for each in found if float(percent(each.lost)) > 0]
    below = [f"{each.row} (than {each.below})" for each in found if each.below is not None]
    sentences = []
    if lost:
        sentences.append(
            f"Points of clean accuracy below {found[0].best_clean}, which has the most: "
            f"{', '.join(lost)}."
        )
    if below:
        sentences.append(
            "Not higher in clean accuracy or worst case, and lower in at least one of them: "
            f"{', '.join(below)}."
        )
    return sentences
