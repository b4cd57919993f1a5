"""Tables as Markdown and as terminal text. The only place where a rate becomes percent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill

from tabulate import tabulate

from robench.results.comparable import Admitted
from robench.results.notes import PAIRED, TRUTH, conditions, synthetic_notice
from robench.results.paired import Versus, against_best
from robench.results.record import Record
from robench.results.rows import Gap, Row, build_rows
from robench.results.statistics import Score, accuracy_under_attack, attack_success_rate
from robench.results.truth import Excess, excesses

ABSENT = "—"
NARROW = 24  # columns of a label in a table that would not fit otherwise


def section(
    attacks: Sequence[str],
    admitted: Admitted,
    *,
    expected: Sequence[str] = (),
    about: str = "",
    level: int = 2,
) -> list[str]:
    """Lines of Markdown: the table, every cell of it, under which conditions, and what was left out.

    Args:
        attacks: labels of the attacks: the columns.
        expected: labels of defenses that get a row even without a record.
        level: of the headings.
    """
    records = [*admitted.records.values(), *admitted.failed.values()]
    head = "#" * level
    lines = [about, ""] if about else []
    notice = synthetic_notice(records)
    lines += [f"> {notice}", ""] if notice else []
    rows = build_rows(records, attacks, expected)
    lines += [*_table(rows, attacks, "pipe"), ""]
    if versus := against_best(rows, records, attacks):
        lines += [
            f"{head} Told apart from the best row",
            "",
            PAIRED,
            "",
            *_paired_table(versus),
            "",
        ]
    if records:
        lines += [f"{head} Every cell", "", *_cells_table(records), ""]
    if found := excesses(admitted.records.values()):
        lines += [f"{head} Above the truth", "", TRUTH, "", *_truth_table(found), ""]
    lines += [f"{head} Conditions", "", *[f"- {line}" for line in conditions(records)], ""]
    if admitted.reasons:
        lines += [
            f"{head} Records that do not count",
            "",
            *[f"- `{name}`: {reason}" for name, reason in admitted.reasons.items()],
            "",
        ]
    return lines


def terminal_table(attacks: Sequence[str], admitted: Admitted, width: int | None = None) -> str:
    """The table of ``section`` for a terminal of ``width`` columns (None: as wide as it takes)."""
    records = [*admitted.records.values(), *admitted.failed.values()]
    rows = build_rows(records, attacks)
    lines = _table(rows, attacks, "rounded_outline")
    if width is not None and len(lines[0]) > width:
        lines = _table(rows, attacks, "rounded_outline", narrow=True)
    lines.append(
        "Accuracy in % of all n examples [95 % Wilson interval]; under an attack's name: accuracy under that attack."
    )
    if any(len(row.seeds) > 1 for row in rows):
        lines.append(
            "Several seeds: mean ± standard deviation over the seeds [interval at the mean for n examples, not for other trainings]."
        )
    lines += [
        f"{record.defense.label} under {record.attack.label}: {admitted.reasons[name]}."
        for name, record in admitted.failed.items()
    ]
    lines += [
        f"{excess.defense} under {excess.attack}, seed {excess.seed}: {_above(excess)} points above the truth."
        for excess in excesses(admitted.records.values())
    ]
    notice = synthetic_notice(records)
    lines += [notice] if notice else []
    return "\n".join(
        lines
        if width is None
        else [line if line.startswith(tuple("╭│├╰")) else fill(line, width) for line in lines]
    )


def _table(
    rows: Sequence[Row], attacks: Sequence[str], style: str, narrow: bool = False
) -> list[str]:
    """``narrow`` breaks labels, and puts intervals under their rates."""
    headings = ["defense", "seeds", "n", "clean accuracy", *attacks, "worst case"]
    body = [
        [
            row.defense,
            str(len(row.seeds)) if row.seeds else ABSENT,
            ABSENT if row.examples is None else str(row.examples),
        ]
        + [
            score_text(score)
            for score in (row.clean, *(row.under[attack] for attack in attacks), row.worst)
        ]
        for row in rows
    ]
    if narrow:
        headings = [heading.replace(" ", "\n") for heading in headings]
        body = [
            [
                fill(row[0], NARROW, break_long_words=False),
                *(cell.replace(" [", "\n[") for cell in row[1:]),
            ]
            for row in body
        ]
    return tabulated(body, headings, style, names=1)


def _cells_table(records: Iterable[Record]) -> list[str]:
    headings = [
        "defense",
        "attack",
        "seed",
        "wrong",
        "fooled",
        "held",
        "held, proved",
        "error",
        "under attack",
        "attack success rate",
        "asked per attacked example",
    ]
    ordered = sorted(
        records, key=lambda record: (record.defense.label, record.attack.label, record.search.seed)
    )
    body = [
        [record.defense.label, record.attack.label, str(record.search.seed), *_counts(record)]
        for record in ordered
    ]
    return tabulated(body, headings, "pipe", names=2)


def _paired_table(found: Sequence[Versus]) -> list[str]:
    headings = [
        "best row",
        "other row",
        "seed",
        "robust under the best only",
        "under the other only",
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
        for each in found
    ]
    return tabulated(body, headings, "pipe", names=2)


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _truth_table(found: Sequence[Excess]) -> list[str]:
    headings = ["defense", "attack", "seed", "under attack", "truth", "above the truth"]
    body = [
        [
            excess.defense,
            excess.attack,
            str(excess.seed),
            percent(excess.under),
            _range(excess.proved, excess.unfooled),
            _above(excess),
        ]
        for excess in found
    ]
    return tabulated(body, headings, "pipe", names=2)


def _above(excess: Excess) -> str:
    return _range(*excess.bounds)


def _range(low: float, high: float) -> str:
    """Two rates as percent, or one where they print alike."""
    return percent(low) if percent(low) == percent(high) else f"{percent(low)} to {percent(high)}"


def _counts(record: Record) -> list[str]:
    counts = record.counts
    attacked = counts.n - counts.wrong
    rate = None if counts.error else attack_success_rate(counts)
    return [
        *(
            str(number)
            for number in (
                counts.wrong,
                counts.fooled,
                counts.held,
                counts.held_proved,
                counts.error,
            )
        ),
        "error" if counts.error else percent(accuracy_under_attack(counts)),
        "error" if counts.error else ABSENT if rate is None else percent(rate),
        f"{record.cost.asked / attacked:.0f}" if attacked else ABSENT,
    ]


def tabulated(
    body: Sequence[Sequence[str]], headings: Sequence[str], style: str, names: int
) -> list[str]:
    """Lines of a table whose first ``names`` columns are names and whose others are numbers."""
    clean = [
        [cell.replace("|", "\\|") if style == "pipe" else cell for cell in row]
        for row in (headings, *body)
    ]
    alignment = ["left"] * names + ["right"] * (len(headings) - names)
    # Tabulate aligns nothing when there are no rows and complains about the alignment of columns it does not see.
    table = tabulate(
        clean[1:],
        clean[0],
        tablefmt=style,
        disable_numparse=True,
        colalign=alignment if body else None,
    )
    return table.splitlines()


def percent(rate: float) -> str:
    """A rate in [0, 1] as percent with one decimal, without the sign."""
    return f"{100 * rate:.1f}"


def score_text(score: Score | Gap) -> str:
    """A score as text. A gap stays a gap: absent, failed and zero look different."""
    if isinstance(score, Gap):
        word = "error" if score.kind == "error" else ABSENT
        return f"{word} ({score.have} of {score.want} seeds)" if score.want > 1 else word
    low, high = score.interval
    spread = f" ± {percent(score.spread)}" if score.spread is not None else ""
    return f"{percent(score.mean)}{spread} [{percent(low)}, {percent(high)}]"
