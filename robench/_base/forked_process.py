"""A process of ``multiprocessing`` that a given fork server forks."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, popen_forkserver, reduction, resource_tracker, spawn, util
from multiprocessing.connection import wait
from multiprocessing.context import set_spawning_popen
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from robench._base.import_path import SAFE_PATH
from robench._base.server_process import take_environment


class StartedServer(forkserver.ForkServer):
    """A fork server that starts only where ``start`` is called, under the conditions set there."""

    def start(self) -> None:
        """Start the server where it does not run."""
        super().ensure_running()

    def ensure_running(self) -> None:
        """Do nothing. The base class would start a server that has ended wherever it is used."""

    @property
    def number(self) -> int | None:
        """The server's process number; None before it is started."""
        number: int | None = self._forkserver_pid  # type: ignore[attr-defined]
        return number

    def forget(self) -> None:
        """Close what is left of a server that has ended."""
        _close(self._forkserver_alive_fd)  # type: ignore[attr-defined]


class ForkedProcess(BaseProcess):
    """A process that ``server`` forks; see ``multiprocessing.Process`` for the other arguments."""

    _start_method = "forkserver"

    def __init__(self, server: StartedServer, **named: Any) -> None:
        super().__init__(**named)
        self._server = server

    @property
    def ended_server(self) -> int | None:
        """Number of the server with which the process has ended; None if it ended by itself."""
        return None if self.exitcode is None else self._popen.ended_server  # type: ignore[attr-defined]

    def _Popen(self, process_obj: ForkedProcess) -> _Popen:  # noqa: N802
        # Only the parent has the server.
        server = self.__dict__.pop("_server")
        return _Popen(process_obj, server)


class _Popen(popen_forkserver.Popen):
    """What the parent knows of a forked process."""

    def __init__(self, process_obj: ForkedProcess, server: StartedServer) -> None:
        self._server, self._number = server, server.number
        self.ended_server: int | None = None
        # A handler of a signal may ask, too.
        self._reading = threading.RLock()
        super().__init__(process_obj)

    def _launch(self, process_obj: ForkedProcess) -> None:
        """Let the server fork a process and send it what it has to do.

        This is what ``multiprocessing`` does with its own server, except that a process is given up
        where the wait for the server is interrupted: it ends as soon as the server has forked it.
        """
        content = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(_preparation(process_obj.name), content)
            reduction.dump(process_obj, content)
        finally:
            set_spawning_popen(None)
        fds: list[int] = self._fds  # type: ignore[attr-defined]
        self.sentinel, writer = self._server.connect_to_new_process(fds)
        try:
            # The child's sign that its parent lives.
            lives = os.dup(writer)
        except OSError:
            _close(writer, self.sentinel)
            raise
        self.finalizer = util.Finalize(self, _close, (lives, self.sentinel))
        try:
            with open(writer, "wb", closefd=True) as stream:  # noqa: PTH123
                stream.write(content.getbuffer())
            self.pid = forkserver.read_signed(self.sentinel)
        except BaseException:
            self.finalizer()
            raise

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the exit code, or minus the number of the signal; None while the process runs."""
        if self.returncode is None:
            if not wait([self.sentinel], 0 if flag == os.WNOHANG else None):
                return None
            # The code can be read once, and each start of a process asks for those of all others.
            with self._reading:
                if self.returncode is None:
                    self.returncode = self._code()
        return self.returncode

    def _code(self) -> int:
        try:
            code: int = forkserver.read_signed(self.sentinel)
        except (OSError, EOFError):
            # The server was killed, and the system killed the process with it.
            self.ended_server = self._number
            return -signal.SIGKILL
        return code

    def _send_signal(self, sig: int) -> None:
        # The server has collected a process that has ended, and its number may be another one's.
        if self.poll() is None:
            super()._send_signal(sig)  # type: ignore[misc]


def _preparation(name: str) -> dict[str, Any]:
    """Return what a process imports and sets before it begins.

    A program that Python reads from standard input is in no file, so it is not imported.
    """
    data = spawn.get_preparation_data(name)
    if not Path(data.get("init_main_from_path") or "").is_file():
        data.pop("init_main_from_path", None)
    return data


def _close(*descriptors: int) -> None:
    for each in descriptors:
        os.close(each)


CHANGING = threading.RLock()
"""Held while environment variables have other values for a moment."""


@contextmanager
def environment_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the length of the block; other threads wait to set theirs."""
    with CHANGING:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            take_environment(before)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in processes that are started in the block, which inherit the signal mask.

    Only the parent handles it; it ends its children.
    """
    # Otherwise the resource tracker would start with the first process, and it unblocks Ctrl-C.
    with environment_variables({SAFE_PATH: "1"}):
        resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
