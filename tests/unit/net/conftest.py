"""Streams for the tests of this folder; whatever they leave open fails them."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as gsocket

from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from tests.unit.net.loopback import deadlines_running, sockets

Pair = tuple[TcpStream, gsocket.socket]


@pytest.fixture(autouse=True)
def no_faults_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What reaches the hub would stop a worker."""
    faults: list[object] = []
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", lambda context, kind, value, trace: faults.append(value))
    yield
    assert not faults, faults


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    with deadlines_running() as running:
        yield running


@pytest.fixture
def pair(deadlines: Deadlines) -> Iterator[Pair]:
    """A stream and its peer."""
    ours, peer = sockets()
    yield TcpStream(ours, deadlines, write_stall=10.0), peer
    peer.close()


@pytest.fixture
def narrow(deadlines: Deadlines) -> Iterator[Pair]:
    """A stream whose peer takes only a few KiB before it must read."""
    ours, peer = sockets(small=True)
    yield TcpStream(ours, deadlines, write_stall=10.0), peer
    peer.close()
