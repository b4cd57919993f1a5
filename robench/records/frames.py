"""``robench.results``: the cells and the trials of a run as pandas frames."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError, UsageError
from robench._base.escaping import NAME, one_line, terminal
from robench.records.columns import run_columns
from robench.records.comparable import comparable_groups, newest_that_agree
from robench.records.curve_tables import curve_data
from robench.records.flags import Flag
from robench.records.leaderboard import flags_of, results_table
from robench.records.marks import CLAIMED, VERIFIED, Marks
from robench.records.rates import rates
from robench.records.record import Record, count
from robench.records.record_files import RecordsOnDisk, find_records
from robench.records.run_folder import RunFolder
from robench.records.statistics import accuracy_under_attack, wilson, worst_case
from robench.records.training_notes import trained_against
from robench.records.transfer_flags import Transferred, read_transferred
from robench.records.trial_marks import checked_marks

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """A column of ``Results.cells``.

    Attributes:
        dtype: its pandas type. Every type has a missing value.
        meaning: what it holds.
        value: its value for a record; None for a column that depends on other records too.
    """

    dtype: str
    meaning: str
    value: Callable[[Record], Any] | None


def _interval(record: Record, name: str, bound: int) -> float | None:
    rate = rates(record)[name]
    return None if rate is None else wilson(rate, record.counts.n)[bound]


def _unknown_share(record: Record, name: str) -> float | None:
    return None if record.unknown is None else record.unknown.share(name)


COLUMNS: Mapping[str, Column] = {
    "task": Column("string", "name of the task", lambda r: r.task.name),
    "test_set": Column("string", "list of test examples", lambda r: r.task.test_name),
    "row": Column("string", "label of the row in tables", lambda r: r.row),
    "defense": Column(
        "string", "name of the defense", lambda r: None if r.defense is None else r.defense.name
    ),
    "defense_options": Column(
        "string",
        "all options as JSON",
        lambda r: None if r.defense is None else json.dumps(r.defense.options, sort_keys=True),
    ),
    "victim_kind": Column("string", "trained, given or function", lambda r: r.victim.kind),
    "attack": Column("string", "label of the attack", lambda r: r.attack.label),
    "attack_options": Column(
        "string", "all options as JSON", lambda r: json.dumps(r.attack.options, sort_keys=True)
    ),
    "seed": Column("Int64", "seed of training and search", lambda r: r.search.seed),
    "n": Column("Int64", "number of judged examples", lambda r: r.counts.n),
    "wrong": Column("Int64", "wrong without an attack", lambda r: r.counts.wrong),
    "fooled": Column("Int64", "fooled examples", lambda r: r.counts.fooled),
    "held": Column("Int64", "held and not proved", lambda r: r.counts.held),
    "held_proved": Column("Int64", "held and proved", lambda r: r.counts.held_proved),
    "error": Column("Int64", "examples with an error", lambda r: r.counts.error),
    "clean_accuracy": Column(
        "Float64", "share right without an attack", lambda r: rates(r)["clean_accuracy"]
    ),
    "clean_low": Column(
        "Float64", "its 95 % Wilson interval", lambda r: _interval(r, "clean_accuracy", 0)
    ),
    "clean_high": Column(
        "Float64", "its 95 % Wilson interval", lambda r: _interval(r, "clean_accuracy", 1)
    ),
    "accuracy_under_attack": Column(
        "Float64", "share that held", lambda r: rates(r)["accuracy_under_attack"]
    ),
    "under_low": Column(
        "Float64", "its 95 % Wilson interval", lambda r: _interval(r, "accuracy_under_attack", 0)
    ),
    "under_high": Column(
        "Float64", "its 95 % Wilson interval", lambda r: _interval(r, "accuracy_under_attack", 1)
    ),
    "attack_success_rate": Column(
        "Float64", "fooled of the attacked examples", lambda r: rates(r)["attack_success_rate"]
    ),
    "worst_case": Column("Float64", "worst case of this row and seed", None),
    "worst_case_attacks": Column("string", "the attacks of the worst case, with semicolons", None),
    "queries": Column("Int64", "queries over all examples", lambda r: r.cost.asked),
    "attack_seconds": Column("Float64", "time of all searches", lambda r: r.cost.attack_seconds),
    "training_seconds": Column(
        "Float64", "time of the training", lambda r: r.cost.training_seconds
    ),
    **{
        f"unknown_{name}": Column("Float64", meaning, partial(_unknown_share, name=name))
        for name, meaning in {
            "words": "share of the words that the victim reads as its unknown token",
            "substitutes": "the same for the substitutes",
            "positions": "share of the replaceable words that a swap can turn into it",
            "successes": "share of the fooled examples whose swaps use an unknown word",
        }.items()
    },
    "encoder": Column(
        "string", "label of the encoder", lambda r: None if r.encoder is None else r.encoder.name
    ),
    "protocol": Column("string", "name of the protocol", lambda r: r.protocol.name),
    "budget": Column("Int64", "query budget, or missing", lambda r: r.search.budget),
    "limit": Column("Int64", "limit of the run, or missing", lambda r: r.limit),
    "constrained": Column(
        "boolean", "bound by the language model", lambda r: r.surface.constrained
    ),
    "outside": Column("boolean", "outside the surface", lambda r: r.surface.outside),
    "substitutions": Column(
        "string", "name of the substitution set, or missing", lambda r: r.surface.substitutions
    ),
    "held_out": Column(
        "boolean", "without pairs of the task's own set", lambda r: r.surface.held_out
    ),
    "trained_against": Column("boolean", "the defense trained on this attack", trained_against),
    "test_digest": Column("string", "hash of the test examples", lambda r: r.task.digest),
    "surface": Column("string", "key of the surface", lambda r: r.surface.key),
    "victim": Column("string", "hash of the victim", lambda r: r.victim.sha256),
    "cell": Column("string", "key of the cell", lambda r: r.cell),
    "created": Column("datetime64[ns, UTC]", "time of the last trial", lambda r: r.created),
    "record": Column("string", "file name of the record", None),
    "left_out": Column("string", "why the table leaves the record out, or missing", None),
    "checked": Column("string", "verified (by 'robench verify') or claimed", None),
    "trials_problem": Column(
        "string", "why its trials do not show that it is right, or missing", None
    ),
}
"""Name -> column of ``Results.cells``. Rates lie in [0, 1]."""


CURVE_COLUMNS: Mapping[str, str] = {
    "task": "string",
    "row": "string",
    "attack": "string",
    "seed": "Int64",
    "n": "Int64",
    "curve": "string",
    "at_most": "Int64",
    "fooled": "Int64",
    "accuracy_under_attack": "Float64",
    "under_low": "Float64",
    "under_high": "Float64",
    "record": "string",
    "left_out": "string",
}
"""Name -> pandas type of the columns of ``Results.curves``.

