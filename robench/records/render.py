"""Write tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

from robench._base.escaping import MESSAGE, TEXT, Markdown, cell, code, markdown, visible
from robench.records.columns import Columns
from robench.records.comparable import Admitted, cell_of
from robench.records.curve_tables import CURVE_TEXTS, curve_rows
from robench.records.curves import CURVES, CurveName
from robench.records.exact_robustness import Overestimate, overestimates
from robench.records.label_tables import constant_notes, label_table, left_out_notes
from robench.records.marks import HEADING, NO_MARKS, Marks
from robench.records.meanings import EXACT, FLAGS, HEALTH, LABELS, PAIRED, TRADE_OFF, UNKNOWN
from robench.records.notes import conditions, health_lines, synthetic_notice
from robench.records.paired import ComparedTable, Comparison, compare_rows
from robench.records.paired_notes import GROUP, group_notes, seeds_text, uncompared
from robench.records.percent import p_value_text, percent, signed_percent
from robench.records.record import Record
from robench.records.rows import DefenseRow, Gap, build_rows
from robench.records.same_weights import same_weights_notes
from robench.records.statistics import Score, accuracy_under_attack, attack_success_rate
from robench.records.trade_off import TradeOff, weigh
from robench.records.training_notes import TRAINED_MARK, training_notes
from robench.records.transfer_flags import NOT_TRANSFERRED, Transferred, table_flags
from robench.records.unknown_pairs import UnknownPair, unknown_pairs

ABSENT = "—"

CURVE_TITLES: Mapping[CurveName, str] = {"queries": "by queries", "words": "by changed words"}
"""Name of a curve -> how a heading names it."""


def section(
    columns: Columns,
    admitted: Admitted,
    *,
    expected: Sequence[str] = (),
    about: str = "",
    level: int = 2,
    variants: Iterable[Record] = (),
    transferred: Transferred = NOT_TRANSFERRED,
    marks: Marks = NO_MARKS,
) -> list[str]:
    """Return the Markdown of one table with everything that belongs to it, as lines.

    The section holds the table, the health checks, unknown words allowed and forbidden, the flags,
    accuracy by label, clean accuracy beside the worst case, the comparison with the most robust
    row, every cell, the curves, the comparison with the exact robustness, the conditions, and the
    records that do not count.

    Args:
        columns: the columns of the table.
        admitted: the records.
        expected: labels of defenses that get a row even without a record.
        about: a paragraph above the table; what is no ``Markdown`` is escaped.
        level: level of the headings.
        variants: records that differ from those of the table in ``Protocol.unknown``.
        transferred: what ``robench transfer`` found in the run.
        marks: what ``robench verify`` found.
    """
    records = [*admitted.records.values(), *admitted.failed.values()]
    rows = build_rows(records, columns.attacks, expected, columns.worst_over)
    compared = compare_rows(rows)
    flags = bullets(flag.sentence for flag in table_flags(records, transferred))
    unknown = unknown_pairs([*admitted.records.values(), *variants])
    known = overestimates(admitted.records.values())
    parts = [
        ("Health checks", HEALTH, bullets(health_lines(records))),
        ("With and without unknown words", UNKNOWN, _unknown_table(unknown)),
        ("Flags", FLAGS, flags),
        ("By label", LABELS, _label_table(records, columns)),
        ("Clean accuracy and worst case", TRADE_OFF, _trade_off_table(weigh(rows))),
        ("Difference from the most robust row", PAIRED, _comparison_table(compared)),
        ("Every cell", "", _cells_table(records)),
        *((_curve_title(name), CURVE_TEXTS[name], _curve_table(name, records)) for name in CURVES),
        ("Above exact robustness", EXACT, _overestimate_table(known)),
        ("Conditions", "", bullets(conditions(records))),
        ("Records that do not count", "", reason_bullets(admitted.reasons)),
    ]
    lines = [paragraph(about), ""] if about else []
    lines += _main_part(columns, admitted, rows, compared, marks)
    for title, text, body in parts:
        if body:
            lines += [f"{'#' * level} {title}", "", *([text, ""] if text else []), *body, ""]
    return lines


def _main_part(
    columns: Columns,
    admitted: Admitted,
    rows: Sequence[DefenseRow],
    compared: ComparedTable,
    marks: Marks,
) -> list[str]:
    """Return the table of all rows and what is said of it, as lines."""
    records = [*admitted.records.values(), *admitted.failed.values()]
    notice = synthetic_notice(records)
    lines = [f"> {notice}", ""] if notice else []
    checked = marks.of_rows(admitted)
    headings = [*main_headings(columns), *([GROUP] if compared.groups else []), HEADING]
    body = [
        [
            *main_cells(row, columns),
            *([compared.groups.get(row.defense, ABSENT)] if compared.groups else []),
            checked.get(row.defense, ABSENT),
        ]
        for row in rows
    ]
    lines += [*tabulated(body, headings, "pipe", names=1), ""]
    for text in [*group_notes(compared), *(marks.notes(admitted) if checked else [])]:
        lines += [text, ""]
    notes = [*(uncompared(rows) if compared.tests else []), *columns.notes]
    notes += constant_notes(rows, records)
    for note in [*notes, *training_notes(records), *same_weights_notes(records)]:
        lines += [paragraph(note), ""]
    return lines


def bullets(items: Iterable[str]) -> list[str]:
    """Return the lines of a Markdown list. An item that is no ``Markdown`` is escaped."""
    return [f"- {paragraph(item)}" for item in items]


def paragraph(text: str) -> Markdown:
    """Return sentences for Markdown. They may be long, because the names in them are bounded."""
    return markdown(text, TEXT)


def reason_bullets(reasons: Mapping[str, str]) -> list[str]:
    """Return a Markdown list of files with a reason for each, at most ``MESSAGE`` long."""
    return bullets(
        Markdown(f"{code(name)}: {markdown(reason, MESSAGE)}") for name, reason in reasons.items()
    )


def main_headings(columns: Columns) -> list[str]:
    """Return the headings of the table of all rows."""
    return [
        "defense",
        "seeds",
        "n",
        "clean accuracy",
        *columns.headings,
        columns.worst_heading,
    ]


def main_cells(row: DefenseRow, columns: Columns) -> list[str]:
    """Return the cells of a row, one for each of the ``main_headings``."""
    seeds = str(len(row.seeds)) if row.seeds else ABSENT
    examples = ABSENT if row.examples is None else str(row.examples)
    under = [_under_text(row, attack) for attack in columns.attacks]
    # Where no attack searches, the worst case is not missing: there is none.
    worst = score_text(row.worst) if columns.worst_over else ABSENT
    return [row.defense, seeds, examples, score_text(row.clean), *under, worst]


def _under_text(row: DefenseRow, attack: str) -> str:
    """Return the accuracy under an attack, marked where the row trained on this attack."""
    score = row.under[attack]
    marked = attack in row.trained_against and isinstance(score, Score)
    return f"{score_text(score)} {TRAINED_MARK}" if marked else score_text(score)


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
    ordered = sorted(records, key=cell_of)
    body = []
    for record in ordered:
        defense, attack, seed = cell_of(record)
        body.append([defense, attack, str(seed), *_counts_and_rates(record)])
    # Records before schema 5 do not say it.
    if any(record.unknown is not None for record in ordered):
        headings.append("fooled with an unknown word")
        for cells, record in zip(body, ordered, strict=True):
            part = record.unknown
            known = part is not None and part.successes_unknown is not None
            cells.append(str(part.successes_unknown) if part is not None and known else ABSENT)
    return tabulated(body, headings, "pipe", names=2) if body else []


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


def _curve_title(name: CurveName) -> str:
    return f"Accuracy under attack {CURVE_TITLES[name]}"


def _curve_table(name: CurveName, records: Iterable[Record]) -> list[str]:
    """Return the table of one curve as lines; none without a curve."""
    headings, body = curve_table(name, records)
    return tabulated(body, headings, "pipe", names=2) if body else []


def curve_table(name: CurveName, records: Iterable[Record]) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells: accuracy under attack in % at some points of a curve."""
    rows = curve_rows(records, name)
    points = rows[0].at_most if rows else ()
    headings = [
        "defense",
        "attack",
        *(f"at most {point:,}" for point in points),
        f"any number of {name}",
    ]
    body = [
        [each.row, each.attack, *map(percent, each.accuracies), percent(each.whole)]
        for each in rows
    ]
    return headings, body


