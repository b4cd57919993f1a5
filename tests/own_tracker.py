"""A user's own tracker: it writes JSON lines into the file that ``OWN_TRACKER`` names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker


class Lines(GeneralTracker):  # type: ignore[misc, no-any-unimported, unused-ignore]
    name = "lines"
    requires_logging_directory = False
    tracker = None

    def __init__(self, run_name: str) -> None:
        super().__init__()
        self.run_name = run_name

    def _write(self, **data: Any) -> None:
        with Path(os.environ["OWN_TRACKER"]).open("a") as file:
            file.write(json.dumps(data) + "\n")

    def start(self) -> None:
        self._write(start=self.run_name)

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self._write(config=values)

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self._write(values=values, step=step)

    def finish(self) -> None:
        self._write(finish=True)


class Broken(Lines):
    """It loses its connection at the first figures."""

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        raise ConnectionError("the server is gone")


class Refusing(Lines):
    """It cannot start."""

    def start(self) -> None:
        raise RuntimeError("no key was given")
