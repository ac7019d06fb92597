"""Hellos that are read before anybody answers."""

from __future__ import annotations

import pytest

from lbproxy.errors import ConnectionLost, StreamError, TimedOut
from lbproxy.net.first_stream import FirstStream
from lbproxy.net.tls_stream import SaidNothing
from lbproxy.prelude.client_hello import MOST
from lbproxy.worker.accept.hellos import read_hello
from tests.unit.net.loopback import deadlines_running, sockets, start
from tests.unit.prelude.test_client_hello import hello_of, in_records


@pytest.mark.parametrize("already", [0, 4, 100])
@pytest.mark.parametrize("records", [3, 200, 16384])
def test_all_that_was_read_is_given_back(already: int, records: int) -> None:
    """However the hello is cut, nothing of it is lost."""
    whole = in_records(hello_of("db.example")[5:], records) + b"early data"
    with deadlines_running() as deadlines:
        ours, peer = sockets()
        stream = FirstStream(ours, deadlines, 1.0)
        job = start(lambda: read_hello(stream, whole[:already]))
        for at in range(already, len(whole), 50):
            peer.sendall(whole[at : at + 50])
        hello, data = job.result()
        assert hello is not None
        assert hello.name == "db.example"
        data += start(lambda: b"" if data == whole else stream.read(100)).result()
        assert whole.startswith(data)
        peer.close()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\xff\xff" + bytes(MOST)])
def test_what_is_none_is_left_to_openssl(said: bytes) -> None:
    with deadlines_running() as deadlines:
        ours, peer = sockets()
        stream = FirstStream(ours, deadlines, 1.0)
        peer.sendall(said[:100])
        hello, data = start(lambda: read_hello(stream, b"")).result()
        assert (hello, data) == (None, said[:100])
        peer.close()


@pytest.mark.parametrize(("said", "kind"), [(b"", SaidNothing), (b"\x16\x03", ConnectionLost)])
def test_who_leaves(said: bytes, kind: type[StreamError]) -> None:
    with deadlines_running() as deadlines:
        ours, peer = sockets()
        stream = FirstStream(ours, deadlines, 1.0)
        peer.sendall(said)
        peer.close()
        with pytest.raises(kind):
            start(lambda: read_hello(stream, b"")).result()


def test_who_is_slow() -> None:
    with deadlines_running() as deadlines:
        ours, peer = sockets()
        stream = FirstStream(ours, deadlines, 1.0)
        stream.deadline = 0.0
        with pytest.raises(TimedOut):
            start(lambda: read_hello(stream, b"")).result()
        peer.close()