def _unknown_table(pairs: Sequence[UnknownPair]) -> list[str]:
    headings = [
        "defense",
        "attack",
        "seeds",
        "allowed",
        "forbidden",
        "fooled",
        "needs unknown words",
    ]
    body = [
        [
            each.row,
            each.attack,
            str(len(each.seeds)),
            score_text(each.allowed),
            score_text(each.forbidden),
            str(each.fooled),
            ABSENT if each.share is None else f"{each.only_with_unknown} ({percent(each.share)} %)",
        ]
        for each in pairs
    ]
    return tabulated(body, headings, "pipe", names=2) if body else []


def _label_table(records: Sequence[Record], columns: Columns) -> list[str]:
    headings, body = label_table(records, columns)
    lines = tabulated(body, headings, "pipe", names=2) if body else []
    return [*lines, *(part for note in left_out_notes(records) for part in ("", paragraph(note)))]


def _comparison_table(compared: ComparedTable) -> list[str]:
    headings = [
        "most robust row",
        "other row",
        "seeds",
        "clean accuracy",
        "worst case",
        "p-value (Holm)",
        "told apart",
    ]
    body = [_comparison_cells(each) for each in compared.comparisons]
    return tabulated(body, headings, "pipe", names=2) if body else []


def _comparison_cells(each: Comparison) -> list[str]:
    differences = [
        f"{signed_percent(pair.difference)} [{', '.join(map(signed_percent, pair.interval))}]"
        for pair in (each.clean, each.worst)
    ]
    told = "yes" if each.told_apart else "no"
    seeds = seeds_text(each.seeds)
    return [each.first, each.other, seeds, *differences, p_value_text(each.corrected), told]


