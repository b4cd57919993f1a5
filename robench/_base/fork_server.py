"""A process that has imported the large libraries once and forks child processes.

A new Python needs 5 to 10 seconds of processor time for torch and transformers, and a run starts
processes for each of its cells. The fork server of ``multiprocessing`` imports them once. A child
of it is there in a moment, with the same modules as one that Python starts anew. No code of a
plugin, of a model or of the program that runs robench is ever imported in the server itself, and it
computes nothing.

The server imports from where this process imports, and it has the environment of the moment when it
started. Where one of the two has changed since, children are started anew instead.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, get_context, parent_process, resource_tracker
from multiprocessing.context import ForkServerContext

from robench._base.import_path import SAFE_PATH

SWITCH = "ROBENCH_FORK_SERVER"
"""Environment variable: ``"0"`` starts each child process anew."""
_LATE = ("ROBENCH_", "PYTEST_")
"""No library reads variables that begin so when it is imported. A child gets its parent's."""
_FAMILIES = "transformers.models."


@dataclass(frozen=True)
class _Conditions:
    """What must be the same for all children of a server: where they import from, and so on."""

    path: tuple[str, ...]
    environment: Mapping[str, str]

    @classmethod
    def now(cls) -> _Conditions:
        environment = {name: os.environ[name] for name in os.environ if not name.startswith(_LATE)}
        return cls(tuple(sys.path), environment)


_started: list[_Conditions] = []
"""The conditions of this process's server; nothing before it is started."""


def server_context() -> ForkServerContext | None:
    """Return a context whose processes the server forks, and start the server if necessary.

    Returns:
        The context; None where children have to be started anew: in a child, on another system
        than Linux, after a change of the conditions, or where ``SWITCH`` says so.
    """
    if not _possible():
        return None
    conditions = _Conditions.now()
    if not _started:
        # Linux ends the server with the thread that started it.
        if threading.current_thread() is not threading.main_thread():
            return None
        _started.append(conditions)
    if _started[0] != conditions:
        return None
    context = get_context("forkserver")
    context.set_forkserver_preload(_modules())
    with _imports_as_here(), without_interrupts():
        forkserver.ensure_running()
    return context


def take_environment(environment: Mapping[str, str]) -> None:
    """Give this process the environment of its parent, where the server has another one."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in processes that are started in the block, which inherit the signal mask.

    Only the parent handles it; it ends its children.
    """
    # Otherwise the resource tracker would start with the first process, and it unblocks Ctrl-C.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _possible() -> bool:
    return (
        sys.platform == "linux"
        and os.environ.get(SWITCH) != "0"
        and not sys.flags.ignore_environment
        # The server that a child inherits does not end with this child.
        and parent_process() is None
    )


def _modules() -> list[str]:
    """Return what the server imports: what this process has of robench and the large libraries."""
    names = ["robench._base.server_process"]
    if "torch" in sys.modules and "transformers" in sys.modules:
        names.append("robench._base.server_libraries")
        names += sorted(name for name in tuple(sys.modules) if name.startswith(_FAMILIES))
    own = (name for name in tuple(sys.modules) if name.partition(".")[0] == "robench")
    # Importing this one would run the command line.
    return [*names, *sorted(set(own) - {"robench.__main__"})]


@contextmanager
def _imports_as_here() -> Iterator[None]:
    """Let a process that is started in the block import from the same places as this one."""
    path = os.pathsep.join(each or os.getcwd() for each in sys.path)  # noqa: PTH109
    wanted = {"PYTHONPATH": path, SAFE_PATH: "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
