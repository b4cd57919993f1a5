"""What the records of a board say of training and attack, in the words of a paper's ``Setup``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pydantic import JsonValue

from robench.records.columns import listed
from robench.records.record import Record

_HASH = re.compile("([0-9a-f]{8})[0-9a-f]{56}")
_TOKENS = {"word": "one token for each word", "subword": "the encoder's own pieces"}
ALL = "all"
UNKNOWN = "not in the records"


def settings_found(records: Sequence[Record]) -> dict[str, str]:
    """Return field of ``Setup`` -> what the records say, for records that share a table.

    Where the rows differ, each value is followed by its rows.

    Args:
        records: records of trained victims; at least one.
    """
    return {
        "encoder": _by_row(records, lambda r: UNKNOWN if r.encoder is None else r.encoder.name),
        "training": _by_row(records, _training),
        "epochs": _by_row(records, lambda r: _option(r, "epochs")),
        "batch_size": _by_row(records, lambda r: _option(r, "batch_size")),
        "learning_rate": _by_row(records, lambda r: _option(r, "learning_rate")),
        "selection": _by_row(records, _selection),
        "tokens": _by_row(records, lambda r: _TOKENS[r.protocol.tokens]),
        "language_model": _language_model(records),
        "attacks": _attacks(records),
        "judged": _by_row(records, lambda r: f"{r.counts.n} test examples ({r.task.test_name})"),
        "trainings": _trainings(records),
    }


def _by_row(records: Sequence[Record], value: Callable[[Record], str]) -> str:
    """Return the value, or each value with its rows where they differ."""
    rows: dict[str, set[str]] = {}
    for record in records:
        rows.setdefault(value(record), set()).add(record.row_name)
    if len(rows) == 1:
        return next(iter(rows))
    return "; ".join(f"{text} ({listed(sorted(rows[text]))})" for text in sorted(rows))


def _option(record: Record, name: str) -> str:
    options: dict[str, JsonValue] = {} if record.defense is None else record.defense.options
    return str(options[name]) if name in options else UNKNOWN


def _training(record: Record) -> str:
    count = _option(record, "train_examples")
    used = ALL if count in ("None", UNKNOWN) else f"{int(count):,}" if count.isdigit() else count
    return f"{used} of pool '{record.task.train_pool}'"


def _selection(record: Record) -> str:
    selection = record.victim.selection
    return UNKNOWN if selection is None else f"rule '{selection.rule}' on dev examples"


def _language_model(records: Sequence[Record]) -> str:
    models = sorted({_HASH.sub(r"\1…", record.surface.language_model) for record in records})
    bound = sorted({record.attack.label for record in records if record.surface.constrained})
    free = sorted({record.attack.label for record in records} - set(bound))
    if models == ["none"]:
        return "none"
    parts = [f"for {listed(bound)}" if bound else "", f"not for {listed(free)}" if free else ""]
    return f"{'; '.join(models)}, {', '.join(part for part in parts if part)}"


def _attacks(records: Sequence[Record]) -> str:
    texts = set()
    for record in records:
        options = ", ".join(f"{name} {value}" for name, value in record.attack.options.items())
        texts.add(f"{record.attack.label} ({options})" if options else record.attack.label)
    return f"{', '.join(sorted(texts))}; robench's own code"


def _trainings(records: Sequence[Record]) -> str:
    seeds: dict[str, set[int]] = {}
    for record in records:
        seeds.setdefault(record.row_name, set()).add(record.search.seed)
    counts: dict[int, list[str]] = {}
    for row, of_row in seeds.items():
        counts.setdefault(len(of_row), []).append(row)
    if len(counts) == 1:
        return str(next(iter(counts)))
    return "; ".join(f"{count} ({listed(sorted(rows))})" for count, rows in sorted(counts.items()))
