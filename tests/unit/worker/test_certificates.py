"""What a worker does when it is told of other certificates, and of another place where its keys are."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbproxy.errors import StartError
from lbproxy.ipc.handover import BoundListener
from lbproxy.ipc.master_link import MasterLink
from lbproxy.ipc.messages import KeysSilent, Renewed
from lbproxy.worker.certificates import KeyLink, renew


class Keys:
    def __init__(self) -> None:
        self.socks: list[socket.socket] = []
        self.on_silence: Any = None

    def reconnect(self, sock: socket.socket) -> None:
        self.socks.append(sock)


class Link:
    def __init__(self, *descriptors: int) -> None:
        self.descriptors = [*descriptors]
        self.sent: list[object] = []

    def take_fd(self) -> int:
        return self.descriptors.pop() if self.descriptors else -1

    def send(self, message: object) -> None:
        self.sent.append(message)


def test_another_socket() -> None:
    """It is used from then on, or closed where there is no use for it; a message without one changes nothing."""
    ours, theirs = socket.socketpair()
    link, keys = Link(ours.detach()), Keys()
    one = KeyLink(keys, cast(MasterLink, link))
    one.reconnect()
    one.reconnect()
    [sock] = keys.socks
    keys.on_silence()
    assert link.sent == [KeysSilent()]
    unused = os.dup(sock.fileno())
    KeyLink(None, cast(MasterLink, Link(unused))).reconnect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(unused)
    sock.close()
    theirs.close()


def test_a_renewal_that_cannot_be() -> None:
    """Is no end of the worker."""
    told: list[tuple[int, int]] = []

    def fail(at: int, size: int) -> None:
        told.append((at, size))
        raise StartError("no")

    listen = SimpleNamespace(address="here")
    listeners = [cast(BoundListener, SimpleNamespace(shows=SimpleNamespace(renew=fail), listen=listen))]
    renew(listeners, Renewed(0, 5, 6))
    assert told == [(5, 6)]
    renew([cast(BoundListener, SimpleNamespace(shows=None))], Renewed(0, 5, 6))
