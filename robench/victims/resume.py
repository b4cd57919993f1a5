"""The checkpoint from which a killed training run goes on: one file, written whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from robench.disk import sync_folder
from robench.errors import RobenchError
from robench.victims.encoders import first_line

FILE = "resume.pt"
_REMEDY = "Delete it, or use --retrain, to start this victim again."


@dataclass
class TrainingState:
    """Where a run stands at the end of an epoch.

    Attributes:
        key: of the request it belongs to.
        epoch: epochs done.
        model, modules, optimizer: state dicts.
        best: state dict of the best epoch's model; ``best_rank`` its ``Scores.rank``, ``best_epoch`` its number from 1.
        history: one dict an epoch, as ``training.json`` holds them.
    """

    key: str
    epoch: int = 0
    model: dict[str, Any] = field(default_factory=dict)
    modules: list[dict[str, Any]] = field(default_factory=list)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    best_rank: tuple[bool, float, float] | None = None
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write to ``folder`` (made if need be), replacing the last checkpoint in one step; raises RobenchError when it cannot be written."""
        part = folder / f"{FILE}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.save({item.name: getattr(self, item.name) for item in fields(self)}, part)
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
            part.replace(folder / FILE)
            sync_folder(folder)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError on a full disk
            part.unlink(missing_ok=True)
            raise RobenchError(
                f"The training checkpoint could not be written to '{folder}' ({first_line(error)}). Free some space or choose another --out."
            ) from error

    @classmethod
    def load(cls, folder: Path, key: str) -> TrainingState | None:
        """The checkpoint in ``folder``, None when there is none; raises RobenchError when it is damaged or another request's."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            state = cls(**torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # a torn file makes torch, zipfile or pickle raise what they like
            raise RobenchError(f"The training checkpoint '{path}' is damaged ({first_line(error)}). {_REMEDY}") from error
        if state.key != key:
            raise RobenchError(f"The training checkpoint '{path}' belongs to another configuration. {_REMEDY}")
        return state
