"""A process that has imported the large libraries once and forks child processes.

A new Python needs 5 to 10 seconds of processor time for torch and transformers, and a run starts
processes for each of its cells. A fork server (``multiprocessing.forkserver``) imports them once,
and a child of it starts in some hundredths of a second. No code of a plugin, of a model or of the
program that runs robench is imported in the server, and it computes nothing.

The server is robench's own: it is not the one that ``get_context("forkserver")`` gives to a
program. It imports from where this process imports. It has the settings that this process had when
it started. Where one of them has changed since (``Conditions``), children are started anew instead.

Where a GPU can be used, children are started anew unless ``SWITCH`` is ``"1"``: a library that asks
CUDA something while it is imported would make the GPU unusable in all forked children.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from robench._base.forked_process import (
    CHANGING,
    ForkedProcess,
    StartedServer,
    environment_variables,
    without_interrupts,
)
from robench._base.import_path import SAFE_PATH
from robench._base.lean_imports import LEAN
from robench._base.server_process import TOLD

SWITCH = "ROBENCH_FORK_SERVER"
"""Environment variable: ``"0"`` starts each child anew, ``"1"`` uses the server on a GPU, too."""
MOST_FAILURES = 3
"""After so many failures to fork a child, all children of this process are started anew."""
_READ_LATER = ("ROBENCH_", "PYTEST_")
"""No library reads variables that begin so while it is imported; ``LEAN`` is the exception."""
_FAMILY = re.compile(r"transformers\.models\.\w+\.modeling_\w+")
"""Name of a module with one family of models."""
_LIMITS = tuple(sorted({getattr(resource, each) for each in dir(resource) if "RLIMIT_" in each}))


@dataclass(frozen=True)
class Conditions:
    """What a server and this process must have in common.

    Attributes:
        path: where Python imports from.
        environment: variables that libraries may read while they are imported.
        cores: the processor cores that may be used.
        limits: of the system, such as of memory and of open files, the umask and the nice value.
        outputs: the files to which standard output and standard error go.
    """

    path: tuple[str, ...]
    environment: Mapping[str, str]
    cores: frozenset[int]
    limits: tuple[Any, ...]
    outputs: tuple[tuple[int, int], ...]


class Server:
    """The fork server of this process, and whether it can be used."""

    def __init__(self) -> None:
        self._server = StartedServer()
        self._owner = os.getpid()
        self._conditions: Conditions | None = None
        self._failures = 0

    def process(
        self, target: Any, arguments: tuple[Any, ...], module: str = ""
    ) -> ForkedProcess | None:
        """Return a process, not yet started, that the server forks. Start the server if necessary.

        Args:
            target: an importable function.
            arguments: of the function.
            module: name of the module that the process needs; a server that is started now
                imports it if it is one of robench.

        Returns:
            The process, or None where a child has to be started anew.

        Raises:
            OSError: the server cannot be started.
        """
        if self._owner != os.getpid() or self._failures >= MOST_FAILURES or not _possible():
            return None
        with CHANGING:
            conditions = _conditions()
        # Linux ends the server with the thread that started it.
        runs = self._runs()
        main = threading.current_thread() is threading.main_thread()
        if conditions is None or not (main or runs):
            return None
        if self._conditions is None:
            self._conditions = conditions
        if self._conditions != conditions:
            return None
        if not runs:
            self._server.set_forkserver_preload(_modules(module))
            with without_interrupts(), environment_variables(_imports_as_here()):
                self._server.start()
        return ForkedProcess(self._server, target=target, args=arguments, daemon=True)

    def failed(self) -> None:
        """Note that a process could not be forked."""
        self._failures += 1

    @property
    def number(self) -> int | None:
        """The server's process number; None before it is started."""
        return self._server.number

    def _runs(self) -> bool:
        """Return whether the server runs. The server's own object collects one that has ended."""
        if self.number is None:
            return False
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.number, look) is None
        except ChildProcessError:
            # The program has collected it.
            self._server.forget()
            self._server = StartedServer()
            return False


SERVER = Server()


def _possible() -> bool:
    switch = os.environ.get(SWITCH)
    return (
        sys.platform == "linux"
        and switch != "0"
        # Every user of the machine could use the server of an older one.
        and sys.version_info >= (3, 11, 1)
        and not sys.flags.ignore_environment
        # A child's children would not end with it.
        and parent_process() is None
        and (switch == "1" or not _has_gpu())
    )


def _has_gpu() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def _conditions() -> Conditions | None:
    """Return the conditions of this moment; None where a server cannot have them."""
    path = tuple(sys.path)
    if not all(isinstance(each, str) and os.pathsep not in each for each in path):
        return None
    names = [name for name in os.environ if name == LEAN or not name.startswith(_READ_LATER)]
    status = Path("/proc/self/status").read_text()
    mask = [line for line in status.splitlines() if line.startswith("Umask:")]
    files = (os.fstat(each) for each in (1, 2))
    return Conditions(
        path=path,
        environment={name: os.environ[name] for name in names},
        cores=frozenset(os.sched_getaffinity(0)),
        limits=(*mask, os.nice(0), *(resource.getrlimit(each) for each in _LIMITS)),
        outputs=tuple((file.st_dev, file.st_ino) for file in files),
    )


def _modules(of_target: str) -> list[str]:
    """Return what the server imports: large libraries that this process has, and robench's part.

    The list stands in the server's command line, so it is short.
    """
    names = ["robench._base.server_process"]
    if "torch" in sys.modules and "transformers" in sys.modules:
        names.append("robench._base.server_libraries")
        names += sorted(name for name in tuple(sys.modules) if _FAMILY.fullmatch(name))
    return [*names, *([of_target] if of_target.startswith("robench.") else [])]


def _imports_as_here() -> dict[str, str]:
    """Return variables with which a server imports from the same places as this process.

    The server sets them back before it imports anything else.
    """
    path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
    wanted = {"PYTHONPATH": path, SAFE_PATH: "1"}
    before = {name: os.environ.get(name) for name in wanted}
    return {**wanted, TOLD: json.dumps({"starter": os.getpid(), "variables": before})}
