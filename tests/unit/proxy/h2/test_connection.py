"""HTTP/2 to clients, over scripted streams: requests, bodies, resets, floods, stalls, drains, ends."""

from __future__ import annotations

import pytest

from lbproxy.http.h2.nghttp2 import NATIVE
from lbproxy.http.h2.vocabulary import H2Code
from lbproxy.proxy.h2.stream import SWEEP
from lbproxy.proxy.tunnel import HALF_CLOSED
from lbproxy.streams import BODY_READ, SWIFT_READ
from tests.support import h2_frames as wire
from tests.support.h2_frames import DATA, GET, HEADERS, POST, WINDOW_UPDATE, data, headers, reset
from tests.support.h2_peer import Heads
from tests.unit.proxy.h2_client import H2Client, body, kinds, resets
from tests.unit.proxy.world import CHUNKED, EOF, World, ok


def test_a_request_and_its_answer() -> None:
    """A backend gets HTTP/1.1, the client its fields; the connection goes on, and the access log has its line."""
    world = World(backends=1)
    client, heads = H2Client(world), Heads()
    client.ask(1, (*GET, (b"cookie", b"a=b"), (b"cookie", b"c=d")))
    sent = world.upstream.take()
    assert sent.startswith(b"GET / HTTP/1.1\r\nHost: example.com\r\ncookie: a=b; c=d\r\n")
    assert b"\r\nX-Forwarded-Proto: https\r\n" in sent
    world.upstream.feed(ok(b"hello", "Content-Type: text/plain", "Connection: keep-alive"))
    told = heads.read(client.heard())
    assert told[0][0] == "response"
    assert set(told[0][2]) >= {(b":status", b"200"), (b"content-length", b"5"), (b"content-type", b"text/plain")}
    assert told[1:] == [("data", 1, b"hello", True), ("closed", 1, 0)]
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    assert world.dials == [9000]
    assert world.outcomes() == [(200, ""), (200, "")]
    world.at_rest()


def test_what_is_open_is_counted() -> None:
    """Connections and requests under way, whatever becomes of them: answered, given up, or lost with their connection."""
    world = World(backends=2)
    counters, first, second = world.service.counters, H2Client(world), H2Client(world)
    first.say(headers(1) + headers(3) + headers(5) + reset(5))
    second.ask(1)
    assert (counters.h2_open, counters.h2_live) == (2, 3)
    world.upstreams[0].feed(ok())
    assert (counters.h2_open, counters.h2_live) == (2, 2)
    first.stream.feed(EOF)
    assert (counters.h2_open, counters.h2_live) == (1, 1)
    second.say(reset(1))
    second.stream.feed(EOF)
    assert (counters.h2_open, counters.h2_live) == (0, 0)


def test_many_at_once_and_in_any_order() -> None:
    """Each is answered when its backend answers, whatever the others do."""
    world = World(backends=2)
    client = H2Client(world)
    client.say(b"".join(headers(stream) for stream in (1, 3, 5, 7)))
    assert len(world.upstreams) == 4
    for upstream, stream in zip(reversed(world.upstreams), (7, 5, 3, 1), strict=True):
        upstream.feed(ok(b"to %d" % stream))
        assert body(client.heard(), stream) == b"to %d" % stream
    assert world.outcomes() == [(200, "")] * 4
    world.at_rest()


def test_answers_of_one_turn_leave_in_one_write() -> None:
    """What backends say at the same time costs one record and one system call."""
    world = World(backends=2)
    client = H2Client(world)
    client.say(headers(1) + headers(3))
    first, second = world.upstreams
    first._inbox.append(ok(b"one"))
    second._inbox.append(ok(b"two"))
    writes: list[bytes] = []
    real = client.stream.write
    client.stream.write = lambda data: (writes.append(bytes(data)), real(data))[1]  # type: ignore[method-assign, func-returns-value]
    for upstream in (first, second):
        reader, upstream._reader = upstream._reader, None
        assert reader is not None
        reader.switch()
    world.settle()
    assert len(writes) == 1
    assert kinds(wire.frames(writes[0])) == [(HEADERS, 1), (DATA, 1), (HEADERS, 3), (DATA, 3)] or len(wire.frames(writes[0])) == 4
    world.at_rest()


