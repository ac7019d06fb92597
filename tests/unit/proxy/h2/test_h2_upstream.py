"""HTTP/2 to backends, over scripted streams: requests as they arrive there, answers as they come back."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot
from lbproxy.config import model
from lbproxy.http.h2.vocabulary import H2Code
from lbproxy.http.h2.windows import STREAM
from tests.support import h2_frames as wire
from tests.support.h2_frames import DATA, HEADERS
from tests.unit.proxy.h2_client import H2Client, body, kinds
from tests.unit.proxy.h2_server import NO_LENGTH, OK, h2_world, server
from tests.unit.proxy.world import EOF, get, post

WEBSOCKET = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)  # fmt: skip


def test_a_request_and_its_answer() -> None:
    """Pseudo-fields first, names in lower case, nothing of a connection; the client gets HTTP/1.1, and the lease is back."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/a?b=c", "Cookie: a=b; c=d", "Connection: keep-alive", "User-Agent: me"))
    backend = server(world)
    [request] = backend.requests()
    assert list(request.fields)[:4] == [b":method", b":scheme", b":path", b":authority"]
    assert request.fields[b":method"] == b"GET"
    assert request.fields[b":scheme"] == b"http"
    assert request.fields[b":path"] == b"/a?b=c"
    assert request.fields[b":authority"] == b"example.org"
    assert request.fields[b"cookie"] == b"a=b; c=d"
    assert request.fields[b"user-agent"] == b"me"
    assert request.fields[b"via"] == b"1.1 lbproxy"
    assert b"connection" not in request.fields
    assert b"host" not in request.fields
    assert request.ended
    backend.answer(request.stream)
    assert client.take() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nVia: 2 lbproxy\r\n\r\nok"
    client.feed(get("/again"))
    [again] = backend.requests()
    assert again.stream == 3
    backend.answer(again.stream, b"more", NO_LENGTH)
    assert client.take().endswith(b"\r\n\r\n4\r\nmore\r\n0\r\n\r\n")
    assert world.dials == [9000]
    assert world.outcomes() == [(200, ""), (200, "")]
    assert (world.count(PerSlot.H2_REQUESTS, 0), world.count(PerSlot.H2_OPEN, 0), world.count(PerSlot.H2_STREAMS, 0)) == (2, 1, 0)
    world.at_rest()


def test_from_an_http_2_client() -> None:
    """One connection on either side, streams on both."""
    world = h2_world()
    client = H2Client(world)
    client.say(wire.headers(1) + wire.headers(3))
    backend = server(world)
    asked = backend.requests()
    assert [request.stream for request in asked] == [1, 3]
    assert asked[0].fields[b"via"] == b"2 lbproxy"
    backend.answer(3, b"to 3", NO_LENGTH)
    backend.answer(1, b"to 1", NO_LENGTH)
    heard = client.heard()
    assert (body(heard, 1), body(heard, 3)) == (b"to 1", b"to 3")
    assert world.dials == [9000]
    world.at_rest()


def test_an_upload() -> None:
    """A body goes on as it comes, and the answer follows."""
    world = h2_world()
    client = world.connect()
    client.feed(post(b"first", length=11))
    backend = server(world)
    [request] = backend.requests()
    assert not request.ended
    assert request.fields[b"content-length"] == b"11"
    client.feed(b"second")
    assert backend.body(1) == b"firstsecond"
    assert backend.frames[-1].flags & wire.END_STREAM
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.at_rest()


@pytest.mark.parametrize("length", [((b"content-length", b"6"),), ()], ids=["with a length", "without"])
@pytest.mark.parametrize("early", [True, False])
def test_the_end_of_an_upload_that_comes_by_itself(length: tuple[wire.Field, ...], early: bool) -> None:
    """As an empty frame behind the last byte, which is how many clients send it: the backend hears of it, and answers. (With a
    length it was taken for said, and both waited for ever.)"""
    world = h2_world()
    client = H2Client(world)
    begun = wire.headers(1, (*wire.POST, *length), end=False) + wire.data(1, b"abc")
    client.say(begun + wire.data(1, b"def")) if early else client.say(begun)
    backend = server(world)
    [request] = backend.requests()
    if not early:
        client.say(wire.data(1, b"def"))
    assert backend.body(1) == b"abcdef"
    assert not backend.frames[-1].flags & wire.END_STREAM
    client.say(wire.data(1, b"", end=True))
    assert backend.body(1) == b"abcdef"
    assert backend.frames[-1].flags & wire.END_STREAM
    backend.answer(request.stream)
    assert body(client.heard(), 1) == b"ok"
    world.at_rest()


