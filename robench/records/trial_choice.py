"""Choose trials to look at: cells of a run, filters, and the order of telling examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError, UsageError
from robench.records.comparable import replaced
from robench.records.record import Record
from robench.records.record_files import find_records
from robench.records.run_folder import RunFolder
from robench.records.trial_texts import TrialText, join_trials
from robench.search.attack import Verdict

ORDER = (Verdict.FOOLED, Verdict.HELD, Verdict.HELD_PROVED, Verdict.WRONG, Verdict.ERROR)
"""The order of the verdicts: those that show most come first."""


@dataclass(frozen=True)
class CellChoice:
    """Which cells of a run are meant. An empty tuple means all.

    Attributes:
        rows: labels or names of victims: defenses, or given victims.
        attacks: labels or names of attacks.
        tasks: names of tasks, with their test set where it is another.
        seeds: seeds.
    """

    rows: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def fits(self, record: Record) -> bool:
        """Return whether the record is one of the cells."""
        names = _names_of(record)
        return all(not wanted or not names[kind].isdisjoint(wanted) for kind, wanted in self._asked)

    def check(self, records: Sequence[Record], root: Path) -> None:
        """Refuse a name or a seed that no record has.

        Raises:
            UsageError: see above; the sentence says which ones there are.
        """
        for kind, asked in self._asked:
            known = {name for record in records for name in _names_of(record)[kind]}
            for each in asked:
                if each not in known:
                    shown = {_shown_names(record)[kind] for record in records}
                    raise UsageError(
                        f"There is no {kind} '{each}' in '{root}'. It has: "
                        f"{', '.join(sorted(shown))}."
                    )

    @property
    def _asked(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (
            ("row", self.rows),
            ("attack", self.attacks),
            ("task", self.tasks),
            ("seed", tuple(map(str, self.seeds))),
        )


def _names_of(record: Record) -> dict[str, set[str]]:
    """Return kind of name -> the names by which a user may choose the record."""
    defense = record.defense.name if record.defense is not None else record.row
    return {
        "row": {record.row, record.row_name, defense},
        "attack": {record.attack.label, record.attack.name},
        "task": {record.task.file_part, record.task.name},
        "seed": {str(record.search.seed)},
    }


def _shown_names(record: Record) -> dict[str, str]:
    """Return kind of name -> the name that sentences show."""
    return {
        "row": record.row,
        "attack": record.attack.label,
        "task": record.task.file_part,
        "seed": str(record.search.seed),
    }


@dataclass(frozen=True)
class TrialFilter:
    """Which trials are meant. None and an empty tuple mean all.

    Attributes:
        verdicts: their verdicts.
        label: name of the true label.
        ids: their examples; the part after the ``/`` is enough.
    """

    verdicts: tuple[Verdict, ...] = ()
    label: str | None = None
    ids: tuple[str, ...] = ()

    def fits(self, trial: TrialText) -> bool:
        """Return whether the trial passes."""
        short = trial.id.rpartition("/")[2]
        return (
            (not self.verdicts or trial.verdict in self.verdicts)
            and (self.label is None or trial.label == self.label)
            and (not self.ids or trial.id in self.ids or short in self.ids)
        )


@dataclass(frozen=True)
class ChosenTrials:
    """Trials of some cells.

    Attributes:
        records: the records of the cells.
        trials: all their trials, joined with their texts.
        problems: why cells are left out, one sentence for each.
        replaced: sentences about records whose place in the table a newer one has. Their trials
            are left out too, so that no text is there twice.
    """

    records: Sequence[Record]
    trials: Sequence[TrialText]
    problems: Sequence[str]
    replaced: Sequence[str] = ()


def load_trials(root: Path, choice: CellChoice) -> ChosenTrials:
    """Return the trials of the chosen cells of a run.

    Raises:
        UsageError: the folder is no run, or no cell is meant.
        RobenchError: nothing of the chosen cells can be read.
    """
    folder = RunFolder(root)
    on_disk = find_records(folder.records)
    problems = list(on_disk.damaged.values())
    if not on_disk.records and not problems:
        raise UsageError(
            f"There are no results in '{root}': {folder.records} holds no record. Name the folder "
            "that 'robench evaluate' wrote with --out."
        )
    if on_disk.records:
        choice.check(list(on_disk.records.values()), root)
    chosen = {name: each for name, each in on_disk.records.items() if choice.fits(each)}
    older = replaced(chosen)
    records = _whole_first([each for name, each in chosen.items() if name not in older])
    if not records and on_disk.records:
        raise UsageError(
            f"No cell of '{root}' is meant. It has {_cells_of(on_disk.records.values())}."
        )
    trials: list[TrialText] = []
    read: list[Record] = []
    for record in records:
        try:
            trials += join_trials(folder, record)
            read.append(record)
        except RobenchError as error:
            problems.append(str(error))
    if not read:
        raise RobenchError(" ".join(dict.fromkeys(problems)))
    sentences = [f"{name} ({reason})." for name, reason in older.items()]
    return ChosenTrials(read, trials, list(dict.fromkeys(problems)), sentences)


def _whole_first(records: Sequence[Record]) -> list[Record]:
    """Leave out a limited record where the same cell has a record of more examples."""
    best: dict[str, Record] = {}
    for record in records:
        other = best.get(record.cell)
        if other is None or len(record.outcomes) > len(other.outcomes):
            best[record.cell] = record
    return list(best.values())


def _cells_of(records: Iterable[Record]) -> str:
    found = [_shown_names(record) for record in records]
    parts = {kind: sorted({names[kind] for names in found}) for kind in found[0]}
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in parts.items())


def pick(trials: Sequence[TrialText], wanted: TrialFilter, limit: int | None) -> list[TrialText]:
    """Return the trials that pass, the most telling ones first.

    Fooled examples come first, those with the fewest changed words before the others. Among equals
    the victim's confidence decides: in the wrong label for fooled examples, in its prediction for
    others.

    Raises:
        UsageError: no trial has the label or an id at all.
    """
    _check(trials, wanted)
    chosen = sorted((trial for trial in trials if wanted.fits(trial)), key=_rank)
    return chosen if limit is None else chosen[:limit]


def _rank(trial: TrialText) -> tuple[int, int, float, str, str, str, int]:
    fooled = trial.verdict == Verdict.FOOLED
    confidence = trial.adversarial_confidence if fooled else trial.confidence
    return (
        ORDER.index(trial.verdict),
        trial.words_changed or 0,
        -(confidence or 0.0),
        trial.id,
        trial.row,
        trial.attack,
        trial.seed,
    )


def _check(trials: Sequence[TrialText], wanted: TrialFilter) -> None:
    labels = sorted({label for trial in trials for label in trial.labels})
    if wanted.label is not None and wanted.label not in labels:
        raise UsageError(f"There is no label '{wanted.label}'. The labels are {', '.join(labels)}.")
    known = {trial.id for trial in trials} | {trial.id.rpartition("/")[2] for trial in trials}
    for each in wanted.ids:
        if each not in known:
            raise UsageError(f"No example '{each}' was judged here. Ids look like {trials[0].id}.")
