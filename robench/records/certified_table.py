"""Tables of certificates beside attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robench._base.escaping import MESSAGE
from robench._base.escaping import markdown as escaped
from robench.records.certificate import Certificate
from robench.records.percent import percent
from robench.records.render import ABSENT, bullets, paragraph, reason_bullets, tabulated
from robench.records.sandwich import Sandwich
from robench.records.statistics import wilson
from robench.records.terminal import STYLE, fitted, wrapped

HEADINGS = ("row", "seed", "method", "space", "n", "certified", "exact", "attacked", "clean")
NAMES = 4
"""Leading columns that hold names."""

MEANING = (
    "In % of all n examples. certified: proved by the method [95 % Wilson interval]. exact: the "
    "exact robustness, at least and at most, from certificates, attacks that asked every text, and "
    "texts that fool. attacked: accuracy under the strongest attack of the same victim in the same "
    "space; an attack on a part of the space only counts for exact and contradictions. clean: "
    "without an attack."
)
SMOOTHING = (
    "smoothing: the certificate is about the mean over all random variants of a text. The "
    "probability that an example is certified wrongly is at most {error:g}. This holds for each "
    "example, and not for all of them together."
)
NOT_THE_VICTIM = (
    "A row with '+ smoothing' is another classifier: the victim, smoothed when the certificate was "
    "made. No attack in this folder was on it, so only its own clean accuracy stands beside it."
)
SPACES = {True: "language model", False: "all substitutes"}
EDGES = (0, 1, 3, 5, 7, 10, 20, 50)
"""Least number of positions of each group in the table by positions."""


def cells(each: Sandwich) -> list[str]:
    """Return the cells of one row."""
    certificate, n = each.certificate, each.n
    low, high = wilson(each.certified / n, n)
    certified = f"{percent(each.certified / n)} [{percent(low)}, {percent(high)}]"
    exact = ABSENT
    if each.exact is not None:
        least, most = (percent(number / n) for number in each.exact)
        exact = least if least == most else f"{least} to {most}"
    return [
        row_text(certificate),
        str(certificate.seed),
        certificate.method,
        SPACES[certificate.space.constrained],
        str(n),
        certified,
        exact,
        ABSENT if each.attacked is None else percent(each.attacked / n),
        percent(each.clean / n),
    ]


def row_text(certificate: Certificate) -> str:
    """Return the row's label; a victim that was smoothed for the certificate says so."""
    return certificate.row + (" + smoothing" if certificate.smoothed else "")


def notes(made: Sequence[Sandwich]) -> list[str]:
    """Return the sentences below the table."""
    found = [MEANING]
    errors = sorted({each.certificate.error for each in made if each.certificate.error})
    found += [SMOOTHING.format(error=error) for error in errors]
    found += [_abstentions(each) for each in made if each.certificate.method == "smoothing"]
    if any(each.certificate.smoothed for each in made):
        found.append(NOT_THE_VICTIM)
    compared = [each for each in made if each.attacks]
    for each in compared:
        certificate, attacks = each.certificate, ", ".join(each.attacks)
        found.append(
            f"{row_text(certificate)}, {certificate.method}, seed {certificate.seed}, "
            f"{SPACES[certificate.space.constrained]}: checked against {attacks}; "
            f"{_contradictions(len(each.alarms))}."
        )
    return found


def _abstentions(each: Sandwich) -> str:
    certificate = each.certificate
    return (
        f"{row_text(certificate)}, smoothing, seed {certificate.seed}, "
        f"{SPACES[certificate.space.constrained]}: abstained on {each.abstained} of {each.n}. "
        "An abstention counts as not right, for clean too."
    )


def _contradictions(number: int) -> str:
    return "no contradiction" if not number else f"contradictions: {number}"


def by_positions(certificate: Certificate) -> list[list[str]]:
    """Return rows of a table: positions, examples, and how many have each letter."""
    rows = []
    for least, following in zip(EDGES, [*EDGES[1:], None], strict=True):
        inside = [
            letter
            for letter, number in zip(certificate.letters, certificate.positions, strict=True)
            if number >= least and (following is None or number < following)
        ]
        if not inside:
            continue
        if following is None:
            name = f"{least} or more"
        else:
            name = str(least) if following == least + 1 else f"{least} to {following - 1}"
        counted = [str(inside.count(letter)) for letter in "CFUAW"]
        rows.append([name, str(len(inside)), *counted])
    return rows


POSITION_HEADINGS = ("positions", "n", "certified", "text found", "unknown", "abstained", "wrong")


def terminal(made: Sequence[Sandwich], width: int | None) -> str:
    """Return the tables for a terminal.

    Args:
        made: the sandwiches.
        width: columns of the terminal, or None for any width.
    """
    lines = fitted(HEADINGS, [cells(each) for each in made], width, NAMES)
    lines += [wrapped(note, width) for note in notes(made)]
    for each in made:
        lines += ["", wrapped(_title(each.certificate), width)]
        lines += tabulated(by_positions(each.certificate), POSITION_HEADINGS, STYLE, names=1)
    return "\n".join(lines)


def _title(certificate: Certificate) -> str:
    return (
        f"{row_text(certificate)}, seed {certificate.seed}, {certificate.method}, "
        f"{SPACES[certificate.space.constrained]}: examples by the number of words that can be "
        "replaced"
    )


def markdown(
    made: Sequence[Sandwich], damaged: Sequence[str] = (), refused: Mapping[str, str] | None = None
) -> list[str]:
    """Return a section for Markdown, as lines; nothing where there is nothing. Alarms come first.

    Args:
        made: the sandwiches.
        damaged: sentences about certificates that cannot be read.
        refused: file name -> why a certificate does not belong to the board.
    """
    if not made and not damaged and not refused:
        return []
    lines = ["## Certified beside attacked", ""]
    alarms = [f"{sentence}" for each in made for sentence in alarm_sentences(each)]
    if alarms:
        lines += ["**Contradictions**", "", *bullets(alarms), ""]
    if made:
        lines += [*tabulated([cells(each) for each in made], HEADINGS, "pipe", NAMES), ""]
        for note in notes(made):
            lines += [paragraph(note), ""]
    if damaged:
        lines += [*bullets(escaped(each, MESSAGE) for each in damaged), ""]
    if refused:
        lines += ["### Certificates that do not count", "", *reason_bullets(refused), ""]
    return lines


def alarm_sentences(each: Sandwich) -> list[str]:
    """Return a sentence for each contradiction; where a proof is contradicted, it is an ALARM."""
    who, end = f"ALARM. {row_text(each.certificate)}", "One of the two is wrong."
    if each.certificate.method == "smoothing":
        who = row_text(each.certificate)
        end = (
            "The certificate is about the mean over all variants, and the victim answers from a "
            "few: both can be right. Raise the victim's draws."
        )
    return [
        f"{who}, example number {alarm.number + 1} of the test set ({each.certificate.method} "
        f"against {alarm.attack}, {alarm.record}): {alarm.sentence}. {end}"
        for alarm in each.alarms
    ]