def test_an_upload_without_a_length_goes_on_at_once() -> None:
    """Every server of HTTP/2 knows where it ends: nothing is asked, and nothing is taken in first."""
    world = h2_world(heard=False)
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
    backend = server(world)
    [request] = backend.requests()
    assert b"content-length" not in request.fields
    assert b"transfer-encoding" not in request.fields
    assert backend.body(1) == b"abc"
    client.feed(b"0\r\n\r\n")
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_an_upload_follows_the_windows() -> None:
    """What the backend does not take is not taken from the client: a bounded part is held, and more is as the window opens."""
    world = h2_world()
    client = world.connect()
    whole = b"x" * 1_000_000
    client.feed(post(b"", length=len(whole)))
    backend = server(world)
    fed = 0
    while client.waits == "r" and fed < len(whole):
        client.feed(whole[fed : fed + 65536])
        fed += 65536
    assert fed <= 4 * STREAM
    assert len(backend.body(1)) == 65535
    for _ in range(200):
        backend.say(wire.window(0, 65535) + wire.window(1, 65535))
        if client.waits == "r" and fed < len(whole):
            client.feed(whole[fed : fed + 65536])
            fed += 65536
    assert backend.body(1) == whole
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_a_backend_that_takes_nothing_of_an_upload() -> None:
    """After `write_stall` its answer is waited for, as long as one may take; the connection lives."""
    world = h2_world(timeouts=model.TimeoutsConfig(write_stall=3.0, response_head=4.0))
    client = world.connect()
    client.feed(post(b"", length=1_000_000))
    backend = server(world)
    for _ in range(4):
        client.feed(b"x" * 65536)
    world.pass_time(8.0)
    assert world.outcomes() == [(504, "response_timeout")]
    assert backend.resets() == [(1, H2Code.CANCEL)]
    client.feed(EOF)
    other = world.connect()
    other.feed(get())
    backend.answer(3)
    assert other.take().endswith(b"ok")
    assert world.dials == [9000]
    world.at_rest()


def test_a_slow_client_stops_its_own_stream_alone() -> None:
    """A stream holds so much at most, and others on the same connection go on."""
    world = h2_world()
    slow = world.connect(room=0)
    slow.feed(get("/large"))
    backend = server(world)
    backend.requests()
    backend.say(wire.headers(1, NO_LENGTH, False))
    sent = 0
    window = 65535
    for _ in range(40):
        piece = min(16384, window - sent)
        if piece:
            backend.say(wire.data(1, b"x" * piece))
            sent += piece
        window += sum(int.from_bytes(f.payload, "big") for f in backend.listen() if f.kind == wire.WINDOW_UPDATE and f.stream == 1)
    assert sent <= STREAM + 65535
    quick = world.connect()
    quick.feed(get("/small"))
    backend.answer(3)
    assert quick.take().endswith(b"ok")
    slow.feed(EOF)
    assert (1, H2Code.CANCEL) in backend.resets()
    world.at_rest()


