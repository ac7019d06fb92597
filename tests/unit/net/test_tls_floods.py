"""What a TLS peer can make us do and keep: records without data are bounded, and so are the buffers of the engine."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import pytest

from lbproxy.errors import ConnectionLost
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tls_engine import TlsEngine as Plain
from lbproxy.net.tls_stream import TlsStream
from tests.support.openssl_engine import Engine
from tests.unit.net.loopback import sockets, start, until
from tests.unit.net.tls_peer import ENGINES, Authority, MakeEngine


class Flooder:
    """A client of our stream that can ask for new keys, and again, and again. Hands are shaken."""

    def __init__(self, deadlines: Deadlines, engine: MakeEngine, context: ssl.SSLContext, *, only_1_2: bool, small: bool) -> None:
        ours, self.sock = sockets(small)
        self.stream = TlsStream(ours, deadlines, 10.0, context)
        self.stream._engine = engine(context, None)
        self.engine = Engine(only_1_2=only_1_2)
        job = start(self.stream.handshake)
        while not self.engine.shake():
            self.send()
            self.engine.put(self.sock.recv(65536))
        self.send()
        job.result()

    def send(self) -> None:
        self.sock.sendall(self.engine.take())

    def updates(self, size: int) -> bytes:
        """At least `size` bytes of them."""
        raw = b""
        while len(raw) < size:
            self.engine.key_update()
            raw += self.engine.take()
        return raw

    def recv_exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            while piece := self.engine.read():
                got += piece
            if len(got) < size:
                self.engine.put(self.sock.recv(16384))
        return got

    def close(self) -> None:
        self.sock.close()
        self.engine.close()


Make = Callable[..., Flooder]


@pytest.fixture(params=ENGINES)
def make(deadlines: Deadlines, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Flooders to order."""
    made: list[Flooder] = []

    def make_one(*, only_1_2: bool = False, small: bool = False) -> Flooder:
        context = Authority().server()
        context.options |= ssl.OP_NO_RENEGOTIATION  # as tls/profiles.py has it
        made.append(Flooder(deadlines, request.param, context, only_1_2=only_1_2, small=small))
        return made[-1]

    yield make_one
    for flooder in made:
        flooder.close()


def test_a_flood_of_key_updates_is_a_loss(make: Make) -> None:
    """A reader that waits for data does not answer them for ever."""
    flooder = make()
    reading = start(lambda: flooder.stream.read(16384))
    flooder.sock.sendall(flooder.updates(48 * 1024))
    with pytest.raises(ConnectionLost, match="without data"):
        reading.result()


def test_key_updates_between_data_are_no_flood(make: Make) -> None:
    flooder = make()
    for number in range(5):
        said = b"%d" % number
        flooder.sock.sendall(flooder.updates(16 * 1024))
        flooder.engine.write(said)
        flooder.send()
        assert start(lambda: flooder.stream.read(65536)).result() == said


def test_what_is_owed_to_a_peer_that_does_not_read_is_bounded(make: Make) -> None:
    """While a write waits for room the answers to KeyUpdate wait behind it; data between them makes that no better."""
    flooder = make(small=True)
    stream = flooder.stream
    writing = start(lambda: stream.write(b"x" * 1_000_000))

    def read_all() -> None:
        while stream.read(65536):
            pass

    reading = start(read_all)
    for _ in range(10):
        if reading.over:
            break
        raw = flooder.updates(16 * 1024)
        flooder.engine.write(b"data")
        sending = start(lambda raw=raw: flooder.sock.sendall(raw + flooder.engine.take()))  # type: ignore[misc]
        until(lambda sending=sending: sending.over or reading.over, "read")  # type: ignore[misc]
    with pytest.raises(ConnectionLost, match="to be answered"):
        reading.result()
    assert stream._engine.owed() < 128 * 1024
    stream.abort()
    with pytest.raises(ConnectionLost):
        writing.result()


def test_nothing_comes_between_the_halves_of_a_write(make: Make) -> None:
    """While one greenlet waits in the middle of its records, the reading one owes the peer an answer to a KeyUpdate."""
    flooder = make(small=True)
    stream = flooder.stream
    writing = start(lambda: stream.write(bytes(1_000_000)))
    reading = start(lambda: stream.read(65536))
    flooder.engine.key_update()
    flooder.engine.key_update()  # the first is answered then, the second with the next write
    flooder.engine.write(b"data")
    flooder.send()
    assert reading.result() == b"data"
    assert not writing.over
    assert stream._engine.owed()
    assert flooder.recv_exactly(1_000_000) == bytes(1_000_000)
    writing.result()
    stream.write(b"with other keys")
    assert flooder.recv_exactly(15) == b"with other keys"


def test_renegotiation_is_refused(make: Make) -> None:
    """TLS 1.2: who asks gets an alert and no handshake."""
    flooder = make(only_1_2=True)
    stream = flooder.stream
    assert stream.version() == "TLSv1.2"
    reading = start(lambda: stream.read(16384))
    flooder.engine.renegotiate()
    flooder.send()
    answer = flooder.sock.recv(65536)
    assert answer[0] == 0x15  # RFC 5246 6.2.1: alert
    assert len(answer) < 64
    assert not reading.over
    stream.abort()
    with pytest.raises(ConnectionLost):
        reading.result()


class Noted:
    """A buffer of the plain engine that notes how much it held."""

    def __init__(self, real: ssl.MemoryBIO) -> None:
        self._real = real
        self.most = 0

    @property
    def pending(self) -> int:
        return self._real.pending

    def write(self, data: bytes | memoryview) -> int:
        done = self._real.write(data)
        self.most = max(self.most, self._real.pending)
        return done

    def read(self) -> bytes:
        self.most = max(self.most, self._real.pending)
        return self._real.read()


def test_the_engine_keeps_no_large_buffers(make: Make) -> None:
    """OpenSSL's memory buffers only grow, and live as long as the connection: an idle client would keep its largest body's."""
    flooder = make()
    stream = flooder.stream
    plain = type(stream._engine) is Plain
    if plain:
        engine = stream._engine
        incoming, outgoing = engine._incoming, engine._outgoing = Noted(engine._incoming), Noted(engine._outgoing)  # type: ignore[assignment]
    body = bytes(range(256)) * 256
    for at in range(0, len(body), 16384):
        flooder.engine.write(body[at : at + 16384])
    raw = flooder.engine.take()
    start(lambda: flooder.sock.sendall(raw)).result()
    got = b""
    while len(got) < len(body):
        got += start(lambda: stream.read(65536)).result()
    assert got == body
    start(lambda: stream.write(body)).result()
    assert flooder.recv_exactly(len(body)) == body
    if plain:
        assert 16384 < incoming.most < 36 * 1024
        assert 16384 < outgoing.most < 18 * 1024
    else:
        assert not stream._engine.owed() + len(stream._engine.unsent), "all else is shared by all"
