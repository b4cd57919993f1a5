"""The checkpoint from which a killed training run goes on: one file, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from robench._base.environment import versions
from robench._base.errors import RobenchError, first_line
from robench._base.files import causes, sync_folder, system_error

FILE = "resume.pt"
SOFTWARE = ("torch", "transformers", "tokenizers", "numpy", "accelerate")
"""Packages whose version can move a step of training."""
_REMEDY = "Delete it, or use --retrain, to start this victim again."


def training_environment(device: str) -> dict[str, str]:
    """Where training happens, as far as it moves the last bits: the kind of ``device`` and the versions of ``SOFTWARE``, by name."""
    return {
        "device": device.partition(":")[0],
        **{name: version for name, version in versions().items() if name in SOFTWARE},
    }


@dataclass
class TrainingState:
    """Where a run stands at the end of an epoch.

    Attributes:
        key: of the request it belongs to.
        made_with: kind of device and versions of the software, see ``training_environment``.
        epoch: epochs done.
        model, modules, optimizer: state dicts.
        best: state dict of the best epoch's model; ``best_rank`` its ``DevScores.rank``, ``best_epoch`` its number from 1.
        added: the texts that were trained on beside the task's own in the last epoch, each as a dict of ``id``, ``fields`` and ``label``.
        history: one dict an epoch, as ``training.json`` holds them.
    """

    key: str
    made_with: dict[str, str] = field(default_factory=dict)
    epoch: int = 0
    model: dict[str, Any] = field(default_factory=dict)
    modules: list[dict[str, Any]] = field(default_factory=list)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    best_rank: tuple[bool, float, float] | None = None
    best_epoch: int = 0
    added: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write to ``folder`` (made if need be), replacing the last checkpoint in one step; raises RobenchError when it cannot be written."""
        part = folder / f"{FILE}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (
                part.open("wb") as stream
            ):  # of a file that torch opens itself, its writer does not tell why it could not be written
                torch.save({item.name: getattr(self, item.name) for item in fields(self)}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(folder / FILE)
            sync_folder(folder)
        except (
            OSError,
            RuntimeError,
        ) as error:  # torch's writer may raise RuntimeError over the system's error, and over Ctrl-C
            with contextlib.suppress(OSError):
                part.unlink()
            ending = next(
                (cause for cause in causes(error) if not isinstance(cause, Exception)), None
            )
            if ending is not None:
                raise ending from None
            system = system_error(error)
            if system is None:
                raise
            raise RobenchError(
                f"The training checkpoint could not be written to '{folder}' ({system.strerror or system}). Free some space or choose another --out."
            ) from system

    @classmethod
    def load(cls, folder: Path, key: str, made_with: dict[str, str]) -> TrainingState | None:
        """The checkpoint in ``folder``, None when there is none.

        Raises:
            RobenchError: it is damaged, another request's, or made with other software or on another kind of device: no victim is half of the one and
                half of the other, and hours of work are not thrown away unasked.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            state = cls(**torch.load(path, map_location="cpu", weights_only=True))
        except (
            Exception
        ) as error:  # a torn file makes torch, zipfile or pickle raise what they like
            raise RobenchError(
                f"The training checkpoint '{path}' is damaged ({first_line(error)}). {_REMEDY}"
            ) from error
        if state.key != key:
            raise RobenchError(
                f"The training checkpoint '{path}' belongs to another configuration. {_REMEDY}"
            )
        if state.made_with != made_with:
            differ = [
                name
                for name in sorted({*state.made_with, *made_with})
                if state.made_with.get(name) != made_with.get(name)
            ]
            there, here = (
                ", ".join(f"{name} {found.get(name, 'unknown')}" for name in differ)
                for found in (state.made_with, made_with)
            )
            raise RobenchError(
                f"The training checkpoint '{path}' was made with {there}; here it is {here}. Go on where it was made. {_REMEDY}"
            )
        return state