def test_a_body_with_a_length() -> None:
    """Sent on with it as it comes."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, (*POST, (b"content-length", b"6")), end=False) + data(1, b"abc"))
    assert world.upstream.take().endswith(b"\r\n\r\nabc")
    client.say(data(1, b"def", end=True))
    assert world.upstream.take() == b"def"
    world.upstream.feed(ok())
    assert body(client.heard()) == b"ok"
    [line] = world.lines()
    assert line["bytes_in"] >= 6
    assert line["protocol"] == "HTTP/2"
    world.at_rest()


def test_a_body_without_a_length_is_chunked_to_the_backend() -> None:
    """And its end is the stream's."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, POST, end=False) + data(1, b"abc"))
    head, _, first = world.upstream.take().partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked" in head
    client.say(data(1, b"def"))
    client.say(data(1, b"", end=True))
    assert first + world.upstream.take() == b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    world.upstream.feed(ok())
    assert body(client.heard()) == b"ok"
    world.at_rest()


def test_a_small_body_leaves_with_its_head() -> None:
    """When all of it is here already."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, POST, end=False) + data(1, b"abc", end=True))
    assert world.upstream.take().endswith(b"3\r\nabc\r\n0\r\n\r\n")
    world.upstream.feed(ok())
    world.at_rest()


def test_a_backend_that_is_slow_to_take_a_body_slows_its_client() -> None:
    """No window is opened for what is not taken, so no more than windows is held."""
    world = World(backends=1)
    world.backend_room = 1000
    client = H2Client(world)
    said = client.say(headers(1, POST, end=False) + data(1, b"x" * 16384) * 3 + data(1, b"x" * 16383))
    opened = sum(int.from_bytes(each.payload, "big") for each in said if (each.kind, each.stream) == (WINDOW_UPDATE, 1))
    assert opened <= 65536
    world.upstream.make_room(None)
    said = client.heard()
    assert WINDOW_UPDATE in {each.kind for each in said}
    client.say(reset(1))
    world.at_rest()


def test_an_answer_in_chunks() -> None:
    """Taken off the backend's chunks, and passed on as it comes."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(CHUNKED + b"3\r\nabc\r\n")
    assert body(client.heard()) == b"abc"
    world.upstream.feed(b"3\r\ndef\r\n")
    assert body(client.heard()) == b"def"
    world.upstream.feed(b"0\r\n\r\n")
    [last] = client.heard()
    assert (last.kind, last.flags, last.payload) == (DATA, 1, b"")
    world.at_rest()


def test_an_answer_until_the_backend_closes() -> None:
    """Ends its stream, and not the connection."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    world.upstream.feed(EOF)
    frames = client.heard()
    assert body(frames) == b"abc"
    assert frames[-1].flags == 1
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
def test_answers_without_a_body(method: bytes) -> None:
    """HEAD has a length and no DATA; so have 204 and 304."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask(1, ((b":method", method), *GET[1:]))
    world.upstream.feed(ok(b"")[:-4].replace(b": 0", b": 5") + b"\r\n\r\n" if method == b"HEAD" else b"HTTP/1.1 204 No\r\n\r\n")
    [answer] = client.heard()
    assert (answer.kind, answer.flags & 1) == (HEADERS, 1)
    world.at_rest()


def test_an_interim_answer() -> None:
    """103 comes before the answer; 100 is what a client that asks for it waits for."""
    world = World(backends=1)
    client, heads = H2Client(world), Heads()
    client.say(headers(1, (*POST, (b"expect", b"100-continue"), (b"content-length", b"1")), end=False))
    world.upstream.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    said = client.say(data(1, b"x", end=True))
    world.upstream.feed(ok())
    told = heads.read(said + client.heard())
    assert [each[0] for each in told] == ["interim", "interim", "response", "data", "closed"]
    assert (b"link", b"</a>") in told[1][2]
    world.at_rest()


def test_malformed_requests_are_answered_and_the_connection_goes_on() -> None:
    """What the library lets pass and HTTP/1 does not; nothing of it reaches a backend."""
    world = World(backends=1)
    client, heads = H2Client(world), Heads()
    frames = client.ask(1, (*GET[:3], (b":path", b"/%00")))
    told = heads.read(frames)
    assert (b":status", b"400") in told[0][2]
    assert world.upstreams == []
    assert world.outcomes() == [(400, "target_escape")]
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


