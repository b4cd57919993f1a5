"""The victim of a search process whose real victim is in the device process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.search.shared_device.messages import Ask, Channel, Closed, Reply, form_of, take_over
from robench.search.shared_device.slots import Rows, SharedSlots, State

if TYPE_CHECKING:
    from robench.search.victim_protocol import FieldEncoding, Table, TextReader
    from robench.text.encoding import EncodedText

MOST_DEATHS = 2
"""Device processes that may die while they run a forward pass; then its rows fail."""
_exit_now = os._exit
"""The function itself, because plugins run while ``os._exit`` is replaced."""


@dataclass(frozen=True)
class DeviceLine:
    """What a search process needs to reach the device process.

    Attributes:
        slots: the shared memory.
        place: number of this search process.
        line: from the parent, which sends a socket to each new device process.
    """

    slots: SharedSlots
    place: int
    line: socket.socket


class DeviceDied(RuntimeError):
    """The device process died while it ran a forward pass, several times."""


class PendingReply:
    """The answers of a forward pass in the device process; see ``PendingAnswers``."""

    def __init__(self, client: DeviceClient, ask: Ask) -> None:
        self.ask = ask
        self._client = client
        self._answers: NDArray[np.float32] | None = None
        self._error: Exception | None = None

    @property
    def _done(self) -> bool:
        return self._answers is not None or self._error is not None

    def ready(self) -> bool:
        """Return whether the answers, or an error, are there."""
        if not self._done:
            self._client.receive(wait=False)
        return self._done

    def result(self) -> NDArray[np.float32]:
        """Wait for the answers and return them, ``(rows, classes)``.

        Raises:
            Exception: what the victim raised in the device process, under the same name.
            DeviceDied: the device process died while it ran this forward pass.
        """
        while not self._done:
            self._client.receive(wait=True)
        if self._error is not None:
            raise self._error
        assert self._answers is not None
        return self._answers

    def settle(self, found: NDArray[np.float32] | Exception) -> None:
        """Take the answers, or why there are none."""
        if isinstance(found, Exception):
            self._error = found
        else:
            self._answers = found


class DeviceClient:
    """``ForwardQueue`` of the device process, as a search process sees it.

    If the device process dies, the parent starts it again. The forward passes without an answer are
    then sent again, so no search notices.

    Attributes:
        depth: see ``ForwardQueue``.
    """

    def __init__(self, line: DeviceLine) -> None:
        self._line = line.line
        self._slots = line.slots.of(line.place)
        self.depth = len(self._slots)
        self._flying: dict[int, PendingReply] = {}
        self._free = list(range(self.depth))
        self._serial = 0
        for slot in self._slots:
            slot.state = State.NONE
        self._channel = self._next_channel()

    def submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None,
        precision: Precision,
    ) -> PendingReply:
        """Send a forward pass; ``SearchVictim.logits`` describes the arguments.

        It waits if all slots are in use: their forward passes were given up, and still run.
        """
        while not self._free:
            self.receive(wait=True)
        number = self._free[-1]
        slot = self._slots[number]
        slot.write(Rows(ids, lengths, types))
        slot.state = State.WAITING
        self._free.pop()
        self._serial = (self._serial + 1) % 2**32
        rows, tokens = ids.shape
        ask = Ask(number, self._serial, rows, tokens, form_of(types is not None, precision))
        pending = self._flying[number] = PendingReply(self, ask)
        try:
            self._channel.send(ask)
        except Closed:
            self._connect_again()
        return pending

    def receive(self, wait: bool) -> None:
        """Take the answers that have arrived.

        Args:
            wait: whether to wait for the first one.
        """
        try:
            replies = self._channel.receive(wait)
        except Closed:
            self._connect_again()
        else:
            self._take(replies)

    def _take(self, replies: Iterable[tuple[int, ...]]) -> None:
        for reply in map(Reply._make, replies):
            pending, slot = self._flying.pop(reply.slot), self._slots[reply.slot]
            assert pending.ask.serial == reply.serial
            if reply.failed:
                pending.settle(_error_of(slot.error(reply.letters)))
            else:
                pending.settle(slot.answers(reply.rows, reply.classes))
            self._set_free(reply.slot)

    def _set_free(self, number: int) -> None:
        self._slots[number].state = State.NONE
        self._free.append(number)

    def _next_channel(self) -> Channel:
        """Wait for a socket to the next device process."""
        found = take_over(self._line)
        if found is None:
            # The parent has ended, or it is ending this process.
            _exit_now(1)
        return Channel(found[1])

    def _connect_again(self) -> None:
        """Send what has no answer to the next device process.

        A forward pass that ran in the one that died may be the reason. The device process then
        runs it alone, so a second death leaves no doubt.
        """
        # Answers that were sent before count.
        with suppress(Closed):
            while True:
                self._take(self._channel.receive(wait=True))
        self._channel.close()
        for number, pending in list(self._flying.items()):
            if self._slots[number].state == State.RUNNING:
                pending.ask = pending.ask._replace(deaths=pending.ask.deaths + 1)
            if pending.ask.deaths >= MOST_DEATHS:
                del self._flying[number]
                self._set_free(number)
                times = "twice" if MOST_DEATHS == 2 else f"{MOST_DEATHS} times"
                pending.settle(DeviceDied(f"the device process died on it {times}"))
            else:
                self._slots[number].state = State.WAITING
        while True:
            self._channel = self._next_channel()
            try:
                for pending in self._flying.values():
                    self._channel.send(pending.ask)
                return
            except Closed:
                self._channel.close()


def _error_of(text: str) -> Exception:
    """Return an error with the name and the message of one in the device process.

    The name decides what the search does about it, and both stand in trials.
    """
    name, _, message = text.partition("\n")
    base: type[Exception] = MemoryError if name == "MemoryError" else RuntimeError
    kind: type[Exception] = type(name, (base,), {})
    return kind(message)


class SharedVictim:
    """``SearchVictim`` of a search process: it reads texts here, and asks the device process.

    Args:
        reader: how the victim reads texts.
        line: leads to the device process.
        device: torch device string of the device process.
    """

    def __init__(self, reader: TextReader, line: DeviceLine, device: str) -> None:
        self.table: Table = reader.table
        self.encoder_fields: FieldEncoding = reader.encoder_fields
        self.attackable: str = reader.attackable
        self.segments: bool = reader.segments
        self.device = device
        self._reader = reader
        self._client = DeviceClient(line)

    def forward_queue(self) -> DeviceClient:
        """Return the queue of the device process; it is the same one every time."""
        return self._client

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """Ask the device process and wait; see ``SearchVictim``."""
        return self._client.submit(ids, lengths, types, precision).result()

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Read one text; see ``SearchVictim``."""
        return self._reader.read(fields)
