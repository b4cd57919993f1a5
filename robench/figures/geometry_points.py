"""The points of the geometry figure as a file, so that the site can draw them without a victim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from robench._base.bounded_reading import MB, Bounds, Unreadable, read_json
from robench._base.errors import RobenchError
from robench._base.files import write_text
from robench._base.seals import SealBroken, with_seal, without_seal

FILE_NAME: Final = "geometry.json"
"""Name of the file in the folder of a run. The site and the report of the run draw it."""
MAKES_IT: Final = "robench plot geometry --victim RUN/victims/NAME --to RUN/geometry.json"
"""The command that makes the file; RUN and NAME are the user's."""
_BOUND: Final = Bounds(size=16 * MB)
_MOST: Final = 5_000
"""Texts, and victims times texts, of the largest file that is drawn."""

Point = tuple[float, float]
Points = Annotated[tuple[Point, ...], Field(min_length=4, max_length=_MOST)]
Name = Annotated[str, Field(max_length=500)]


class VictimPoints(BaseModel):
    """The points of one victim; the texts stand in the order of ``GeometryPoints.labels``.

    Attributes:
        name: name of its folder.
        after: its features by t-SNE, ``(texts, 2)``.
        outer: its features on the circle of radius 1, ``(texts, 2)``.
        inner: the pre-trained features on the circle inside, ``(texts, 2)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Name
    after: Points
    outer: Points
    inner: Points


class GeometryPoints(BaseModel):
    """What Figure 3 of the RIFT paper shows, as numbers.

    Attributes:
        kind: always ``"robench geometry"``.
        version: version of this format.
        task, encoder: of the victims.
        split: the split that the texts are from.
        seed: seed of t-SNE.
        classes: names of the classes.
        labels: gold labels of the texts, ``(texts,)``.
        before: the pre-trained features by t-SNE, ``(texts, 2)``.
        victims: the victims.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["robench geometry"] = "robench geometry"
    version: Literal[1] = 1
    task: Name
    encoder: Name
    split: Name
    seed: int
    classes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1_000)]
    labels: Annotated[tuple[int, ...], Field(min_length=4, max_length=_MOST)]
    before: Points
    victims: Annotated[tuple[VictimPoints, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _numbers_agree(self) -> GeometryPoints:
        of_victims = (each for v in self.victims for each in (v.after, v.outer, v.inner))
        if {len(each) for each in (self.before, *of_victims)} != {len(self.labels)}:
            raise ValueError("there must be one point for each text")
        if not all(0 <= label < len(self.classes) for label in self.labels):
            raise ValueError("a label is no class")
        if len(self.labels) * len(self.victims) > _MOST:
            raise ValueError(f"there are more than {_MOST:,} texts and victims")
        return self


def write_points(path: Path, points: GeometryPoints) -> None:
    """Write the points as JSON with a seal, whole or not at all.

    Raises:
        RobenchError: the file cannot be written.
    """
    content = with_seal(points.model_dump(mode="json"))
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def read_points(path: Path) -> GeometryPoints:
    """Return the points in ``path``.

    Raises:
        RobenchError: the file cannot be read, is damaged, or holds no such points.
    """
    remedy = "Remove it, or make it again with 'robench plot geometry'."
    try:
        content = without_seal(read_json(path, _BOUND))
        return GeometryPoints.model_validate_json(json.dumps(content), strict=True)
    except Unreadable as error:
        raise RobenchError(f"Cannot read the points {path} ({error.reason}). {remedy}") from error
    except SealBroken as error:
        raise RobenchError(f"Cannot read the points {path} ({error}). {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:100] or "the file"
        raise RobenchError(
            f"The points {path} are not valid at '{where}' ({first['msg']}). {remedy}"
        ) from error
