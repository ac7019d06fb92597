"""TLS between memory buffers: handshakes, records in any pieces, ends that can be told from cuts, and strangers."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from gevent import socket as gsocket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbproxy.errors import ConnectionLost, HandshakeFailed, TimedOut
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tls_stream import PlainHttp, TlsStream
from lbproxy.net.wire import make_engine
from tests.support.waiting import Lines
from tests.unit.net.loopback import Watched, deadlines_running, loop_rests, sockets, start, turns, until
from tests.unit.net.tls_peer import ENGINES, Authority, MakeEngine, TlsPeer

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
versions = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
OPENSSL = shutil.which("openssl")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Server:
    """Our stream as the server, and a client."""

    def __init__(
        self, deadlines: Deadlines, engine: MakeEngine, context: ssl.SSLContext, client: ssl.SSLContext, small: bool = False
    ) -> None:
        ours, self.sock = sockets(small)
        self.stream = TlsStream(ours, deadlines, 10.0, context)
        self.stream._engine = engine(context, None)
        self.peer = TlsPeer(self.sock, client)

    def shake(self) -> Server:
        job = start(self.stream.handshake)
        self.peer.shake()
        job.result()
        return self


Make = Callable[..., Server]


@pytest.fixture(params=ENGINES)
def make(deadlines: Deadlines, authority: Authority, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Servers to order, not yet shaken hands."""
    made: list[Server] = []

    def make_one(*, version: ssl.TLSVersion | None = None, small: bool = False, client_certificate: bool = False) -> Server:
        context = authority.server(client_certificate=client_certificate)
        made.append(Server(deadlines, request.param, context, authority.client(version=version), small))
        return made[-1]

    yield make_one
    for server in made:
        server.sock.close()


# ---------------------------------------------------------------- handshakes


@versions
def test_whether_a_read_would_wait(make: Make, version: ssl.TLSVersion) -> None:
    """It would not for what is here in the socket, or read and not decrypted yet."""
    server = make(version=version).shake()
    stream = server.stream
    server.peer.send(b"x" * 40_000)
    got = 0
    while got < 40_000:
        until(stream.ready, "there is more")
        got += len(start(lambda: stream.read(16384)).result())
    assert not stream.ready()


@versions
def test_data_goes_both_ways(make: Make, version: ssl.TLSVersion) -> None:
    server = make(version=version).shake()
    assert server.stream.version() == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
    server.peer.send(b"question")
    assert start(lambda: server.stream.read(16384)).result() == b"question"
    server.stream.write(b"answer")
    assert server.peer.recv() == b"answer"
    assert loop_rests()


@versions
def test_our_side_can_be_the_client(deadlines: Deadlines, authority: Authority, version: ssl.TLSVersion) -> None:
    ours, sock = sockets()
    stream = TlsStream(ours, deadlines, 10.0, authority.client(version=version), "backend.test")
    peer = TlsPeer(sock, authority.server(), None)
    job = start(stream.handshake)
    peer.shake()
    job.result()
    start(lambda: stream.write(b"GET")).result()
    assert peer.recv() == b"GET"
    peer.send(b"200")
    assert start(lambda: stream.read(16384)).result() == b"200"
    sock.close()


@versions
def test_the_first_request_may_come_with_the_last_flight(make: Make, version: ssl.TLSVersion) -> None:
    """Both in one segment: the request must not wait for a wake-up that never comes."""
    server = make(version=version)
    job = start(server.stream.handshake)
    server.peer.shake(flush_last=False) if version is V13 else server.peer.shake()
    server.peer.sock.sendall(server.peer.pending() + server.peer.encrypt(b"GET / HTTP/1.1\r\n\r\n"))
    job.result()
    assert start(lambda: server.stream.read(16384)).result() == b"GET / HTTP/1.1\r\n\r\n"
    server.stream.write(b"200")
    assert server.peer.recv() == b"200"


def test_a_client_hello_in_single_bytes(make: Make) -> None:
    server = make()
    job = start(server.stream.handshake)
    with pytest.raises(ssl.SSLWantReadError):
        server.peer.tls.do_handshake()
    for byte in server.peer.pending():
        server.sock.sendall(bytes([byte]))
        turns(1)
    server.peer.shake()
    job.result()


def test_a_missing_client_certificate_is_refused_with_an_alert(make: Make) -> None:
    server = make(client_certificate=True)
    job = start(server.stream.handshake)
    server.peer.shake()
    with pytest.raises(HandshakeFailed, match="did_not_return_a_certificate"):
        job.result()
    server.stream.finish()
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        server.peer.recv()


