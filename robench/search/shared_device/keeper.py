"""Start the device process, connect the search processes to it, and start it again if it dies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from robench._base.child import start_child
from robench._base.errors import RobenchError
from robench.search.shared_device.client import DeviceLine
from robench.search.shared_device.messages import hand_on
from robench.search.shared_device.process import run_device
from robench.search.shared_device.slots import SharedSlots, SlotSizes
from robench.search.worker_deaths import cause_of

if TYPE_CHECKING:
    from robench.search.worker_plan import WorkerPlan

DEPTH = 3
"""Slots of each search process: its forward passes that may be in flight or wait."""
DEATHS_OF_A_TEXT = 4
"""Device processes that die on a text that kills them: two in a full forward pass, and two when the
text is tried alone. Then it is an error, and the search process goes on.
"""
GRACE_SECONDS = 5.0
"""Seconds that the system may take to end a killed process."""


@dataclass(frozen=True)
class _Running:
    """A device process, and the parent's ends of what leads to it."""

    process: BaseProcess
    line: socket.socket
    reports: Connection

    def stop(self) -> None:
        self.process.kill()
        self.process.join(GRACE_SECONDS)
        self.line.close()
        self.reports.close()


class DeviceKeeper:
    """The device process of one device, as its parent sees it.

    Args:
        plan: what it loads, and on which device.
        sizes: of the shared memory.
    """

    def __init__(self, plan: WorkerPlan, sizes: SlotSizes) -> None:
        self._plan = plan
        self._slots = SharedSlots(sizes)
        self._lines: dict[int, socket.socket] = {}
        # Each search process may have such a text at the same time.
        self._most_deaths = DEATHS_OF_A_TEXT * sizes.places + 1
        self._deaths = self._answered = 0
        self._running = self._start()

    def attach(self) -> DeviceLine:
        """Return what one more search process needs; it has the first free place."""
        place = next(each for each in range(self._slots.sizes.places) if each not in self._lines)
        self._lines[place], there = socket.socketpair()
        self._connect(place)
        return DeviceLine(self._slots, place, there)

    def detach(self, place: int) -> None:
        """Give the place of a search process that has ended free."""
        self._lines.pop(place).close()

    def waited_for(self) -> Iterator[object]:
        """Yield what becomes ready when the device process reports or ends."""
        yield self._running.process.sentinel
        yield self._running.reports

    def look(self) -> str | None:
        """Start the device process again if it has died; then return why it died, in words.

        Raises:
            RobenchError: it cannot load the victim, or it has died too often.
        """
        running = self._running
        ready = wait([running.reports, running.process.sentinel], 0)
        if running.reports in ready:
            # Without a message this is the end of the process.
            with suppress(EOFError, OSError):
                raise RobenchError(running.reports.recv())
        if not ready:
            return None
        running.process.join(GRACE_SECONDS)
        cause = cause_of(running.process.exitcode)
        running.stop()
        answered = self._slots.answered
        self._deaths = 1 if answered > self._answered else self._deaths + 1
        self._answered = answered
        if self._deaths >= self._most_deaths:
            raise RobenchError(
                f"The device process ended {self._most_deaths} times in a row without an answer "
                f"({cause}), so this cell is given up. Finished trials are kept. Run the same "
                "command again; --no-share-device gives each search process a victim of its own."
            )
        self._running = self._start()
        for place in self._lines:
            self._connect(place)
        return cause

    def stop(self) -> None:
        """End the device process; nothing that it holds is lost."""
        self._running.stop()
        for line in self._lines.values():
            line.close()
        self._lines.clear()

    def _start(self) -> _Running:
        here, there = socket.socketpair()
        reports, theirs = get_context("spawn").Pipe(duplex=False)
        process = start_child(run_device, self._plan, (self._slots, there, theirs))
        there.close()
        theirs.close()
        return _Running(process, here, reports)

    def _connect(self, place: int) -> None:
        """Give a search process and the device process the two ends of a socket."""
        one, other = socket.socketpair()
        hand_on(self._running.line, one, place)
        hand_on(self._lines[place], other)


class DeviceKeepers:
    """The device processes of one cell, one for each device. There are none without sharing.

    Args:
        plan: of the search processes.
        workers: number of search processes.
    """

    def __init__(self, plan: WorkerPlan, workers: int) -> None:
        self._plan, self._workers = plan, workers
        self._keepers: dict[str, DeviceKeeper] = {}

    def attach(self, device: str) -> DeviceLine | None:
        """Return what one more search process of a device needs; None without sharing."""
        sharing, shapes = self._plan.sharing, self._plan.shapes
        if sharing is None:
            return None
        if device not in self._keepers:
            if shapes is None:
                raise ValueError("a plan with sharing has no shapes")
            sizes = SlotSizes.of(shapes, sharing.longest, sharing.classes, self._workers, DEPTH)
            settings = replace(self._plan.settings, device=device)
            self._keepers[device] = DeviceKeeper(replace(self._plan, settings=settings), sizes)
        return self._keepers[device].attach()

    def detach(self, device: str, line: DeviceLine) -> None:
        """Give the place of a search process that has ended free."""
        self._keepers[device].detach(line.place)

    def waited_for(self) -> Iterator[object]:
        """Yield what becomes ready when a device process reports or ends."""
        for keeper in self._keepers.values():
            yield from keeper.waited_for()

    def look(self) -> Iterator[tuple[str, str]]:
        """Start the device processes again that have died; yield their devices and the causes.

        Raises:
            RobenchError: see ``DeviceKeeper.look``.
        """
        for device, keeper in self._keepers.items():
            cause = keeper.look()
            if cause is not None:
                yield device, cause

    def stop(self) -> None:
        """End all of them."""
        for keeper in self._keepers.values():
            keeper.stop()
        self._keepers.clear()
