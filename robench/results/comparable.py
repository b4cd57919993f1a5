"""Which records may stand in one table: what they must share, and how a mixed folder parts into sets that do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from robench.results.record import Record


@dataclass(frozen=True)
class Admitted:
    """Records by file name: those that count, and those that ended in errors.

    Attributes:
        reasons: why each of ``failed`` and each record that was refused altogether does not count.
    """

    records: Mapping[str, Record]
    failed: Mapping[str, Record] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


def admitted(records: Mapping[str, Record], reasons: Mapping[str, str]) -> Admitted:
    """Part records that go together into whole ones and ones with errors; ``reasons`` says why others were refused before."""
    failed = {name: record for name, record in records.items() if record.counts.error}
    errors = {
        name: f"{record.counts.error} of {record.counts.n} examples ended in an error"
        for name, record in failed.items()
    }
    return Admitted(
        {name: record for name, record in records.items() if name not in failed},
        failed,
        dict(sorted({**reasons, **errors}.items())),
    )


def conflict(records: Mapping[str, Record]) -> str | None:
    """What keeps records from standing in one table, as half a sentence; None when they compare.

    They must share the examples, the surface, whether their attacks stay inside it, its language model, the encoder's files, the search's
    precision, each attack's options and code, each defense's options, code and precision, each seed's victim, and robench's version and code of
    training and search. A code that was not noted agrees only with others that were not.
    """
    same: list[tuple[str, Callable[[Record], object], Callable[[Record], object]]] = [
        ("the test examples", lambda r: "", lambda r: (r.task.digest, r.ids_digest)),
        ("the surface", lambda r: "", lambda r: r.surface.key),
        ("whether the attack stays inside the surface", lambda r: "", lambda r: r.surface.outside),
        ("the language model", lambda r: "", lambda r: r.surface.language_model),
        ("the encoder's files", lambda r: "", lambda r: r.encoder.sha256),
        ("the version of robench", lambda r: "", lambda r: r.software.robench),
        ("the precision of the search", lambda r: "", lambda r: r.search.precision),
        ("robench's code of the search", lambda r: "", lambda r: r.search.code_sha256),
        ("robench's code of training", lambda r: "", lambda r: r.victim.training_code_sha256),
        (
            "the options of attack",
            lambda r: r.attack.label,
            lambda r: (r.attack.options, r.surface.constrained),
        ),
        ("the code of attack", lambda r: r.attack.label, lambda r: r.attack.code_sha256),
        ("the options of defense", lambda r: r.defense.label, lambda r: r.defense.options),
        ("the code of defense", lambda r: r.defense.label, lambda r: r.defense.code_sha256),
        ("the precision of training", lambda r: r.defense.label, lambda r: r.victim.precision),
        (
            "the victim of",
            lambda r: f"{r.defense.label}, seed {r.search.seed}",
            lambda r: r.victim.sha256,
        ),
    ]
    for what, group, value in same:
        for of, (first, *others) in _grouped(records, group).items():
            for other in others:
                if value(records[other]) != value(records[first]):
                    return f"{first} and {other} differ in {f'{what} {of}'.strip()}"
    return None


def _grouped(
    records: Mapping[str, Record], key: Callable[[Record], object]
) -> dict[object, list[str]]:
    groups: dict[object, list[str]] = {}
    for name, record in records.items():
        groups.setdefault(key(record), []).append(name)
    return groups


def comparable(records: Mapping[str, Record]) -> dict[str, dict[str, Record]]:
    """Sets of records (file name -> record) that may stand in one table, by a title that tells them apart; ordered by title."""
    groups: dict[tuple[object, ...], dict[str, Record]] = {}
    for name, record in sorted(records.items()):
        groups.setdefault(_setting(record), {})[name] = record
    titled: dict[str, dict[str, Record]] = {}
    for members in sorted(
        groups.values(),
        key=lambda members: (_title(next(iter(members.values()))), next(iter(members))),
    ):
        base = _title(next(iter(members.values())))
        again = sum(title == base or title.startswith(f"{base} (") for title in titled)
        titled[f"{base} ({again + 1})" if again else base] = members
    return titled


def _setting(record: Record) -> tuple[object, ...]:
    """What two records must share to stand in one table."""
    task = record.task
    examples = (
        task.name,
        task.test_name,
        task.digest,
        task.train_pool,
        record.ids_digest,
        record.limit,
    )
    search = (
        record.surface.key,
        record.surface.outside,
        record.surface.language_model,
        record.search.budget,
        record.search.precision,
    )
    return (
        *examples,
        *search,
        record.encoder.name,
        record.encoder.sha256,
        record.protocol,
        record.software.robench,
    )


def _title(record: Record) -> str:
    words = [record.task.name, f"encoder {record.encoder.name}", f"protocol {record.protocol.name}"]
    if record.task.test_name != "frozen-1000":
        words.append(f"test examples {record.task.test_name}")
    if record.search.budget is not None:
        words.append(f"at most {record.search.budget} questions an example")
    if record.search.precision != "fp32":
        words.append(f"searched in {record.search.precision}")
    if record.surface.outside:
        words.append("outside the surface")
    if record.limit is not None:
        words.append(
            f"only {record.counts.n} of {record.task.examples} examples (a limited run, not for a board)"
        )
    return ", ".join(words)


def newest_that_agree(records: Mapping[str, Record]) -> Admitted:
    """From the newest record backwards, those that go together: one per cell, one victim per defense and seed, one set of options per label."""
    kept: dict[str, Record] = {}
    reasons: dict[str, str] = {}
    cells: dict[tuple[str, str, int], str] = {}
    for name, record in sorted(
        records.items(), key=lambda item: (item[1].created, item[0]), reverse=True
    ):
        cell = record.defense.label, record.attack.label, record.search.seed
        if cell in cells:
            reasons[name] = f"replaced by the newer {cells[cell]}"
            continue
        if disagreement := conflict({**kept, name: record}):
            reasons[name] = f"stale: {disagreement}"
            continue
        kept[name] = record
        cells[cell] = name
    return admitted(dict(sorted(kept.items())), reasons)


def attacks_of(records: Iterable[Record]) -> list[str]:
    """Labels of the attacks, sorted."""
    return sorted({record.attack.label for record in records})
