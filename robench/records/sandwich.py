"""Check certificates against attacks: certified <= exact <= attacked <= clean, for every example.

A certificate is compared with the records of the same victim on the same examples, as far as the
texts of a record's attack lie in the certificate's space. The language model's constraint only
takes texts away, so a certificate of the free space holds for constrained attacks too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from robench.records.certificate import Certificate
from robench.records.record import Record
from robench.records.shown_records import shown_part


@dataclass(frozen=True)
class Alarm:
    """One example on which a certificate and a record cannot both be right.

    Attributes:
        number: the example's place in the order of the test set.
        attack: label of the record's attack.
        record: file name of the record.
        sentence: what the two say.
    """

    number: int
    attack: str
    record: str
    sentence: str


@dataclass(frozen=True)
class Sandwich:
    """A certificate beside the attacks on the same victim.

    All numbers are numbers of examples.

    Attributes:
        certificate: the certificate.
        attacks: labels of the compared attacks, sorted; the texts of each lie in the space.
        n: number of examples.
        certified: proved by the certificate.
        exact: bounds of the exact robustness: at least (certified, or proved by an attack that
            asked every text) and at most (no text is known that fools the victim). None for
            smoothing, whose letters can be wrong with a small probability.
        attacked: held under the strongest single attack that could use every text of the space.
            None without such an attack.
        clean: right without an attack. An abstention of smoothing is not right.
        abstained: the draws did not decide on a label. Only smoothing abstains.
        alarms: contradictions.
    """

    certificate: Certificate
    attacks: tuple[str, ...]
    n: int
    certified: int
    exact: tuple[int, int] | None
    attacked: int | None
    clean: int
    abstained: int
    alarms: tuple[Alarm, ...]


def sandwiches(certificates: Iterable[Certificate], records: Iterable[Record]) -> list[Sandwich]:
    """Return a sandwich for each certificate, sorted by row, seed, method and space.

    Its texts are short enough for a page.
    """
    shown = [shown_part(each) for each in certificates]
    known = [shown_part(each) for each in records] if shown else []
    made = [sandwich(each, [r for r in known if covers(each, r)]) for each in shown]
    return sorted(
        made,
        key=lambda each: (
            each.certificate.task.file_part,
            each.certificate.row,
            each.certificate.seed,
            each.certificate.method,
            not each.certificate.space.constrained,
            each.certificate.key,
        ),
    )


def covers(certificate: Certificate, record: Record) -> bool:
    """Return whether every text of the record's attack lies in the space of the certificate."""
    mine, theirs = certificate.space, record.surface
    return (
        not record.counts.error
        and not theirs.outside
        and record.attack.searches
        and not certificate.smoothed
        and about_same_victim(certificate, record)
        and on_same_test(certificate, record)
        and in_same_rules(certificate, record)
        and (not mine.constrained or theirs.constrained)
        and certificate.protocol.unknown in {"allowed", record.protocol.unknown}
    )


def about_same_victim(certificate: Certificate, record: Record) -> bool:
    """Return whether both are about one victim, or the certificate about this victim, smoothed."""
    one, two = certificate.victim, record.victim
    return one.sha256 == two.sha256 and (certificate.smoothed or one.smoothing == two.smoothing)


def on_same_test(certificate: Certificate, record: Record) -> bool:
    """Return whether both judge the same examples, by protocols with the same base."""
    return (
        record.task == certificate.task
        and record.ids_digest == certificate.ids_digest
        and record.protocol.base == certificate.protocol.base
    )


def in_same_rules(certificate: Certificate, record: Record) -> bool:
    """Return whether both have the same surface, and the same language model where it matters."""
    mine, theirs = certificate.space, record.surface
    # Without its constraint, a language model does not matter.
    same_scorer = not mine.constrained or theirs.language_model == mine.language_model
    return theirs.rules == mine.rules and same_scorer


def sandwich(certificate: Certificate, records: Sequence[Record]) -> Sandwich:
    """Return the sandwich of a certificate and of the records that it covers."""
    letters = certificate.letters
    fooled = {number for each in records for number in _places(each.outcomes, "F")}
    proved = {
        number
        for each in records
        if _same_space(certificate, each)
        for number in _places(each.outcomes, "P")
    }
    wrong, found = set(_places(letters, "W")), set(_places(letters, "F"))
    clean = len(letters) - len(wrong) - letters.count("A")
    least = len((proved | set(_places(letters, "C"))) - fooled)
    most = len(letters) - len(wrong | fooled | found)
    held = [
        each.counts.held + each.counts.held_proved
        for each in records
        if _same_space(certificate, each)
    ]
    return Sandwich(
        certificate=certificate,
        attacks=tuple(sorted({each.attack.label for each in records})),
        n=len(letters),
        certified=letters.count("C"),
        exact=(least, most) if certificate.method == "bounds" else None,
        attacked=min(held, default=None),
        clean=clean,
        abstained=letters.count("A"),
        alarms=tuple(_alarms(certificate, records)),
    )


def _same_space(certificate: Certificate, record: Record) -> bool:
    """Return whether the attack could use every text of the certificate's space.

    A proof on a part of a space says nothing about the rest of it.
    """
    return (
        record.surface.constrained == certificate.space.constrained
        and record.protocol.unknown == certificate.protocol.unknown
    )


def _places(letters: str, letter: str) -> list[int]:
    return [number for number, each in enumerate(letters) if each == letter]


_CONTRADICTIONS = {
    ("C", "F"): "certified but fooled",
    ("C", "W"): "certified, but the victim is wrong on the example itself",
    ("F", "P"): "a text that fools the victim was found, but the example is proved to hold",
}
"""Letter of the certificate and outcome of a record -> what they say together."""


def _alarms(certificate: Certificate, records: Sequence[Record]) -> Iterable[Alarm]:
    for record in records:
        pairs = zip(certificate.letters, record.outcomes, strict=True)
        for number, pair in enumerate(pairs):
            if pair not in _CONTRADICTIONS:
                continue
            if pair == ("F", "P") and not _same_space(certificate, record):
                continue
            yield Alarm(number, record.attack.label, record.file_name, _CONTRADICTIONS[pair])