``curve`` is ``"queries"`` or ``"words"``, and ``at_most`` so many of them. ``fooled`` counts the
examples that were fooled with them. Rates lie in [0, 1]. ``left_out`` is that of ``cells``.
"""


LABEL_COLUMNS: Mapping[str, str] = {
    "task": "string",
    "row": "string",
    "attack": "string",
    "seed": "Int64",
    "label": "string",
    "examples": "Int64",
    "answered": "Int64",
    "right": "Int64",
    "robust": "Int64",
    "record": "string",
    "left_out": "string",
}
"""Name -> pandas type of the columns of ``Results.by_label``; see ``LabelCounts`` for the counts.

``left_out`` is that of ``cells``.
"""


@dataclass(frozen=True)
class Results:
    """The results of a run. ``robench.results`` makes it.

    Attributes:
        folder: folder of the run.
        found: the records, and the files that cannot be read.
    """

    folder: Path
    found: RecordsOnDisk

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One line for each record, in the order of the file names; see ``COLUMNS``."""
        import pandas as pd

        known = self._tables
        lines = []
        for name, record in self.found.records.items():
            line = {
                key: column.value(record)
                for key, column in COLUMNS.items()
                if column.value is not None
            }
            checked = VERIFIED if name in self._marks.names else CLAIMED
            trust = {"checked": checked, "trials_problem": self._marks.trials.get(name)}
            lines.append(line | {"record": name} | trust | known.get(name, {}))
        frame = pd.DataFrame(lines, columns=list(COLUMNS))
        return frame.astype({name: column.dtype for name, column in COLUMNS.items()})

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One line for each trial, with its texts and the file name of its record.

        ``left_out`` says why the table leaves the record out, as in ``cells``. It is missing where
        the table shows the record, so ``trials[trials.left_out.isna()]`` are those of the table.

        The columns are those of ``robench examples --format parquet``: ``id``, ``verdict``,
        ``label``, ``original_<field>``, ``adversarial_<field>``, ``changes`` and more. They are
        read on first use. Trials that are missing, or that do not fit their record, are left out
        with a warning.
        """
        import pandas as pd

        from robench.records.trial_export import to_arrow
        from robench.records.trial_texts import join_trials

        frames: list[pd.DataFrame] = []
        for name, record in self.found.records.items():
            try:
                trials = join_trials(RunFolder(self.folder), record)
            except RobenchError as error:
                warnings.warn(one_line(f"The trials of {name} are left out: {error}"), stacklevel=2)
                continue
            frame = to_arrow(trials).to_pandas()
            reason = pd.Series(self._tables.get(name, {}).get("left_out"), frame.index, "string")
            frames.append(frame.assign(record=name, left_out=reason))
        if not frames:
            # The columns of the texts depend on the task, which nothing names here.
            return pd.DataFrame(
                columns=["id", "task", "row", "attack", "seed", "verdict", "record", "left_out"]
            )
        joined: pd.DataFrame = pd.concat(frames, ignore_index=True)
        return joined

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One line for each point of each record's curves; see ``CURVE_COLUMNS``.

        Records without curves have no line: those of an older robench, with errors, or of an
        attack that searches for nothing.
        """
        import pandas as pd

        lines = [
            self._place(name, record) | {"n": record.counts.n} | point
            for name, record in self.found.records.items()
            for point in curve_data(record)
        ]
        frame = pd.DataFrame(lines, columns=list(CURVE_COLUMNS))
        return frame.astype(dict(CURVE_COLUMNS))

    @cached_property
    def by_label(self) -> pd.DataFrame:
        """One line for each label of each record; see ``LABEL_COLUMNS``.

        Records of an older robench do not count their labels and have no line.
        """
        import pandas as pd

        lines = [
            self._place(name, record) | label.model_dump()
            for name, record in self.found.records.items()
            for label in record.by_label or ()
        ]
        return pd.DataFrame(lines, columns=list(LABEL_COLUMNS)).astype(dict(LABEL_COLUMNS))

    @cached_property
    def flags(self) -> pd.DataFrame:
        """One line for each pair of results that do not fit together; see ``Flag``."""
        import pandas as pd

        lines = [asdict(flag) for flag in flags_of(self.found.records, self._transferred)]
        frame = pd.DataFrame(lines, columns=[field.name for field in fields(Flag)])
        types = {"seed": "Int64", "only_suspect": "Int64", "only_stronger": "Int64"}
        texts = ("kind", "row", "suspect", "stronger", "sentence")
        return frame.astype(types | {"p_value": "Float64"} | dict.fromkeys(texts, "string"))

    def _place(self, name: str, record: Record) -> dict[str, Any]:
        """Return the columns that say which record a line is about."""
        return {
            "task": record.task.name,
            "row": record.row,
            "attack": record.attack.label,
            "seed": record.search.seed,
            "record": name,
            "left_out": self._tables.get(name, {}).get("left_out"),
        }

    @cached_property
    def _tables(self) -> dict[str, dict[str, Any]]:
        return _of_tables(self.found.records)

    @cached_property
    def _transferred(self) -> Transferred:
        return read_transferred(RunFolder(self.folder).transfer)

    @cached_property
    def _marks(self) -> Marks:
        return checked_marks(RunFolder(self.folder), self.found.records)

    def __str__(self) -> str:
        """Return the tables that ``robench evaluate`` prints."""
        return results_table(self.found.records, transferred=self._transferred, marks=self._marks)

    def __repr__(self) -> str:
        count_of = len(self.found.records)
        noun = "cell" if count_of == 1 else "cells"
        return f"<results of {terminal(self.folder)}: {count_of} {noun}>"

    def _repr_html_(self) -> str:
        """Return the main columns of ``cells`` as an HTML table, for notebooks."""
        shown = ["task", "row", "attack", "seed", "n", "clean_accuracy", "accuracy_under_attack"]
        texts = ["left_out", "trials_problem"]
        frame = self.cells[[*shown, "worst_case", "checked", *texts]].round(4)
        frame = frame.drop(columns=[name for name in texts if frame[name].isna().all()])
        for name in ("task", "row", "attack", *frame.columns.intersection(texts)):
            frame[name] = frame[name].map(lambda text: terminal(text, NAME), na_action="ignore")
        return str(frame.to_html(index=False, na_rep="—"))


