"""The checkpoint from which a killed training run resumes: one file, never half-written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from robench._base.environment import versions
from robench._base.errors import RobenchError, first_line
from robench._base.files import atomic_file, causes, system_error

FILE = "resume.pt"
SOFTWARE = ("torch", "transformers", "tokenizers", "numpy", "accelerate")
"""Packages whose version can change the result of a training step."""
_REMEDY = "Delete it, or use --retrain, to train this victim from the start."


def training_environment(device: str) -> dict[str, str]:
    """Return what can change low-order bits: the kind of ``device`` and software versions.

    The keys are ``"device"`` and the names in ``SOFTWARE``.
    """
    return {
        "device": device.partition(":")[0],
        **{name: version for name, version in versions().items() if name in SOFTWARE},
    }


@dataclass
class TrainingState:
    """The state of a training run at the end of an epoch.

    Attributes:
        key: of the request that the run trains.
        made_with: kind of device and software versions; see ``training_environment``.
        epoch: number of epochs done.
        model: the model's state dict.
        modules: state dicts of the defense's modules.
        optimizer: the optimizer's state dict.
        best: state dict of the best epoch's model.
        best_rank: the best epoch's ``DevScores.rank``.
        best_epoch: the best epoch's number, from 1.
        added: the texts added to the task's own in the last epoch, each as a dict of ``id``,
            ``fields`` and ``label``.
        history: one dict for each epoch, as in ``training.json``.
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
        """Write the checkpoint into ``folder``, replacing the last one in one step.

        The folder is made where it is missing.

        Raises:
            RobenchError: the checkpoint cannot be written.
        """
        try:
            with (
                # A fixed name: the next run overwrites what a killed one left.
                atomic_file(folder / FILE, folder / f"{FILE}.part") as part,
                # Open it here: where torch opens it, its error does not say why writing failed.
                part.open("wb") as stream,
            ):
                torch.save({item.name: getattr(self, item.name) for item in fields(self)}, stream)
        except (OSError, RuntimeError) as error:
            # torch's writer may hide the system's error, or Ctrl-C, behind a RuntimeError.
            for cause in causes(error):
                if not isinstance(cause, Exception):
                    raise cause from None
            system = system_error(error)
            if system is None:
                raise
            raise RobenchError(
                f"The training checkpoint could not be written to '{folder}' "
                f"({system.strerror or system}). Free some space or choose another --out."
            ) from system

    @classmethod
    def load(cls, folder: Path, key: str, made_with: dict[str, str]) -> TrainingState | None:
        """Return the checkpoint in ``folder``, or None where there is none.

        Args:
            folder: where ``save`` wrote it.
            key: the key that the checkpoint must have.
            made_with: the environment that it must have been made in.

        Raises:
            RobenchError: the checkpoint is damaged, belongs to another request, or was made with
                other software or on another kind of device. A victim is never a mixture of two
                environments, and hours of work are not deleted without asking.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            state = cls(**torch.load(path, map_location="cpu", weights_only=True))
        # A torn file makes torch, zipfile or pickle raise errors of many kinds.
        except Exception as error:
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
            there = _describe(state.made_with, differ)
            here = _describe(made_with, differ)
            raise RobenchError(
                f"The training checkpoint '{path}' was made with {there}; here it is {here}. "
                f"Resume it where it was made. {_REMEDY}"
            )
        return state


def _describe(environment: dict[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {environment.get(name, 'unknown')}" for name in names)
