"""An engine that is talked to in frames, and what it was heard to say."""

from __future__ import annotations

from typing import Any

from lbproxy.http.h2.bounds import USUAL, Bounds
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.session import Receiver
from lbproxy.http.h2.vocabulary import Fields
from tests.support import h2_frames as wire


class Heard(Receiver):
    """A receiver that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def on_request(self, stream: int, fields: Fields, ended: bool) -> None:
        self.told.append(("request", stream, tuple(map(tuple, fields)), ended))

    def on_given_up(self, stream: int, fields: Fields) -> None:
        self.told.append(("given up", stream, tuple(map(tuple, fields))))

    def on_interim(self, stream: int, fields: Fields) -> None:
        self.told.append(("interim", stream, tuple(map(tuple, fields))))

    def on_response(self, stream: int, fields: Fields, ended: bool) -> None:
        self.told.append(("response", stream, tuple(map(tuple, fields)), ended))

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        self.told.append(("data", stream, data, ended))

    def on_trailers(self, stream: int, fields: Fields) -> None:
        self.told.append(("trailers", stream, tuple(map(tuple, fields))))

    def on_reset(self, stream: int, code: int) -> None:
        self.told.append(("reset", stream, code))

    def on_overlong(self, stream: int) -> None:
        self.told.append(("overlong", stream))

    def on_closed(self, stream: int, code: int) -> None:
        self.told.append(("closed", stream, code))

    def on_settings(self) -> None:
        self.told.append(("settings",))

    def on_ping(self) -> None:
        self.told.append(("ping",))

    def on_pong(self) -> None:
        self.told.append(("pong",))

    def on_window(self, stream: int, increment: int) -> None:
        self.told.append(("window", stream, increment))

    def on_priority(self, stream: int) -> None:
        self.told.append(("priority", stream))

    def on_goaway(self, last: int, code: int) -> None:
        self.told.append(("goaway", last, code))


class Dialogue:
    """With a server (or a client) that has said hello and heard ours."""

    def __init__(self, *, server: bool = True, bounds: Bounds = USUAL, greeting: bytes | None = None) -> None:
        self.heard = Heard()
        self.engine = H2Engine(self.heard, server=server, bounds=bounds)
        self.hello = wire.frames(self.engine.output(1 << 20)) if server else []
        if not server:
            self.engine.output(1 << 20)
        if greeting is None:
            greeting = (wire.PREFACE if server else b"") + wire.settings() + wire.settings(ack=True)
        self.first = self.say(greeting)
        self.heard.told.clear()

    def say(self, raw: bytes) -> list[wire.Frame]:
        """What it says to this."""
        self.engine.receive(raw)
        return self.answer()

    def answer(self) -> list[wire.Frame]:
        """What it has to say now."""
        said = b""
        while more := self.engine.output(1 << 20):
            said += more
        return wire.frames(said)

    def told(self, *kinds: str) -> list[tuple[Any, ...]]:
        """What it told of those kinds."""
        return [each for each in self.heard.told if each[0] in kinds]
