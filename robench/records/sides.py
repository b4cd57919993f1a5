"""Find the two rows that a person names for a comparison.

A row is named by its label in the table of a run. A folder may stand before it, and a setting after
it: ``rift``, ``runs-2:rift``, ``runs-2``, ``rift@limit=100,encoder=tiny``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError, UsageError
from robench._base.hints import did_you_mean
from robench.records.comparable import newest_that_agree
from robench.records.record import Record
from robench.records.record_files import find_records
from robench.records.shown_records import short_name, shown_part

SETTING: Mapping[str, Callable[[Record], str]] = {
    "task": lambda r: r.task.name,
    "test": lambda r: r.task.test_name,
    "digest": lambda r: r.task.digest[:8],
    "encoder": lambda r: "none" if r.encoder is None else r.encoder.name,
    "pool": lambda r: r.task.train_pool,
    "protocol": lambda r: r.protocol.name,
    "limit": lambda r: "none" if r.limit is None else str(r.limit),
    "budget": lambda r: "none" if r.search.budget is None else str(r.search.budget),
    "lm": lambda r: r.surface.language_model,
}
"""Name after ``@`` -> its value in a record."""

_SUFFIX = re.compile(r"@(\w+=[^@]*)$")

Cells = dict[tuple[str, int], Record]
"""Label of the attack and seed -> record, for one row in one setting."""


@dataclass(frozen=True)
class Side:
    """One row in one setting.

    Attributes:
        name: the row as sentences name it. It has the folder where both rows have one label.
        row: label of the row.
        folder: folder of the run, or the folder of the records themselves.
        cells: its records.
        notes: sentences about records that were left out.
    """

    name: str
    row: str
    folder: Path
    cells: Cells
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidates:
    """The records of one row, by setting.

    Attributes:
        text: what the person wrote, without the setting.
        settings: values of ``SETTING`` -> file name -> record.
    """

    text: str
    row: str
    folder: Path
    settings: Mapping[tuple[str, ...], Mapping[str, Record]]
    damaged: tuple[str, ...]


def find_sides(first: str, second: str, out: Path, task: str | None = None) -> tuple[Side, Side]:
    """Return the two rows that ``first`` and ``second`` name.

    Args:
        first: a row, a run's folder, or both as ``FOLDER:ROW``; ``@KEY=VALUE,…`` selects a
            setting.
        second: the same.
        out: folder of rows without a folder.
        task: name of the task, or None if there is one only.

    Raises:
        UsageError: a row does not exist, or what was named is not one row in one setting. The
            message lists what there is.
        RobenchError: no record of a folder can be read.
    """
    found = [_candidates(text, out, task) for text in (first, second)]
    chosen = _choose(*found)
    same = found[0].row == found[1].row
    alike = _short_name(found[0]) == _short_name(found[1])
    sides = []
    for each, setting in zip(found, chosen, strict=True):
        cells, notes = _cells(each.settings[setting])
        name = f"{each.folder}:{each.row}" if same else each.row if alike else _short_name(each)
        sides.append(Side(name, each.row, each.folder, cells, (*each.damaged, *notes)))
    if same and found[0].folder == found[1].folder:
        if chosen[0] == chosen[1]:
            raise UsageError(f"'{first}' and '{second}' are the same row. Name two rows.")
        sides = [
            Side(f"{side.row} ({_suffix(setting, chosen)})", *_rest(side))
            for side, setting in zip(sides, chosen, strict=True)
        ]
    return _shown(sides[0]), _shown(sides[1])


def _shown(side: Side) -> Side:
    """Return a side with names and records that are short enough for a page."""
    cells = {
        (short_name(label), seed): shown_part(record)
        for (label, seed), record in side.cells.items()
    }
    return Side(short_name(side.name), short_name(side.row), side.folder, cells, side.notes)


def _short_name(each: _Candidates) -> str:
    """Return the row without its options if that is how the person named it."""
    short = each.row.split("(")[0].strip()
    return short if each.text.endswith(short) else each.row


def _rest(side: Side) -> tuple[str, Path, Cells, tuple[str, ...]]:
    return side.row, side.folder, side.cells, side.notes


def is_run(folder: Path) -> bool:
    """Return whether ``folder`` holds records, directly or in ``records/``."""
    inner = folder / "records"
    if inner.is_dir():
        return any(inner.glob("*.json"))
    # The folder of a model holds JSON files too.
    return folder.is_dir() and bool(find_records(folder).records)


def _records_of(folder: Path) -> Path:
    inner = folder / "records"
    return inner if inner.is_dir() else folder


def _candidates(text: str, out: Path, task: str | None) -> _Candidates:
    """Return the records of the row that ``text`` names."""
    plain, wanted = _split_suffix(text)
    folder, row = _folder_and_row(plain, out)
    found = find_records(_records_of(folder))
    if not found.records and found.damaged:
        raise RobenchError(found.damage(folder))
    fitting = {
        name: record
        for name, record in found.records.items()
        if (task is None or record.task.name == task)
        and all(SETTING[key](record) == value for key, value in wanted.items())
    }
    if not fitting:
        conditions = [*([f"task={task}"] if task else []), *(f"{k}={v}" for k, v in wanted.items())]
        raise UsageError(
            f"'{text}' has no record in {folder} with {', '.join(conditions)}. It has "
            f"{_settings_text(found.records.values())}."
        )
    rows = sorted({record.row for record in fitting.values()})
    if row is None and len(rows) > 1:
        names = ", ".join(f"{plain}:{each}" for each in rows)
        raise UsageError(f"'{plain}' holds {len(rows)} rows. Name one of them: {names}.")
    row = rows[0] if row is None else _row_called(row, rows, folder)
    settings: dict[tuple[str, ...], dict[str, Record]] = {}
    for name, record in fitting.items():
        if record.row == row:
            settings.setdefault(_setting(record), {})[name] = record
    damaged = tuple(f"Left out: {sentence}" for sentence in found.damaged.values())
    return _Candidates(plain, row, folder, settings, damaged)


def _split_suffix(text: str) -> tuple[str, dict[str, str]]:
    """Split ``"rift@limit=100"`` into the name and ``{"limit": "100"}``."""
    match = _SUFFIX.search(text)
    if match is None:
        return text, {}
    wanted: dict[str, str] = {}
    for pair in match[1].split(","):
        key, _, value = pair.partition("=")
        if key not in SETTING or not value:
            raise UsageError(
                f"'{pair}' in '{text}' is no setting. After @ stand KEY=VALUE with a key of "
                f"{', '.join(SETTING)}."
            )
        wanted[key] = value
    return text[: match.start()], wanted


def _folder_and_row(text: str, out: Path) -> tuple[Path, str | None]:
    """Return the folder and the row that ``text`` names. The row is None for a folder alone."""
    found = find_records(_records_of(out))
    rows = sorted({record.row for record in found.records.values()})
    readings: list[tuple[Path, str | None]] = []
    if _called(text, rows):
        readings.append((out, text))
    if text and is_run(Path(text)):
        readings.append((Path(text), None))
    for colon in re.finditer(":", text):
        folder, row = text[: colon.start()], text[colon.end() :]
        if folder and row and is_run(Path(folder)):
            readings.append((Path(folder), row))
    if len(readings) == 1:
        return readings[0]
    if readings:
        raise UsageError(
            f"'{text}' is a row of {out} and also a run's folder. Write {out}:{text} for the row, "
            f"or ./{text} for the folder."
        )
    if ":" in text and not any(Path(part).is_dir() for part in _heads(text)):
        raise UsageError(f"There is no run in '{text.partition(':')[0]}', so '{text}' is no row.")
    if not rows and found.damaged:
        raise RobenchError(found.damage(out))
    if not rows:
        raise UsageError(
            f"'{text}' is neither a run's folder nor a row of {out}, which holds no record. Name "
            "the folder with --out, or write FOLDER:ROW."
        )
    raise UsageError(
        f"'{text}' is neither a run's folder nor a row of {out}.{did_you_mean(text, rows)} "
        f"Its rows: {', '.join(rows)}. {found.damage(out)}".rstrip()
    )


def _called(text: str, rows: Sequence[str]) -> list[str]:
    """Return the row of this label, or else the rows whose label without options is ``text``."""
    return [text] if text in rows else [row for row in rows if row.split("(")[0].strip() == text]


def _row_called(text: str, rows: Sequence[str], folder: Path) -> str:
    """Return the one row that ``text`` names; raise UsageError with the rows otherwise."""
    found = _called(text, rows)
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(f"'{row}'" for row in found)
        raise UsageError(f"'{text}' names {len(found)} rows of {folder}. Write {names}.")
    raise UsageError(
        f"There is no row '{text}' in {folder}.{did_you_mean(text, rows)} "
        f"Its rows: {', '.join(rows)}."
    )


def _heads(text: str) -> list[str]:
    return [text[: colon.start()] for colon in re.finditer(":", text)]


def _setting(record: Record) -> tuple[str, ...]:
    return tuple(value(record) for value in SETTING.values())


def _choose(first: _Candidates, second: _Candidates) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the setting of each side: the only one, or the only one that both have."""
    ours, theirs = list(first.settings), list(second.settings)
    if len(ours) == len(theirs) == 1:
        return ours[0], theirs[0]
    pairs = [(our, their) for our in ours for their in theirs if _alike(our, their)]
    if len(pairs) == 1 and not (first.row == second.row and first.folder == second.folder):
        return pairs[0]
    several = first if len(ours) > 1 else second
    options = " or ".join(
        f"{several.text}@{_suffix(setting, list(several.settings))}" for setting in several.settings
    )
    raise UsageError(f"'{several.text}' has results in several settings. Name one: {options}.")


