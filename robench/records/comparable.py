"""Decide which records may share a table, and split a mixed folder into such groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from robench.records.record import Record
from robench.records.record_dates import newest_first

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Admitted:
    """Records by file name, sorted into those that count and those that do not.

    Attributes:
        records: records that count.
        failed: records in which examples ended in errors.
        reasons: file name -> why the record does not count, for ``failed`` and for records that
            were refused altogether.
    """

    records: Mapping[str, Record]
    failed: Mapping[str, Record] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


Kept = TypeVar("Kept")


def without(files: Mapping[str, Kept], refused: Mapping[str, object]) -> dict[str, Kept]:
    """Return the files, by name, that are not refused."""
    return {name: each for name, each in files.items() if name not in refused}


def separate_failed(records: Mapping[str, Record], reasons: Mapping[str, str]) -> Admitted:
    """Separate records with errors from those without.

    Args:
        records: records that may share a table.
        reasons: why other records were refused before.
    """
    counted: dict[str, Record] = {}
    failed: dict[str, Record] = {}
    all_reasons = dict(reasons)
    for name, record in records.items():
        if record.counts.error:
            failed[name] = record
            all_reasons[name] = (
                f"{record.counts.error} of {record.counts.n} examples ended in an error"
            )
        else:
            counted[name] = record
    return Admitted(counted, failed, dict(sorted(all_reasons.items())))


CellPlace = tuple[str, str, int]
"""A place in a table: label of the row, label of the attack, seed."""


def cell_of(record: Record) -> CellPlace:
    """Return the place of ``record`` in a table."""
    return record.row, record.attack.label, record.search.seed


def group_by(records: Mapping[str, Record], key: Callable[[Record], Key]) -> dict[Key, list[str]]:
    """Return the file names of records by key, in the order of ``records``."""
    groups: dict[Key, list[str]] = {}
    for name, record in records.items():
        groups.setdefault(key(record), []).append(name)
    return groups


@dataclass(frozen=True)
class _Rule:
    """Records of one group must have the same value.

    Attributes:
        what: what must be the same, for the message.
        value: the value of a record.
        group: name of the group of a record. All records are in one group by default.
        of_training: whether the rule is about training, so that it says nothing of a victim that
            robench did not train.
    """

    what: str
    value: Callable[[Record], object]
    group: Callable[[Record], str] = lambda record: ""
    of_training: bool = False


def _attack(record: Record) -> str:
    return record.attack.label


def _victim(record: Record) -> str:
    return record.row


def victim_and_seed(record: Record) -> str:
    """Return how a sentence names the victim of a record."""
    return f"{record.row}, seed {record.search.seed}"


def _what_answers(record: Record) -> tuple[str, str | None]:
    """Return what decides the victim's answers.

    The files of a victim that robench did not train say nothing of how its labels are matched.
    """
    victim = record.victim
    return victim.sha256, victim.configuration if record.encoder is None else None


# A code hash of None (older records) equals only None: it is unknown, not a wildcard.
_RULES = (
    _Rule("the test examples", lambda r: (r.task.digest, r.ids_digest)),
    _Rule("the surface", lambda r: r.surface.table_key),
    _Rule("the substitutions of attack", lambda r: r.surface.key, _attack),
    _Rule("whether the attack stays inside the surface", lambda r: r.surface.outside),
    _Rule("the language model", lambda r: r.surface.language_model),
    _Rule("the encoder's files", lambda r: r.encoder and r.encoder.sha256, of_training=True),
    _Rule("the version of robench", lambda r: r.software.robench),
    _Rule("the precision of the search", lambda r: r.search.precision),
    _Rule("robench's code of the search", lambda r: r.search.code_sha256),
    _Rule("robench's code of training", lambda r: r.victim.training_code_sha256, of_training=True),
    _Rule("the options of attack", lambda r: (r.attack.options, r.surface.constrained), _attack),
    _Rule("the code of attack", lambda r: r.attack.code_sha256, _attack),
    _Rule("the options of defense", lambda r: r.defense and r.defense.options, _victim),
    _Rule("the code of defense", lambda r: r.defense and r.defense.code_sha256, _victim),
    _Rule("the precision of training", lambda r: r.victim.precision, _victim),
    _Rule("the victim of", _what_answers, victim_and_seed),
)


class _Agreement:
    """Records that share a table, taken one after another.

    All records of a group have the value of its first one. So one comparison for each rule shows
    whether another record agrees, however many there are.
    """

    def __init__(self) -> None:
        # (number of the rule, group) -> name and value of the first record.
        self._first: dict[tuple[int, str], tuple[str, object]] = {}

    def disagreement(self, name: str, record: Record) -> str | None:
        """Return in what ``record`` differs from the records before it; see ``find_disagreement``.

        A record that agrees is taken.
        """
        values = {
            (number, rule.group(record)): rule.value(record)
            for number, rule in enumerate(_RULES)
            if record.encoder is not None or not rule.of_training
        }
        for (number, group), value in values.items():
            first, expected = self._first.get((number, group), (name, value))
            if value != expected:
                return f"{first} and {name} differ in {_RULES[number].what} {group}".rstrip()
        for place, value in values.items():
            self._first.setdefault(place, (name, value))
        return None


def find_disagreement(records: Mapping[str, Record]) -> str | None:
    """Return what keeps records from sharing a table, or None if nothing does.

    All records must share the test examples, the task's own surface and whether the attack stays
    inside a surface, the language model, the encoder's files, the version of robench, the
    precision of the search, and robench's code of search and training. Records of one attack must
    share its surface, options and code. Records of one row must share the defense's options, code
    and precision. Records of one row and seed must share the victim. What is about training is not
    asked of victims that robench did not train.

    Returns:
        Part of a sentence: "a.json and b.json differ in the surface".
    """
    agreement = _Agreement()
    found = (agreement.disagreement(name, record) for name, record in records.items())
    return next((reason for reason in found if reason is not None), None)


def comparable_groups(records: Mapping[str, Record]) -> dict[str, dict[str, Record]]:
    """Split records into groups that may share a table.

    A victim that robench did not train has no encoder and no training pool to compare. It joins
    every group that agrees with it in everything else.

    Args:
        records: file name -> record.

    Returns:
        Title of the group -> its records by file name. The titles are sorted and distinct.
    """

    def title_and_name(members: Mapping[str, Record]) -> tuple[str, str]:
        # A trained record names the encoder.
        name, record = min(members.items(), key=lambda item: (item[1].encoder is None, item[0]))
        return _title(record), name

    titled: dict[str, dict[str, Record]] = {}
    numbers: dict[str, int] = {}
    for members in sorted(_groups(records), key=title_and_name):
        title, _ = title_and_name(members)
        # A title does not name everything that a setting holds, so titles can be equal.
        numbers[title] = numbers.get(title, 0) + 1
        number = numbers[title]
        titled[title if number == 1 else f"{title} ({number})"] = members
    return titled


def _groups(records: Mapping[str, Record]) -> list[dict[str, Record]]:
    """Return the groups of ``comparable_groups`` without titles."""
    settings: dict[tuple[object, ...], dict[str, Record]] = {}
    for name, record in sorted(records.items()):
        settings.setdefault(_setting(record), {})[name] = record
    groups: list[dict[str, Record]] = []
    for members in settings.values():
        trained = {name: record for name, record in members.items() if record.encoder is not None}
        others = {name: record for name, record in members.items() if record.encoder is None}
        by_training = group_by(trained, _training_setting).values()
        for names in by_training or [[]]:
            joined = {name: members[name] for name in names} | others
            groups.append(dict(sorted(joined.items())))
    return groups


def _training_setting(record: Record) -> tuple[object, ...]:
    """Return what two trained victims must have in common to share a table."""
    return record.task.train_pool, record.encoder


def _setting(record: Record) -> tuple[object, ...]:
    """Return what two records must have in common to share a table, whoever trained the victim."""
    task, surface, search = record.task, record.surface, record.search
    return (
        task.name,
        task.test_name,
        task.digest,
        record.ids_digest,
        record.limit,
        surface.table_key,
        surface.outside,
        surface.language_model,
        search.budget,
        search.precision,
        record.protocol,
        record.software.robench,
    )


def _title(record: Record) -> str:
    """Return a title for the setting of ``record``. It names only what differs from the usual."""
    encoder = "given victims" if record.encoder is None else f"encoder {record.encoder.name}"
    task, other = record.task.name, record.task.other_test
    words = [
        task if other is None else f"{task} judged on {other}",
        encoder,
        f"protocol {record.protocol.name}",
    ]
    test_name = record.task.test_name if other is None else record.task.test_name[len(other) + 1 :]
    # The frozen examples are the usual ones: 1000, or all of a smaller test set.
    if test_name not in ("frozen-1000", f"frozen-{record.task.examples}"):
        words.append(f"test examples {test_name}")
    if record.search.budget is not None:
        words.append(f"at most {record.search.budget} queries per example")
    if record.search.precision != "fp32":
        words.append(f"searched in {record.search.precision}")
    if record.surface.outside:
        words.append("outside the surface")
    if record.limit is not None:
        words.append(
            f"only {record.counts.n} of {record.task.examples} examples (a limited run, not for a "
            "board)"
        )
    return ", ".join(words)


def newest_that_agree(records: Mapping[str, Record]) -> Admitted:
    """Keep the newest records that may share a table.

    Records are taken from the newest to the oldest; those with a date in the future are taken
    last. A record is left out if its cell has a newer record, or if it disagrees with the records
    taken before it.

    Args:
        records: one of the ``comparable_groups``.
    """
    kept: dict[str, Record] = {}
    reasons: dict[str, str] = {}
    newest: dict[CellPlace, str] = {}
    agreement = _Agreement()
    for name, record in newest_first(records):
        cell = cell_of(record)
        if cell in newest:
            reasons[name] = f"replaced by the newer {newest[cell]}"
            continue
        disagreement = agreement.disagreement(name, record)
        if disagreement is not None:
            reasons[name] = f"stale: {disagreement}"
            continue
        kept[name] = record
        newest[cell] = name
    return separate_failed(dict(sorted(kept.items())), reasons)


def replaced(records: Mapping[str, Record]) -> dict[str, str]:
    """Return the records whose place in their table another one has: file name -> reason.

    A file of substitutes that was edited makes such records: the label is the same, and the cell
    is another.
    """
    found: dict[str, str] = {}
    for members in comparable_groups(records).values():
        admitted = newest_that_agree(members)
        shown = {**admitted.records, **admitted.failed}
        places = {cell_of(record) for record in shown.values()}
        found |= {
            name: reason
            for name, reason in admitted.reasons.items()
            if name not in shown and cell_of(members[name]) in places
        }
    return found


def attack_labels(records: Iterable[Record]) -> list[str]:
    """Return the labels of the attacks, sorted."""
    return sorted({record.attack.label for record in records})
