"""Steps: what stands between a route and its backends may pass, refuse, answer, look at bodies, change answers and ask others."""

from __future__ import annotations

import pytest

from lbproxy.errors import RequestError, UpstreamError
from lbproxy.http.grammar import END
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.replies import OwnAnswer
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.step import Answered, Course, Journey, Step
from lbproxy.proxy.subrequest import Subrequest, SubrequestAnswer
from tests.unit.http.heads import asking
from tests.unit.proxy.world import CHUNKED, EOF, World, get, ok, post


class Noted(Course):
    """Tells when it ends."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told

    def end(self) -> None:
        self.told.append(f"end {self.name}")


class Passing(Step):
    """Lets everything pass and takes notes."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told

    def begin(self, journey: Journey) -> Course | None:
        self.told.append(f"begin {self.name} {journey.head.path.decode()}")
        return Noted(self.name, self.told)


class Refusing(Step):
    """Refuses everything: with an error of ours, or with an answer of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def begin(self, journey: Journey) -> Course | None:
        raise self.error


class Shouting(Sink):
    """Changes the head and every piece of an answer."""

    def __init__(self, behind: Sink) -> None:
        self.behind = behind

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        self.behind.whole(answer, out, body.upper(), lines + b"\r\nX-Loud: 1")

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        self.behind.begin(answer, out, lines + b"\r\nX-Loud: 1", [first.pop().upper()])

    def room(self) -> int:
        return self.behind.room()

    def piece(self, data: bytes) -> None:
        self.behind.piece(data.upper())

    def end(self, data: bytes, trailers: Trailers) -> None:
        self.behind.end(data.upper(), trailers)


class Loud(Step):
    """Stands in front of the client."""

    def begin(self, journey: Journey) -> Course | None:
        return InFront()


class InFront(Course):
    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        return Shouting(sink)

    def end(self) -> None:
        """Nothing is held."""


class Keeping(Shouting):
    """Keeps an answer back until all of it is here."""

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        self.head, self.kept = (answer, out, lines), [first.pop()]

    def piece(self, data: bytes) -> None:
        self.kept.append(data)

    def room(self) -> int:
        return 100

    def end(self, data: bytes, trailers: Trailers) -> None:
        answer, out, lines = self.head
        self.behind.whole(answer, out, b"".join([*self.kept, data]), lines)


class Patient(Step):
    """Passes only whole answers on."""

    def begin(self, journey: Journey) -> Course | None:
        return Holding()


class Holding(Course):
    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        return Keeping(sink)


class Watching(Step):
    """Looks at request bodies, and refuses one word."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, bool]] = []

    def begin(self, journey: Journey) -> Course | None:
        if journey.downstream.body is not None:
            journey.downstream.body.watch(self._look)
        return None

    def _look(self, piece: bytes, last: bool) -> None:
        self.seen.append((piece, last))
        if b"bad" in piece:
            raise RequestError(403, "denied")


class Asking(Step):
    """Asks a pool whether a request may pass."""

    def __init__(self, subrequest: Subrequest) -> None:
        self.subrequest = subrequest
        self.answers: list[SubrequestAnswer] = []

    def begin(self, journey: Journey) -> Course | None:
        try:
            answer = self.subrequest.ask(journey.downstream.service, b"GET", b"GET /may HTTP/1.1\r\nHost: auth" + END)
        except UpstreamError as error:
            raise RequestError(error.status, "auth_unavailable") from error
        self.answers.append(answer)
        if answer.head.status != 200:
            raise Answered(OwnAnswer(403, b"\r\nContent-Length: 4\r\nX-Why: asked", b"nope"), "denied")
        return None


def stepping(*steps: Step, backends: int = 2) -> World:
    """A world whose one route has these steps."""
    world = World(backends)
    destination = world.service.router.match(asking(b"h", b"/"))
    assert destination is not None
    destination.steps = steps
    return world


def test_steps_are_asked_in_order_and_end_in_reverse() -> None:
    """Whatever they do in between; and behind the answer, not before."""
    told: list[str] = []
    world = stepping(Passing("a", told), Passing("b", told))
    client = world.connect()
    client.feed(get("/x"))
    assert told == ["begin a /x", "begin b /x"]
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    assert told[2:] == ["end b", "end a"]
    client.feed(get("/x"))
    world.upstream.feed(ok())
    assert len(told) == 8, "each request, also one that repeats the last"
    world.at_rest()


@pytest.mark.parametrize("how", ["refused", "gone", "backend"])
def test_a_course_ends_whatever_becomes_of_the_request(how: str) -> None:
    """Refused by a later step, left by its client, failed by every backend."""
    told: list[str] = []
    steps: list[Step] = [Passing("a", told)]
    if how == "refused":
        steps.append(Refusing(RequestError(429, "client_rate")))
    world = stepping(*steps, backends=1)
    client = world.connect()
    if how == "backend":
        world.refuse(0)
    client.feed(get())
    if how == "gone":
        client.feed(EOF)
    assert told == ["begin a /", "end a"]
    expected = {"refused": (429, "client_rate"), "gone": (499, "client_closed"), "backend": (502, "connection_refused")}
    assert world.outcomes() == [expected[how]]
    world.at_rest()


