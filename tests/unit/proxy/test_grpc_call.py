"""gRPC calls: errors of ours that their clients understand, their deadlines, how they ended, and the patience that streams need."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from lbproxy.http.grpc import UNHEARD, GrpcCode
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.http.h2.vocabulary import H2Code as H2Code
from tests.support.h2_frames import data, headers, reset
from tests.support.h2_peer import Heads
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.h2_client import H2Client, resets
from tests.unit.proxy.world import CHUNKED, LOST, World, get, ok

MESSAGE = b"\0\0\0\0\2hi"
TYPE = (b"content-type", b"application/grpc+proto")
ANSWER = CHUNKED[:-2] + b"Content-Type: application/grpc+proto\r\n\r\n"
DONE = b"7\r\n" + MESSAGE + b"\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n"


def fields(*more: tuple[bytes, bytes], path: bytes = b"/pkg.Service/Method") -> Fields:
    """Of a call."""
    pseudo = ((b":method", b"POST"), (b":scheme", b"https"), (b":path", path), (b":authority", b"example.com"))
    return (*pseudo, TYPE, (b"te", b"trailers"), *more)


class Caller:
    """A gRPC client, and what it is told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = H2Client(world)
        self.heads = Heads()

    def call(self, *more: tuple[bytes, bytes], stream: int = 1, ended: bool = True, path: bytes = b"/pkg.Service/Method") -> None:
        """One message, which is all it says unless more is to come."""
        self.client.stream.feed(headers(stream, fields(*more, path=path), end=False) + data(stream, MESSAGE, end=ended))

    def told(self) -> list[tuple[str, object]]:
        """Kinds of events with what they say."""
        return [(event[0], event[2]) for event in self.heads.read(self.client.heard()) if event[0] != "closed"]

    def trailers_only(self) -> dict[bytes, bytes]:
        """The answer, of which all is in the head."""
        [(kind, said)] = self.told()
        assert kind == "response"
        found = dict(said)  # type: ignore[call-overload]
        assert found[b":status"] == b"200"
        assert found[b"content-type"].startswith(b"application/grpc")
        return found  # type: ignore[no-any-return]


def ended(world: World) -> list[tuple[int, str, object]]:
    """(status, reason, grpc_status) of each access line."""
    return [(line["status"], line["reason"], line["grpc_status"]) for line in world.lines()]


def counted(world: World) -> dict[int, int]:
    return {code: count for code, count in enumerate(world.service.counters.grpc) if count}


def test_a_call_ends_by_its_trailers() -> None:
    """Which are passed on, written down and counted."""
    world = World(1)
    caller = Caller(world)
    caller.call()
    assert b"\r\nTE: trailers\r\n" in world.upstream.take()
    world.upstream.feed(ANSWER)
    world.upstream.feed(DONE)
    told = caller.told()
    assert told[1:] == [("data", MESSAGE), ("trailers", ((b"grpc-status", b"0"), (b"grpc-message", b"fine")))]
    assert ended(world) == [(200, "", 0)]
    assert counted(world) == {GrpcCode.OK: 1}
    world.at_rest()


def test_a_call_that_ends_with_its_head() -> None:
    """What a backend refuses has nothing but fields."""
    world = World(1)
    caller = Caller(world)
    caller.call()
    world.upstream.feed(ok(b"", "Content-Type: application/grpc", "grpc-status: 5", "grpc-message: no such thing"))
    assert caller.trailers_only()[b"grpc-status"] == b"5"
    assert ended(world) == [(200, "", 5)]
    assert counted(world) == {GrpcCode.NOT_FOUND: 1}
    world.at_rest()


def test_other_requests_are_none() -> None:
    """Their lines and answers are as ever."""
    world = World(1, route=model.RouteConfig("app", host="other.example"))
    client = world.connect()
    client.feed(get("/", "Content-Type: application/json", "Content-Length: 2", method="POST") + b"{}")
    assert client.take().startswith(b"HTTP/1.1 404 ")
    assert "grpc_status" not in world.lines()[0]
    assert counted(world) == {}


# ---------------------------------------------------------------- answers of ours


def test_no_backend_is_unavailable() -> None:
    """A client calls again then."""
    world = World(1)
    world.refuse(0)
    caller = Caller(world)
    caller.call()
    said = caller.trailers_only()
    assert (said[b"grpc-status"], said[b"grpc-message"]) == (b"14", b"lbproxy: connection_refused")
    assert said[b"content-type"] == b"application/grpc+proto"
    assert b"proxy-status" in said
    assert ended(world) == [(200, "connection_refused", 14)]
    assert counted(world) == {GrpcCode.UNAVAILABLE: 1}
    world.at_rest()


def test_no_route_is_unimplemented() -> None:
    """As the mapping has it."""
    world = World(1, route=model.RouteConfig("app", host="other.example"))
    caller = Caller(world)
    caller.call()
    assert caller.trailers_only()[b"grpc-status"] == b"12"
    world.at_rest()


