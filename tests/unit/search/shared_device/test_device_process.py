"""How a device process begins, and the order of its forward passes."""

from __future__ import annotations

import select
import socket
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_cases import SHAPES, load_on_device, load_without_queue, shared_plan
from fake_victims import load_linear, load_nothing
from queue_cases import FakeDevice

from robench.search.shared_device.client import DeviceClient, DeviceLine, PendingReply
from robench.search.shared_device.messages import can_hand_on, hand_on
from robench.search.shared_device.process import DeviceServer, run_device
from robench.search.shared_device.slots import SharedSlots, SlotSizes

pytestmark = pytest.mark.skipif(not can_hand_on(), reason="this system cannot hand sockets on")
SIZES = SlotSizes.of(SHAPES, longest=300, classes=2, places=2, depth=3)


def leave(folder: Path, device: str) -> Any:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        (load_nothing, "The device process failed to start (OSError: no such weights)."),
        (load_without_queue, "The victim has no queue on cpu."),
        (leave, "Code of a plugin or a library raised SystemExit(3)"),
    ],
)
def test_a_device_process_says_why_it_cannot_begin(
    tmp_path: Path, load: Any, sentence: str
) -> None:
    here, there = Pipe(duplex=False)
    line, _ = socket.socketpair()
    run_device(shared_plan(tmp_path, load=load), SharedSlots(SIZES), line, there)
    assert here.recv().startswith(sentence)


def test_a_device_process_ends_with_its_parent(tmp_path: Path) -> None:
    here, there = Pipe(duplex=False)
    line, parent = socket.socketpair()
    parent.close()
    run_device(shared_plan(tmp_path, load=load_on_device), SharedSlots(SIZES), line, there)
    assert not here.poll()


class Served:
    """A device process that goes on step by step, and two search processes."""

    def __init__(self) -> None:
        self.slots = SharedSlots(SIZES)
        self.line, there = socket.socketpair()
        self.done: set[int] = set()
        self._kept: list[socket.socket] = []
        self.device = FakeDevice(load_linear(), lambda number: number in self.done)
        self.server = DeviceServer(self.device, self.slots, there)
        self.clients = [self._client(place) for place in range(2)]
        for _ in self.clients:
            self.server.step()

    def _client(self, place: int) -> DeviceClient:
        mine, theirs = socket.socketpair()
        one, other = socket.socketpair()
        hand_on(self.line, one, place)
        hand_on(mine, other)
        self._kept.append(mine)
        return DeviceClient(DeviceLine(self.slots, place, theirs))

    def ask(self, client: int, word: int) -> PendingReply:
        ids = np.array([[2, word, 3]], dtype=np.int32)
        return self.clients[client].submit(ids, np.array([3], np.int32), None, "fp32")

    def steps(self) -> None:
        """Go on until there is nothing to do, which it would wait for."""
        for _ in range(8):
            server = self.server
            heard = select.select([one.channel for one in server._clients.values()], [], [], 0)[0]
            if heard or server._waiting or server._flying:
                server.step()


def test_forward_passes_go_in_the_order_of_their_arrival_up_to_the_depth() -> None:
    served = Served()
    asked = []
    for word in (4, 5, 6):
        for client in range(2):
            asked.append(served.ask(client, word))
            served.server.step()
    served.steps()
    assert served.device.queued == 3
    assert [pending.ready() for pending in asked] == [False] * 6
    served.done.add(1)
    served.steps()
    # The second ended first, and the fourth has its place.
    assert [pending.ready() for pending in asked] == [False, True, False, False, False, False]
    assert served.device.queued == 4
    served.done.update(range(6))
    served.steps()
    assert all(pending.ready() for pending in asked)
    assert served.slots.answered == 6


def test_a_forward_pass_at_which_a_device_process_died_runs_alone() -> None:
    served = Served()
    for client in range(2):
        served.ask(client, 4)
        served.server.step()
    served.steps()
    assert served.device.queued == 2
    # There is room for a third one.
    guilty = served.ask(0, 5)
    served.server._listen()
    served.server._waiting[0].ask = guilty.ask._replace(deaths=1)
    after = served.ask(1, 6)
    served.steps()
    assert served.device.queued == 2
    served.done.update((0, 1))
    served.steps()
    assert served.device.queued == 3
    assert len(served.device.flying) == 1
    served.done.add(2)
    served.steps()
    assert guilty.ready()
    assert served.device.queued == 4
    served.done.add(3)
    served.steps()
    assert after.ready()
