"""Clients of HTTP/2 tell what a server has not begun from what it has lost, by how a connection or a stream ends."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from dataclasses import replace
from itertools import count

import pytest
from h2.connection import H2Connection as Engine
from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived, StreamEnded, WindowUpdated

from bench.reload.connection import Answer
from bench.reload.h2_connection import Elsewhere, H2Connection, Result
from bench.reload.job import Job
from bench.reload.load import Load, told
from bench.reload.outcome import Lost
from tests.support.certificates import Authority
from tests.support.waiting import PATIENCE, eventually
from tests.unit.bench import tls_script
from tests.unit.bench.h2_script import Reply, answer, goaway, played, serve
from tests.unit.bench.tls_script import Act, TlsScript

WHOLE = Answer(200, 3, hashlib.sha256(b"ok\n").hexdigest(), False)
FAR = (1 << 31) - 1


def connect(port: int, authority: Authority) -> H2Connection:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_alpn_protocols(["h2"])
    return H2Connection(Job(port, str(authority.file)), context)


def results(connection: H2Connection, count: int) -> dict[int, Result]:
    """Of so many streams."""
    found: dict[int, Result] = {}
    until = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < until:
        found.update(connection.take())
        time.sleep(0.001)
    return found


def asked(authority: Authority, act: Act, streams: int = 3) -> tuple[dict[int, Result], H2Connection]:
    """What becomes of so many requests at once."""
    with TlsScript(authority, act, protocol="h2") as script:
        connection = connect(script.port, authority)
        for _ in range(streams):
            connection.begin("/tiny")
        found = results(connection, streams)
        connection.close()
    return found, connection


class Third:
    """Nothing is said before all three requests are here; then what the test wants."""

    def __init__(self, *order: int, first: bytes = b"", then: bytes = b"") -> None:
        self._order, self._first, self._then = order, first, then

    def __call__(self, engine: Engine, event: Event) -> bytes | None:
        """A Reply."""
        if not isinstance(event, StreamEnded) or event.stream_id < 5:
            return None
        for stream in self._order:
            answer(engine, stream)
        return self._first + engine.data_to_send() + self._then


def test_answers_come_in_any_order(authority: Authority) -> None:
    found, connection = asked(authority, played(Third(5, 1, 3)))
    assert list(found) == [5, 1, 3]
    assert set(found.values()) == {WHOLE}
    assert connection.usable


def test_what_a_goaway_leaves_out_goes_elsewhere(authority: Authority) -> None:
    """And what it does not is waited for."""
    found, connection = asked(authority, played(Third(1, first=goaway(1))))
    assert found[1] == WHOLE
    assert isinstance(found[3], Elsewhere)
    assert isinstance(found[5], Elsewhere)
    assert not connection.usable
    assert connection.last == 1


def test_a_goaway_in_two_steps(authority: Authority) -> None:
    """The first one leaves nothing out, and forbids the next request."""
    found, connection = asked(authority, played(Third(1, 3, 5, first=goaway(FAR), then=goaway(5))))
    assert set(found.values()) == {WHOLE}
    assert (connection.usable, connection.last) == (False, 5)


RESETS = [(ErrorCodes.REFUSED_STREAM, ""), (ErrorCodes.CANCEL, "reset"), (ErrorCodes.NO_ERROR, "reset")]


@pytest.mark.parametrize(("code", "kind"), RESETS)
def test_resets(authority: Authority, code: ErrorCodes, kind: str) -> None:
    """One of them says that nothing was begun."""

    def reset(engine: Engine, event: Event) -> None:
        if isinstance(event, RequestReceived):
            engine.reset_stream(event.stream_id, code)

    found, connection = asked(authority, played(reset))
    for result in found.values():
        assert isinstance(result, Lost if kind else Elsewhere)
        assert getattr(result, "kind", "") == kind
    assert connection.usable


def ending(end: Act, said: bytes = b"", *, begin: bool = False) -> Act:
    """One that reads three requests, says something, perhaps begins to answer, and ends."""

    def act(tls: ssl.SSLSocket) -> None:
        def reply(engine: Engine, event: Event) -> bytes | None:
            if isinstance(event, RequestReceived) and begin:
                engine.send_headers(event.stream_id, [(b":status", b"200")])
            if isinstance(event, StreamEnded) and event.stream_id == 5:
                tls.sendall(engine.data_to_send() + said)
                end(tls)
                raise ConnectionError("ended")
            return None

        played(reply)(tls)

    return act


@pytest.mark.parametrize(("act", "kinds"), [
    (ending(tls_script.farewell), ["closed"] * 3),
    (ending(tls_script.cut), ["closed"] * 3),
    (ending(tls_script.farewell, begin=True), ["truncated"] * 3),
    (ending(tls_script.reset, begin=True), ["reset"] * 3),
    (ending(tls_script.farewell, goaway(1)), ["closed", "", ""]),
    (ending(tls_script.farewell, goaway(FAR)), ["closed"] * 3),
])  # fmt: skip
def test_ends_of_the_connection(authority: Authority, act: Act, kinds: list[str]) -> None:
    """What is under way when it ends is lost, but for what the server has said it did not begin."""
    found, connection = asked(authority, act)
    # Where the end is a TCP one it is a reset as well if our acknowledgements were still unread.
    came = [getattr(found[stream], "kind", "") for stream in (1, 3, 5)]
    assert came in (kinds, [kind.replace("closed", "reset") for kind in kinds]), found
    assert not connection.usable


def test_silence(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing for too long."""
    monkeypatch.setattr("bench.reload.h2_connection.PATIENCE", 0.1)
    found, _ = asked(authority, played(lambda engine, event: None))
    assert [getattr(result, "kind", "") for result in found.values()] == ["timeout"] * 3


