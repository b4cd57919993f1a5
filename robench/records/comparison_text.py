"""Write a comparison of two rows as a sentence, as tables, as HTML and as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from textwrap import shorten
from typing import Any

from tabulate import tabulate

from robench._base import escaping
from robench.records.columns import listed
from robench.records.compared import ComparedRows, Differing, Substitution
from robench.records.pairing import Measure, SeedPair
from robench.records.percent import p_value_text, percent, signed_percent
from robench.records.render import ABSENT, paragraph, tabulated
from robench.records.statistics import holm
from robench.records.terminal import fitted, wrapped

SHOWN_CHARACTERS = 100
"""Characters of a text that are shown."""
SHOWN_EXAMPLES = 5
"""Examples that are listed in the text. The JSON has all of them."""
SHOWN_WORDS = 5
"""Substitutions that are listed for each row. The JSON has all of them."""

CURVE_UNITS = {"queries": "queries", "words": "changed words (an upper bound)"}
"""Name of a curve -> what it counts."""

MEANING = (
    "Difference: {first} minus {second}, in points of all n examples [95 % score interval of Tango "
    "1998 for paired proportions]. "
)
ONE_SEED = (
    "p: exact McNemar test, two-sided{correction}. Both are about the choice of the examples, not "
    "about other trainings."
)
SEVERAL_SEEDS = (
    "Mean: mean ± standard deviation over the seeds [95 % interval of a bootstrap that draws seeds "
    "and examples]. p: Student's t with the standard error of this bootstrap, two-sided"
    "{correction}. The line of one seed is about this training only and has no p-value."
)


class Item(str):
    """A line of a list among ``paragraphs``."""

    __slots__ = ()


def sentence(result: ComparedRows, measure: Measure) -> str:
    """Return the sentence about one measure that a person can quote."""
    under = {
        "clean": "Without an attack",
        "attack": f"Under {listed(measure.attacks)}" if measure.attacks else "",
        "worst": f"Under the worst case of {listed(measure.attacks)}" if measure.attacks else "",
    }[measure.kind]
    n = measure.pairs[0].examples
    count = len(measure.pairs)
    low, high = measure.interval
    p_value = _corrected(result)[id(measure)]
    over = ""
    if count == 1:
        pair = measure.pairs[0]
        rates = (
            f"{result.first} is right on {pair.right_first} of {n} examples and {result.second} "
            f"on {pair.right_second}"
        )
        test = "exact McNemar "
    else:
        rates = (
            f"{result.first} is right on {percent(measure.first)} % of {n} examples and "
            f"{result.second} on {percent(measure.second)} % (means of {count} seeds)"
        )
        over, test = " over seeds and examples", ""
    return (
        f"{under}, {rates}: {_points(measure)}, 95 % interval {_interval(low, high)}{over}, "
        f"{test}{_p(p_value)}{_correction(result)}, n = {n}, task {result.task}."
        f"{_price(result, measure)}"
    )


def _corrected(result: ComparedRows) -> dict[int, float]:
    """Return the p-value of each measure, corrected by Holm over all measures.

    The keys are the ``id`` of the measures, because two measures may be equal.
    """
    corrected = holm([measure.p_value for measure in result.measures])
    return {id(each): value for each, value in zip(result.measures, corrected, strict=True)}


def _correction(result: ComparedRows) -> str:
    """Return how the p-values are corrected; nothing for a single test."""
    tests = len(result.measures)
    return f" (Holm, {tests} tests)" if tests > 1 else ""


def _price(result: ComparedRows, measure: Measure) -> str:
    """Return a sentence about clean accuracy where the row that is ahead has less of it."""
    clean = next((each for each in result.measures if each.kind == "clean"), None)
    if clean is None or clean.difference * measure.difference >= 0:
        return ""
    ahead = result.first if measure.difference > 0 else result.second
    size, (low, high) = percent(abs(clean.difference)), clean.interval
    if float(size) == 0:
        return ""
    return (
        f" Without an attack, {ahead} is right on {size} points fewer "
        f"(difference {_interval(low, high)})."
    )


def _points(measure: Measure) -> str:
    size = percent(abs(measure.difference))
    spread = "" if measure.spread is None else f" ± {percent(measure.spread)}"
    if float(size) == 0 and not measure.spread:
        return "no difference"
    return f"{size}{spread} points {'less' if measure.difference < 0 else 'more'}"


def _interval(low: float, high: float) -> str:
    return f"[{signed_percent(low)}, {signed_percent(high)}]"


def _p(value: float) -> str:
    text = p_value_text(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def measure_name(measure: Measure) -> str:
    """Return the name of a measure in the table."""
    return {
        "clean": "clean accuracy",
        "attack": ", ".join(measure.attacks),
        "worst": "worst case",
    }[measure.kind]


def _table(result: ComparedRows) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the cells of the table: a line for each measure and seed."""
    headings = [
        "accuracy in %",
        "seed",
        result.first,
        result.second,
        "difference",
        f"only {result.first}",
        f"only {result.second}",
        f"p{_correction(result)}",
    ]
    body, corrected = [], _corrected(result)
    for each in result.measures:
        name = measure_name(each)
        p_value = p_value_text(corrected[id(each)])
        several = len(each.pairs) > 1
        body += [[name, *_pair_cells(pair, ABSENT if several else p_value)] for pair in each.pairs]
        if several:
            difference = f"{signed_percent(each.difference)} ± {percent(each.spread or 0.0)}"
            body.append(
                [
                    name,
                    "mean",
                    percent(each.first),
                    percent(each.second),
                    f"{difference} {_interval(*each.interval)}",
                    ABSENT,
                    ABSENT,
                    p_value,
                ]
            )
    if all(len(each.pairs) == 1 for each in result.measures):
        headings = [headings[0], *headings[2:]]
        body = [[cells[0], *cells[2:]] for cells in body]
    return headings, body


