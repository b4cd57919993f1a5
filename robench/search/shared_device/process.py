"""What the device process does: it has the victim, and runs the forward passes of all clients."""

from __future__ import annotations

import select
import socket
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from robench._base.errors import RobenchError, is_out_of_memory
from robench._base.no_exit import as_failure, without_os_exit
from robench.search.shared_device.messages import Ask, Channel, Closed, Reply, parts_of, take_over
from robench.search.shared_device.slots import SharedSlots, Slot, State

if TYPE_CHECKING:
    from robench.search.victim_protocol import ForwardQueue, PendingAnswers
    from robench.search.worker_plan import WorkerPlan

LOOK_SECONDS = 0.0001
"""Seconds between two looks at the device while nothing else happens."""


def run_device(
    plan: WorkerPlan, slots: SharedSlots, line: socket.socket, reports: Connection
) -> None:
    """Load the victim, and answer the search processes until the parent ends this one.

    Args:
        plan: what to load, and on which device.
        slots: the shared memory.
        line: from the parent, which sends a socket for each search process.
        reports: to the parent, for why this process cannot begin.
    """
    with without_os_exit():
        try:
            with as_failure():
                queue = _queue_of(plan)
        except RobenchError as error:
            reports.send(str(error))
            return
        except Exception as error:
            reports.send(f"The device process failed to start ({type(error).__name__}: {error}).")
            return
        DeviceServer(queue, slots, line).run()


def _queue_of(plan: WorkerPlan) -> ForwardQueue:
    victim: Any = plan.load(plan.victim, plan.settings.device)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    queue: ForwardQueue | None = victim.forward_queue()
    if queue is None:
        raise RobenchError(f"The victim has no queue on {plan.settings.device}.")
    return queue


@dataclass(eq=False)
class _Client:
    """One search process.

    Attributes:
        open: whether it is still there.
    """

    channel: Channel
    slots: Sequence[Slot]
    open: bool = True


@dataclass(eq=False)
class _Pass:
    """One forward pass of a client.

    Attributes:
        pending: its answers, once it has started.
        again: whether the memory was too small for it beside others, so that it runs alone.
    """

    client: _Client
    ask: Ask
    pending: PendingAnswers | None = field(default=None)
    again: bool = False

    @property
    def slot(self) -> Slot:
        """The memory of its rows and answers."""
        return self.client.slots[self.ask.slot]

    def ready(self) -> bool:
        """Return whether the answers, or a failure, can be had without waiting."""
        assert self.pending is not None
        try:
            return self.pending.ready()
        # What has gone wrong shows in the result.
        except Exception:
            return True


class DeviceServer:
    """Runs forward passes in the order in which they arrive, several of them in flight.

    A forward pass during which a device process died runs alone. Forward passes in flight share
    the device's memory. Where it was too small for one of them, there is one at a time from then
    on, and that one is tried again.
    """

    def __init__(self, queue: ForwardQueue, slots: SharedSlots, line: socket.socket) -> None:
        self._queue, self._slots, self._line = queue, slots, line
        self._clients: dict[int, _Client] = {}
        self._waiting: deque[_Pass] = deque()
        self._flying: deque[_Pass] = deque()
        self._depth = max(1, queue.depth)

    def run(self) -> None:
        """Answer until the parent has ended."""
        while self.step():
            pass

    def step(self) -> bool:
        """Read what has come, start what there is room for, and answer what has ended.

        Returns:
            Whether the parent is still there.
        """
        if not self._listen():
            return False
        while self._waiting and self._has_room():
            self._start(self._waiting.popleft())
        for each in [one for one in self._flying if one.ready()]:
            self._flying.remove(each)
            self._finish(each)
        return True

    def _has_room(self) -> bool:
        if any(each.ask.deaths for each in (self._waiting[0], *self._flying)):
            return not self._flying
        return len(self._flying) < self._depth

    def _listen(self) -> bool:
        """Take new clients and forward passes; wait for them if there is nothing to do."""
        by_descriptor = {client.channel.fileno(): client for client in self._clients.values()}
        wait = None if not self._flying and not self._waiting else LOOK_SECONDS
        heard, _, _ = select.select([self._line.fileno(), *by_descriptor], [], [], wait)
        for descriptor in heard:
            if descriptor == self._line.fileno():
                if not self._welcome():
                    return False
            elif (client := by_descriptor[descriptor]).open:
                self._read(client)
        return True

    def _welcome(self) -> bool:
        """Take a new client; one that died had the same place. False if the parent has ended."""
        found = take_over(self._line)
        if found is None:
            return False
        place, end = found
        if place in self._clients:
            self._drop(self._clients[place])
        self._clients[place] = _Client(Channel(end), self._slots.of(place))
        return True

    def _read(self, client: _Client) -> None:
        try:
            asked = client.channel.receive(wait=False)
        except Closed:
            self._drop(client)
            return
        self._waiting.extend(_Pass(client, Ask._make(ask)) for ask in asked)

    def _drop(self, client: _Client) -> None:
        """Forget a search process that has ended, and its forward passes."""
        client.open = False
        client.channel.close()
        self._clients = {place: each for place, each in self._clients.items() if each is not client}
        self._waiting = deque(each for each in self._waiting if each.client is not client)

    def _start(self, one: _Pass) -> None:
        types, precision = parts_of(one.ask.form)
        one.slot.state = State.RUNNING
        try:
            rows = one.slot.read(one.ask.rows, one.ask.tokens, types)
            one.pending = self._queue.submit(*rows, precision)
        except Exception as error:
            self._fail(one, error)
        else:
            self._flying.append(one)

    def _finish(self, one: _Pass) -> None:
        """Pass the answers on, unless the search process has ended."""
        assert one.pending is not None
        try:
            logits = np.asarray(one.pending.result(), dtype=np.float32)
            if one.client.open:
                one.slot.answer(logits)
        except Exception as error:
            self._fail(one, error)
            return
        self._reply(one, Reply(one.ask.slot, one.ask.serial, *logits.shape))

    def _fail(self, one: _Pass, error: Exception) -> None:
        if is_out_of_memory(error) and not one.again:
            self._depth, one.again = 1, True
            self._waiting.appendleft(one)
            return
        if one.client.open:
            letters = one.slot.fail(f"{type(error).__name__}\n{error}")
            self._reply(one, Reply(one.ask.slot, one.ask.serial, 0, 0, 1, letters))

    def _reply(self, one: _Pass, reply: Reply) -> None:
        self._slots.count_answer()
        if not one.client.open:
            return
        one.slot.state = State.ANSWERED
        try:
            one.client.channel.send(reply)
        except Closed:
            self._drop(one.client)
