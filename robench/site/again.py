"""The command that makes the records of a row again, as far as the records say it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from robench.protocol import DEFAULT_PROTOCOL
from robench.records.record import PluginPart, Record, sources_of
from robench.tasks.resolving import names_own_data

REMARK = (
    "The command says what the records say. Equal records also need the same version of robench "
    "and the same libraries."
)
MODEL_REMARK = "The language model is {model}. If it is not the usual one, name it with --lm."
FILE_REMARK = (
    "{task} is a file or hub dataset of somebody's own, and records do not hold it. Whoever has it "
    "writes its path or address there, and adds the options about its columns that the run had."
)
GIVEN_REMARK = "robench did not train this victim. Put its folder or hub id in place of VICTIM."
CONTINUED = " \\\n  "
WIDTH = 76
"""Columns of a line of a command."""


def commands_of(records: Sequence[Record]) -> list[str]:
    """Return one command for each group of records that one call can make.

    Args:
        records: records of one row of one table.
    """
    shared: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        shared.setdefault(tuple(_shared(record)), []).append(record)
    return [_command(words, part) for words, group in shared.items() for part in _whole(group)]


def _whole(records: Sequence[Record]) -> list[list[Record]]:
    """Return the records in groups in which every seed has the same attacks."""
    attacks: dict[int, list[str]] = {}
    for record in records:
        attacks.setdefault(record.search.seed, []).append(record.attack.label)
    groups: dict[frozenset[str], list[Record]] = {}
    for record in records:
        groups.setdefault(frozenset(attacks[record.search.seed]), []).append(record)
    return list(groups.values())


def remarks_of(records: Sequence[Record]) -> list[str]:
    """Return what a reader of the commands must know."""
    found = [REMARK]
    models = sorted({record.surface.language_model for record in records} - {"none"})
    found += [MODEL_REMARK.format(model=model) for model in models]
    own = filter(names_own_data, sources_of(records))
    found += [FILE_REMARK.format(task=name) for name in own]
    if any(record.victim.kind != "trained" for record in records):
        found.append(GIVEN_REMARK)
    return found


def _command(shared: Sequence[str], records: Sequence[Record]) -> str:
    attacks = dict.fromkeys(f"--attack {shlex.quote(r.attack.name)}" for r in records)
    seeds = sorted({record.search.seed for record in records})
    options = dict.fromkeys(each for record in records for each in _attack_options(record))
    words = [*shared, *attacks, *options, *(f"--seed {seed}" for seed in seeds)]
    lines = ["robench evaluate"]
    for word in words:
        if len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return CONTINUED.join(lines)


def _shared(record: Record) -> Iterable[str]:
    """Yield the options of a record that all records of a command share."""
    task, protocol, search = record.task, record.protocol, record.search
    yield f"--task {shlex.quote(task.name)}"
    if task.other_test is not None:
        yield f"--test {shlex.quote(task.other_test)}"
    if record.encoder is None or record.defense is None:
        yield "--victim VICTIM"
    else:
        if task.train_pool != "train":
            yield f"--train-pool {shlex.quote(task.train_pool)}"
        yield f"--encoder {shlex.quote(record.encoder.name)}"
        yield f"--defense {shlex.quote(record.defense.name)}"
        for name, value in changed_options(record.defense):
            yield _option(record.defense.name, name, value)
        if record.victim.precision not in (None, "fp32"):
            yield f"--precision {record.victim.precision}"
    if protocol.base.name != DEFAULT_PROTOCOL:
        yield f"--protocol {shlex.quote(protocol.base.name)}"
    if protocol.unknown != "allowed":
        yield f"--unknown {protocol.unknown}"
    if protocol.temperature != "none":
        yield f"--temperature {protocol.temperature}"
    if record.surface.language_model == "none":
        yield "--lm none"
    if search.precision != "fp32":
        yield f"--search-precision {search.precision}"
    if search.budget is not None:
        yield f"--budget {search.budget}"
    if record.limit is not None:
        yield f"--limit {record.limit}"


def _attack_options(record: Record) -> Iterable[str]:
    return (_option(record.attack.name, *each) for each in changed_options(record.attack))


def _option(plugin: str, name: str, value: str) -> str:
    return f"--option {shlex.quote(f'{plugin}.{name}={value}')}"


def changed_options(plugin: PluginPart) -> list[tuple[str, str]]:
    """Return the options that differ from the defaults, which are those that the label names."""
    label = plugin.label
    inside = label[len(plugin.name) + 1 : -1] if label.startswith(f"{plugin.name}(") else ""
    found = []
    for name, value in sorted(plugin.options.items()):
        if f", {name}=" in f", {inside}":
            text = value if isinstance(value, str) else _plain(value)
            found.append((name, text))
    return found


def _plain(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