def _pair_cells(pair: SeedPair, p_value: str) -> list[str]:
    ours, theirs = pair.seeds
    return [
        str(ours) if ours == theirs else f"{ours} and {theirs}",
        percent(pair.right_first / pair.examples),
        percent(pair.right_second / pair.examples),
        f"{signed_percent(pair.difference)} {_interval(*pair.interval)}",
        str(pair.only_first),
        str(pair.only_second),
        p_value,
    ]


def table_lines(result: ComparedRows, style: str, width: int | None = None) -> list[str]:
    """Return the table of all measures.

    Args:
        result: the comparison.
        style: ``"pipe"`` for Markdown; otherwise the table is for a terminal.
        width: columns of the terminal, or None for any width.
    """
    headings, body = _table(result)
    if style == "pipe":
        return tabulated(body, headings, "pipe", names=1)
    return fitted(headings, body, width)


def paragraphs(result: ComparedRows) -> list[str]:
    """Return the sentences below the table: meaning, seeds, examples, words and notes."""
    several = any(len(each.pairs) > 1 for each in result.measures)
    tests = len(result.measures)
    correction = f", corrected by Holm for the {tests} tests of the table" if tests > 1 else ""
    meaning = MEANING.format(first=result.first, second=result.second)
    return [
        meaning + (SEVERAL_SEEDS if several else ONE_SEED).format(correction=correction),
        *result.notes,
        *curve_sentences(result),
        *example_sentences(result),
        *word_sentences(result),
    ]


def curve_sentences(result: ComparedRows) -> list[str]:
    """Return the accuracy of both rows by queries and by changed words, a sentence for each."""
    return [
        f"Under {each.attack} with at most {' / '.join(f'{point:,}' for point in each.at_most)} "
        f"{CURVE_UNITS[each.name]}: {result.first} {_rates(each.first)}, "
        f"{result.second} {_rates(each.second)}."
        for each in result.curves
    ]


def _rates(rates: Sequence[float]) -> str:
    return " / ".join(map(percent, rates))


def example_sentences(result: ComparedRows) -> list[str]:
    """Return which examples only one of the two rows has right."""
    where = "" if result.main.kind == "clean" else f" under {_under(result.main)}"
    sentences = []
    for name, found in (
        (result.first, [e for e in result.differing if e.first > e.second]),
        (result.second, [e for e in result.differing if e.second > e.first]),
    ):
        noun = "example" if len(found) == 1 else "examples"
        colon = ":" if found else "."
        sentences.append(f"Right only in {name}{where}: {len(found)} {noun}{colon}")
        sentences += [_example_line(each) for each in found[:SHOWN_EXAMPLES]]
        if len(found) > SHOWN_EXAMPLES:
            rest = len(found) - SHOWN_EXAMPLES
            sentences.append(Item(f"- and {rest} more, which --json lists."))
    if any(each.id is None for each in result.differing):
        sentences.append(
            "The ids are not known, because the trials are missing or do not fit the records."
        )
    return sentences


