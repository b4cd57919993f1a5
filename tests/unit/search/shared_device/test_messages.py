"""Messages of numbers, and sockets that are handed to another process."""

from __future__ import annotations

import socket
import threading

import pytest

from robench.search.shared_device.messages import (
    Ask,
    Channel,
    Closed,
    Reply,
    can_hand_on,
    form_of,
    hand_on,
    parts_of,
    take_over,
)


def channels() -> tuple[Channel, Channel]:
    one, other = socket.socketpair()
    return Channel(one), Channel(other)


def test_messages_arrive_whole_and_in_order() -> None:
    here, there = channels()
    asked = [Ask(slot, 2**32 - 1 - slot, 512, 64, 3, 1) for slot in range(5)]
    for ask in asked:
        here.send(ask)
    assert [Ask._make(each) for each in there.receive(wait=True)] == asked
    assert there.receive(wait=False) == []
    there.send(Reply(4, 7, 512, 2, 1, 99))
    assert [Reply._make(each) for each in here.receive(wait=True)] == [Reply(4, 7, 512, 2, 1, 99)]


def test_more_messages_than_one_read_takes_are_not_lost() -> None:
    here, there = channels()
    for number in range(200):
        here.send(Ask(number, number, 1, 1, 0))
    found: list[int] = []
    while len(found) < 200:
        found += [each[0] for each in there.receive(wait=True)]
    assert found == list(range(200))


@pytest.mark.parametrize("wait", [False, True])
def test_a_message_that_arrives_in_parts_is_put_together(wait: bool) -> None:
    one, other = socket.socketpair()
    there = Channel(other)
    content = bytes(range(24))
    one.sendall(content[:10])
    if wait:
        threading.Timer(0.05, one.sendall, [content[10:]]).start()
    else:
        assert there.receive(wait=False) == []
        one.sendall(content[10:])
    (message,) = there.receive(wait)
    assert message[0] == int.from_bytes(content[:4], "little")
    one.close()


@pytest.mark.parametrize("wait", [False, True])
def test_what_was_sent_before_the_end_is_read_first(wait: bool) -> None:
    here, there = channels()
    here.send(Ask(1, 2, 3, 4, 5))
    here.close()
    assert there.receive(wait) == [(1, 2, 3, 4, 5, 0)]
    with pytest.raises(Closed):
        there.receive(wait)


def test_nobody_to_send_to_is_noticed() -> None:
    here, there = channels()
    there.close()
    with pytest.raises(Closed):
        here.send(Ask(1, 1, 1, 1, 1))


@pytest.mark.parametrize("types", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_token_types_and_precision_are_one_number(types: bool, precision: str) -> None:
    assert parts_of(form_of(types, precision)) == (types, precision)  # type: ignore[arg-type]


@pytest.mark.skipif(not can_hand_on(), reason="this system cannot hand sockets on")
def test_sockets_go_to_another_process_with_their_numbers() -> None:
    line, received = socket.socketpair()
    kept = []
    for number in (3, 0, 65535):
        one, other = socket.socketpair()
        kept.append(one)
        hand_on(line, other, number)
        assert other.fileno() == -1
    for number, one in zip((3, 0, 65535), kept, strict=True):
        found = take_over(received)
        assert found is not None
        assert found[0] == number
        one.sendall(b"to you")
        assert found[1].recv(10) == b"to you"
        found[1].close()
        one.close()
    line.close()
    assert take_over(received) is None
    received.close()


@pytest.mark.skipif(not can_hand_on(), reason="this system cannot hand sockets on")
def test_a_receiver_that_has_ended_costs_nothing() -> None:
    line, received = socket.socketpair()
    received.close()
    one, other = socket.socketpair()
    hand_on(line, other)
    assert other.fileno() == -1
    # The other end is closed now.
    assert one.recv(1) == b""
    one.close()
    line.close()
    assert take_over(line) is None
