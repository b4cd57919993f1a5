"""Search processes and a device process, as threads of this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from device_cases import SHAPES
from fake_victims import FakeVictim, linear_jobs, load_linear, load_rough
from queue_cases import FakeDevice, at_random

from robench import ATTACKS, Trial, Verdict
from robench.search.engine import run
from robench.search.settings import SearchSettings
from robench.search.shared_device import client as client_module
from robench.search.shared_device.client import (
    DeviceClient,
    DeviceDied,
    DeviceLine,
    PendingReply,
    SharedVictim,
)
from robench.search.shared_device.messages import can_hand_on, hand_on
from robench.search.shared_device.process import DeviceServer
from robench.search.shared_device.slots import SharedSlots, SlotSizes, State

pytestmark = pytest.mark.skipif(not can_hand_on(), reason="this system cannot hand sockets on")

SIZES = SlotSizes.of(SHAPES, longest=300, classes=2, places=3, depth=3)


class Parent:
    """Connects clients with device processes that are threads.

    Attributes:
        device: the fake device of the present device process.
    """

    def __init__(self, victim: Callable[[], FakeVictim] = load_linear) -> None:
        self.slots = SharedSlots(SIZES)
        self._make = victim
        self._lines: dict[int, socket.socket] = {}
        self.start()

    def start(self, is_ready: Callable[[int], bool] = lambda number: True) -> None:
        self._line, there = socket.socketpair()
        self.device = FakeDevice(self._make(), is_ready)
        self._server = DeviceServer(self.device, self.slots, there)
        self._over = False
        self._thread = threading.Thread(target=self._serve, args=(self._server, there))
        self._thread.start()
        for place in self._lines:
            self._connect(place)

    def _serve(self, server: DeviceServer, there: socket.socket) -> None:
        while not self._over and server.step():
            pass
        there.close()
        for client in server._clients.values():
            client.channel.close()

    def kill(self) -> None:
        """End the device process without a word."""
        self._over = True
        self._line.close()
        self._thread.join()

    def _connect(self, place: int) -> None:
        one, other = socket.socketpair()
        hand_on(self._line, one, place)
        hand_on(self._lines[place], other)

    def line(self, place: int) -> DeviceLine:
        if place in self._lines:
            self._lines[place].close()
        self._lines[place], there = socket.socketpair()
        self._connect(place)
        return DeviceLine(self.slots, place, there)

    def close(self) -> None:
        self.kill()
        for line in self._lines.values():
            line.close()


@pytest.fixture
def parent() -> Iterator[Parent]:
    made = Parent()
    yield made
    made.close()


def rows(*words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids = np.array([[2, word, 3] for word in words], dtype=np.int32)
    return ids, np.full(len(ids), 3, dtype=np.int32), np.zeros(ids.shape, dtype=np.int8)


def expected(*words: int) -> np.ndarray:
    return load_linear().logits(*rows(*words))


def ask(client: DeviceClient, *words: int) -> PendingReply:
    return client.submit(*rows(*words), "fp32")


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")


def test_a_client_answers_as_the_victim_does(parent: Parent) -> None:
    client = DeviceClient(parent.line(0))
    asked = [ask(client, *range(4, 5 + number)) for number in range(3)]
    for number, pending in reversed(list(enumerate(asked))):
        assert np.array_equal(pending.result(), expected(*range(4, 5 + number)))
        assert pending.ready()


def test_token_types_are_optional(parent: Parent) -> None:
    ids, lengths, _ = rows(4, 5)
    answers = DeviceClient(parent.line(0)).submit(ids, lengths, None, "bf16").result()
    assert np.array_equal(answers, expected(4, 5))
    assert parent.device._victim.precisions == ["bf16"]


@pytest.mark.parametrize("name", ["pwws", "genetic"])
def test_trials_are_the_same_for_several_clients_at_once(name: str) -> None:
    parent = Parent()
    parent.kill()
    parent.start(at_random(1))
    jobs, attack = linear_jobs(24, words=6), ATTACKS.get(name)
    small = {"population": 5, "iterations": 2} if name == "genetic" else {}

    def attacked(victim: Any, part: list[Any]) -> list[Trial]:
        found = run(victim, attack(attack.Options(**small)), name, part, shapes=SHAPES)
        return sorted(
            (trial.model_copy(update={"seconds": 0.0}) for trial in found), key=lambda one: one.id
        )

    usual, found = attacked(load_linear(), jobs), list[Trial]()
    victims = [SharedVictim(load_linear(), parent.line(place), "cpu") for place in range(3)]
    threads = [
        threading.Thread(target=lambda n=number, v=victim: found.extend(attacked(v, jobs[n::3])))
        for number, victim in enumerate(victims)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parent.close()
    assert sorted(found, key=lambda one: one.id) == usual
    assert parent.device.most <= parent.device.depth


def test_doubtful_answers_are_asked_again_in_fp32() -> None:
    parent = Parent(load_rough)
    victim = SharedVictim(load_rough(), parent.line(0), "cpu")

    def attacked(victim: Any) -> list[Trial]:
        settings = SearchSettings(precision="bf16")
        found = run(victim, ATTACKS.get("pwws")(), "pwws", linear_jobs(12), settings, shapes=SHAPES)
        return [trial.model_copy(update={"seconds": 0.0}) for trial in found]

    by_id = {trial.id: trial for trial in attacked(load_rough())}
    assert {trial.id: trial for trial in attacked(victim)} == by_id
    assert set(parent.device._victim.precisions) == {"bf16", "fp32"}
    parent.close()


def test_an_error_of_the_victim_makes_the_trials_of_one_process() -> None:
    def failing() -> FakeVictim:
        victim = load_linear()
        bad = victim.table.numbers["w7a"]

        def fail(ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
            if (ids == bad).any():
                raise ArithmeticError("no answer for w7a")
            return logits

        victim.twist = fail
        return victim

    def attacked(victim: Any) -> dict[str, Trial]:
        found = run(victim, ATTACKS.get("pwws")(), "pwws", linear_jobs(24), shapes=SHAPES)
        return {trial.id: trial.model_copy(update={"seconds": 0.0}) for trial in found}

    parent = Parent(failing)
    found = attacked(SharedVictim(load_linear(), parent.line(0), "cpu"))
    parent.close()
    assert found == attacked(failing())
    problems = {trial.problem for trial in found.values() if trial.verdict == Verdict.ERROR}
    assert problems == {"RuntimeError: the victim failed: ArithmeticError: no answer for w7a"}


def test_without_a_free_slot_a_client_waits(parent: Parent) -> None:
    client = DeviceClient(parent.line(0))
    # The answers of these are never asked for, as where a run is given up.
    for word in range(4, 10):
        ask(client, word)
    assert np.array_equal(ask(client, 11).result(), expected(11))


@pytest.mark.parametrize(
    ("error", "name", "text"),
    [
        (ArithmeticError("no answer"), "ArithmeticError", "no answer"),
        (MemoryError(), "MemoryError", ""),
        (type("OutOfMemoryError", (RuntimeError,), {})("2 GiB"), "OutOfMemoryError", "2 GiB"),
        (ValueError("two\nlines"), "ValueError", "two\nlines"),
    ],
)
@pytest.mark.parametrize("when", ["refuse", "break_off"])
def test_an_error_comes_with_its_name_and_message(
    parent: Parent, error: Exception, name: str, text: str, when: str
) -> None:
    def fail(ids: np.ndarray) -> None:
        if (ids == 9).any():
            raise error

    setattr(parent.device, when, fail)
    client = DeviceClient(parent.line(0))
    with pytest.raises(Exception) as caught:  # noqa: PT011
        ask(client, 9).result()
    assert type(caught.value).__name__ == name
    assert str(caught.value) == text
    assert isinstance(caught.value, MemoryError) == (name == "MemoryError")
    assert np.array_equal(ask(client, 4).result(), expected(4))


def test_answers_of_another_shape_are_an_error(parent: Parent) -> None:
    many = np.zeros((9, 2), dtype=np.float32)
    parent.device._victim.twist = lambda ids, logits: many
    with pytest.raises(RuntimeError, match="do not fit into a slot"):
        ask(DeviceClient(parent.line(0)), 4).result()


def test_a_forward_pass_that_is_too_large_is_refused_here(parent: Parent) -> None:
    client = DeviceClient(parent.line(0))
    with pytest.raises(ValueError, match="does not fit"):
        ask(client, *range(4, 20))
    assert np.array_equal(ask(client, 4).result(), expected(4))


def test_what_had_no_answer_is_sent_to_the_next_device_process(parent: Parent) -> None:
    parent.kill()
    parent.start(lambda number: False)
    client = DeviceClient(parent.line(0))
    asked = [ask(client, word) for word in (4, 5, 6)]
    until(lambda: parent.device.queued == 3)
    assert not any(pending.ready() for pending in asked)
    parent.kill()
    parent.start()
    for word, pending in zip((4, 5, 6), asked, strict=True):
        assert np.array_equal(pending.result(), expected(word))
    # What ran at a death runs alone.
    assert parent.device.most == 1
    assert [pending.ask.deaths for pending in asked] == [1, 1, 1]


def test_answers_that_were_sent_before_a_death_count(parent: Parent) -> None:
    client = DeviceClient(parent.line(0))
    before = ask(client, 4)
    until(lambda: parent.slots.of(0)[before.ask.slot].state == State.ANSWERED)
    parent.kill()
    parent.start()
    after = ask(client, 5)
    assert np.array_equal(before.result(), expected(4))
    assert np.array_equal(after.result(), expected(5))
    assert parent.device.queued == 1


def test_a_death_that_is_noticed_while_nothing_flies_costs_nothing(parent: Parent) -> None:
    client = DeviceClient(parent.line(0))
    ask(client, 4).result()
    for _ in range(3):
        parent.kill()
        parent.start()
    assert np.array_equal(ask(client, 5).result(), expected(5))


def test_a_forward_pass_on_which_two_device_processes_died_fails(parent: Parent) -> None:
    parent.kill()
    parent.start(lambda number: False)
    client = DeviceClient(parent.line(0))
    guilty = ask(client, 9)
    until(lambda: parent.device.queued == 1)
    parent.kill()
    parent.start(lambda number: False)
    guilty.ready()
    until(lambda: parent.device.queued == 1)
    innocent = ask(client, 4)
    parent.kill()
    parent.start()
    with pytest.raises(DeviceDied, match="the device process died on it twice"):
        guilty.result()
    assert np.array_equal(innocent.result(), expected(4))
    assert innocent.ask.deaths == 0


def test_the_slots_of_a_search_process_that_died_are_dropped(parent: Parent) -> None:
    parent.kill()
    done: set[int] = set()
    parent.start(lambda number: number in done)
    first = DeviceClient(parent.line(0))
    for word in (4, 5, 6):
        ask(first, word)
    other = DeviceClient(parent.line(1))
    waiting = ask(other, 7)
    until(lambda: parent.device.queued == 3)
    # The three are in flight, and the fourth waits for room.
    first._channel.close()
    second = DeviceClient(parent.line(0))
    pending = ask(second, 8)
    done.update(range(10))
    assert np.array_equal(pending.result(), expected(8))
    assert np.array_equal(waiting.result(), expected(7))
    assert parent.device.queued == 5


def test_waiting_rows_of_a_search_process_that_died_are_never_computed(parent: Parent) -> None:
    parent.kill()
    done: set[int] = set()
    parent.start(lambda number: number in done)
    other = DeviceClient(parent.line(1))
    running = [ask(other, word) for word in (4, 5, 6)]
    until(lambda: parent.device.queued == 3)
    first = DeviceClient(parent.line(0))
    for word in (7, 8, 9):
        ask(first, word)
    until(lambda: len(parent._server._waiting) == 3)
    first._channel.close()
    until(lambda: not parent._server._waiting)
    done.update(range(10))
    for word, pending in zip((4, 5, 6), running, strict=True):
        assert np.array_equal(pending.result(), expected(word))
    assert parent.device.queued == 3


def test_a_search_process_without_a_parent_ends(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(client_module, "_exit_now", leave)
    client = DeviceClient(parent.line(0))
    parent._lines.pop(0).close()
    parent.kill()
    with pytest.raises(SystemExit, match="1"):
        ask(client, 4).result()
    parent.start()


def test_a_device_process_without_a_parent_ends(parent: Parent) -> None:
    parent._line.close()
    parent._thread.join(10)
    assert not parent._thread.is_alive()


def test_a_shared_victim_reads_as_its_reader_and_gives_no_gradients(parent: Parent) -> None:
    from robench.search.whitebox import WhiteBoxVictim

    reader = load_linear()
    victim = SharedVictim(reader, parent.line(2), "cuda:1")
    assert (victim.device, victim.segments, victim.attackable) == ("cuda:1", True, "text")
    assert victim.table is reader.table
    assert (
        victim.read({"text": "w1 w2"}).ids.tolist() == reader.read({"text": "w1 w2"}).ids.tolist()
    )
    assert victim.forward_queue() is victim.forward_queue()
    assert np.array_equal(victim.logits(*rows(4)), expected(4))
    assert not isinstance(victim, WhiteBoxVictim)
    assert isinstance(load_linear(), WhiteBoxVictim)


def test_a_failure_of_the_handle_is_an_error_of_its_forward_pass(parent: Parent) -> None:
    def is_ready(number: int) -> bool:
        if number == 0:
            raise RuntimeError("the device is gone")
        return True

    def fail(ids: np.ndarray) -> None:
        if (ids == 9).any():
            raise RuntimeError("no event")

    parent.device.is_ready, parent.device.break_off = is_ready, fail
    client = DeviceClient(parent.line(0))
    with pytest.raises(RuntimeError, match="no event"):
        ask(client, 9).result()
    assert np.array_equal(ask(client, 4).result(), expected(4))