def test_what_is_known_of_the_client(make: Make, authority: Authority) -> None:
    """Version and cipher; nothing of a certificate that nobody asked for."""
    server = make().shake()
    assert (server.stream.version(), server.stream.cipher()) == ("TLSv1.3", server.peer.tls.cipher()[0])  # type: ignore[index]
    assert server.stream.peer_certificate() == (b"", {})


def test_an_untrusted_server_is_refused(deadlines: Deadlines, authority: Authority) -> None:
    ours, sock = sockets()
    stream = TlsStream(ours, deadlines, 10.0, authority.client(), "localhost")
    peer = TlsPeer(sock, Authority().server(), None)
    job = start(stream.handshake)
    peering = start(peer.shake_and_recv)  # in 1.3 the alert comes after the server's part
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        peering.result()
    with pytest.raises(HandshakeFailed, match="certificate_verify_failed"):
        job.result()
    sock.close()


@pytest.mark.parametrize(("said", "error"), [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", PlainHttp),
    (b"\x00\x01\x02garbage", HandshakeFailed),
    (b"SSH-2.0-OpenSSH_9.2\r\n", HandshakeFailed),
    (b"\x16\x03\x01\xff\xff" + b"\xff" * 600, HandshakeFailed),
    (b"\x16\x03\x01\x00\x05hello", HandshakeFailed),
])  # fmt: skip
def test_strangers(make: Make, said: bytes, error: type[HandshakeFailed]) -> None:
    server = make()
    server.sock.sendall(said)
    with pytest.raises(HandshakeFailed) as caught:
        start(server.stream.handshake).result()
    assert type(caught.value) is error
    server.stream.finish()
    assert loop_rests()


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_half_a_handshake_and_silence(make: Make, said: bytes) -> None:
    """One byte and silence holds a connection until the deadline, and no longer."""
    server = make()
    server.stream.deadline = time.monotonic() + 0.01
    server.sock.sendall(said)
    with pytest.raises(TimedOut):
        start(server.stream.handshake).result()


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_half_a_handshake_and_the_end(make: Make, said: bytes) -> None:
    server = make()
    server.sock.sendall(said)
    server.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost):
        start(server.stream.handshake).result()
    server.stream.abort()


# ---------------------------------------------------------------- records


def test_many_records_are_one_read(make: Make) -> None:
    server = make().shake()
    server.sock.sendall(b"".join(server.peer.encrypt(b"%d," % number) for number in range(50)))
    until(lambda: server.stream.unread, "they are here")
    assert start(lambda: server.stream.read(16384)).result() == b"".join(b"%d," % number for number in range(50))


@versions
def test_a_record_cut_at_every_byte(make: Make, version: ssl.TLSVersion) -> None:
    size = len(make(version=version).shake().peer.encrypt(b"hello"))
    server = make(version=version).shake()
    for cut in range(1, size):
        record = server.peer.encrypt(b"hello")
        job = start(lambda: server.stream.read(16384))
        server.sock.sendall(record[:cut])
        turns(3)
        assert not job.over
        server.sock.sendall(record[cut:])
        assert job.result() == b"hello"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    messages=st.lists(st.binary(min_size=1, max_size=20_000), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 100_000), max_size=8),
    limit=st.sampled_from([16384, 65536]),
)
def test_records_in_any_pieces_are_the_same_stream(messages: list[bytes], cuts: list[int], limit: int) -> None:
    """However TCP cuts and joins them: the plaintext comes out in order, and then the end."""
    with deadlines_running() as deadlines:
        server = Server(deadlines, make_engine, _AUTHORITY.server(), _AUTHORITY.client()).shake()
        wire = b"".join(map(server.peer.encrypt, messages)) + server.peer.goodbye()

        def read_all() -> bytes:
            pieces = []
            while piece := server.stream.read(limit):
                pieces.append(piece)
            return b"".join(pieces)

        job = start(read_all)
        places = sorted({0, len(wire), *(cut % len(wire) for cut in cuts)})
        for begin, end in pairwise(places):
            server.sock.sendall(wire[begin:end])
            turns(2)
        assert job.result() == b"".join(messages)
        server.sock.close()


_AUTHORITY = Authority()


