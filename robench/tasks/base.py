"""The interface of tasks; ``frozen.py`` picks the frozen 1000."""

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
    """Where a task may look for its files: the folder first, then the hub.

    Attributes:
        folder: the data folder (``--data`` or ``ROBENCH_DATA``), or None.
        hub: whether the Hugging Face hub may be used.
    """

    folder: Path | None = None
    hub: bool = True


@dataclass(frozen=True)
class Splits:
    """The training, dev and test examples of a task; no two splits share an id.

    Attributes:
        train: the training examples.
        dev: the examples that select an epoch.
        test: the examples that are judged, sorted by id.
        train_pool: the pool of the training examples, for the record: ``"train"`` unless the user
            named another.
        test_name: ``"frozen-1000"``, or ``"list-"`` and the stem of the file given with ``--ids``.
        digest: SHA-256 over the ids, texts and labels of ``test``.
        origin: where the data were found, in words (folder, archive or hub dataset).
        remarks: sentences about the data that the user should read.
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
        """SHA-256 over the ids, texts and labels of ``train`` and of ``dev``, under those names.

        The result is cached, because half a million examples take seconds.
        """
        return {"train": digest(self.train), "dev": digest(self.dev)}


class Task(ABC):
    """One classification task: where its examples come from and which field may be attacked.

    Class attributes:
        labels: names of the classes, in order.
        attackable: the field whose words may be replaced.
        fields: names of the fields, in the order in which the encoder reads them. ``()`` declares
            none: the fields are those of the first example.
        max_tokens: size of the window, special tokens included (RIFT, appendix A.1: 300 for IMDB,
            80 for SNLI).
        substitutions: name of the substitution set (``robench.text.substitutions``).
        held_out: name of the set of ``ATTACK@held-out``. Pairs of ``substitutions`` are left out of
            it, so that no defense trains on any of its pairs.
        licence: licence of the data.
        paper: paper that describes the data.
        train_pools: names that ``--train-pool`` accepts; the first is the default. ``()``: the task
            has a test set only, and ``--task all`` leaves it out.
        training: settings of the training loop (names of ``robench.TrainingOptions``) that papers
            use on this task. They hold for every defense without settings of its own, so that the
            rows of one table differ by the defense alone.
        settings_of: name of a registered task whose settings (``training``, and the defenses'
            ``task_defaults``) are used where there are none for this task. Empty for none.
        synthetic: whether the texts were composed instead of written by people; every table says
            so.
    """

    labels: ClassVar[tuple[str, ...]]
    attackable: ClassVar[str]
    fields: ClassVar[tuple[str, ...]] = ()
    max_tokens: ClassVar[int]
    substitutions: ClassVar[str] = "counterfitted"
    held_out: ClassVar[str] = "wordnet"
    licence: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    train_pools: ClassVar[tuple[str, ...]] = ("train",)
    training: ClassVar[Mapping[str, Any]] = {}
    settings_of: ClassVar[str] = ""
    synthetic: ClassVar[bool] = False

    @abstractmethod
    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read, freeze and check the splits.

        Raises:
            UsageError: the data cannot be found, or are not the expected ones. The sentence says
                what was looked for, and where.
        """