def _example_line(each: Differing) -> str:
    name = each.id or f"number {each.position + 1}"
    if each.text is None:
        return Item(f"- {name}")
    return Item(f"- {name}: {shorten(each.text, SHOWN_CHARACTERS, placeholder=' …')}")


def _under(measure: Measure) -> str:
    return "the worst case" if measure.kind == "worst" else listed(measure.attacks)


def word_sentences(result: ComparedRows) -> list[str]:
    """Return which substitutions made the difference, one sentence for each row."""
    return [
        f"Substitutions that fooled {fooled} where {other} held: {_words(words)}."
        for fooled, other, words in (
            (result.second, result.first, result.fooled_second),
            (result.first, result.second, result.fooled_first),
        )
        if words
    ]


def _words(words: Sequence[Substitution]) -> str:
    shown = [f"{w.original} → {w.substitute} ({w.count}×)" for w in words[:SHOWN_WORDS]]
    rest = len(words) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest else "")


def markdown(result: ComparedRows) -> str:
    """Return the comparison as Markdown."""
    quoted = escaping.strong(sentence(result, result.main), escaping.TEXT)
    lines = [quoted, "", *table_lines(result, "pipe"), ""]
    for warning in result.warnings:
        lines += [f"> Warning: {paragraph(warning)}", ""]
    for text in paragraphs(result):
        lines += [_markdown_paragraph(text), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_paragraph(text: str) -> str:
    return f"- {paragraph(text[2:])}" if isinstance(text, Item) else paragraph(text)


def terminal(result: ComparedRows, width: int | None) -> str:
    """Return the comparison for a terminal. Warnings are not part of it.

    Args:
        result: the comparison.
        width: columns of the terminal, or None for any width.
    """
    texts = [sentence(result, result.main), *paragraphs(result)]
    head, *rest = (wrapped(text, width) for text in texts)
    return "\n".join([head, "", *table_lines(result, "terminal", width), *rest]) + "\n"


def html(result: ComparedRows) -> str:
    """Return the comparison as HTML: the sentence, the table, the warnings and the sentences."""
    headings, body = _table(result)
    # tabulate escapes what HTML needs. Characters that cannot be seen are left to us.
    shown = [[escaping.terminal(each) for each in cells] for cells in (headings, *body)]
    table = tabulate(shown[1:], shown[0], tablefmt="html", disable_numparse=True)
    quoted = escaping.html(sentence(result, result.main))
    return f"<p><b>{quoted}</b></p>{table}" + _html_paragraphs(
        [*(f"Warning: {each}" for each in result.warnings), *paragraphs(result)]
    )


def _html_paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escaping.html(text)}</p>" for text in texts)


def as_data(result: ComparedRows) -> dict[str, Any]:
    """Return a comparison as plain data. Rates and differences are shares, not percentages."""
    return {
        "sentence": sentence(result, result.main),
        "first": result.first,
        "second": result.second,
        "task": result.task,
        "measures": [_measure_data(result, each) for each in result.measures],
        "curves": [asdict(each) for each in result.curves],
        "differing": [
            {
                "id": e.id,
                "position": e.position,
                "first": e.first,
                "second": e.second,
                "text": e.text,
            }
            for e in result.differing
        ],
        "fooled_only_second": [_word_data(word) for word in result.fooled_second],
        "fooled_only_first": [_word_data(word) for word in result.fooled_first],
        "warnings": list(result.warnings),
        "notes": list(result.notes),
    }


def _word_data(word: Substitution) -> dict[str, Any]:
    return {"original": word.original, "substitute": word.substitute, "count": word.count}


def _measure_data(result: ComparedRows, measure: Measure) -> dict[str, Any]:
    return {
        "measure": measure_name(measure),
        "kind": measure.kind,
        "attacks": list(measure.attacks),
        "sentence": sentence(result, measure),
        "n": measure.pairs[0].examples,
        "first": measure.first,
        "second": measure.second,
        "difference": measure.difference,
        "interval": list(measure.interval),
        "spread": measure.spread,
        "p_value": measure.p_value,
        "p_value_holm": _corrected(result)[id(measure)],
        "seeds": [
            {
                "seeds": list(pair.seeds),
                "right_first": pair.right_first,
                "right_second": pair.right_second,
                "only_first": pair.only_first,
                "only_second": pair.only_second,
                "difference": pair.difference,
                "interval": list(pair.interval),
                "p_value": pair.p_value,
            }
            for pair in measure.pairs
        ],
    }