def test_a_server_without_http2(authority: Authority) -> None:
    with TlsScript(authority, tls_script.serve()) as script, pytest.raises(Lost, match="no HTTP/2"):
        connect(script.port, authority)


def test_a_slow_reader_holds_the_server_up(authority: Authority) -> None:
    """By its window, which opens at the rate."""
    left = bytearray(1 << 20)

    def big(engine: Engine, event: Event) -> None:
        if isinstance(event, RequestReceived):
            engine.send_headers(event.stream_id, [(b":status", b"200")])
        if isinstance(event, StreamEnded | WindowUpdated) and left and 1 in engine.streams:
            while left and (room := min(engine.local_flow_control_window(1), 16384, len(left))):
                engine.send_data(1, bytes(left[:room]), end_stream=room == len(left))
                del left[:room]

    with TlsScript(authority, played(big), protocol="h2") as script:
        connection = connect(script.port, authority)
        begun = time.monotonic()
        connection.begin("/big", rate=2 << 20)
        [result] = results(connection, 1).values()
        connection.close()
    assert result == Answer(200, 1 << 20, hashlib.sha256(bytes(1 << 20)).hexdigest(), False)
    assert time.monotonic() - begun > 0.3


def both(reply: Reply) -> Act:
    """HTTP/1.1 is served to who asks for that, as the load does before it begins."""

    def act(tls: ssl.SSLSocket) -> None:
        (played(reply) if tls.selected_alpn_protocol() == "h2" else tls_script.serve())(tls)

    return act


def job(port: int, authority: Authority, busy: int = 0, downloads: int = 0) -> Job:
    calm = Job(port, str(authority.file), busy=busy, idle=0, fresh=0, downloads=downloads, h2=2, download_seconds=0.1)
    return replace(calm, idle_pause=(0.01, 0.05), h2_pause=0.005)


def test_nothing_lost(authority: Authority) -> None:
    """A server that does it right; the rest of a load of HTTP/1.1 stands beside them."""
    mixed = {"busy": 1, "downloads": 1}
    with TlsScript(authority, both(serve), protocol="h2") as script, Load(job(script.port, authority, **mixed)) as load:
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert set(tally.done) >= {"busy", "h2"}
    assert tally.elsewhere == tally.noticed.total() == 0


def test_told_to_go(authority: Authority) -> None:
    """A server that says goodbye to each eleventh request, with which it has not begun, loses nothing."""
    said = 0

    def goodbye(engine: Engine, event: Event) -> bytes | None:
        nonlocal said
        if not isinstance(event, StreamEnded) or event.stream_id > 21:
            return None
        if event.stream_id == 21:
            said += 1
            return goaway(19)
        answer(engine, event.stream_id)
        return None

    with TlsScript(authority, both(goodbye), protocol="h2") as script, Load(job(script.port, authority)) as load:
        eventually(lambda: said > 3, "goodbye was said")
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert tally.renewed > 1
    assert tally.elsewhere > 0
    assert not tally.noticed


def test_lost(authority: Authority) -> None:
    """A server that goes bad once everybody was served: other answers than it gave before."""
    bad = threading.Event()
    numbers = count()
    sent: list[bytes] = []

    def fickle(engine: Engine, event: Event) -> None:
        if isinstance(event, StreamEnded):
            if bad.is_set():
                sent.append(b"503" if next(numbers) % 2 else b"200")
                answer(engine, event.stream_id, b"no\n", sent[-1])
            else:
                answer(engine, event.stream_id)

    with TlsScript(authority, both(fickle), protocol="h2") as script, Load(job(script.port, authority)) as load:
        bad.set()  # not before: the load stands when each client has had a right answer
        eventually(lambda: {b"200", b"503"} <= set(sent), "both kinds of wrong answers were sent")
        tally = load.stop()
    assert tally.lost["status"] > 0
    assert tally.lost["content"] > 0
    assert set(tally.lost_by) == {"h2"}
