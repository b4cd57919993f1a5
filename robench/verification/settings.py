"""What a verification does, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from robench._base.errors import UsageError
from robench.evaluation import defaults
from robench.tasks.columns import DataColumns


@dataclass(frozen=True)
class VerificationSettings:
    """How records are verified.

    Attributes:
        sample: share of the searches that are repeated from scratch, in (0, 1].
        seed: seed of the choice of that share.
        device: ``"auto"`` or a torch device string.
        workers: processes that search at the same time; None chooses the number.
        example_seconds: own seconds after which a repeated search is given up. A record of a
            stranger may name options that let a search never end. 0 sets no limit.
        lm: the language model of the records, as ``robench evaluate`` takes it. A model that a
            record names is never loaded by its name.
        data: folder with the publishers' files, or None for ``ROBENCH_DATA``.
        hub: whether data may be downloaded from the hub.
        victims: folders of saved victims that lie outside the runs.
        substitutions: files of substitution sets that the records used.
        tasks: files of the user's own data on which records are.
        columns: what the user says about these files, as ``robench evaluate`` takes it.
        names: parts of record names; only records with one of them are checked. Empty for all.
    """

    sample: float = 0.1
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    example_seconds: float = 3600.0
    lm: str = defaults.LM
    data: Path | None = None
    hub: bool = False
    victims: tuple[Path, ...] = ()
    substitutions: tuple[Path, ...] = ()
    tasks: tuple[str, ...] = ()
    columns: DataColumns = field(default_factory=DataColumns)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.sample <= 1:
            raise UsageError(
                f"--sample is a share and must lie above 0 and at most at 1, got {self.sample:g}."
            )
        if self.seed < 0:
            raise UsageError(f"--seed takes whole numbers from 0, got {self.seed}.")
        if not 0 <= self.example_seconds < inf:
            raise UsageError(
                "--example-seconds takes a number of seconds from 0, which means no limit, got "
                f"{self.example_seconds:g}."
            )
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers must be at least 1, got {self.workers}.")
