"""The folder of a victim that several processes of a run load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base.errors import RobenchError
from robench.models.victim_folder import identity

if TYPE_CHECKING:
    from robench.models.victim import Victim
    from robench.models.victim_reader import VictimReader


@dataclass(frozen=True)
class SavedFolder:
    """A victim's folder, with the victim that it held when the run began.

    Attributes:
        path: the folder.
        identity: ``robench.models.victim_folder.identity`` of the victim.
    """

    path: Path
    identity: str


def load_unchanged(saved: SavedFolder, device: str) -> Victim:
    """Load the victim of a run in another process.

    Args:
        saved: the folder, and the victim that it must hold.
        device: a torch device string.

    Raises:
        RobenchError: see ``Victim.load``; or the folder holds another victim by now.
    """
    from robench.models.victim import Victim

    victim = Victim.load(saved.path, device)
    _check_unchanged(saved, victim.card)
    return victim


def read_unchanged(saved: SavedFolder) -> VictimReader:
    """Return how the victim of a run reads texts, in another process that does not load it.

    Args:
        saved: the folder, and the victim that it must hold.

    Raises:
        RobenchError: see ``load_reader``; or the folder holds another victim by now.
    """
    from robench.models.victim_reader import load_reader

    reader = load_reader(saved.path)
    _check_unchanged(saved, reader.card)
    return reader


def _check_unchanged(saved: SavedFolder, card: Mapping[str, Any]) -> None:
    if identity(card) != saved.identity:
        raise RobenchError(
            f"The victim in '{saved.path}' was replaced while this run used it. Run the same "
            "command again."
        )
