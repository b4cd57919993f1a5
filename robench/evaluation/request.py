"""EvaluationRequest: what an evaluation is asked to do, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench.evaluation import defaults
from robench.plugins.registry import canonical
from robench.protocol import DEFAULT_PROTOCOL
from robench.search.settings import SearchSettings


class EvaluationRequest(BaseModel):
    """A run as a frozen value. Names are checked by ``plan``, everything else here.

    Attributes:
        defenses, attacks, tasks: registered names in the order wanted; ``("all",)`` stands for every one. ``attacks`` may be empty to train only.
            Defenses can be joined, ``"ascc+mixout"``; the order of the members makes no difference.
        seeds: of training and search, one victim each.
        encoder: a name that ``robench list encoders`` shows, a hub id or a folder.
        protocol: name of a protocol.
        limit: judge only this many of the examples, balanced over labels; None judges all. A limited run never reaches a board.
        budget: questions that a search may put per example; None leaves it to the attack.
        options: ``{"defense.alpha": "0.3", "attack.population": "20", "rift.alpha": "0.5"}``; a plugin's own name wins over its kind.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        workers: processes that search at the same time; None takes as many as suit the device and the number of examples.
        data: folder with the publishers' files; None leaves it to ``ROBENCH_DATA``, then the hub.
        hub: whether the hub may be asked.
        ids: file with another published list of test examples.
        train_pool: pool of training examples; None takes the task's first.
        lm: scorer of the language-model constraint, ``"tiny"``, ``"masked:ID"``, ``"causal:ID"``, ``"file:PATH"`` or ``"none"``.
        precision: of training.
        search_precision: of the searches' questions; the verdict is always taken in fp32.
        retrain: train anew although a victim with the same configuration is there.
        tracker: where training logs its curves beside the progress, or None.
        out: folder of victims, surfaces, trials and records.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    defenses: tuple[str, ...]
    attacks: tuple[str, ...] = ()
    tasks: tuple[str, ...] = (defaults.TASK,)
    seeds: tuple[int, ...] = (0,)
    encoder: str = defaults.ENCODER
    protocol: str = DEFAULT_PROTOCOL
    limit: int | None = None
    budget: int | None = None
    options: Mapping[str, str] = {}
    device: str = "auto"
    workers: int | None = None
    data: Path | None = None
    hub: bool = True
    ids: Path | None = None
    train_pool: str | None = None
    lm: str = defaults.LM
    precision: Precision = "fp32"
    search_precision: Precision = "fp32"
    retrain: bool = False
    tracker: Literal["tensorboard"] | None = None
    out: Path = defaults.OUT

    def search_settings(self, seed: int, device: str) -> SearchSettings:
        """The settings of one victim's searches.

        Args:
            seed: one of ``seeds``.
            device: the torch device that ``self.device`` stands for on this machine.
        """
        return SearchSettings(seed, self.budget, self.search_precision, device, self.workers)

    @field_validator("limit", "budget", "workers")
    @classmethod
    def _positive(cls, value: int | None, info: Any) -> int | None:
        if value is not None and value < 1:
            raise UsageError(f"--{info.field_name} must be at least 1, got {value}.")
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 0:
            raise UsageError("--seed takes whole numbers from 0; give at least one.")
        return tuple(dict.fromkeys(value))

    @field_validator("defenses", "tasks")
    @classmethod
    def _some(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        if not value:
            raise UsageError(f"Name at least one of the {info.field_name}, or 'all'.")
        return tuple(dict.fromkeys(map(canonical, value)))

    @field_validator("encoder")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():  # as a path it would be the current folder
            raise UsageError(
                "--encoder is empty. Give a name of 'robench list encoders', a hub id or a local folder."
            )
        return value

    @field_validator("attacks")
    @classmethod
    def _unique(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))


def build_request(**values: Any) -> EvaluationRequest:
    """An EvaluationRequest from loose values; raises UsageError with one sentence where one does not fit."""
    try:
        return EvaluationRequest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "request"
        raise UsageError(
            f"'{name}' of the evaluation: {first['msg'].lower()} (got {first['input']!r})."
        ) from error
