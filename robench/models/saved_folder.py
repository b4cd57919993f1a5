"""The folder of a victim that several processes of a run load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench.models.victim import Victim
from robench.models.victim_folder import identity


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
    victim = Victim.load(saved.path, device)
    if identity(victim.card) != saved.identity:
        raise RobenchError(
            f"The victim in '{saved.path}' was replaced while this run used it. Run the same "
            "command again."
        )
    return victim