@pytest.mark.parametrize(("route", "code", "reason"), [
    (model.RouteConfig(redirect="https://new.example{path}", status=308), b"2", b"redirect"),
    (model.RouteConfig(respond=model.RespondConfig(200, "<p>moved", "text/html")), b"2", b"respond"),
    (model.RouteConfig(respond=model.RespondConfig(503, "back soon")), b"14", b"respond"),
    (model.RouteConfig(respond=model.RespondConfig(204)), b"2", b"respond"),
])  # fmt: skip
def test_what_a_route_answers_by_itself_is_told_as_a_calls_end(route: model.RouteConfig, code: bytes, reason: bytes) -> None:
    """No client of gRPC follows a redirect or reads a page: with its status it would only guess."""
    world = World(1, route=route)
    caller = Caller(world)
    caller.call()
    said = caller.trailers_only()
    assert (said[b"grpc-status"], said[b"grpc-message"]) == (code, b"lbproxy: " + reason)
    assert b"location" not in said
    assert ended(world) == [(200, reason.decode(), int(code))]
    world.at_rest()


def test_what_a_route_says_in_the_words_of_calls_is_left_as_it_is() -> None:
    """And read, for the log."""
    rules = model.HeadersConfig(response=model.HeaderRulesConfig(set=(("grpc-status", "8"), ("content-type", "application/grpc"))))
    world = World(1, route=model.RouteConfig(respond=model.RespondConfig(), headers=rules))
    caller = Caller(world)
    caller.call()
    said = caller.trailers_only()
    assert said[b"grpc-status"] == b"8"
    assert b"grpc-message" not in said
    assert ended(world) == [(200, "respond", 8)]
    world.at_rest()


def test_a_message_that_is_too_large_is_resource_exhausted() -> None:
    """Whether its length is told or not."""
    world = World(1, limits=model.LimitsConfig(body=4))
    caller = Caller(world)
    caller.call()
    assert caller.trailers_only()[b"grpc-status"] == b"8"
    world.at_rest()


def test_a_call_that_is_malformed_is_answered_as_one() -> None:
    """With INTERNAL, as the mapping has it for 400."""
    world = World(1)
    caller = Caller(world)
    caller.call(path=b"/a/%zz/b")
    said = caller.trailers_only()
    assert said[b"grpc-status"] == b"13"
    assert ended(world) == [(200, "target_escape", 13)]
    assert counted(world) == {GrpcCode.INTERNAL: 1}
    world.at_rest()


def test_a_call_without_a_message() -> None:
    """Its stream ends with its fields; an error of ours is gRPC's all the same."""
    world = World(1)
    world.refuse(0)
    caller = Caller(world)
    caller.client.stream.feed(headers(1, fields(), end=True))
    assert caller.trailers_only()[b"grpc-status"] == b"14"
    world.at_rest()


def test_grpc_web_over_http_1_1_is_answered_as_such() -> None:
    """In its own media type, with a length that HTTP/1.1 needs; its messages and trailers pass as any body."""
    world = World(1)
    client = world.connect()
    asked = get("/pkg.Service/Method", "Content-Type: application/grpc-web+proto", "Content-Length: 7", method="POST") + MESSAGE
    client.feed(asked)
    body = MESSAGE + b"\x80\0\0\0\x10grpc-status: 0\r\n"
    world.upstream.feed(ok(body, "Content-Type: application/grpc-web+proto"))
    assert client.take().endswith(body)
    world.upstream.end = "abort"
    world.idle.take(0)
    world.refuse(0)
    client.feed(asked)
    said = client.take()
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 0\r\n" in said
    assert b"\r\ngrpc-status: 14\r\n" in said
    assert ended(world) == [(200, "", None), (200, "connection_refused", 14)]
    assert counted(world) == {UNHEARD: 1, GrpcCode.UNAVAILABLE: 1}


def test_a_part_of_an_answer_ends_by_trailers_of_ours() -> None:
    """The client is not left to guess what a reset means; a message that is cut is none to it, since each has its length."""
    world = World(1)
    caller = Caller(world)
    caller.call()
    world.upstream.feed(ANSWER + b"3\r\n\0\0\0\r\n")
    world.upstream.feed(LOST)
    told = caller.told()
    assert told[1:] == [
        ("data", b"\0\0\0"), ("trailers", ((b"grpc-status", b"14"), (b"grpc-message", b"lbproxy: response_truncated")))
    ]  # fmt: skip
    assert ended(world) == [(200, "response_truncated", 14)]
    world.at_rest()


