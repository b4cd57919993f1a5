"""Short messages between a search process and the device process, and sockets that are handed on.

Each message is a few whole numbers of fixed size, so nothing is unpickled. The sockets have no
name: they are made in pairs, and the parent gives the ends to its children. So a run that is killed
leaves no file behind.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from robench._base.environment import Precision

_NUMBERS = struct.Struct("<6I")
_NUMBER = struct.Struct("<H")
_AT_ONCE = 64
"""Messages that one read takes at most."""


class Ask(NamedTuple):
    """A forward pass whose rows lie in a slot.

    Attributes:
        slot: number of the slot.
        serial: number of the forward pass, which the answer repeats.
        rows: number of rows.
        tokens: tokens of each row, padding included.
        form: token types and precision, see ``form_of``.
        deaths: device processes that died while they ran it.
    """

    slot: int
    serial: int
    rows: int
    tokens: int
    form: int
    deaths: int = 0


class Reply(NamedTuple):
    """What became of a forward pass.

    Attributes:
        slot, serial: those of the ``Ask``.
        rows, classes: shape of the answers in the slot; zeros if it failed.
        failed: 1 if the slot holds an error instead, else 0.
        letters: bytes of the error.
    """

    slot: int
    serial: int
    rows: int
    classes: int
    failed: int = 0
    letters: int = 0


def form_of(types: bool, precision: Precision) -> int:
    """Return the number for ``Ask.form``."""
    return int(types) + 2 * (precision == "bf16")


def parts_of(form: int) -> tuple[bool, Precision]:
    """Return whether there are token types, and the precision."""
    return bool(form & 1), "bf16" if form & 2 else "fp32"


class Closed(Exception):
    """The other end of a channel was closed, or its process has ended."""


class Channel:
    """One end of a pair of sockets, for messages of six numbers.

    Args:
        end: the socket, which the channel owns from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._rest = b""

    def fileno(self) -> int:
        """Return the file descriptor, for ``select``."""
        return self._socket.fileno()

    def send(self, message: Ask | Reply) -> None:
        """Send one message.

        Raises:
            Closed: nobody can read it.
        """
        try:
            self._socket.sendall(_NUMBERS.pack(*message))
        except OSError as error:
            raise Closed from error

    def receive(self, wait: bool) -> list[tuple[int, ...]]:
        """Return the messages that are there.

        Args:
            wait: whether to wait for the first one.

        Raises:
            Closed: there are none, and none will come.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        while True:
            try:
                content = self._socket.recv(_NUMBERS.size * _AT_ONCE, flags)
            except (BlockingIOError, InterruptedError):
                return []
            except OSError as error:
                raise Closed from error
            if not content:
                raise Closed
            content = self._rest + content
            whole = len(content) // _NUMBERS.size * _NUMBERS.size
            self._rest = content[whole:]
            if whole or not wait:
                return list(_NUMBERS.iter_unpack(content[:whole]))

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def can_hand_on() -> bool:
    """Return whether this system can hand an open socket to another process."""
    return hasattr(socket, "send_fds") and hasattr(socket, "AF_UNIX")


def hand_on(line: socket.socket, given: socket.socket, number: int = 0) -> None:
    """Send a socket through another one, and close it here.

    Args:
        line: leads to the receiver. If the receiver has ended, nothing happens.
        given: the socket.
        number: goes with it (< 65536).
    """
    try:
        socket.send_fds(line, [_NUMBER.pack(number)], [given.fileno()])
    except OSError:
        pass
    finally:
        given.close()


def take_over(line: socket.socket) -> tuple[int, socket.socket] | None:
    """Wait for a socket that ``hand_on`` sends; None if none will come.

    Returns:
        The number that came with it, and the socket.
    """
    try:
        number, descriptors, _, _ = socket.recv_fds(line, _NUMBER.size, 1)
    except OSError:
        return None
    if not descriptors:
        return None
    return _NUMBER.unpack(number)[0], socket.socket(fileno=descriptors[0])
