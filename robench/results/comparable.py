"""Which records of a mixed folder may stand in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robench.results.board import Admitted, admitted, conflict
from robench.results.record import Record


def comparable(records: Mapping[str, Record]) -> dict[str, dict[str, Record]]:
    """Sets of records (file name -> record) that may stand in one table, by a title that tells them apart; ordered by title."""
    groups: dict[tuple[object, ...], dict[str, Record]] = {}
    for name, record in sorted(records.items()):
        groups.setdefault(_setting(record), {})[name] = record
    titled: dict[str, dict[str, Record]] = {}
    for members in sorted(groups.values(), key=lambda members: (_title(next(iter(members.values()))), next(iter(members)))):
        base = _title(next(iter(members.values())))
        again = sum(title == base or title.startswith(f"{base} (") for title in titled)
        titled[f"{base} ({again + 1})" if again else base] = members
    return titled


def _setting(record: Record) -> tuple[object, ...]:
    """What two records must share to stand in one table."""
    task = record.task
    examples = (task.name, task.test_name, task.digest, task.train_pool, record.ids_digest, record.limit)
    search = (record.surface.key, record.surface.language_model, record.search.budget, record.search.precision)
    return (*examples, *search, record.encoder.name, record.encoder.sha256, record.protocol, record.software.robench)


def _title(record: Record) -> str:
    words = [record.task.name, f"encoder {record.encoder.name}", f"protocol {record.protocol.name}"]
    if record.task.test_name != "frozen-1000":
        words.append(f"test examples {record.task.test_name}")
    if record.search.budget is not None:
        words.append(f"at most {record.search.budget} questions an example")
    if record.search.precision != "fp32":
        words.append(f"searched in {record.search.precision}")
    if record.limit is not None:
        words.append(f"only {record.counts.n} of {record.task.examples} examples (a limited run, not for a board)")
    return ", ".join(words)


def newest_that_agree(records: Mapping[str, Record]) -> Admitted:
    """From the newest record backwards, those that go together: one per cell, one victim per defense and seed, one set of options per label."""
    kept: dict[str, Record] = {}
    reasons: dict[str, str] = {}
    cells: dict[tuple[str, str, int], str] = {}
    for name, record in sorted(records.items(), key=lambda item: (item[1].created, item[0]), reverse=True):
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
