"""Send figures of a run to experiment trackers: all that Accelerate knows, and a user's own.

A tracker is an extra. One that fails during a run is named and left out, and the run continues.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError, first_line
from robench._base.hints import did_you_mean

PROJECT = "robench"
"""Project of trackers that keep their runs in projects."""
RUN_NAME_ARGUMENT = {
    "wandb": "name",
    "trackio": "name",
    "mlflow": "run_name",
    "swanlab": "experiment_name",
    "clearml": "task_name",
}
"""Tracker -> the argument of its own library that names a run; others name it themselves."""

Value = str | int | float | bool


def check_trackers(names: Sequence[str]) -> None:
    """Check that every tracker can be used here.

    Args:
        names: trackers of Accelerate, such as ``"wandb"``, or ``"module:Class"`` with a user's own
            class of ``accelerate.tracking.GeneralTracker``.

    Raises:
        UsageError: a tracker is not known, or its package is missing.
    """
    for name in names:
        _tracker_class(name)


def _tracker_class(name: str) -> Any:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    from accelerate.utils import LoggerType

    if ":" in name:
        return _own_class(name)
    if name not in LOGGER_TYPE_TO_CLASS:
        known = sorted(LOGGER_TYPE_TO_CLASS)
        raise UsageError(
            f"There is no tracker '{name}'.{did_you_mean(name, known)} "
            f"Accelerate knows {', '.join(known)}; MODULE:CLASS is a tracker of your own."
        )
    of_accelerate = name in LoggerType.list()
    if of_accelerate and name not in map(str, get_available_trackers()):
        raise UsageError(
            f"--tracker {name} needs the package '{name}', which is missing: pip install {name}."
        )
    return LOGGER_TYPE_TO_CLASS[name]


def _own_class(name: str) -> Any:
    from accelerate.tracking import GeneralTracker

    module, _, cls = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), cls)
    except Exception as error:
        raise UsageError(
            f"--tracker {name}: '{cls}' cannot be imported from '{module}' ({first_line(error)})."
        ) from error
    if not (isinstance(found, type) and issubclass(found, GeneralTracker)):
        raise UsageError(
            f"--tracker {name}: '{cls}' is no class of accelerate.tracking.GeneralTracker."
        )
    return found


class Tracking:
    """The trackers of one training or of one cell.

    Args:
        names: see ``check_trackers``.
        folder: the folder of this run. A tracker that writes files writes there, and its last part
            is the name of the run.
        config: what the run is about, kept by trackers that keep it on a server.
        say: shows a sentence to the user.

    Raises:
        UsageError: see ``check_trackers``.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        config: Mapping[str, Value],
        say: Callable[[str], None],
    ) -> None:
        self._say = say
        self._trackers: dict[str, Any] = {}
        for name, cls in {name: _tracker_class(name) for name in names}.items():
            self._guard(name, partial(self._start, name, cls, folder, config))

    def log(self, values: Mapping[str, Value], step: int) -> None:
        """Send figures to every tracker."""
        for name, tracker in list(self._trackers.items()):
            self._guard(name, partial(tracker.log, dict(values), step=step))

    def finish(self) -> None:
        """End the run of every tracker; may be called twice."""
        for name, tracker in list(self._trackers.items()):
            self._guard(name, tracker.finish)
        self._trackers = {}

    def _start(self, name: str, cls: Any, folder: Path, config: Mapping[str, Value]) -> None:
        if cls.requires_logging_directory:
            tracker = cls(folder.name, str(folder.parent))
        else:
            argument = RUN_NAME_ARGUMENT.get(name)
            tracker = cls(PROJECT, **({} if argument is None else {argument: folder.name}))
        tracker.start()
        if not cls.requires_logging_directory:
            tracker.store_init_configuration(dict(config))
        self._trackers[name] = tracker

    def _guard(self, name: str, step: Callable[[], object]) -> None:
        """Call ``step``; where it fails, say so and go on without the tracker."""
        try:
            step()
        except Exception as error:
            self._trackers.pop(name, None)
            self._say(
                f"The tracker '{name}' failed ({type(error).__name__}: {first_line(error)}). "
                "It gets nothing more from here; the run continues."
            )
