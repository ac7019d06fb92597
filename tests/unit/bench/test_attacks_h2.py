"""Floods of HTTP/2 are what they say, by another maker's reading; the attacker waits where he should, and leaves at a GOAWAY."""

from __future__ import annotations

import pytest
from h2.connection import H2Connection
from h2.events import Event, PingReceived, RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from bench.attacks import command
from bench.attacks.h2_shapes import AT_ONCE, H2_SHAPES, RESETS, H2Shape
from bench.attacks.shapes import SHAPES
from bench.attacks.table import Sample, rows, table
from bench.h2 import wire
from tests.support.certificates import Authority
from tests.unit.bench.floods import flooded
from tests.unit.bench.h2_script import goaway, played, requests, serve, server
from tests.unit.bench.tls_script import TlsScript

HAPROXY = 15 * 1024


def heard(name: str) -> list[Event]:
    """What a server hears of two batches."""
    shape = H2_SHAPES[name]
    engine = server()
    events = engine.receive_data(wire.greeting())
    first = 1
    if shape.table:
        block = wire.request() + shape.table
        for event in engine.receive_data(wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, block)):
            serve(engine, event)
        first = 3
    for _ in range(2):
        batch = shape.batch(first)
        came = engine.receive_data(batch.frames)
        events += came
        if shape.waits:
            for event in came:
                serve(engine, event)
        first += 2 * len(batch.streams)
    return events


def sizes(events: list[Event]) -> list[int]:
    """Bytes of each head, as HTTP/1.1 would have it."""
    return [sum(len(name) + len(value) + 4 for name, value in event.headers) for event in requests(events)]


def test_requests_are_given_up_at_once() -> None:
    events = heard("h2-resets")
    assert len(requests(events)) == sum(isinstance(event, StreamReset) for event in events) == 2 * RESETS


@pytest.mark.parametrize(("name", "least"), [("h2-references", 12_000), ("h2-heads", 6_000), ("h2-continuations", 100)])
def test_heads_are_ones_that_everybody_takes(name: str, least: int) -> None:
    """Whole requests, as many at once as said."""
    events = heard(name)
    assert len(requests(events)) == sum(isinstance(event, StreamEnded) for event in events) == 2 * AT_ONCE
    assert least <= min(sizes(events)) <= max(sizes(events)) < HAPROXY
    assert H2_SHAPES[name].waits


def test_references_are_a_few_bytes_that_mean_many() -> None:
    assert len(H2_SHAPES["h2-references"].batch(3).frames) < AT_ONCE * 50


def test_a_head_that_never_ends_is_none() -> None:
    """An engine that does not count them would hold them for ever."""
    engine = server()
    engine.receive_data(wire.greeting())
    frames = H2_SHAPES["h2-endless"].batch(1).frames
    assert not requests(engine.receive_data(frames[: len(frames) // 2]))
    with pytest.raises(ProtocolError, match="continuation"):
        engine.receive_data(frames[len(frames) // 2 :])


def test_what_has_to_be_answered() -> None:
    """Each PING; each SETTINGS that says something new."""
    assert sum(isinstance(event, PingReceived) for event in heard("h2-pings")) == 1000
    assert sum(isinstance(event, RemoteSettingsChanged) for event in heard("h2-settings")) >= 1000


def test_the_attacker_waits_for_answers_where_he_should(authority: Authority) -> None:
    """Never more at once than a batch and what filled the table; and goes on when they are there."""
    most = asked = 0

    def count(engine: H2Connection, event: Event) -> None:
        nonlocal most, asked
        if isinstance(event, RequestReceived):
            asked += 1
            most = max(most, engine.open_inbound_streams)
        serve(engine, event)

    shape = H2_SHAPES["h2-references"]._replace(connections=1)
    with TlsScript(authority, played(count), protocol="h2") as script:
        moved = flooded(shape, script.port, lambda moved: asked > AT_ONCE)
    assert asked > AT_ONCE
    assert most <= AT_ONCE
    assert moved.received > 0


def test_the_attacker_comes_again_after_a_goaway(authority: Authority) -> None:
    """At once: the server that says it need not close."""

    def goodbye(engine: H2Connection, event: Event) -> bytes | None:
        return goaway(0, 11) if isinstance(event, PingReceived) else None

    with TlsScript(authority, played(goodbye), protocol="h2") as script:
        moved = flooded(H2_SHAPES["h2-pings"]._replace(connections=2), script.port, lambda moved: moved.connections > 3)
    assert moved.connections > 3


def test_answers_of_one_kind_are_passed_over(authority: Authority) -> None:
    """And a GOAWAY behind a thousand of them is seen."""
    pongs = 0

    def pong(engine: H2Connection, event: Event) -> bytes | None:
        nonlocal pongs
        pongs += isinstance(event, PingReceived)
        return goaway(0, 11) if pongs and pongs % 1000 == 0 else None

    with TlsScript(authority, played(pong), protocol="h2") as script:
        moved = flooded(H2_SHAPES["h2-pings"]._replace(connections=1), script.port, lambda moved: moved.connections > 1)
    assert moved.connections > 1
    assert pongs >= 1000


def test_who_speaks_no_http2_is_left(authority: Authority) -> None:
    """And tried again, as whoever cuts the attacker off."""

    def deaf(tls: object) -> None:
        """Says nothing."""

    with TlsScript(authority, deaf) as script:
        shape = H2Shape("", H2_SHAPES["h2-pings"].batch, connections=1)
        assert flooded(shape, script.port, lambda moved: moved.connections > 1).connections > 1


def test_they_are_asked_for_by_name() -> None:
    """As all others."""
    assert command.arguments(["h2-resets", "chunks"]).attacks == ["h2-resets", "chunks"]
    assert not set(H2_SHAPES) & set(SHAPES)


def test_they_are_compared_by_what_a_second_costs() -> None:
    """A connection that was ended left bytes unread, which would make a kilobyte cheap."""
    samples = [
        Sample("h2-resets", name, 1.0, 2.0, 0, cpu, kilobytes, 2.0, by_kilobyte=False)
        for name, cpu, kilobytes in (("nginx", 1.0, 10.0), ("haproxy", 0.5, 10.0), ("lbproxy", 0.25, 1000.0))
    ]
    assert [(row.cores, row.cost) for row in rows(samples)] == [(0.5, 0.0), (0.25, 0.0), (0.125, 0.0)]
    assert [line.split()[-2:] for line in table(samples).splitlines()[2:]] == [["4.0", "x"], ["2.0", "x"], ["0.5", "x"]]