@pytest.mark.parametrize("kind", ["application/grpc-web", "text/plain"])
def test_where_nobody_looks_for_trailers_the_stream_is_reset(kind: str) -> None:
    """gRPC-Web has its own in the body; and what is no answer to a call could pass for whole."""
    world = World(1)
    caller = Caller(world)
    changed = tuple((b"content-type", kind.encode()) if field is TYPE else field for field in fields())
    caller.client.stream.feed(headers(1, changed, end=False) + data(1, MESSAGE, end=True))
    world.upstream.feed(CHUNKED[:-2] + f"Content-Type: {kind}\r\n\r\n3\r\nabc\r\n".encode())
    world.upstream.feed(LOST)
    assert resets(caller.client.heard()) == [(1, H2Code.INTERNAL_ERROR)]
    world.at_rest()


# ---------------------------------------------------------------- deadlines and cancels


@pytest.mark.parametrize("begun", [False, True])
def test_a_deadline_ends_the_call(begun: bool) -> None:
    """Wherever it is, and its backend's connection with it."""
    world = World(1)
    caller = Caller(world)
    caller.call((b"grpc-timeout", b"1500m"))
    assert b"\r\ngrpc-timeout: 1500m\r\n" in world.upstream.sent
    if begun:
        world.upstream.feed(ANSWER + b"7\r\n" + MESSAGE + b"\r\n")
    world.pass_time(1.0)
    assert world.upstream.is_open()
    world.pass_time(0.75)
    assert world.upstream.end == "abort"
    said = (b"grpc-status", b"4"), (b"grpc-message", b"lbproxy: grpc_timeout")
    told = caller.told()
    assert (told[-1] == ("trailers", said)) if begun else str(said)[1:-1] in str(told[0][1])
    assert ended(world) == [(200, "grpc_timeout", 4)]
    assert counted(world) == {GrpcCode.DEADLINE_EXCEEDED: 1}
    world.at_rest()


@pytest.mark.parametrize(("routes", "reason"), [(1.0, "request_timeout"), (9.0, "grpc_timeout")])
def test_the_nearer_limit_counts(routes: float, reason: str) -> None:
    """The route's own, or the client's."""
    world = World(1, timeouts=model.TimeoutsConfig(request=routes))
    caller = Caller(world)
    caller.call((b"grpc-timeout", b"3S"))
    world.pass_time(3.5)
    assert ended(world) == [(200, reason, 4)]
    world.at_rest()


def test_a_call_that_is_called_off() -> None:
    """The backend's work is cancelled, and it is counted so."""
    world = World(1)
    caller = Caller(world)
    caller.call()
    caller.client.stream.feed(reset(1, H2Code.CANCEL))
    assert world.upstream.end == "abort"
    assert ended(world) == [(499, "client_closed", 1)]
    assert counted(world) == {GrpcCode.CANCELLED: 1}
    world.at_rest()


# ---------------------------------------------------------------- streams


def test_a_stream_of_messages_may_be_silent() -> None:
    """Once its backend has answered, on both sides, as long as a tunnel; and it goes on."""
    world = World(1, timeouts=model.TimeoutsConfig(body_idle=5.0, response_head=5.0, tunnel=600.0))
    caller = Caller(world)
    caller.call(ended=False)
    world.upstream.feed(ANSWER)
    world.pass_time(400.0)
    caller.client.stream.feed(data(1, MESSAGE))
    assert world.upstream.sent.count(MESSAGE) == 2
    world.pass_time(150.0)
    world.upstream.feed(b"7\r\n" + MESSAGE + b"\r\n")
    caller.client.stream.feed(data(1, b"", end=True))
    world.pass_time(500.0)
    world.upstream.feed(DONE)
    assert caller.told()[-1][0] == "trailers"
    assert ended(world) == [(200, "", 0)]
    world.at_rest()


def test_a_stream_of_messages_is_not_silent_for_ever() -> None:
    """A tunnel's limit is its limit."""
    world = World(1, timeouts=model.TimeoutsConfig(body_idle=5.0, tunnel=60.0))
    caller = Caller(world)
    caller.call()
    world.upstream.feed(ANSWER)
    world.pass_time(61.0)
    assert ended(world) == [(200, "response_body_timeout", 14)]
    world.at_rest()


def test_a_call_is_never_taken_in_whole() -> None:
    """Whoever waits for the answer to his first message has not ended his request."""
    pool = model.PoolConfig("app", (), buffer_requests=1000, buffer_responses=1000)
    world = World(1, pool=pool, scratch=FakeScratch())
    caller = Caller(world)
    caller.call(ended=False)
    assert MESSAGE in world.upstream.sent
    world.upstream.feed(ANSWER + b"7\r\n" + MESSAGE + b"\r\n")
    assert [kind for kind, _ in caller.told()] == ["response", "data"]
    caller.client.stream.feed(data(1, b"", end=True))
    world.upstream.feed(DONE)
    assert ended(world) == [(200, "", 0)]
    world.at_rest()
