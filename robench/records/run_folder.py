"""Layout of a run's folder (``--out``): where each file lies and what it is called.

::

    runs/
      victims/<defense>-<task>-<encoder>-s<seed>-<key>/   one trained victim
      victims/<the same>.training/, .curves/, .lock       a training that is not finished
      surfaces/<key>.parquet                              one surface
      trials/<cell>.jsonl                                 the trials of one cell, one line each
      examples/<task>-<digest>.jsonl                      the texts of one test set
      records/<cell>.json                                 the record of one cell
      records/<cell>-limit-<limit>.json                   the same for a run with --limit
      certificates/<name>.json                            a certificate ('robench certify')
      certificates/<name>.jsonl                           its verdicts, one line each
      curves/<cell>/                                      what trackers write (--tracker)
      leaderboard.md                                      the table made from the records
      transfer.json                                       what 'robench transfer' found
      shards/<number>-of-<count>/trials/<cell>.jsonl      the trials of one shard (--shard)
      shards/<number>-of-<count>/parts/<cell>.json        what one shard knows of a finished cell

``<cell>`` is the name that ``cell_name`` returns. A cell is one victim under one attack on one
task with one seed. The files of an unfinished training belong to ``robench.training.saving``, and
``robench sweep`` adds its table and figure to the folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LONGEST_NAME = 40
"""Characters of a task's, a victim's or an attack's name that a file name keeps."""

TRAINING_LOG = "training.json"
"""Name of the training log in a victim's folder (``robench.models.victim_folder.LOG``)."""


@dataclass(frozen=True)
class RunFolder:
    """Paths inside the folder of a run. Nothing is created or read here.

    Attributes:
        root: the folder that ``--out`` names.
    """

    root: Path

    @property
    def victims(self) -> Path:
        """Folder of the victims."""
        return self.root / "victims"

    @property
    def surfaces(self) -> Path:
        """Folder of the surfaces."""
        return self.root / "surfaces"

    @property
    def trials(self) -> Path:
        """Folder of the trials."""
        return self.root / "trials"

    @property
    def examples(self) -> Path:
        """Folder of the texts that are judged, one file per test set."""
        return self.root / "examples"

    @property
    def records(self) -> Path:
        """Folder of the records."""
        return self.root / "records"

    @property
    def certificates(self) -> Path:
        """Folder of the certificates."""
        return self.root / "certificates"

    @property
    def leaderboard(self) -> Path:
        """Markdown table of all records of the run."""
        return self.root / "leaderboard.md"

    @property
    def transfer(self) -> Path:
        """The victims of the run on each other's adversarial texts."""
        return self.root / "transfer.json"

    @property
    def curves(self) -> Path:
        """Folder where trackers of attack results write, one folder for each cell."""
        return self.root / "curves"

    @property
    def shards(self) -> Path:
        """Folder of the shards; each of them has a folder with trials and parts."""
        return self.root / "shards"

    @property
    def parts(self) -> Path:
        """Folder of the parts of a shard (``robench.records.shard_part``)."""
        return self.root / "parts"

    def shard(self, name: str) -> RunFolder:
        """Return the folder of the shard called ``name`` (``Shard.folder_name``)."""
        return RunFolder(self.shards / name)

    def victim(self, name: str) -> Path:
        """Return the folder of the victim called ``name`` (``FitRequest.folder_name``)."""
        return self.victims / name

    def trials_file(self, cell: str) -> Path:
        """Return the trials file of the cell whose ``cell_name`` is ``cell``."""
        return self.trials / f"{cell}.jsonl"

    def examples_file(self, task: str, digest: str) -> Path:
        """Return the file with the texts of a test set (``robench.records.test_set``).

        Args:
            task: name of the task.
            digest: SHA-256 of the test set (``Splits.digest``); its first 8 digits name the file.
        """
        return self.examples / f"{_safe(task)}-{digest[:8]}.jsonl"

    def training_logs(self, configuration: str) -> list[Path]:
        """Return the logs of the trainings that may have this configuration key.

        A victim's folder name holds only the first 8 digits of the key, so the caller compares
        the whole key with the one in the log.
        """
        return sorted(self.victims.glob(f"*-{configuration[:8]}/{TRAINING_LOG}"))


def cell_name(task: str, row: str, attack: str, seed: int, key: str) -> str:
    """Return the name of a cell's files: ``<task>-<row>-<attack>-s<seed>-<key>``.

    The name holds only letters, digits and ``._+-``, and only the first 8 digits of the key.

    Args:
        task: name of the task, with the test set where it is not the task's own
            (``record.test_label``).
        row: registered name of the defense, or the name of a victim that the user gave.
        attack: registered name.
        seed: seed of training and search.
        key: key of the cell (``robench.evaluation.cell.cell_key``).
    """
    return "-".join([_safe(task), _safe(row), _safe(attack), f"s{seed}", key[:8]])


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+]+", "-", name)[:LONGEST_NAME].strip(".-")


def record_file_name(cell: str, limit: int | None) -> str:
    """Return the file name of a record.

    The limit is part of the name, so the record of a limited run never replaces that of a
    whole run.

    Args:
        cell: the cell's name (``cell_name``).
        limit: number of examples that were judged, or None for all.
    """
    return f"{cell}.json" if limit is None else f"{cell}-limit-{limit}.json"