@pytest.mark.parametrize(("method", "fields", "head"), [
    ("HEAD", (*OK[:1], (b"content-length", b"5")), b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"),
    ("GET", ((b":status", b"204"),), b"HTTP/1.1 204 No Content\r\n"),
    ("GET", ((b":status", b"304"), (b"etag", b'"a"')), b'HTTP/1.1 304 Not Modified\r\netag: "a"\r\n'),
    ("GET", ((b":status", b"200"),), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"),
])  # fmt: skip
@pytest.mark.parametrize("end", [True, False])
def test_answers_without_a_body(method: str, fields: tuple[wire.Field, ...], head: bytes, end: bool) -> None:
    """They end with their head, or with a frame behind it, which may never come where there is nothing that could."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/", method=method))
    backend = server(world)
    if fields == ((b":status", b"200"),) and not end:
        head = b"HTTP/1.1 200 OK\r\nVia: 2 lbproxy\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    backend.say(wire.headers(1, fields, end) + (b"" if end else wire.data(1, b"", True)))
    assert client.take().startswith(head)
    client.feed(get("/next"))
    backend.answer(3)
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_a_204_that_does_not_end() -> None:
    """Nothing more is waited for: the client has its answer, the stream is given up."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    backend = server(world)
    backend.say(wire.headers(1, ((b":status", b"204"),), False))
    assert client.take().startswith(b"HTTP/1.1 204")
    assert backend.resets() == [(1, H2Code.CANCEL)]
    world.at_rest()


def test_interim_answers() -> None:
    """103 goes to the client as it comes, 100 invites a body that waits for it."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/", "Expect: 100-continue", "Content-Length: 3", method="POST"))
    backend = server(world)
    [request] = backend.requests()
    assert request.fields[b"expect"] == b"100-continue"
    hints, invitation = ((b":status", b"103"), (b"link", b"</a>")), ((b":status", b"100"),)
    backend.say(wire.headers(1, hints, False) + wire.headers(1, invitation, False))
    assert client.take() == (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nVia: 2 lbproxy\r\n\r\nHTTP/1.1 100 Continue\r\nVia: 2 lbproxy\r\n\r\n"
    )
    client.feed(b"abc")
    assert backend.body(1) == b"abc"
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_an_early_answer_and_a_reset_behind_it() -> None:
    """RFC 9113 8.1: the answer is whole, the rest of the request is not wanted, and that is no fault of anybody."""
    world = h2_world()
    client = world.connect()
    client.feed(post(b"abc", length=1_000_000))
    backend = server(world)
    too_large = ((b":status", b"413"), (b"content-length", b"2"))
    backend.say(wire.headers(1, too_large, False) + wire.data(1, b"no", True) + wire.reset(1, 0))
    assert client.take().startswith(b"HTTP/1.1 413 ")
    assert world.outcomes() == [(413, "")]
    assert world.count(PerSlot.FAILURES, 0) == 0


def test_an_answer_before_the_end_of_the_upload() -> None:
    """While the backend keeps the stream it gets the rest."""
    world = h2_world()
    client = world.connect()
    client.feed(post(b"abc", length=6))
    backend = server(world)
    backend.answer(1)
    assert client.take().endswith(b"ok")
    client.feed(b"def")
    assert backend.body(1) == b"abcdef"
    assert backend.resets() == []
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_client_that_leaves() -> None:
    """Its stream is given up, the connection lives and carries the next request."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    backend = server(world)
    client.feed(EOF)
    assert backend.resets() == [(1, H2Code.CANCEL)]
    assert world.outcomes() == [(499, "client_closed")]
    other = world.connect()
    other.feed(get())
    backend.answer(3)
    assert other.take().endswith(b"ok")
    world.at_rest()


@pytest.mark.parametrize("frames", [
    wire.headers(1, ((b":status", b"200"), (b"connection", b"close")), True),
    wire.headers(1, ((b":status", b"101"),), False),
    wire.headers(1, ((b"a", b"b"),), True),
    wire.headers(1, ((b":status", b"200"), (b"content-length", b"5")), True),
    wire.headers(1, ((b":status", b"200"), (b"content-length", b"5"), (b"content-length", b"6")), True),
])  # fmt: skip
def test_malformed_answers(frames: bytes) -> None:
    """They end their stream, as an answer whose form is refused; the connection goes on."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    backend = server(world)
    backend.say(frames)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "response_malformed")]
    assert world.count(PerSlot.REFUSED_ANSWERS, 0) == 1
    client.feed(get())
    backend.answer(3)
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_a_length_that_disagrees_behind_the_head() -> None:
    """The client sees a cut, with a reason in the log."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    backend = server(world)
    backend.say(wire.headers(1, ((b":status", b"200"), (b"content-length", b"5")), False) + wire.data(1, b"abc"))
    backend.say(wire.data(1, b"abc", True))
    assert client.end == "abort"
    assert world.outcomes() == [(200, "response_malformed")]
    world.at_rest()


def test_response_head_and_body_idle() -> None:
    """The limits of an exchange hold for a stream; the connection outlives it."""
    world = h2_world(timeouts=model.TimeoutsConfig(response_head=3.0, body_idle=2.0))
    client = world.connect()
    client.feed(get())
    backend = server(world)
    world.pass_time(3.5)
    assert client.take().startswith(b"HTTP/1.1 504 ")
    other = world.connect()
    other.feed(get())
    backend.say(wire.headers(3, NO_LENGTH, False) + wire.data(3, b"a"))
    world.pass_time(2.5)
    assert other.end == "abort"
    assert world.outcomes() == [(504, "response_timeout"), (200, "response_body_timeout")]
    assert backend.resets() == [(1, H2Code.CANCEL), (3, H2Code.CANCEL)]
    assert world.dials == [9000]
    world.at_rest()


def test_a_websocket() -> None:
    """RFC 8441: the client's 101 is made of the backend's 200, bytes go both ways, and each end is passed on."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/chat", *WEBSOCKET))
    backend = server(world, settings=wire.settings((8, 1)))
    [request] = backend.requests()
    assert request.fields[b":method"] == b"CONNECT"
    assert request.fields[b":protocol"] == b"websocket"
    backend.say(wire.headers(1, ((b":status", b"200"), (b"sec-websocket-protocol", b"chat")), False))
    head = client.take()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    client.feed(b"up")
    backend.say(wire.data(1, b"down"))
    assert (backend.body(1), client.take()) == (b"up", b"down")
    backend.say(wire.data(1, b"bye", True))
    client.feed(EOF)
    assert client.take() == b"bye"
    backend.listen()
    assert backend.frames[-1].flags & wire.END_STREAM
    assert world.outcomes() == [(101, "")]
    world.at_rest()


def test_a_refused_websocket() -> None:
    """Any other answer is one."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/chat", *WEBSOCKET))
    backend = server(world, settings=wire.settings((8, 1)))
    backend.answer(1, b"no", ((b":status", b"403"), (b"content-length", b"2")))
    assert client.take().startswith(b"HTTP/1.1 403 Forbidden\r\n")
    world.at_rest()


