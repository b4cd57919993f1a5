"""The checkpoint from which a killed training run resumes, and the weights of its best epochs.

No file is ever half-written, and each holds its own SHA-256 (``robench._base.seals``), which is
checked before the file is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from robench._base.bounded_reading import Missing, open_bounded
from robench._base.environment import versions
from robench._base.errors import RobenchError, first_line
from robench._base.files import atomic_file, causes, system_error
from robench._base.seals import add_to_zip, check_sealed, seal_file

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
    added: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Write the checkpoint into ``folder``, replacing the last one in one step.

        The folder is made where it is missing.

        Raises:
            RobenchError: the checkpoint cannot be written.
        """
        _write(
            folder / FILE,
            {item.name: getattr(self, item.name) for item in fields(self)},
            "The training checkpoint",
        )

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
        content = _read(path, "The training checkpoint")
        # The key comes first: the content of another version's checkpoint may not fit the class.
        if content.get("key") != key:
            raise RobenchError(
                f"The training checkpoint '{path}' belongs to another configuration. {_REMEDY}"
            )
        state = cls(**content)
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


class EpochWeights:
    """The weights of the epochs that may still become the victim, one file for each.

    They lie on the disk, so the number of such epochs does not change the memory that a training
    needs. Only the main process of a run calls ``store`` and ``keep_only``.

    Args:
        folder: the folder of the checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch}.pt"

    def store(self, epoch: int, weights: Mapping[str, Any]) -> None:
        """Write the weights of ``epoch``, replacing those of an interrupted run.

        Raises:
            RobenchError: the file cannot be written.
        """
        _write(self._path(epoch), dict(weights), f"The weights of epoch {epoch}")

    def keep_only(self, epochs: Collection[int]) -> None:
        """Remove the files of all other epochs."""
        kept = {self._path(epoch) for epoch in epochs}
        for path in set(self._folder.glob("epoch-*.pt*")) - kept:
            path.unlink(missing_ok=True)

    def load(self, epoch: int) -> dict[str, Any]:
        """Return the weights of ``epoch``, in main memory.

        Raises:
            RobenchError: the file is missing or damaged.
        """
        remedy = f"Delete '{self._folder}', or use --retrain, to train this victim from the start."
        return _read(self._path(epoch), "The weight file", remedy)


def _write(path: Path, content: dict[str, Any], what: str) -> None:
    """Write ``content`` to ``path`` in one step; ``what`` it is stands in the error."""
    try:
        with (
            # A fixed name: the next run overwrites what a killed one left.
            atomic_file(path, path.with_name(f"{path.name}.part")) as part,
            # Open it here: where torch opens it, its error does not say why writing failed.
            part.open("wb") as stream,
        ):
            torch.save(content, stream)
            stream.flush()
            add_to_zip(part)
            seal_file(part)
    except (OSError, RuntimeError) as error:
        # torch's writer may hide the system's error, or Ctrl-C, behind a RuntimeError.
        for cause in causes(error):
            if not isinstance(cause, Exception):
                raise cause from None
        system = system_error(error)
        if system is None:
            raise
        raise RobenchError(
            f"{what} could not be written to '{path.parent}' "
            f"({system.strerror or system}). Free some space or choose another --out."
        ) from system


def _read(path: Path, what: str, remedy: str = _REMEDY) -> dict[str, Any]:
    """Return what ``_write`` wrote to ``path``, in main memory."""
    try:
        with open_bounded(path, None) as stream:
            check_sealed(stream)
            content: dict[str, Any] = torch.load(stream, map_location="cpu", weights_only=True)
    except Missing as error:
        raise RobenchError(f"{what} '{path}' is missing. {remedy}") from error
    # A torn file makes torch, zipfile or pickle raise errors of many kinds.
    except Exception as error:
        raise RobenchError(f"{what} '{path}' is damaged ({first_line(error)}). {remedy}") from error
    return content


def _describe(environment: dict[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {environment.get(name, 'unknown')}" for name in names)
