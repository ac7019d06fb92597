"""Whatever a client says over HTTP/2, in whatever order, and whatever backends answer: no fault of ours, nothing is left over."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbproxy.config import model
from tests.support import h2_frames as wire
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.world import CHUNKED, EOF, World, ok

STREAMS = st.integers(0, 4).map(lambda number: 2 * number + 1)
FIELDS = st.sampled_from([
    wire.GET,
    wire.POST,
    (*wire.POST, (b"content-length", b"5")),
    (*wire.POST, (b"expect", b"100-continue")),
    ((b":method", b"HEAD"), *wire.GET[1:]),
    ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *wire.GET[1:]),
    (*wire.GET[:3], (b":path", b"/%00")),
    (*wire.GET, (b"authorization", b"NTLM abc")),
    (*wire.GET, (b"priority", b"u=1, i")),
])  # fmt: skip
FRAMES = st.one_of(
    st.builds(wire.headers, STREAMS, FIELDS, st.booleans()),
    st.builds(wire.data, STREAMS, st.binary(max_size=9), st.booleans()),
    st.builds(wire.data, STREAMS, st.just(b"x" * 16000), st.booleans()),
    st.builds(wire.headers, STREAMS, st.just(((b"x-sum", b"1"),)), st.just(True)),
    st.builds(wire.reset, STREAMS, st.sampled_from([0, 2, 8])),
    st.builds(wire.window, st.integers(0, 9), st.sampled_from([1, 5, 100_000, 0x7FFFFFFF])),
    st.builds(lambda value: wire.settings((4, value)), st.sampled_from([0, 1, 10, 65535, 1 << 20])),
    st.builds(wire.ping),
    st.just(wire.settings(ack=True)),
    st.builds(wire.goaway, st.just(0), st.sampled_from([0, 1])),
    st.builds(wire.frame, st.integers(0, 20), st.integers(0, 5), st.binary(max_size=20), st.integers(0, 255)),
)
ANSWERS = st.sampled_from([
    ok(b"hello"),
    ok(b""),
    CHUNKED + b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    b"x" * 70_000,
    ok(b"", "WWW-Authenticate: NTLM", status="401 Unauthorized"),
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\nhello",
    b"nonsense",
    EOF,
])  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.just("say"), FRAMES),
    st.tuples(st.just("say"), st.lists(FRAMES, min_size=2, max_size=6).map(b"".join)),
    st.tuples(st.just("answer"), st.tuples(st.integers(0, 3), ANSWERS)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3.0, 40.0])),
    st.tuples(st.just("room"), st.sampled_from([None, 0, 100, 5000])),
    st.tuples(st.just("drain"), st.booleans()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=20), st.booleans())
@example(steps=[("room", 0), ("drain", False), ("wait", 3.0)], whole=False)  # idle for too long behind a goodbye that nobody takes
@example(steps=[("say", wire.frame(wire.HEADERS, 1))], whole=False)  # a client that stops in the middle of a request's fields
@example(  # the last request, which writes for all, is told that the client is gone
    steps=[
        ("say", wire.headers(1, wire.GET, False) * 2 + wire.headers(3, wire.GET, False)),
        ("room", 0),
        ("answer", (1, ok(b"hello"))),
    ],
    whole=True,
)
@example(  # cut while its client takes the refusal that it was cut with
    steps=[("room", 0), ("say", wire.headers(1)), ("drain", True), ("say", wire.ping()), ("drain", True)], whole=False
)
def test_anything(steps: list[tuple[str, object]], whole: bool) -> None:
    """As the title says. `whole`: the client goes away at the end; else it is only silent."""
    world = World(backends=2, timeouts=model.TimeoutsConfig(write_stall=5.0))
    client = H2Client(world)
    for what, how in steps:
        if client.stream.end:
            break
        take(world, client, what, how)
    if whole and not client.stream.end:
        client.stream.feed(EOF)
    client.stream.make_room(None)
    world.pass_time(200.0)
    assert client.stream.end
    for upstream in world.upstreams:
        assert upstream.end or upstream.waits == "", upstream
    world.at_rest()


def take(world: World, client: H2Client, what: str, how: object) -> None:
    """One step of it."""
    if what == "say":
        assert isinstance(how, bytes)
        client.stream.feed(how)
    elif what == "answer":
        assert isinstance(how, tuple)
        index, answer = how
        if index < len(world.upstreams) and not world.upstreams[index].end:
            world.upstreams[index].feed(answer)
    elif what == "wait":
        assert isinstance(how, float)
        world.pass_time(how)
    elif what == "room":
        assert how is None or isinstance(how, int)
        client.stream.make_room(how)
    else:
        world.service.draining = True
        client.connection.drain(world.now, 1.0)
        if how:
            client.connection.cut()
        world.settle()