def _alike(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Return whether two settings agree; a victim that robench did not train has no encoder."""
    ours, theirs = dict(zip(SETTING, first, strict=True)), dict(zip(SETTING, second, strict=True))
    trained = "none" not in (ours["encoder"], theirs["encoder"])
    ignored = set() if trained else {"encoder", "pool"}
    return all(ours[key] == theirs[key] for key in SETTING if key not in ignored)


def _suffix(setting: tuple[str, ...], among: Sequence[tuple[str, ...]]) -> str:
    """Return what distinguishes a setting from the others: "limit=100,encoder=tiny"."""
    parts = [
        f"{key}={value}"
        for number, (key, value) in enumerate(zip(SETTING, setting, strict=True))
        if len({other[number] for other in among}) > 1
    ]
    # Several tasks differ in their digests as well, and the name is enough.
    named = [part for part in parts if not part.startswith("digest=")]
    return ",".join(named or parts)


def _settings_text(records: Iterable[Record]) -> str:
    """Return the values that occur: "task imdb, snli; limit none"."""
    found = list(records)
    parts = []
    for key in ("task", "encoder", "protocol", "limit"):
        values = sorted({SETTING[key](record) for record in found})
        parts.append(f"{key}={' or '.join(values)}")
    return ", ".join(parts)


def _cells(records: Mapping[str, Record]) -> tuple[Cells, tuple[str, ...]]:
    """Return the newest records of a row that agree, and sentences about the others."""
    cells: Cells = {}
    notes: list[str] = []
    # Attacks outside the surface never share a table with the others, but one row has both.
    for outside in (False, True):
        kind = {n: r for n, r in records.items() if r.surface.outside == outside}
        admitted = newest_that_agree(kind)
        for record in [*admitted.records.values(), *admitted.failed.values()]:
            cells[record.attack.label, record.search.seed] = record
        notes += [
            f"Left out: {name} ({reason})."
            for name, reason in admitted.reasons.items()
            if name not in admitted.failed
        ]
    return cells, tuple(notes)