def test_who_gives_a_request_up_ends_its_backends_work() -> None:
    """As a client that closes does over HTTP/1; others are not touched."""
    world = World(backends=2)
    client = H2Client(world)
    client.say(headers(1) + headers(3))
    first, second = world.upstreams
    client.say(reset(1))
    assert first.end == "abort"
    assert not second.end
    second.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    assert world.outcomes() == [(499, "client_closed"), (200, "")]
    world.at_rest()


def test_a_retry_elsewhere() -> None:
    """What an exchange does for HTTP/1 it does here."""
    world = World(backends=2)
    world.refuse(0)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(ok())
    assert body(client.heard()) == b"ok"
    world.at_rest()


def test_a_backend_that_fails_in_the_middle_breaks_its_stream_alone() -> None:
    """RFC 9113 8.1.1: a cut must not look like an end."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", EOF)
    frames = client.heard()
    assert resets(frames) == [(1, H2Code.INTERNAL_ERROR)]
    assert not any(each.kind == DATA and each.flags & 1 for each in frames)
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


def test_a_websocket() -> None:
    """RFC 8441: CONNECT opens a tunnel over one stream, to a backend that speaks HTTP/1.1."""
    world = World(backends=1)
    client, heads = H2Client(world), Heads()
    asked = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:], (b"sec-websocket-version", b"13"))
    client.say(headers(1, asked, end=False))
    sent = world.upstream.take()
    assert sent.startswith(b"GET / HTTP/1.1\r\n")
    assert b"\r\nUpgrade: websocket" in sent
    assert b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==" in sent
    world.upstream.feed(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\nhello"
    )
    told = heads.read(client.heard())
    assert told[0][:1] == ("response",)
    assert (b":status", b"200") in told[0][2]
    assert told[1] == ("data", 1, b"hello", False)
    client.say(data(1, b"to the backend"))
    assert world.upstream.take() == b"to the backend"
    world.upstream.feed(b"and back")
    assert body(client.heard()) == b"and back"
    assert client.connection.tunnel
    client.ask(3)
    assert not client.connection.tunnel
    world.upstreams[1].feed(ok())
    assert body(client.heard(), 3) == b"ok"
    client.say(data(1, b"", end=True))
    world.upstreams[0].feed(EOF)
    frames = client.heard()
    assert frames[-1].flags & 1
    world.at_rest()


@pytest.mark.parametrize("together", [True, False])
def test_a_page_does_not_open_a_websocket(together: bool) -> None:
    """To whoever asks by CONNECT any 2xx begins the tunnel (RFC 8441 5): a backend that has not switched is not taken for one
    that has. Who is refused hears why, and nothing is held against a backend that merely does not know WebSockets."""
    world = World(backends=1)
    client = H2Client(world)
    asked = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:])
    page = ok(b"hello")
    for number in (1, 3, 5, 7, 9, 11):  # more than would eject it
        client.say(headers(number, asked, end=False))
        world.upstream.feed(page if together else page[:-3])
        assert body(client.heard(), number) == b"502 Bad Gateway: websocket_not_opened\n"
        client.say(data(number, b"", end=True))
    assert world.outcomes() == [(502, "websocket_not_opened")] * 6
    client.say(headers(13, asked, end=False))
    world.upstream.feed(ok(b"none here", status="404 Not Found"))
    assert body(client.heard(), 13) == b"none here"
    client.say(data(13, b"", end=True))
    client.ask(15)
    world.upstream.feed(ok(b"page"))
    assert body(client.heard(), 15) == b"page"
    world.at_rest()


def test_half_of_a_websocket() -> None:
    """A client that goes on saying nothing after the backend has ended its side is not waited for as long as a whole tunnel is."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]), end=False))
    world.upstream.feed(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
    )
    world.pass_time(100.0)
    assert world.outcomes() == []
    world.upstream.feed(EOF)
    assert client.heard()[-1].flags & 1
    world.pass_time(HALF_CLOSED + SWEEP)
    assert world.outcomes() == [(101, "tunnel_half_closed")]
    world.at_rest()


