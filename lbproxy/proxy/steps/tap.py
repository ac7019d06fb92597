"""[tap.NAME]: what passes a route, told to whoever looks at packets; nobody waits for that.

A conversation is a request and its answer, as lines of HTTP/1.1 whatever they came in, bodies without their chunks and up to a cap.
It is put together when it is over and handed to `take`, which may refuse it.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.config import model
from lbproxy.http.grammar import END
from lbproxy.http.message import NO_BODY, RequestHead, ResponseHead
from lbproxy.http.shown_heads import ShownHeads
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.authorize import Count
from lbproxy.proxy.steps.step import Course, Journey, Step

Take = Callable[[str, str, int, bytes, bytes], bool]
"""Gets a conversation: client's address, ours, port, request, answer. False: it is dropped."""


NOTES = {what: f',"inspected":"tap={what}"' for what in ("taken", "dropped")}
"""For the access line of a route where nothing else is noted under that name."""


class Tap(Step):
    """Tells of the requests of one route, in one worker."""

    __slots__ = ("_bare", "_count", "_due", "_framed", "_inspects", "_percent", "_take", "most")

    def __init__(self, settings: model.TapConfig, take: Take, count: Count, *, inspects: bool) -> None:
        """`inspects`: other steps of the route note something, too (RouteConfig.inspects)."""
        self._inspects = inspects
        self._percent = settings.percent
        self._bare = ShownHeads(settings.blank, False)
        self._framed = ShownHeads(settings.blank, True)
        self._take = take
        self._count = count
        self._due = 0
        self.most = settings.max_body

    def begin(self, journey: Journey) -> Course | None:
        """See Step."""
        self._due += self._percent
        if self._due < 100:
            return None
        self._due -= 100
        return Taped(self, journey)

    def tell(self, journey: Journey, head: RequestHead, request: bytes, answer: bytes) -> None:
        """A conversation is over."""
        forwarder = journey.downstream.forwarder
        here = forwarder.here().strip("[]")
        client, server = forwarder.client(head), "127.0.0.1" if here == "localhost" else here
        taken = self._take(client, server, forwarder.port, request, answer)
        outcome = "taken" if taken else "dropped"
        self._count("tap", outcome)
        if self._inspects:
            journey.findings().note("tap", outcome)
        else:
            journey.noted += NOTES[outcome]

    def message(self, line: bytes, lines: bytes, more: bytes, body: list[bytes], framed: bool) -> bytes:
        """As it stands in packets. `lines`: that follow the first, or all; `more`: that follow them; `framed`: the length that is
        told is that of what is here."""
        heads = self._framed if framed else self._bare
        length = b"\r\nContent-Length: %d" % sum(map(len, body)) if framed else b""
        return b"".join((line, heads.shown(lines), heads.shown(more) if more else b"", length, END, *body))


class Taped(Course):
    """One conversation, while it takes place."""

    __slots__ = ("_answered", "_body", "_head", "_journey", "_room", "_tap")

    def __init__(self, tap: Tap, journey: Journey) -> None:
        self._tap = tap
        self._journey = journey
        self._head = journey.head
        self._body: list[bytes] = []
        self._room = tap.most
        self._answered: Taping | None = None
        if journey.downstream.body is not None:
            journey.downstream.body.watch(self._came)

    def _came(self, piece: bytes, last: bool) -> None:
        """See request_body.Watch."""
        if self._room > 0:
            self._body.append(piece[: self._room])
            self._room -= len(piece)

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        self._answered = Taping(self._tap.most, sink)
        return self._answered

    def end(self) -> None:
        """See Course."""
        tap, head, answered = self._tap, self._head, self._answered
        sent = self._journey.head  # which a step may have made something else of
        line = b"%b %b HTTP/1.1" % (head.method, head.raw or head.target)
        request = tap.message(line, head.block, b"", self._body, sent.body != NO_BODY)
        answer = b""
        if answered is not None and answered.head:
            bare = answered.bare or sent.method == b"HEAD"
            answer = tap.message(b"", answered.head, answered.lines, answered.body, not bare)
        tap.tell(self._journey, sent, request, answer)


class Taping(PassThrough):
    """Keeps what passes of an answer, up to the cap."""

    __slots__ = ("_room", "bare", "body", "head", "lines")

    def __init__(self, most: int, behind: Sink) -> None:
        super().__init__(behind)
        self._room = most
        self.head = self.lines = b""
        self.body: list[bytes] = []
        self.bare = False
        """It is of a kind that has no body."""

    def _keep(self, data: bytes) -> None:
        if self._room > 0 and data:
            self.body.append(data[: self._room])
            self._room -= len(data)

    def _open(self, answer: ResponseHead, out: bytes, lines: bytes) -> None:
        self.head = out
        self.lines = lines
        self.bare = answer.status in (204, 304)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._open(answer, out, lines)
        self._keep(body)
        self._behind.whole(answer, out, body, lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._open(answer, out, lines)
        self._keep(first[-1])
        self._behind.begin(answer, out, lines, first)

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._keep(data)
        self._behind.piece(data)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._keep(data)
        self._behind.end(data, trailers)