def test_a_step_answers_instead() -> None:
    """Nobody else is asked, the answer is whole, and the connection goes on."""
    world = stepping(Refusing(Answered(OwnAnswer(200, b"\r\nContent-Length: 5\r\nX-Mine: 1", b"hello"), "answered")))
    client = world.connect()
    client.feed(get())
    got = client.take()
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nX-Mine: 1\r\n" in got
    assert got.endswith(END + b"hello")
    assert world.dials == []
    assert world.outcomes() == [(200, "answered")]
    assert client.is_open()
    world.at_rest()


@pytest.mark.parametrize("come", ["whole", "pieces", "chunks"])
def test_a_step_changes_an_answer(come: str) -> None:
    """Head and pieces, however they come."""
    world = stepping(Loud())
    client = world.connect()
    client.feed(get())
    if come == "whole":
        world.upstream.feed(ok(b"hello"))
    elif come == "pieces":
        world.upstream.feed(ok(b"hello")[:-3], b"l", b"lo")
    else:
        world.upstream.feed(CHUNKED, b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n")
    head, _, body = client.take().partition(END)
    assert b"\r\nX-Loud: 1" in head
    assert body == (b"2\r\nHE\r\n3\r\nLLO\r\n0\r\n\r\n" if come == "chunks" else b"HELLO")
    assert world.outcomes() == [(200, "")]
    assert len(world.service.idle) == 1
    world.at_rest()


def test_an_answer_that_was_kept_back_and_breaks_off_is_another_one() -> None:
    """Nothing of it has gone out: the client is told instead of cut off."""
    world = stepping(Patient())
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"hello")[:-2], b"lo")
    assert client.take().endswith(END + b"hello")
    client.feed(get())
    world.upstream.feed(ok(b"hello")[:-2], EOF)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(200, ""), (502, "response_truncated")]
    assert client.is_open()
    world.at_rest()


def test_a_step_sees_a_body_before_any_backend_does() -> None:
    """Each piece, and which is the last."""
    watching = Watching()
    world = stepping(watching)
    client = world.connect()
    client.feed(post(b"he", length=5))
    client.feed(b"llo")
    assert watching.seen == [(b"he", False), (b"llo", True)]
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_step_refuses_a_body_in_the_middle(at_once: bool) -> None:
    """The backend does not get the piece that is refused, and its connection is not used again."""
    world = stepping(Watching())
    client = world.connect()
    if at_once:
        client.feed(post(b"a bad one"))
        assert world.dials == []
    else:
        client.feed(post(b"fine", length=10))
        client.feed(b", bad.")
        assert not world.upstream.sent.endswith(b"bad.")
        assert not world.upstream.is_open()
    assert client.take().startswith(b"HTTP/1.1 403 ")
    assert world.outcomes() == [(403, "denied")]
    world.at_rest()


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized"])
def test_a_step_asks_somebody_else(status: str) -> None:
    """By a request that is leased as any other; the client's request waits for the answer, and goes on or not."""
    world = stepping()
    destination = world.service.router.match(asking(b"h", b"/"))
    assert destination is not None
    asked = Asking(Subrequest(destination, most=100))
    destination.steps = (asked,)
    client = world.connect()
    client.feed(get("/page"))
    assert world.upstream.take() == b"GET /may HTTP/1.1\r\nHost: auth" + END
    world.upstream.feed(b"HTTP/1.1 103 Early Hints" + END + ok(b"verdict", status=status))
    assert [answer.body for answer in asked.answers] == [b"verdict"]
    if status.startswith("200"):
        assert world.upstream.sent.startswith(b"GET /page "), "over the same connection, which was idle again"
        world.upstream.feed(ok())
    got = client.take()
    assert got.startswith(b"HTTP/1.1 " + (b"200" if status.startswith("200") else b"403"))
    assert world.outcomes() == [(200, "") if status.startswith("200") else (403, "denied")]
    world.at_rest()


@pytest.mark.parametrize("how", ["too long", "late", "malformed", "cut", "refused"])
def test_whoever_is_asked_may_fail(how: str) -> None:
    """In every way: the request is told so, no lease is left, and nothing is kept that cannot be trusted."""
    world = stepping(backends=1)
    destination = world.service.router.match(asking(b"h", b"/"))
    assert destination is not None
    destination.steps = (Asking(Subrequest(destination, most=5)),)
    if how == "refused":
        world.refuse(0)
    client = world.connect()
    client.feed(get("/page"))
    if how == "too long":
        world.upstream.feed(ok(b"verdict"))
    elif how == "late":
        world.pass_time(61)
    elif how == "malformed":
        world.upstream.feed(b"SSH-2.0-OpenSSH\r\n" * 9)
    elif how == "cut":
        world.upstream.feed(ok(b"no")[:-1], EOF)
    assert client.take().startswith(b"HTTP/1.1 504 " if how == "late" else b"HTTP/1.1 502 ")
    [(status, reason)] = world.outcomes()
    assert (status, reason) == (504 if how == "late" else 502, "auth_unavailable")
    assert len(world.service.idle) == 0
    world.at_rest()


def test_an_idle_connection_that_was_closed_is_no_failure_of_whoever_is_asked() -> None:
    """It is asked once more, over a fresh one."""
    world = stepping(backends=1)
    destination = world.service.router.match(asking(b"h", b"/"))
    assert destination is not None
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok())
    destination.steps = (Asking(Subrequest(destination, most=100)),)
    client.take()
    client.feed(get("/page"))
    stale = world.upstream
    stale.feed(EOF)
    assert world.upstream is not stale
    world.upstream.feed(ok(b"verdict"))
    world.upstream.feed(ok(b"page"))
    assert client.take().endswith(b"page")
    world.at_rest()