@pytest.mark.parametrize("both", [False, True])
def test_a_large_write_to_a_slow_reader(make: Make, both: bool) -> None:
    server = make(small=True).shake()
    data = bytes(range(256)) * 8192
    job = start(lambda: server.stream.write_both(data[:1000], data[1000:]) if both else server.stream.write(data))
    assert not job.over
    assert server.peer.recv_exactly(len(data)) == data
    job.result()


# ---------------------------------------------------------------- ends


@versions
def test_close_notify_is_an_end(make: Make, version: ssl.TLSVersion) -> None:
    server = make(version=version).shake()
    server.sock.sendall(server.peer.encrypt(b"last words") + server.peer.goodbye())
    until(lambda: server.stream.unread, "they are here")
    assert start(lambda: server.stream.read(16384)).result() == b"last words"
    assert start(lambda: server.stream.read(16384)).result() == b""


def test_an_end_without_it_is_a_loss(make: Make) -> None:
    """Anybody on the way can end a connection to cut a message short."""
    server = make().shake()
    server.peer.send(b"half of")
    server.sock.shutdown(socket.SHUT_WR)
    assert start(lambda: server.stream.read(16384)).result() == b"half of"
    with pytest.raises(ConnectionLost, match="close_notify"):
        start(lambda: server.stream.read(16384)).result()


def test_a_forged_record_is_a_loss_after_what_came_before(make: Make) -> None:
    server = make().shake()
    good, bad = server.peer.encrypt(b"good"), bytearray(server.peer.encrypt(b"bad"))
    bad[-1] ^= 1
    server.sock.sendall(good + bad)
    until(lambda: server.stream.unread, "they are here")
    assert start(lambda: server.stream.read(16384)).result() == b"good"
    with pytest.raises(ConnectionLost):
        start(lambda: server.stream.read(16384)).result()


@pytest.mark.parametrize("end", ["close", "finish"])
def test_our_end_says_close_notify(make: Make, end: str) -> None:
    server = make().shake()
    server.stream.write(b"bye")
    getattr(server.stream, end)()
    assert server.peer.recv_all() == b"bye"


@versions
def test_our_output_ends_and_reading_goes_on(make: Make, version: ssl.TLSVersion) -> None:
    """RFC 8446 6.1: close_notify ends one direction; also behind it, and behind the half of a record, theirs is read."""
    server = make(version=version).shake()
    server.stream.write(b"question")
    record = server.peer.encrypt(b"answer")
    server.sock.sendall(record[:7])
    job = start(lambda: server.stream.read(16384))
    turns()
    server.stream.end_output()
    assert server.peer.recv_all() == b"question"
    server.sock.sendall(record[7:])
    assert job.result() == b"answer"
    server.peer.send(b"more")
    assert start(lambda: server.stream.read(16384)).result() == b"more"
    server.sock.sendall(server.peer.goodbye())
    assert start(lambda: server.stream.read(16384)).result() == b""
    with pytest.raises(ConnectionLost):
        server.stream.write(b"too late")
    server.stream.finish()
    server.sock.close()
    until(lambda: server.stream.closed, "closed after the peer's end")


def test_the_end_of_our_output_waits_for_room(make: Make) -> None:
    """Behind a large write there may be none."""
    server = make(small=True).shake()

    def work() -> None:
        server.stream.write(bytes(300_000))
        server.stream.end_output()

    job = start(work)
    assert len(server.peer.recv_all()) == 300_000
    job.result()


@pytest.mark.parametrize("size", [5, 300_000])
def test_a_last_write_says_goodbye(make: Make, size: int) -> None:
    """At once with the last of it: the peer wakes up once, and not again for the end."""
    server = make().shake()
    server.stream.write_last(bytes(size))
    assert server.peer.recv_all() == bytes(size)
    assert not server.stream.closed
    server.stream.finish()
    assert server.sock.recv(100) == b"", "and not another goodbye"
    server.sock.close()
    until(lambda: server.stream.closed, "closed after the peer's end")


def test_tickets_do_not_wait_for_a_request(make: Make) -> None:
    """A client with Nagle's algorithm waits for them, or for 40 ms, before it sends its request."""
    server = make(version=V13).shake()
    server.sock.settimeout(60)
    assert server.sock.recv(1 << 16)


def test_abort_does_not_say_it(make: Make) -> None:
    server = make().shake()
    server.stream.write(b"half a respo")
    server.stream.abort()
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        server.peer.recv_all()