def results(folder: str | Path) -> Results:
    """Return the results of a run as pandas frames.

    They are ``.cells``, ``.curves``, ``.by_label``, ``.flags`` and ``.trials``.

    A record that cannot be read is left out with a warning.

    Args:
        folder: folder of the run, which ``--out`` named.

    Raises:
        UsageError: the folder does not exist or holds no record.
    """
    place = Path(folder)
    found = find_records(RunFolder(place).records)
    for sentence in found.damaged.values():
        warnings.warn(one_line(f"Left out: {sentence}"), stacklevel=2)
    if not found.records and not found.damaged:
        reason = "holds no records" if place.is_dir() else "does not exist"
        raise UsageError(f"The folder {place} {reason}. Name the folder of a run (--out).")
    return Results(place, found)


def _of_tables(records: Mapping[str, Record]) -> dict[str, dict[str, Any]]:
    """Return what the table of the folder says of each record: its worst case, or a reason."""
    known: dict[str, dict[str, Any]] = {}
    for members in comparable_groups(records).values():
        admitted = newest_that_agree(members)
        for name, reason in admitted.reasons.items():
            known.setdefault(name, {"left_out": reason})
        shown = {**admitted.records, **admitted.failed}
        attacks = run_columns(shown.values()).worst_over
        outcomes = {(r.row, r.search.seed, r.attack.label): r.outcomes for r in shown.values()}
        for name, record in shown.items():
            own = [outcomes[record.row, record.search.seed, attack] for attack in attacks]
            try:
                rate = _worst_rate(own)
            except ValueError as error:
                reason = f"it does not go together with the row's other records: {error}"
                known.setdefault(name, {}).setdefault("left_out", reason)
                continue
            if rate is not None:
                known.setdefault(name, {}).update(
                    worst_case=rate, worst_case_attacks="; ".join(attacks)
                )
    return known


def _worst_rate(outcomes: list[str]) -> float | None:
    if not outcomes:
        return None
    counts = count(worst_case(outcomes))
    return None if counts.error else accuracy_under_attack(counts)
