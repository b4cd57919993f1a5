"""GivenSource: where a given model lies and how it stands to a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class GivenSource:
    """A classifier of the user, for one task; a worker process loads it from this value.

    Attributes:
        location: a folder or a hub id.
        labels: the task's labels, in the task's order.
        fields: the task's fields in reading order; one, or two for a pair.
        attackable: the field whose words may be replaced.
        label_map: the model's name of a label -> the task's name.
        name: the row in tables.
        task: the task's name.
        foreign_code: whether code of the model's folder may run.
    """

    location: str
    labels: tuple[str, ...]
    fields: tuple[str, ...]
    attackable: str
    label_map: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    task: str = ""
    foreign_code: bool = False

    @property
    def title(self) -> str:
        """The name for people: ``name``, or the location where it is empty."""
        return self.name or self.location
