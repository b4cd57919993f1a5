"""Examples and tasks: the interface; the frozen 1000 are picked in ``frozen.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from robench.tasks.example import Example
from robench.tasks.frozen import digest


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where a task may look for its files: ``folder`` (``--data`` or ``ROBENCH_DATA``) first, then the hub."""

    folder: Path | None = None
    hub: bool = True


@dataclass(frozen=True)
class Splits:
    """What a task hands out. ``test`` is sorted by id; the three never share an id.

    Attributes:
        train_pool: which pool the training examples come from (``"train"`` unless the user named another), for the record.
        test_name: ``"frozen-1000"``, or ``"list-"`` and the stem of the file given with ``--ids``.
        digest: SHA-256 over the ids, texts and labels of ``test``.
        origin: in words, where the data were found (folder, archive, hub revision).
        remarks: sentences on the data that whoever runs them should read.
    """

    train: Sequence[Example]
    dev: Sequence[Example]
    test: Sequence[Example]
    train_pool: str
    test_name: str
    digest: str
    origin: str
    remarks: tuple[str, ...] = ()

    @cached_property
    def training_digests(self) -> Mapping[str, str]:
        """SHA-256 over the ids, texts and labels of ``train`` and of ``dev``, under those names; kept, because half a million examples take seconds."""
        return {"train": digest(self.train), "dev": digest(self.dev)}


class Task(ABC):
    """One classification task: where its examples come from and which field may be attacked.

    Class attributes:
        labels: names of the classes, in order.
        attackable: the field whose words may be replaced.
        max_tokens: special tokens included (RIFT appendix A.1: 300 for IMDB, 80 for SNLI).
        substitutions: name of the substitution set (``robench.text.substitutions``).
        licence, paper: of the data.
        train_pools: names that ``--train-pool`` takes, the first is the default.
        training: settings of the training loop (names of ``robench.TrainingOptions``) that the field uses on this task, for every defense that does not
            say otherwise: rows of one table shall differ by the defense alone.
        synthetic: whether the texts were composed rather than written by people; every table says so.
    """

    labels: ClassVar[tuple[str, ...]]
    attackable: ClassVar[str]
    max_tokens: ClassVar[int]
    substitutions: ClassVar[str] = "counterfitted"
    licence: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    train_pools: ClassVar[tuple[str, ...]] = ("train",)
    training: ClassVar[Mapping[str, Any]] = {}
    synthetic: ClassVar[bool] = False

    @abstractmethod
    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read, freeze and check the splits.

        Raises:
            UsageError: the data cannot be found or are not what they should be; the sentence says what was looked for where.
        """