def test_close_before_the_handshake(make: Make) -> None:
    server = make()
    server.stream.close()
    assert server.sock.recv(100) == b""


# ---------------------------------------------------------------- input while nobody waits


def test_early_records_come_out_of_the_next_read(make: Make) -> None:
    server = make().shake()
    owner = Watched(server.stream, take=True)
    server.peer.send(b"pipelined")
    until(lambda: server.stream._early, "taken")
    half = server.peer.encrypt(b" request")
    server.sock.sendall(half[:7])
    until(lambda: len(owner.alive) >= 2, "looked again")
    server.sock.sendall(half[7:])
    until(lambda: server.stream._early == b"pipelined request", "the rest is taken")
    assert all(owner.alive)
    assert start(lambda: server.stream.read(16384)).result() == b"pipelined request"
    server.peer.send(b"next")
    until(lambda: server.stream._early, "noticed again")
    assert start(lambda: server.stream.read(16384)).result() == b"next"


@pytest.mark.parametrize("way", ["close_notify", "data and close_notify", "cut", "forged"])
def test_an_early_end_is_told(make: Make, way: str) -> None:
    server = make().shake()
    owner = Watched(server.stream, take=True)
    if way == "cut":
        server.sock.shutdown(socket.SHUT_WR)
    elif way == "forged":
        record = bytearray(server.peer.encrypt(b"x"))
        record[-1] ^= 1
        server.sock.sendall(record)
    else:
        server.sock.sendall((server.peer.encrypt(b"data") if "data" in way else b"") + server.peer.goodbye())
    until(lambda: owner.alive, "looked")
    assert owner.alive[-1] is False
    assert loop_rests()
    if "data" in way:
        assert start(lambda: server.stream.read(16384)).result() == b"data"


def test_early_records_are_bounded(make: Make) -> None:
    server = make().shake()
    Watched(server.stream, take=True)
    sent = bytes(range(256)) * 1024
    writing = start(lambda: server.peer.send(sent))
    until(lambda: server.stream.unread, "enough")
    assert loop_rests()
    assert len(server.stream._early) < 64 * 1024
    got = b""
    while len(got) < len(sent):
        got += start(lambda: server.stream.read(65536)).result()
    assert got == sent
    writing.result()


# ---------------------------------------------------------------- what only OpenSSL's own client does


class SClient:
    """`openssl s_client` against our stream."""

    def __init__(self, context: ssl.SSLContext, deadlines: Deadlines, *options: str) -> None:
        assert OPENSSL is not None
        with gsocket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            listening.settimeout(60)
            port = listening.getsockname()[1]
            self.process = subprocess.Popen(
                [OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert self.process.stdout is not None
            self.lines = Lines(self.process.stdout)
            accepted, _ = listening.accept()
        ours = socket.socket(fileno=accepted.detach())
        ours.setblocking(False)
        self.stream = TlsStream(ours, deadlines, 10.0, context)
        start(self.stream.handshake).result()

    def say(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def end(self) -> list[str]:
        """Close our side; every line that the client printed."""
        self.stream.finish()
        until(lambda: self.process.poll() is not None, "the client ends")
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.lines.finish()


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl program")
def test_small_records_on_the_clients_wish(deadlines: Deadlines, authority: Authority) -> None:
    """RFC 6066 4: with max_fragment_length OpenSSL writes 512 bytes a call; the rest of the data must follow."""
    client = SClient(authority.server(), deadlines, "-maxfraglen", "512", "-quiet")
    for size in (100, 5_000, 40_000):
        data = b"x" * size + b"\n"
        start(lambda data=data: client.stream.write(data)).result()  # type: ignore[misc]  # mypy and default arguments of lambdas
    assert [len(line) for line in client.end() if set(line) == {"x"}] == [100, 5_000, 40_000]


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl program")
def test_key_updates_are_answered(deadlines: Deadlines, authority: Authority) -> None:
    """RFC 8446 4.6.3: both directions go on under new keys."""
    client = SClient(authority.server(), deadlines, "-tls1_3")
    client.stream.write(b"[before]\n")
    reading = start(lambda: client.stream.read(16384))
    client.say(b"K\n")
    until(lambda: "KEYUPDATE" in client.lines.all(), "the client updates its keys")
    client.say(b"question\n")
    assert reading.result() == b"question\n"
    client.stream.write(b"[after]\n")
    printed = client.end()
    assert [line for line in printed if line in ("[before]", "[after]")] == ["[before]", "[after]"]