def test_a_login_of_the_connection_is_sent_to_http11() -> None:
    """RFC 9113 7, HTTP_1_1_REQUIRED: streams share the connection, such logins are the connection's."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(ok(b"", "WWW-Authenticate: NTLM", status="401 Unauthorized"))
    assert resets(client.heard()) == [(1, H2Code.HTTP_1_1_REQUIRED)]
    assert resets(client.ask(3, (*GET, (b"authorization", b"Negotiate abc")))) == [(3, H2Code.HTTP_1_1_REQUIRED)]
    world.at_rest()


def test_windows_grow_where_somebody_reads_fast() -> None:
    """And are small again when nobody does."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, POST, end=False))
    opened = {0: 0, 1: 0}
    for _ in range(40):
        for each in client.say(data(1, b"x" * 16384)):
            if each.kind == WINDOW_UPDATE:
                opened[each.stream] += int.from_bytes(each.payload, "big")
    assert opened[1] > 40 * 16384 + 100_000
    client.say(data(1, b"", end=True))
    world.upstream.feed(ok())
    world.at_rest()


def test_one_alarm_serves_all_waits_for_a_body() -> None:
    """It looks at the deadline again and again, and goes with the request; a body that stands still is given up as ever."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, (*POST, (b"content-length", b"40")), end=False))
    [alarm] = world.alarms
    for _ in range(3):
        client.say(data(1, b"0123456789"))
    assert world.alarms == [alarm]
    world.pass_time(SWEEP + 1)
    [again] = world.alarms
    assert again is not alarm
    client.say(data(1, b"0123456789", end=True))
    assert world.upstream.take().endswith(b"0123456789" * 4)
    world.upstream.feed(ok())
    assert body(client.heard()) == b"ok"
    assert not world.alarms
    client.say(headers(3, (*POST, (b"content-length", b"40")), end=False) + data(3, b"0123456789"))
    client.say(data(3, b"0123456789"))
    world.pass_time(world.service.config.timeouts.body_idle + SWEEP)
    assert world.outcomes() == [(200, ""), (408, "body_timeout")]
    client.say(reset(3))
    world.at_rest()


def test_more_is_read_at_once_where_bodies_come() -> None:
    """Behind a read that was full of them; not behind one of heads."""
    world = World(backends=1)
    client = H2Client(world)
    asked: list[int] = []
    real = client.stream.read
    client.stream.read = lambda limit: (asked.append(limit), real(limit))[1]  # type: ignore[method-assign, func-returns-value]
    client.say(headers(1, POST, end=False) + data(1, b"x" * 16384) * 3)
    client.say(data(1, b"x"))
    client.say(data(1, b"", end=True))
    assert asked[:3] == [SWIFT_READ, BODY_READ, BODY_READ]
    world.upstream.feed(ok())
    world.at_rest()


def test_a_body_that_fits_has_its_window_opened_no_more() -> None:
    """A window that is wide enough for the rest, or of a stream that has ended, is left as it is."""
    world = World(backends=1)
    client = H2Client(world)
    said = client.say(headers(1, (*POST, (b"content-length", b"%d" % (3 * 16384))), end=False) + data(1, b"x" * 16384) * 2)
    said += client.say(data(1, b"x" * 16384, end=True))
    if NATIVE:  # ngh2 opens both windows or none
        assert [each.stream for each in said if each.kind == WINDOW_UPDATE] == [0]
    assert sum(int.from_bytes(each.payload, "big") for each in said if (each.kind, each.stream) == (WINDOW_UPDATE, 0)) >= 32768
    world.upstream.feed(ok())
    assert body(client.heard()) == b"ok"
    world.at_rest()


def test_no_more_than_a_share_of_new_requests_begins_at_a_turn() -> None:
    """A hundred requests in one piece leave the loop to others in between; all are served."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(b"".join(headers(stream) for stream in range(1, 201, 2)))
    assert len(world.upstreams) == 100
    for upstream in list(world.upstreams):
        upstream.feed(ok())
    assert world.outcomes() == [(200, "")] * 100
    world.at_rest()


def test_a_fault_of_ours_is_the_streams_alone() -> None:
    """Logged, and told with INTERNAL_ERROR."""
    world = World(backends=1)
    client = H2Client(world)

    def fails() -> bytes:
        raise RuntimeError("made by the test")

    client.connection.key = fails
    asked = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:])
    assert resets(client.say(headers(1, asked, end=False))) == [(1, H2Code.INTERNAL_ERROR)]
    assert [str(fault) for fault in world.faults] == ["made by the test"]
    world.faults.clear()
    world.at_rest()
