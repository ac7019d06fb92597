"""One tap's outputs: a named pipe, connections of whoever reads over TCP, an interface; and what became of its conversations there.

They are fed by one process for all workers (master/tap/process.py). So a reader gets everything, whichever worker served it, no two
connections that are told of have the same ports for long, and what is written to a pipe is one stream.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from lbproxy.config.atoms import Network
from lbproxy.net.tap_interface import TapInterface
from lbproxy.net.tap_stream import TapStream
from lbproxy.observe.packets import MTU, Conversations, frames, records
from lbproxy.observe.tap_facts import FIFO, INTERFACE, LISTEN, TapOutputWork
from lbproxy.observe.tapped import Tapped


class TapTerms(NamedTuple):
    """What a tap's configuration says about them."""

    sinks: tuple[str, ...]
    readers: int
    room: int
    """Bytes that wait for each of them."""
    allow: tuple[Network, ...]


class TapOutputs:
    """One tap's; it closes what it is given."""

    def __init__(self, terms: TapTerms) -> None:
        self.terms = terms
        self.listener: socket.socket | None = None
        self.fifo: TapStream | None = None
        self.interface: TapInterface | None = None
        self.readers: dict[int, TapStream] = {}
        """By descriptor."""
        self._made = Conversations(os.urandom)
        self._done: Counter[tuple[str, str]] = Counter()
        """By output, and by what became of it there."""

    def streams(self) -> Iterable[TapStream]:
        """All that read the same."""
        return (*self.readers.values(), *(() if self.fifo is None else (self.fifo,)))

    def tell(self, tapped: Tapped) -> None:
        """A conversation is over. Nothing is written yet. Raises ValueError for an address that is none."""
        reading = {FIFO: self.fifo is not None, LISTEN: bool(self.readers), INTERFACE: self.interface is not None}
        for sink in self.terms.sinks:
            if not reading[sink]:
                self._count(sink, "unread")
        mtu = MTU if self.interface is None else min(MTU, self.interface.mtu)
        size = self._made.size(tapped, mtu)
        awake = []
        for stream in self.streams():
            fits = stream.fits(size)
            self._count(self._sink_of(stream), "passed" if fits else "dropped")
            if fits:
                awake.append(stream)
        if not awake and self.interface is None:  # whoever sleeps costs no packets
            return
        packets = self._made.packets(tapped, mtu)
        data = records(packets, tapped.ended) if awake else b""
        for stream in awake:
            stream.take(data)
        if self.interface is not None and not self.interface.take(frames(packets)):
            self._count(INTERFACE, "dropped")

    def admit(self, fd: int, address: str) -> TapStream | None:
        """Somebody has connected. None: not they."""
        if len(self.readers) >= self.terms.readers or not _among(address, self.terms.allow):
            self._count(LISTEN, "refused")
            os.close(fd)
            return None
        self.readers[fd] = stream = TapStream(fd, self.terms.room)
        return stream

    def leave(self, stream: TapStream) -> None:
        """A reader is gone."""
        if stream is self.fifo:
            self.fifo = None
        else:
            del self.readers[stream.fd]
        stream.close()

    def detach(self) -> None:
        """From the interface."""
        if self.interface is not None:
            self.interface.close()
            self._settle(self.interface)
            self.interface = None

    def work(self) -> Mapping[str, TapOutputWork]:
        """By output."""
        if self.interface is not None:
            self._settle(self.interface)
        now = {FIFO: self.fifo is not None, LISTEN: len(self.readers), INTERFACE: self.interface is not None}
        done = {sink: {what: count for (at, what), count in self._done.items() if at == sink} for sink in self.terms.sinks}
        return {sink: TapOutputWork(**done[sink], readers=int(now[sink])) for sink in self.terms.sinks}

    def close(self) -> None:
        """All of them."""
        self.detach()
        for stream in [*self.streams()]:
            self.leave(stream)
        self.deafen()

    def deafen(self) -> None:
        """Nobody connects any more."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def _sink_of(self, stream: TapStream) -> str:
        return FIFO if stream is self.fifo else LISTEN

    def _settle(self, interface: TapInterface) -> None:
        self._count(INTERFACE, "passed", interface.written)
        self._count(INTERFACE, "lost", interface.lost)
        interface.written = interface.lost = 0

    def _count(self, sink: str, what: str, more: int = 1) -> None:
        self._done[sink, what] += more


def _among(address: str, networks: Iterable[Network]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(found in network for network in networks)
