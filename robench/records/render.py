"""Write tables as Markdown and as terminal text. Only this module turns a rate into percent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

from tabulate import tabulate

from robench.records.comparable import Admitted, cell_of
from robench.records.exact_robustness import Overestimate, overestimates
from robench.records.notes import EXACT, PAIRED, conditions, synthetic_notice
from robench.records.paired import Comparison, compare_with_best
from robench.records.record import Record
from robench.records.rows import DefenseRow, Gap, build_rows
from robench.records.statistics import Score, accuracy_under_attack, attack_success_rate

ABSENT = "—"
NARROW = 24
"""Width of a label, in columns, in a table that would not fit otherwise."""


def section(
    attacks: Sequence[str],
    admitted: Admitted,
    *,
    expected: Sequence[str] = (),
    about: str = "",
    level: int = 2,
) -> list[str]:
    """Return the Markdown of one table with everything that belongs to it, as lines.

    The section holds the table, the comparison with the best row, every cell, the comparison
    with the exact robustness, the conditions, and the records that do not count.

    Args:
        attacks: labels of the attacks, which are the columns.
        admitted: the records.
        expected: labels of defenses that get a row even without a record.
        about: a paragraph above the table.
        level: level of the headings.
    """
    records = [*admitted.records.values(), *admitted.failed.values()]
    head = "#" * level
    lines = [about, ""] if about else []
    notice = synthetic_notice(records)
    if notice:
        lines += [f"> {notice}", ""]
    rows = build_rows(records, attacks, expected)
    lines += [*_main_table(rows, attacks, "pipe"), ""]
    comparisons = compare_with_best(rows, records, attacks)
    if comparisons:
        table = _comparison_table(comparisons)
        lines += [f"{head} Difference from the best row", "", PAIRED, "", *table, ""]
    if records:
        lines += [f"{head} Every cell", "", *_cells_table(records), ""]
    known = overestimates(admitted.records.values())
    if known:
        table = _overestimate_table(known)
        lines += [f"{head} Above exact robustness", "", EXACT, "", *table, ""]
    lines += [f"{head} Conditions", "", *bullets(conditions(records)), ""]
    if admitted.reasons:
        lines += [f"{head} Records that do not count", "", *_reason_bullets(admitted.reasons), ""]
    return lines


def bullets(items: Iterable[str]) -> list[str]:
    """Return the lines of a Markdown list."""
    return [f"- {item}" for item in items]


def _reason_bullets(reasons: Mapping[str, str]) -> list[str]:
    return bullets(f"`{name}`: {reason}" for name, reason in reasons.items())


def terminal_table(attacks: Sequence[str], admitted: Admitted, width: int | None = None) -> str:
    """Return the main table of ``section`` for a terminal.

    Args:
        attacks: labels of the attacks, which are the columns.
        admitted: the records.
        width: columns of the terminal, or None for any width.
    """
    records = [*admitted.records.values(), *admitted.failed.values()]
    rows = build_rows(records, attacks)
    table = _main_table(rows, attacks, "rounded_outline")
    if width is not None and len(table[0]) > width:
        table = _main_table(rows, attacks, "rounded_outline", narrow=True)
    notes = [
        "Accuracy in % of all n examples [95 % Wilson interval]; a column named after an attack: "
        "accuracy under that attack."
    ]
    if any(len(row.seeds) > 1 for row in rows):
        notes.append(
            "Several seeds: mean ± standard deviation over the seeds [interval at the mean for n "
            "examples, not for other trainings]."
        )
    for name, record in admitted.failed.items():
        cell = f"{record.row} under {record.attack.label}"
        notes.append(f"{cell}: {admitted.reasons[name]}.")
    for each in overestimates(admitted.records.values()):
        cell = f"{each.defense} under {each.attack}, seed {each.seed}"
        notes.append(f"{cell}: {_range(*each.bounds)} points above exact robustness.")
    notice = synthetic_notice(records)
    if notice:
        notes.append(notice)
    # Only the sentences are wrapped. A wrapped table could not be read.
    if width is not None:
        notes = [fill(note, width) for note in notes]
    return "\n".join([*table, *notes])


def _main_table(
    rows: Sequence[DefenseRow], attacks: Sequence[str], style: str, narrow: bool = False
) -> list[str]:
    """Return the table of all defenses.

    Args:
        rows: result of ``build_rows``.
        attacks: labels of the attacks, which are the columns.
        style: a table format of tabulate.
        narrow: break long labels, and put intervals below their rates.
    """
    headings = ["defense", "seeds", "n", "clean accuracy", *attacks, "worst case"]
    body = [_main_cells(row, attacks) for row in rows]
    if narrow:
        headings = [heading.replace(" ", "\n") for heading in headings]
        body = [_narrow_cells(cells) for cells in body]
    return tabulated(body, headings, style, names=1)


def _main_cells(row: DefenseRow, attacks: Sequence[str]) -> list[str]:
    seeds = str(len(row.seeds)) if row.seeds else ABSENT
    examples = ABSENT if row.examples is None else str(row.examples)
    scores = [row.clean, *[row.under[attack] for attack in attacks], row.worst]
    return [row.defense, seeds, examples, *map(score_text, scores)]


def _narrow_cells(cells: Sequence[str]) -> list[str]:
    label, *numbers = cells
    wrapped = fill(label, NARROW, break_long_words=False)
    return [wrapped, *[number.replace(" [", "\n[") for number in numbers]]


def _cells_table(records: Iterable[Record]) -> list[str]:
    headings = [
        "defense",
        "attack",
        "seed",
        "wrong",
        "fooled",
        "held",
        "held and proved",
        "error",
        "under attack",
        "attack success rate",
        "queries per attacked example",
    ]
    body = []
    for record in sorted(records, key=cell_of):
        defense, attack, seed = cell_of(record)
        body.append([defense, attack, str(seed), *_counts_and_rates(record)])
    return tabulated(body, headings, "pipe", names=2)


def _counts_and_rates(record: Record) -> list[str]:
    counts = record.counts
    numbers = [counts.wrong, counts.fooled, counts.held, counts.held_proved, counts.error]
    attacked = counts.n - counts.wrong
    queries = f"{record.cost.asked / attacked:.0f}" if attacked else ABSENT
    if counts.error:
        rates = ["error", "error"]
    else:
        success = attack_success_rate(counts)
        rates = [
            percent(accuracy_under_attack(counts)),
            ABSENT if success is None else percent(success),
        ]
    return [*map(str, numbers), *rates, queries]


def _comparison_table(comparisons: Sequence[Comparison]) -> list[str]:
    headings = [
        "best row",
        "other row",
        "seed",
        "robust in the best row only",
        "robust in the other row only",
        "p-value",
    ]
    body = [
        [
            each.best,
            each.other,
            str(each.seed),
            str(each.result.only_first),
            str(each.result.only_second),
            _p_value(each.result.p_value),
        ]
        for each in comparisons
    ]
    return tabulated(body, headings, "pipe", names=2)


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _overestimate_table(known: Sequence[Overestimate]) -> list[str]:
    headings = [
        "defense",
        "attack",
        "seed",
        "under attack",
        "exact robustness",
        "above exact robustness",
    ]
    body = [
        [
            each.defense,
            each.attack,
            str(each.seed),
            percent(each.under),
            _range(each.proved, each.unfooled),
            _range(*each.bounds),
        ]
        for each in known
    ]
    return tabulated(body, headings, "pipe", names=2)


def _range(low: float, high: float) -> str:
    """Return two rates as percent, or one number if both print alike."""
    return percent(low) if percent(low) == percent(high) else f"{percent(low)} to {percent(high)}"


def tabulated(
    body: Sequence[Sequence[str]], headings: Sequence[str], style: str, names: int
) -> list[str]:
    """Return the lines of a table.

    Args:
        body: the cells, row by row.
        headings: the headings of the columns.
        style: a table format of tabulate.
        names: number of leading columns that hold names. They are aligned left. All other
            columns hold numbers and are aligned right.
    """
    lines: list[Sequence[str]] = [headings, *body]
    if style == "pipe":
        # A bar inside a cell would end the cell.
        lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    alignment = ["left"] * names + ["right"] * (len(headings) - names)
    # Without rows, tabulate aligns nothing and refuses an alignment.
    table = tabulate(
        lines[1:],
        lines[0],
        tablefmt=style,
        disable_numparse=True,
        colalign=alignment if body else None,
    )
    return table.splitlines()


def percent(rate: float) -> str:
    """Return a rate in [0, 1] as percent with one decimal, without the sign."""
    return f"{100 * rate:.1f}"


def score_text(score: Score | Gap) -> str:
    """Return a score as text. A missing score, a failed one and zero look different."""
    if isinstance(score, Gap):
        word = "error" if score.kind == "error" else ABSENT
        return f"{word} ({score.have} of {score.want} seeds)" if score.want > 1 else word
    low, high = score.interval
    spread = f" ± {percent(score.spread)}" if score.spread is not None else ""
    return f"{percent(score.mean)}{spread} [{percent(low)}, {percent(high)}]"
