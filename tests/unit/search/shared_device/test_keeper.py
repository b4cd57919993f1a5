"""The parent's view of a device process, with small processes that only sleep or die."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest
from child_cases import sleep
from device_cases import SHAPES, shared_plan

from robench._base.errors import RobenchError
from robench.search.shared_device import keeper as keeper_module
from robench.search.shared_device.keeper import DeviceKeeper, DeviceKeepers
from robench.search.shared_device.messages import can_hand_on, take_over
from robench.search.shared_device.slots import SlotSizes
from robench.search.workers import run_workers

pytestmark = pytest.mark.skipif(not can_hand_on(), reason="this system cannot hand sockets on")
SIZES = SlotSizes.of(SHAPES, longest=300, classes=2, places=3, depth=3)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let device processes only sleep; return what each of them was given."""
    given: list[Any] = []

    def child(function: Callable[..., None], plan: Any, shared: Any) -> Any:
        # The parent closes its end after the start.
        reports = Connection(os.dup(shared[2].fileno()), readable=False)
        given.append((plan, reports))
        process = get_context("spawn").Process(target=sleep, args=("",), daemon=True)
        process.start()
        return process

    monkeypatch.setattr(keeper_module, "start_child", child)
    return given


def killed(keeper: DeviceKeeper) -> None:
    process = keeper._running.process
    process.kill()
    assert wait([process.sentinel], 30)


def test_a_device_process_that_died_is_replaced_and_connected_again(
    tmp_path: Path, light: list[Any]
) -> None:
    keeper = DeviceKeeper(shared_plan(tmp_path), SIZES)
    lines = [keeper.attach() for _ in range(3)]
    assert [line.place for line in lines] == [0, 1, 2]
    assert keeper.look() is None
    keeper.detach(1)
    lines[1].line.close()
    assert take_over(lines[0].line) is not None
    before = keeper._running.process.pid
    killed(keeper)
    assert keeper.look() == "killed by SIGKILL"
    assert keeper._running.process.pid != before
    # Both that are left have a new socket, and the free place is given away again.
    assert [take_over(lines[place].line) is not None for place in (0, 2)] == [True, True]
    assert keeper.attach().place == 1
    assert keeper.look() is None
    keeper.stop()
    assert not keeper._running.process.is_alive()


def test_too_many_deaths_in_a_row_without_an_answer_end_the_cell(
    tmp_path: Path, light: list[Any]
) -> None:
    """Each search process may have a text that kills four device processes."""
    most = 4 * SIZES.places + 1
    keeper = DeviceKeeper(shared_plan(tmp_path), SIZES)
    for death in range(most + 1):
        if death == 2:
            keeper._slots.count_answer()
        killed(keeper)
        assert keeper.look() is not None
    killed(keeper)
    with pytest.raises(RobenchError, match=f"{most} times in a row without an answer") as caught:
        keeper.look()
    assert "--no-share-device" in str(caught.value)
    assert "Finished trials are kept" in str(caught.value)
    keeper.stop()
    assert len(light) == most + 2


def test_what_a_device_process_says_before_it_ends_is_the_error(
    tmp_path: Path, light: list[Any]
) -> None:
    keeper = DeviceKeeper(shared_plan(tmp_path), SIZES)
    light[0][1].send("There is no such victim.")
    waited: list[Any] = [*keeper.waited_for()]
    assert wait(waited, 30)
    with pytest.raises(RobenchError, match=r"There is no such victim\."):
        keeper.look()
    keeper.stop()


def test_each_device_has_one_process_for_all_its_workers(tmp_path: Path, light: list[Any]) -> None:
    keepers = DeviceKeepers(shared_plan(tmp_path), 4)
    places = [
        line.place
        for device in ("cuda:0", "cuda:1", "cuda:0", "cuda:1")
        if (line := keepers.attach(device)) is not None
    ]
    assert places == [0, 0, 1, 1]
    assert [given[0].settings.device for given in light] == ["cuda:0", "cuda:1"]
    assert len(list(keepers.waited_for())) == 4
    killed(keepers._keepers["cuda:1"])
    assert list(keepers.look()) == [("cuda:1", "killed by SIGKILL")]
    line = keepers.attach("cuda:0")
    assert line is not None
    keepers.detach("cuda:0", line)
    keepers.stop()
    assert not list(keepers.waited_for())


def test_without_sharing_there_is_no_device_process(tmp_path: Path, light: list[Any]) -> None:
    plan = shared_plan(tmp_path)
    keepers = DeviceKeepers(type(plan)(plan.victim, plan.attack), 4)
    assert keepers.attach("cpu") is None
    assert not light
    keepers.stop()


def test_sharing_needs_shapes(tmp_path: Path) -> None:
    plan = shared_plan(tmp_path, shapes=None)
    with pytest.raises(ValueError, match="has no shapes"):
        list(run_workers(plan, [object()], 2))  # type: ignore[list-item]


def test_a_device_process_that_was_ended_politely_is_named(
    tmp_path: Path, light: list[Any]
) -> None:
    keeper = DeviceKeeper(shared_plan(tmp_path), SIZES)
    pid = keeper._running.process.pid
    assert pid is not None
    # A process that has hardly begun ends as well.
    time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert wait([keeper._running.process.sentinel], 30)
    assert keeper.look() == "killed by SIGTERM"
    keeper.stop()