@pytest.mark.parametrize("together", [True, False])
def test_trailers_of_an_answer(together: bool) -> None:
    """They reach a client of HTTP/1.1 behind the last chunk, however the frames come."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/", "TE: trailers", "Connection: TE"))
    backend = server(world)
    [request] = backend.requests()
    assert request.fields[b"te"] == b"trailers"
    trailers = wire.headers(1, ((b"grpc-status", b"0"), (b"vary", b"a")), True)
    frames = [wire.headers(1, NO_LENGTH, False), wire.data(1, b"body"), trailers]
    for piece in [b"".join(frames)] if together else frames:
        backend.say(piece)
    assert client.take().endswith(b"4\r\nbody\r\n0\r\ngrpc-status: 0\r\n\r\n")
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_an_answer_that_is_here_as_a_whole_leaves_in_one_write() -> None:
    """Head, message and trailers of a unary call of gRPC cost one record and one system call, also where nobody else is served."""
    world = h2_world()
    client = H2Client(world)
    client.ask(1)
    backend = server(world)
    backend.requests()
    writes: list[bytes] = []
    real = client.stream.write
    client.stream.write = lambda data: (writes.append(bytes(data)), real(data))[1]  # type: ignore[method-assign, func-returns-value]
    backend.say(wire.headers(1, NO_LENGTH, False) + wire.data(1, b"body") + wire.headers(1, ((b"grpc-status", b"0"),), True))
    assert kinds([frame for write in writes for frame in wire.frames(write)])[:3] == [(HEADERS, 1), (DATA, 1), (HEADERS, 1)]
    assert len(writes) == 1
    world.at_rest()


def test_trailers_of_a_request() -> None:
    """They end the request's stream."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\nX-Digest: 1\r\n\r\n")
    backend = server(world)
    assert backend.body(1) == b"abc"
    assert backend.heard.told[-1] == ("trailers", 1, ((b"x-digest", b"1"),))
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_trailers_that_break_the_grammar() -> None:
    """libnghttp2 refuses them, as whatever it refuses; the client sees a cut."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    backend = server(world)
    backend.say(wire.headers(1, NO_LENGTH, False) + wire.data(1, b"body") + wire.headers(1, ((b":status", b"200"),), True))
    assert client.end == "abort"
    assert world.outcomes() == [(200, "response_malformed")]
    world.at_rest()
