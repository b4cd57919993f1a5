"""What a worker process needs to know, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robench.models.given.source import GivenSource
from robench.search.settings import SearchSettings
from robench.search.shapes import Shapes
from robench.search.victim_protocol import SearchVictim, TextReader


def load_victim(victim: Path | GivenSource, device: str) -> SearchVictim:
    """Load the victim that robench saved in a folder, or the given model of a source."""
    if isinstance(victim, GivenSource):
        from robench.models.given.loading import load_given

        return load_given(victim, device)
    from robench.models.victim import Victim

    return Victim.load(victim, device)


@dataclass(frozen=True)
class Sharing:
    """How the workers of a device share one victim, which is in a process of its own.

    Attributes:
        read: an importable function that returns how the victim reads texts, given
            ``WorkerPlan.victim``.
        classes: number of the victim's labels.
        longest: tokens of the longest row that it reads.
    """

    read: Callable[[Any], TextReader]
    classes: int
    longest: int


@dataclass(frozen=True)
class WorkerPlan:
    """Everything that a worker needs to know.

    It is pickled, so plugins and the loader are given by name.

    Attributes:
        victim: folder of a victim that robench saved, or the source of a given model.
        attack: name in the registry.
        options: of the attack.
        settings: of the search.
        shapes: of the forward passes, see ``engine.run``. The parent chooses them, so that all
            workers have the same.
        load: an importable function that loads a worker's victim, given ``victim`` and the device.
        sharing: for one victim on each device (``shared_device``), whose queue the workers share;
            ``shapes`` are then given. None for one victim in each worker.
    """

    victim: Any
    attack: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: SearchSettings = field(default_factory=SearchSettings)
    shapes: Shapes | None = None
    load: Callable[[Any, str], SearchVictim] = load_victim
    sharing: Sharing | None = None
