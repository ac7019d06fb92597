"""A client of HTTP/2 over TLS, or without: it sends exactly the frames it is told, and reads what is answered."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.session import Receiver
from lbproxy.http.h2.vocabulary import Fields
from tests.support import h2_frames as wire


class Heads(Receiver):
    """Reads responses' fields off frames, with one table for a connection, as a client does."""

    def __init__(self) -> None:
        self._told: list[tuple[Any, ...]] = []
        self._engine = H2Engine(self, server=False)
        self._asked = 0
        self._engine.receive(wire.settings())

    def read(self, frames: list[wire.Frame]) -> list[tuple[Any, ...]]:
        """What a client's engine tells of them; requests for their streams are made first."""
        while self._asked < max([frame.stream for frame in frames], default=0):
            self._asked = self._engine.request(wire.GET, True)
        while self._engine.output(1 << 20):
            pass
        for frame in frames:
            self._engine.receive(wire.frame(frame.kind, frame.stream, frame.payload, frame.flags))
        told, self._told = self._told, []
        return told

    def statuses(self, frames: list[wire.Frame]) -> dict[int, int]:
        """Of each stream that was answered."""
        return {each[1]: int(dict(each[2])[b":status"]) for each in self.read(frames) if each[0] == "response"}

    def on_interim(self, stream: int, fields: Fields) -> None:
        self._told.append(("interim", stream, tuple(map(tuple, fields))))

    def on_response(self, stream: int, fields: Fields, ended: bool) -> None:
        self._told.append(("response", stream, tuple(map(tuple, fields)), ended))

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        self._told.append(("data", stream, data, ended))

    def on_trailers(self, stream: int, fields: Fields) -> None:
        self._told.append(("trailers", stream, tuple(map(tuple, fields))))

    def on_reset(self, stream: int, code: int) -> None:
        self._told.append(("reset", stream, code))

    def on_closed(self, stream: int, code: int) -> None:
        self._told.append(("closed", stream, code))


class H2Peer:
    """Connected, and greeted."""

    def __init__(self, port: int, ca: Path | None, *, settings: bytes = wire.settings(), within: float = 30.0) -> None:
        """`ca`: None without TLS."""
        self._within = within
        self._raw = b""
        self.heads = Heads()
        self.ended = False
        """The other side has closed the connection."""
        plain = socket.create_connection(("127.0.0.1", port), within)
        if ca is None:
            self.sock: socket.socket = plain
        else:
            context = ssl.create_default_context(cafile=str(ca))
            context.set_alpn_protocols(["h2"])
            tls = context.wrap_socket(plain, server_hostname="localhost")
            assert tls.selected_alpn_protocol() == "h2"
            self.sock = tls
        self.say(wire.PREFACE + settings + wire.settings(ack=True))

    def say(self, raw: bytes) -> None:
        """Send it all; whoever does not listen any more is `ended`."""
        try:
            self.sock.sendall(raw)
        except OSError:
            self.ended = True

    def hear(self, enough: Callable[[list[wire.Frame]], bool]) -> list[wire.Frame]:
        """Frames until there are `enough`, or the connection ends. Fails after a while."""
        found: list[wire.Frame] = []
        until = time.monotonic() + self._within
        while not enough(found) and not self.ended:
            self.sock.settimeout(max(0.01, until - time.monotonic()))
            try:
                more = self.sock.recv(65536)
            except TimeoutError:
                raise AssertionError(f"only {[str(frame) for frame in found]} in time") from None
            except OSError:
                more = b""
            self.ended = not more
            self._raw += more
            while len(self._raw) >= 9 + int.from_bytes(self._raw[:3], "big"):
                length = 9 + int.from_bytes(self._raw[:3], "big")
                found += wire.frames(self._raw[:length])
                self._raw = self._raw[length:]
        return found

    def answers(self, *streams: int) -> list[wire.Frame]:
        """Frames until each of these streams has ended, or was reset."""

        def all_over(frames: list[wire.Frame]) -> bool:
            over = {frame.stream for frame in frames if frame.kind == wire.RST_STREAM or (frame.kind in (0, 1) and frame.flags & 1)}
            return over >= set(streams)

        return self.hear(all_over)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.sock.close()