def _trade_off_table(trade_offs: Sequence[TradeOff]) -> list[str]:
    headings = [
        "defense",
        "clean accuracy",
        "clean accuracy lost",
        "worst case",
        "not better than",
    ]
    body = [
        [
            each.row,
            percent(each.clean),
            percent(each.lost),
            percent(each.worst),
            "" if each.below is None else each.below,
        ]
        for each in trade_offs
    ]
    return tabulated(body, headings, "pipe", names=1) if body else []


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
            percent_range(each.proved, each.unfooled),
            percent_range(*each.bounds),
        ]
        for each in known
    ]
    return tabulated(body, headings, "pipe", names=2) if body else []


def percent_range(low: float, high: float) -> str:
    """Return two rates as percent, or one number if both print alike."""
    return percent(low) if percent(low) == percent(high) else f"{percent(low)} to {percent(high)}"


def tabulated(
    body: Sequence[Sequence[str]], headings: Sequence[str], style: str, names: int
) -> list[str]:
    """Return the lines of a table. Its cells are escaped for Markdown or for a terminal.

    Args:
        body: the cells, row by row.
        headings: the headings of the columns.
        style: a table format of tabulate.
        names: number of leading columns that hold names. They are aligned left. All other
            columns hold numbers and are aligned right.
    """
    lines: list[Sequence[str]] = [headings, *body]
    if style == "pipe":
        lines = [[cell(each) for each in line] for line in lines]
    else:
        # A line end in a cell is ours: ``terminal.fitted`` breaks cells that are too wide.
        lines = [[visible(each, keep="\n") for each in line] for line in lines]
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


def score_text(score: Score | Gap) -> str:
    """Return a score as text. A missing score, a failed one and zero look different."""
    if isinstance(score, Gap):
        word = "error" if score.kind == "error" else ABSENT
        return f"{word} ({score.have} of {score.want} seeds)" if score.want > 1 else word
    low, high = score.interval
    spread = f" ± {percent(score.spread)}" if score.spread is not None else ""
    return f"{percent(score.mean)}{spread} [{percent(low)}, {percent(high)}]"
