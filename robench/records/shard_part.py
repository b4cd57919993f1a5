"""``ShardPart``: what one shard knows of a cell whose examples it has all attacked.

It is no record: a part of a cell is no cell, and no table reads it. ``robench merge`` makes the
record of a cell from the parts of all its shards and from their trials.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field, NonNegativeInt, ValidationError

from robench._base.bounded_reading import RECORD, Unreadable, read_json
from robench._base.errors import RobenchError
from robench._base.files import write_text
from robench._base.seals import SealBroken, with_seal, without_seal
from robench.protocol import Protocol
from robench.records.part import RecordPart, Sha256
from robench.records.record import AttackPart, EncoderPart, PluginPart, TaskPart, VictimPart
from robench.records.row_labels import row_label
from robench.records.run_folder import cell_name, record_file_name
from robench.records.run_parts import CostPart, SearchPart, SoftwarePart
from robench.records.shard import Shard
from robench.records.surface_part import SurfacePart
from robench.records.trained_on import TrainedOnPart
from robench.records.trials_part import TrialsPart
from robench.records.unknown_part import UnknownPart

KIND: Final = "shard-part"
"""Value of ``"robench"`` in the file."""
VERSION: Final = 1
"""Version of the format."""

OF_CELL: Final = (
    "cell",
    "task",
    "encoder",
    "defense",
    "attack",
    "protocol",
    "surface",
    "search",
    "limit",
    "trained_on",
)
"""Fields that a record takes from any part, because all shards of a cell have the same."""


class FreshText(RecordPart):
    """A text that fooled a randomised victim, asked again with fresh random variants.

    Attributes:
        id: of the example.
        fooled: number of fresh seeds for which the victim is wrong (``FreshDrawsPart``).
    """

    id: str
    fooled: NonNegativeInt


class ShardPart(RecordPart):
    """What one shard knows of a finished cell. The fields are those of ``Record``, but for these.

    Attributes:
        of, number: the shard (``Shard``).
        ids_digest: ``digest_of_ids`` of all judged examples, those of the other shards too.
        unknown: as in the record, but ``successes`` counts the examples of this shard.
        fresh_texts: the first fooling texts of this shard; None for a victim that is not
            randomised.
        trials: which trials of this shard it belongs to.
        cost: of this shard.
    """

    kind: Literal["shard-part"] = Field(default=KIND, alias="robench")
    version: Literal[1] = VERSION
    of: int = Field(ge=1)
    number: int = Field(ge=1)
    cell: Sha256
    task: TaskPart
    encoder: EncoderPart | None
    defense: PluginPart | None
    attack: AttackPart
    protocol: Protocol
    victim: VictimPart
    surface: SurfacePart
    search: SearchPart
    limit: int | None = Field(ge=1)
    ids_digest: Sha256
    trained_on: TrainedOnPart | None
    unknown: UnknownPart
    fresh_texts: tuple[FreshText, ...] | None
    trials: TrialsPart
    cost: CostPart
    software: SoftwarePart
    created: AwareDatetime

    @property
    def shard(self) -> Shard:
        """The shard."""
        return Shard(of=self.of, number=self.number)

    @property
    def row(self) -> str:
        """Label of the victim's row in tables (``Record.row``)."""
        label = "" if self.defense is None else self.defense.label
        return row_label(self.victim.kind, self.victim.name, label)

    @property
    def cell_name(self) -> str:
        """Name of the cell in file names (``Record.cell_name``)."""
        row = self.victim.name or ("" if self.defense is None else self.defense.name)
        return cell_name(self.task.file_part, row, self.attack.name, self.search.seed, self.cell)

    @property
    def file_name(self) -> str:
        """Name of the file, which is that of the record too."""
        return record_file_name(self.cell_name, self.limit)

    @property
    def title(self) -> str:
        """Name of the cell for people."""
        return (
            f"{self.row} under {self.attack.label} on {self.task.file_part}, "
            f"seed {self.search.seed}"
        )


def write_part(path: Path, part: ShardPart) -> None:
    """Write ``part`` to ``path``, whole or not at all.

    Raises:
        RobenchError: the file cannot be written.
    """
    data = with_seal(part.model_dump(mode="json", by_alias=True))
    write_text(path, json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_part(path: Path) -> ShardPart:
    """Return the part in ``path``.

    Raises:
        RobenchError: the file is missing, damaged, or of another version.
    """
    remedy = "Run that shard again, which writes it; its trials are kept."
    try:
        raw = without_seal(read_json(path, RECORD, inside=path.parent))
        if raw.get("robench") == KIND and raw.get("version") != VERSION:
            raise RobenchError(
                f"'{path}' has version {raw.get('version')}, and this robench reads {VERSION}. "
                "Use one version of robench for all shards."
            )
        return ShardPart.model_validate_json(json.dumps(raw), strict=True)
    except Unreadable as error:
        raise RobenchError(f"'{path}' cannot be read ({error.reason}). {remedy}") from error
    except SealBroken as error:
        raise RobenchError(f"'{path}' is damaged: {error}. {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise RobenchError(
            f"'{path}' is not valid at '{where}' ({first['msg']}). {remedy}"
        ) from error
