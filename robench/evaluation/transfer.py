"""Re-score the victims of a run on the adversarial texts that were made for the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.environment import choose_device
from robench._base.errors import RobenchError, UsageError
from robench._base.files import write_text
from robench._base.reporting import Reporter, Silent
from robench._base.seals import with_seal
from robench.evaluation.results import write_leaderboard
from robench.records.run_folder import RunFolder
from robench.records.transfer import (
    AttackedVictim,
    TransferGroup,
    TransferRow,
    TransferTable,
    correct,
    group_cells,
    to_dict,
    transfer_row,
)
from robench.records.trial_choice import CellChoice, load_trials

if TYPE_CHECKING:
    from robench.models.victim import Victim


@dataclass(frozen=True)
class Transfer:
    """The transfer tables of a run.

    Attributes:
        tables: one for each task and attack with at least two victims.
        problems: what is left out, and what does not agree with the trials; one sentence for each.
        file: where the tables are stored as JSON.
    """

    tables: tuple[TransferTable, ...]
    problems: tuple[str, ...]
    file: Path

    def to_dict(self) -> dict[str, Any]:
        """Return the tables as plain data for JSON; rates lie in [0, 1]."""
        return to_dict(self.tables, self.problems)


def transfer(
    run: Path,
    *,
    attacks: Sequence[str] = (),
    tasks: Sequence[str] = (),
    device: str = "auto",
    report: Reporter | None = None,
) -> Transfer:
    """Re-score every victim of a run on every other victim's adversarial texts.

    The texts are those of the run's trials. Victims are compared under the same task, test set,
    attack and surface. A victim that robench did not train is a source of texts, but it is not
    asked, because a run does not store it.

    Args:
        run: the folder that ``robench evaluate`` wrote.
        attacks: labels or names of attacks; empty for all.
        tasks: names of tasks; empty for all.
        device: ``"auto"`` or a torch device string.
        report: receives the progress.

    Returns:
        The tables, which are also stored in the run's folder. The run's ``leaderboard.md`` is
        written again, with what was found as flags.

    Raises:
        UsageError: the folder is no run, nothing is chosen, or no attack has two victims.
        RobenchError: no victim could be asked, or the tables cannot be stored.
    """
    report, folder = report or Silent(), RunFolder(run)
    chosen = load_trials(run, CellChoice(attacks=tuple(attacks), tasks=tuple(tasks)))
    groups = group_cells(chosen)
    if not groups:
        raise UsageError(
            f"No attack in '{run}' was tried on two victims under equal conditions, so no text can "
            "be transferred. Evaluate a second defense with the same attack and the same --out."
        )
    rescorer = _Rescorer(folder, choose_device(device), report)
    tables, problems = rescorer.tables(groups)
    problems = [*chosen.problems, *problems]
    if not any(table.rows for table in tables):
        raise RobenchError(" ".join(problems))
    done = Transfer(tuple(tables), tuple(problems), folder.transfer)
    content = with_seal(done.to_dict())
    write_text(folder.transfer, json.dumps(content, indent=2, allow_nan=False) + "\n")
    # The table of the run shows what was found as flags.
    write_leaderboard(run, report)
    return done


class _Rescorer:
    """Open each victim once and ask it about the texts of all its groups."""

    def __init__(self, folder: RunFolder, device: str, report: Reporter) -> None:
        self._folder, self._device, self._report = folder, device, report
        self._found, self._damaged = _victim_folders(folder)

    def tables(self, groups: Sequence[TransferGroup]) -> tuple[list[TransferTable], list[str]]:
        """Return the tables, and what is left out."""
        rows: dict[int, list[TransferRow]] = {number: [] for number in range(len(groups))}
        problems: list[str] = []
        by_victim: dict[tuple[str, str | None], list[tuple[int, AttackedVictim]]] = {}
        for number, group in enumerate(groups):
            for cell in group.victims:
                victim = cell.record.victim
                key = (victim.sha256, victim.identity)
                by_victim.setdefault(key, []).append((number, cell))
        for cells in by_victim.values():
            try:
                answers = _Answers(self._open(cells[0][1]))
            except RobenchError as error:
                problems.append(str(error))
                continue
            name = cells[0][1].name
            self._report.started("transfer", f"'{name}' about the texts of others", len(cells))
            for done, (number, cell) in enumerate(cells, 1):
                row = transfer_row(groups[number], cell, answers)
                problems += _disagreement(groups[number], row)
                rows[number].append(row)
                self._report.advanced(done, len(cells), cell.record.attack.label)
            self._report.finished("")
        tables = [
            TransferTable(group, tuple(sorted(rows[number], key=lambda row: row.victim.name)))
            for number, group in enumerate(groups)
        ]
        return correct(tables), problems

    def _open(self, cell: AttackedVictim) -> Victim:
        """Load a victim.

        Raises:
            RobenchError: the run does not hold it, or it is damaged.
        """
        from robench.models.victim import Victim

        if cell.record.victim.kind != "trained":
            raise RobenchError(
                f"'{cell.name}' was not trained by robench, so the run does not hold it: its texts "
                "are used, and it is not asked."
            )
        return Victim.load(self._folder_of(cell), self._device)

    def _folder_of(self, cell: AttackedVictim) -> Path:
        """Return the folder of a trained victim.

        Records of earlier versions name the weights only.

        Raises:
            RobenchError: no folder holds it, or several hold victims with its weights.
        """
        wanted = cell.record.victim
        alike = [each for each in self._found if each.sha256 == wanted.sha256]
        if wanted.identity is not None:
            same = [each for each in alike if each.identity == wanted.identity]
        else:
            same = alike
        if len({each.identity for each in same}) == 1:
            return same[-1].folder
        if same:
            why = (
                f"several folders in {self._folder.victims} have its weights, and its record does "
                "not say with which tokenizer"
            )
        elif alike:
            why = (
                f"'{alike[0].folder}' has its weights, and another tokenizer or other settings "
                "than the victim that was attacked"
            )
        else:
            why = f"no folder in {self._folder.victims} has its weights"
        damaged = " ".join(self._damaged)
        raise RobenchError(
            f"'{cell.name}' is not asked: {why}. Its texts are used. {damaged}".rstrip()
        )


class _Answers:
    """A victim's labels for texts; each text is asked once."""

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self._known: dict[tuple[tuple[str, str], ...], str] = {}

    def __call__(self, texts: Sequence[Mapping[str, str]]) -> list[str]:
        keys = [tuple(sorted(fields.items())) for fields in texts]
        given = dict(zip(keys, texts, strict=True))
        new = {key: fields for key, fields in given.items() if key not in self._known}
        if new:
            classes = self._victim.probs_of_texts(list(new.values())).argmax(-1).tolist()
            names = self._victim.labels
            self._known.update(
                (key, names[number]) for key, number in zip(new, classes, strict=True)
            )
        return [self._known[key] for key in keys]


@dataclass(frozen=True)
class _FoundVictim:
    """A victim of the run as its files are now."""

    folder: Path
    sha256: str
    identity: str


def _victim_folders(folder: RunFolder) -> tuple[list[_FoundVictim], list[str]]:
    """Return the run's victims, and what is wrong with others."""
    from robench.models.victim_folder import CARD, checked_card, identity

    found: list[_FoundVictim] = []
    damaged: list[str] = []
    # A folder whose name begins with a dot is a copy that did not end.
    for path in sorted(folder.victims.glob(f"[!.]*/{CARD}")):
        try:
            card = checked_card(path.parent)
        except RobenchError as error:
            damaged.append(str(error))
        else:
            found.append(_FoundVictim(path.parent, card["sha256"], identity(card)))
    return found, damaged


def _disagreement(group: TransferGroup, row: TransferRow) -> list[str]:
    """Say where a victim is right on a text that fooled it; its trials say otherwise."""
    if not row.own_right:
        return []
    total = len(row.victim.texts)
    return [
        f"'{row.victim.name}' is right on {row.own_right} of {total} texts that fooled it under "
        f"{group.attack}. Another device or other software than that of the trials can cause this."
    ]
