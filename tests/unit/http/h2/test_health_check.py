"""A check over HTTP/2 in memory: an engine of a server at the other end."""

from __future__ import annotations

import pytest

from lbproxy.http.h1.health_check import BODY_LIMIT, BadHealthAnswer
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.health_check import BYTES, H2Check
from tests.support import h2_frames as wire
from tests.unit.http.h2.dialogue import Heard

OK = ((b":status", b"200"),)


class Server:
    """What a check talks to."""

    def __init__(self, check: H2Check) -> None:
        self.heard, self.check = Heard(), check
        self.engine = H2Engine(self.heard, server=True)

    def turn(self) -> None:
        """Bytes both ways until nobody has any."""
        while True:
            to_server = self.check.output()
            self.engine.receive(to_server)
            to_client = self.engine.output(1 << 20)
            self.check.receive(to_client)
            if not to_server and not to_client:
                return


@pytest.fixture
def check() -> H2Check:
    return H2Check(wire.GET)


def test_an_answer_with_a_body_and_trailers(check: H2Check) -> None:
    """All of it is kept, interim ones are stepped over; windows open for what is longer than they are."""
    server = Server(check)
    server.turn()
    assert server.heard.told[-1][0] == "request"
    server.engine.interim(1, ((b":status", b"103"),))
    server.engine.respond(1, OK, False)
    server.engine.send(1, b"x" * (BODY_LIMIT - 1), False)
    server.engine.trailers(1, ((b"grpc-status", b"0"),))
    server.turn()
    assert (check.status, check.body, check.ended) == (200, b"x" * (BODY_LIMIT - 1), True)
    assert check.fields[b"grpc-status"] == b"0"
    server.engine.receive(check.goodbye())
    assert server.heard.told[-1] == ("goaway", 0, 0)


def test_a_body_goes_along() -> None:
    check = H2Check(wire.POST, b"question")
    server = Server(check)
    server.turn()
    assert ("data", 1, b"question", True) in server.heard.told


def test_a_long_body_is_looked_at_no_further(check: H2Check) -> None:
    """It has ended, as far as the check is concerned."""
    server = Server(check)
    server.turn()
    server.engine.respond(1, OK, False)
    server.engine.send(1, b"x" * BODY_LIMIT, False)
    server.turn()
    assert check.ended


def told(check: H2Check, *said: bytes) -> None:
    """It hears this, and answers."""
    for each in said:
        check.receive(each)
        check.output()


@pytest.mark.parametrize("said", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n", wire.settings() + wire.reset(1, 2), wire.settings() + wire.goaway(0, 11),
    wire.settings() + wire.headers(1, ((b"a", b"b"),)), wire.settings() + wire.headers(1, OK, False) + wire.headers(3, OK),
])  # fmt: skip
def test_bad_answers(check: H2Check, said: bytes) -> None:
    """Whatever is none is told as that, and never a traceback."""
    check.output()
    with pytest.raises(BadHealthAnswer):
        told(check, said)


def test_an_answer_that_does_not_begin(check: H2Check) -> None:
    """Frames without end are given up."""
    check.output()
    told(check, wire.settings() + wire.settings(ack=True))
    with pytest.raises(BadHealthAnswer):
        told(check, *[wire.headers(1, ((b":status", b"103"), (b"link", b"x" * 16000)), False)] * (2 * BYTES // 16384))
