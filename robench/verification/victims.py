"""Find the victim of a record, with a hash that is computed from its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError
from robench.evaluation.resolved_victims import Obtained, SavedVictim, loaded_from
from robench.evaluation.training_log import training_seconds
from robench.models.victim_folder import CARD, check_files, file_hashes, read_card, weights_hash
from robench.records.certificate import Certificate
from robench.records.record import Record, VictimPart
from robench.records.run_folder import RunFolder
from robench.tasks.base import Task
from robench.tasks.registry import TASKS

if TYPE_CHECKING:
    from robench._base.reporting import Reporter
    from robench.evaluation.request import EvaluationRequest
    from robench.models.victim import Victim


_NOT_SAVED = {
    "given": "robench did not train this victim: it is a model of a folder or of the hub, and no "
    "folder of a run holds it. 'robench verify' loads no such model; evaluate it again to check it",
    "function": "robench did not train this victim: it is a function of a program. Only that "
    "program can ask it again, by 'robench.evaluate'",
}
"""Kind of a victim that no run saves -> why it cannot be asked."""


class NotThere(RobenchError):
    """Something that a check needs is not there; the sentence says what."""


class Contradiction(RobenchError):
    """A record and what lies beside it contradict each other; the sentence says how."""


@dataclass(frozen=True)
class FoundVictim:
    """The folder of a saved victim.

    Attributes:
        folder: the folder.
        card: its card, which anyone may have written.
        sha256: hash of the weights, computed from the files.
    """

    folder: Path
    card: dict[str, Any]
    sha256: str

    @property
    def weights_bytes(self) -> int:
        """Size of the weights on disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))

    @cached_property
    def training_seconds(self) -> float | None:
        """Seconds of training by its log, or None where there is none."""
        return training_seconds(self.folder)[0]


@dataclass(frozen=True)
class StoredVictim(SavedVictim):
    """A victim from its folder, which speaks of itself as the record's run did.

    Attributes:
        given_name: name that the user of the run gave it; None where its defense names it.
        short_name: short name of its row.
        loaded: the victim in memory, or None before it is loaded.
    """

    given_name: str | None = None
    short_name: str = ""
    loaded: Obtained | None = None

    def obtain(self, request: EvaluationRequest, title: str, report: Reporter) -> Obtained:
        """Return the victim in memory, or load it."""
        return self.loaded or load(FoundVictim(self.folder, dict(self.card), ""), self.device)

    @property
    def row_name(self) -> str:
        """Short name of the row."""
        return self.short_name

    def victim_part(self, obtained: Obtained, findings: tuple[str, ...]) -> VictimPart:
        """Return the record's part about the victim."""
        part = super().victim_part(obtained, findings)
        return part.model_copy(update={"name": self.given_name})


def _refuse_damage(found: FoundVictim) -> None:
    """Raise Contradiction if the files of a victim are not those on its card."""
    if found.sha256 != found.card["sha256"]:
        try:
            check_files(found.folder, found.card, "Restore it, or train the victim again.")
        except RobenchError as error:
            raise Contradiction(str(error)) from error


class VictimFinder:
    """The victims in the folders of some runs; each folder is hashed once.

    Args:
        folders: the runs.
        others: folders of saved victims outside the runs.
    """

    def __init__(self, folders: Sequence[RunFolder], others: Sequence[Path] = ()) -> None:
        self._folders, self._others = folders, others
        self._damaged: dict[Path, str] = {}

    @cached_property
    def _found(self) -> list[FoundVictim]:
        places = [
            path.parent
            for folder in self._folders
            for path in sorted(folder.victims.glob(f"*/{CARD}"))
        ]
        found = []
        for place in [*places, *self._others]:
            try:
                card = read_card(place)
                found.append(FoundVictim(place, card, weights_hash(file_hashes(place))))
            except (RobenchError, OSError, ValueError, TypeError) as error:
                self._damaged[place] = str(error)
        return found

    def find(self, subject: Record | Certificate) -> FoundVictim:
        """Return the victim of a record or certificate.

        Raises:
            NotThere: no folder holds it.
            Contradiction: the folder of its configuration holds other weights.
        """
        part = subject.victim
        if part.kind != "trained":
            raise NotThere(_NOT_SAVED[part.kind])
        same = [each for each in self._found if each.sha256 == part.sha256]
        for each in same:
            if each.card.get("key") == part.configuration:
                return each
        named = [each for each in self._found if each.card.get("key") == part.configuration]
        if named:
            _refuse_damage(named[0])
            raise Contradiction(
                f"the files in '{named[0].folder.name}' have the hash {named[0].sha256[:12]}…, "
                f"and the record is about {part.sha256[:12]}…"
            )
        if same:
            raise Contradiction(
                f"the card in '{same[0].folder.name}' names another configuration than the record"
            )
        for place, reason in self._damaged.items():
            # The name of a folder ends in the first digits of the configuration.
            if place.name.endswith(f"-{part.configuration[:8]}"):
                raise Contradiction(reason)
        raise NotThere(
            f"its victim is not there: no folder of {' or '.join(map(str, self._places))} has "
            f"weights with the hash {part.sha256[:12]}…"
        )

    @property
    def _places(self) -> list[Path]:
        return [*(folder.victims for folder in self._folders), *self._others]


def load(found: FoundVictim, device: str) -> Obtained:
    """Load a victim; its files are compared with its card, and no code of the folder runs.

    Raises:
        RobenchError: it is damaged.
    """
    from robench.models.victim import Victim

    victim: Victim = Victim.load(found.folder, device, "Restore it, or evaluate it again.")
    return loaded_from(victim, found.folder)


def task_class(found: FoundVictim) -> type[Task]:
    """Return the task of a victim; for a user's own data, one with what the card says."""
    name = str(found.card["task"])
    if name in TASKS.names():
        return TASKS.get(name)
    card = found.card
    values = {
        "labels": tuple(card["labels"]),
        "fields": tuple(card["fields"]),
        "attackable": card["attackable"],
        "max_tokens": int(card["max_tokens"]),
    }
    return type("OwnData", (Task,), values)


def stored_victim(
    found: FoundVictim, subject: Record | Certificate, device: str, loaded: Obtained | None = None
) -> StoredVictim:
    """Return a found victim with the seed and the names of a record or certificate."""
    seed = subject.search.seed if isinstance(subject, Record) else subject.seed
    name = subject.victim.name
    return StoredVictim(
        name=name or str(found.card["name"]),
        folder=found.folder,
        card=found.card,
        task_class=task_class(found),
        seed=seed,
        device=device,
        given_name=name,
        short_name=subject.row_name,
        loaded=loaded,
    )
