"""Run the commands of board runs side by side, within a time, so that a later call can go on."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from robench._base.errors import UsageError
from scripts.board_plan import Job

JOURNAL: Final = "board_runs.jsonl"
GRACE: Final = 20.0
"""Seconds that an evaluation has to end after Ctrl-C. It needs less than one, usually."""
SHORTEST: Final = 15.0
"""A job is not started in the last seconds: reading the data alone takes longer."""
_POLL: Final = 0.05
_PARENT_DEATH_SIGNAL: Final = 1
"""``PR_SET_PDEATHSIG`` of Linux."""
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Ended:
    """A job that was started.

    Attributes:
        job: the job.
        state: ``"done"``, ``"failed"``, or ``"stopped"`` because the time was over.
        seconds: wall-clock seconds.
        reason: the last line of its log, where it failed.
    """

    job: Job
    state: str
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Runner:
    """Runs jobs of one folder.

    Attributes:
        out: folder of all results; each board has a folder inside.
        program: the words of ``robench``.
        device: the device, for ``--device``.
        slots: number of jobs at a time.
        cores: processor cores for all jobs together.
        say: prints a line.
        stamp: what the results depend on besides the command, such as the hash of the code. Jobs
            that ended under another stamp are run again.
    """

    out: Path
    program: Sequence[str]
    device: str
    slots: int
    cores: int
    say: Callable[[str], None]
    stamp: str = ""
    _running: list[_Running] = field(default_factory=list, compare=False, repr=False)

    def command(self, job: Job) -> list[str]:
        """Return the words of a job's command."""
        words = [*job.arguments, "--device", self.device]
        if self.device == "cpu":
            words += ["--workers", "1"]
        return [*words, "--out", str(self.out / job.folder)]

    def done_before(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that an earlier call has finished."""
        finished = {line["key"] for line in self._journal() if line["state"] == "done"}
        return [job for job in jobs if self._key(job) in finished]

    def run(self, jobs: Sequence[Job], seconds: float | None) -> list[Ended]:
        """Run jobs in their order, and return those that were started.

        Args:
            jobs: the jobs.
            seconds: all must have ended after this time; None for no limit.

        Raises:
            UsageError: another process runs jobs of this folder.
            KeyboardInterrupt: Ctrl-C; all jobs have ended by then.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.out / "board_runs.lock", timeout=0):
                return self._run(list(jobs), seconds)
        except Timeout:
            raise UsageError(
                f"Another process runs boards in {self.out}. Wait for it, or name another --out."
            ) from None

    def _run(self, waiting: list[Job], seconds: float | None) -> list[Ended]:
        end = None if seconds is None else time.monotonic() + seconds
        grace = GRACE if seconds is None else min(GRACE, seconds / 4)
        shortest = 0.0 if seconds is None else min(SHORTEST, seconds / 4)
        ended: list[Ended] = []
        try:
            while self._running or waiting:
                left = float("inf") if end is None else end - grace - time.monotonic()
                if left <= 0:
                    break
                while waiting and len(self._running) < self.slots and left > shortest:
                    self._start(waiting.pop(0))
                if not self._running:
                    break
                ended += self._collect()
                time.sleep(_POLL)
        finally:
            # Also after Ctrl-C: nothing goes on behind the user's back.
            ended += self._stop(grace)
        return ended

    def _start(self, job: Job) -> None:
        words = self.command(job)
        log = self.out / "logs" / f"{job.name}.log"
        log.parent.mkdir(exist_ok=True)
        self.say(f"start  {job.title}")
        self.say(f"       robench {shlex.join(words)}")
        threads = str(max(1, self.cores // self.slots))
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [*self.program, *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": threads},
                # Ctrl-C reaches this process only, which then ends its jobs in order.
                start_new_session=True,
                preexec_fn=_end_with_parent if _LIBC is not None else None,
            )
        self._running.append(_Running(job, process, log, time.monotonic()))

    def _collect(self) -> list[Ended]:
        """Return the jobs that have ended by themselves."""
        found = [each for each in self._running if each.process.poll() is not None]
        for each in found:
            self._running.remove(each)
        return [self._note(each, stopped=False) for each in found]

    def _stop(self, grace: float) -> list[Ended]:
        """End all jobs, first as Ctrl-C does, and at last by force."""
        left = list(self._running)
        self._running.clear()
        for number, wait in ((signal.SIGINT, grace * 0.7), (signal.SIGKILL, grace * 0.3)):
            for each in left:
                if each.process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(each.process.pid, number)
            until = time.monotonic() + wait
            while any(each.process.poll() is None for each in left) and time.monotonic() < until:
                time.sleep(_POLL)
        return [self._note(each, stopped=True) for each in left]

    def _note(self, running: _Running, stopped: bool) -> Ended:
        """Write down how a job has ended."""
        code, seconds = running.process.poll(), time.monotonic() - running.began
        state = "done" if code == 0 else "stopped" if stopped else "failed"
        reason = _last_line(running.log) if state == "failed" else ""
        line = {
            "key": self._key(running.job),
            "job": running.job.title,
            "state": state,
            "seconds": round(seconds, 1),
            "device": self.device,
            "command": shlex.join(["robench", *self.command(running.job)]),
        }
        with (self.out / JOURNAL).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        self.say(f"{state:<7}{running.job.title} ({seconds:.0f} s){reason and f': {reason}'}")
        return Ended(running.job, state, seconds, reason)

    def _key(self, job: Job) -> str:
        return f"{self.stamp} {self.device.partition(':')[0]} {shlex.join(job.arguments)}"

    def _journal(self) -> Iterator[Mapping[str, Any]]:
        path = self.out / JOURNAL
        if not path.is_file():
            return
        for text in path.read_text(encoding="utf-8").splitlines():
            # The last line of a call that was killed may be cut.
            with suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict) and {"key", "state"} <= line.keys():
                    yield line


@dataclass(frozen=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: Path
    began: float


def _end_with_parent() -> None:
    """Let Linux end this process as kill does when the process that started it ends."""
    assert _LIBC is not None
    _LIBC.prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _last_line(log: Path) -> str:
    """Return the last line of a log that says something."""
    lines = log.read_bytes()[-20_000:].decode("utf-8", "replace").splitlines()
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no message")
