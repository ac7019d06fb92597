"""[route.icap]: servers look at requests before a backend hears of them, and at answers before the client does (RFC 3507).

Theory of operation. A message is kept in a spool as it comes and shown to the server as it comes. When there is a verdict, what was
kept goes on, or what the server has sent in its place, or the answer that it has sent instead. A body above the cap is refused, or
goes on unseen, as the route says; so is a message of which nobody tells a verdict.
"""

from __future__ import annotations

from lbproxy.config import model
from lbproxy.errors import LbproxyError, RequestError, UpstreamError
from lbproxy.http.endless import endless
from lbproxy.http.icap import adapted
from lbproxy.http.icap.answers import BadIcapAnswer
from lbproxy.http.icap.requests import EncapsulatedHeads
from lbproxy.http.icap.silence import Silence
from lbproxy.http.message import CHUNKED, ResponseHead
from lbproxy.http.taken_in import taken_in
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.icap.inspection import Inspection
from lbproxy.proxy.icap.server import Servers, Tell
from lbproxy.proxy.icap.transaction import Transaction
from lbproxy.proxy.replies import OwnAnswer
from lbproxy.proxy.request_body import RequestBody, follow, move
from lbproxy.proxy.service import Service
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.spool import OnFailure, Spool
from lbproxy.proxy.steps.authorize import Count
from lbproxy.proxy.steps.icap_answer import InspectedAnswer
from lbproxy.proxy.steps.step import Answered, Course, Journey, Step
from lbproxy.streams import Scratch

UNAVAILABLE = "icap_unavailable"
BLOCKED = "icap_blocked"
UNASKED = ("icap_suspended", "icap_silent", "icap_mute")
"""Of messages without a verdict: nobody was shown them, nor waited for."""
MOST_PAGE = 1024 * 1024
"""Bytes of an answer that a server gives to a request."""


class Icap(Step):
    """Has messages of one route looked at, in one worker."""

    __slots__ = ("_answers", "_count", "_requests", "_why", "settings")

    def __init__(self, settings: model.IcapConfig, asked: Destination, count: Count, tell: Tell, why: Tell) -> None:
        """`asked`: the ICAP servers, with time limits of their own; `tell`: told when they are left alone; `why`: told of each
        message without a verdict."""
        self.settings = settings
        silence = Silence()
        self._requests = Servers(settings, settings.reqmod, asked, tell, silence) if settings.reqmod else None
        self._answers = Servers(settings, settings.respmod, asked, tell, silence) if settings.respmod else None
        self._count = count
        self._why = why

    def begin(self, journey: Journey) -> Course | None:
        """See Step. Raises RequestError when nobody tells a verdict, or for a body that is too large; Answered when the server
        answers itself."""
        following = None if self._requests is None else _Request(self, self._requests, journey).look()
        return following if self._answers is None else _InspectedAnswer(self, self._answers, journey, following)

    def note(self, journey: Journey, direction: str, outcome: str) -> None:
        """What became of a message."""
        self._count(direction, outcome)
        journey.findings().note(direction, outcome)

    def failed(self, journey: Journey, direction: str, error: LbproxyError) -> None:
        """There is no verdict about a message."""
        self.note(journey, direction, "failed")
        if isinstance(error, UpstreamError) and error.reason in UNASKED:
            self._count(direction, "unasked")
        if not (isinstance(error, UpstreamError) and error.reason == "icap_suspended"):  # that was told once, for all of them
            self._why(str(error))

    def said(self, journey: Journey) -> bytes:
        """More fields of ICAP for a request."""
        if not self.settings.tell_client:
            return b""
        return b"\r\nX-Client-IP: " + journey.downstream.forwarder.client(journey.head).encode("ascii")


class _ShownSpool(Spool):
    """A request's body, which says that it is full whenever something new is here: so that it is shown as it comes."""

    __slots__ = ("_new", "live")

    def __init__(self, scratch: Scratch | None, memory: int, most: int, on_failure: OnFailure) -> None:
        super().__init__(scratch, memory, most, on_failure)
        self.live = True
        self._new: list[bytes] = []

    @property
    def full(self) -> bool:
        return bool(self._new) or self.exhausted

    @property
    def exhausted(self) -> bool:
        """There is no room for more."""
        return bool(Spool.full.fget(self))  # type: ignore[attr-defined]

    def put(self, data: bytes) -> None:
        super().put(data)
        if data and self.live:
            self._new.append(data)

    def new(self) -> bytes:
        """What came since the last time."""
        data = b"".join(self._new)
        self._new.clear()
        return data


class _Request:
    """One request that is looked at."""

    def __init__(self, icap: Icap, servers: Servers, journey: Journey) -> None:
        self._icap = icap
        self._servers = servers
        self._journey = journey
        self._service: Service = journey.downstream.service
        settings = icap.settings
        self._spool = _ShownSpool(self._service.scratch, settings.memory, settings.max_body, self._service.on_buffer_failed)

    def look(self) -> Course | None:
        """Until it may go on; what follows the rest of it, if it may before there is a verdict. Raises as Icap.begin."""
        head, body = self._journey.head, self._journey.downstream.body
        if body is not None and head.body > self._icap.settings.max_body:
            self._over_cap()
            return None
        shown = EncapsulatedHeads(adapted.shown(self._journey.as_sent(head)))
        said = self._icap.said(self._journey)
        inspection = Inspection(
            self._servers, self._service, self._journey, shown, self._spool, body=body is not None, lines=said
        )  # fmt: skip
        following = None
        try:
            if body is not None and not self._take(body, inspection):
                self._over_cap()
            elif body is not None and not body.done and not inspection.early:
                following = Following(self._icap, self._journey, inspection, self._spool.size)
                follow(body, following.watch)
            else:
                self._obey(inspection.verdict())
        except (UpstreamError, BadIcapAnswer) as error:
            self._icap.failed(self._journey, "icap", error)
            if self._icap.settings.on_failure != "pass":
                raise RequestError(503, UNAVAILABLE, str(error)) from error
        finally:
            if following is None:
                inspection.stop()
            self._go_on(body)
        return following

    def _take(self, body: RequestBody, inspection: Inspection) -> bool:
        """Receive the body and show it: all of it, or as much as has to be here before it may go on. False: it is too large."""
        downstream, spool, most = self._journey.downstream, self._spool, self._icap.settings.max_body
        enough = self._icap.settings.stream_after or most
        move(body, spool)
        if self._journey.head.expect_continue and not body.received:
            body.invited = True
            downstream.invite()
        while True:
            body.take_in(spool)
            if spool.size > most or (spool.exhausted and not body.done):
                return False
            inspection.feed(spool.new(), ended=body.done)
            if body.done or inspection.early or spool.size > enough:
                return True

    def _go_on(self, body: RequestBody | None) -> None:
        """With what is here of the body, if there is one; its length is known when that is all."""
        self._spool.live = False
        head = self._journey.head
        if body is not None and body.received:
            length = body.received if body.done and not body.trailers else CHUNKED
            self._journey.go_on_as(taken_in(head, length))

    def _over_cap(self) -> None:
        settings = self._icap.settings
        self._icap.note(self._journey, "icap", "skipped")
        if settings.over_cap != "pass":
            raise RequestError(413, "icap_too_large", f"a body of more than {settings.max_body} bytes")

    def _obey(self, transaction: Transaction) -> None:
        """Raises BadIcapAnswer, Answered."""
        said = transaction.head
        assert said is not None
        if said.status == 204:
            self._icap.note(self._journey, "icap", "passed")
            return
        try:
            if said.encapsulated.answer[1]:
                self._answer(transaction)
            self._change(transaction)
        finally:
            if self._journey.downstream.body is None or said.encapsulated.answer[1]:
                transaction.result.clear()

    def _answer(self, transaction: Transaction) -> None:
        """The server's instead of a backend's."""
        said, head = transaction.head, self._journey.head
        assert said is not None
        if transaction.size > MOST_PAGE:
            raise BadIcapAnswer("an answer that is too large")
        pieces = []
        while piece := transaction.result.pop():
            pieces.append(piece)
        text = b"".join(pieces)
        begin, end = said.encapsulated.answer
        read, out = adapted.answer(transaction.heads[begin:end], head.method, len(text), self._service.date)
        self._icap.note(self._journey, "icap", "blocked")
        raise Answered(OwnAnswer(read.status, out[out.index(b"\r\n") : -4], text), BLOCKED, whole=True)

    def _change(self, transaction: Transaction) -> None:
        """The request is another one from here on."""
        said, head, body = transaction.head, self._journey.head, self._journey.downstream.body
        assert said is not None
        begin, end = said.encapsulated.request
        if not end:
            raise BadIcapAnswer("neither a request nor an answer in it")
        if body is None and transaction.size:
            raise BadIcapAnswer("a body for a request that has none")
        other, sent = adapted.request(transaction.heads[begin:end], head, transaction.size)
        if body is not None:
            self._spool.live = False
            self._spool.new()
            body.take_in(self._spool)
            if not body.done:
                raise RequestError(413, "icap_too_large", "what nobody wants any more of a body is more than may be kept")
            body.replace(transaction.result)
        self._journey.findings().replace(sent)
        self._journey.go_on_as(other)
        self._icap.note(self._journey, "icap", "changed")


class Following(Course):
    """One request that goes to its backend while it is looked at: the backend gets the last piece when there is a verdict."""

    __slots__ = ("_icap", "_inspection", "_journey", "_over", "_size")

    def __init__(self, icap: Icap, journey: Journey, inspection: Inspection, size: int) -> None:
        """`size`: bytes of its body that were shown."""
        self._icap = icap
        self._journey = journey
        self._inspection = inspection
        inspection.keeps = False
        self._size = size
        self._over = False

    def watch(self, data: bytes, last: bool) -> None:
        """See request_body.Watch. Raises RequestError 403, 413, 503, for what may not go on."""
        if self._over or not (data or last):
            return
        self._size += len(data)
        icap, journey, settings = self._icap, self._journey, self._icap.settings
        if self._size > settings.max_body:
            self.end()
            icap.note(journey, "icap", "skipped")
            if settings.over_cap != "pass":
                raise RequestError(413, "icap_too_large", f"a body of more than {settings.max_body} bytes")
            return
        try:
            self._inspection.feed(data, ended=last)
            if last or self._inspection.early:
                self._obey(self._inspection.verdict())
        except (UpstreamError, BadIcapAnswer) as error:
            self.end()
            icap.failed(journey, "icap", error)
            if settings.on_failure != "pass":
                raise RequestError(503, UNAVAILABLE, str(error)) from error

    def _obey(self, transaction: Transaction) -> None:
        said = transaction.head
        assert said is not None
        transaction.result.clear()
        self._over = True
        if said.status == 204:
            self._icap.note(self._journey, "icap", "passed")
            return
        self._icap.note(self._journey, "icap", "blocked")
        raise RequestError(403, BLOCKED, "a part of the request has gone already")

    def end(self) -> None:
        """See Course."""
        self._over = True
        self._inspection.stop()


class _InspectedAnswer(Course):
    """The answer to one request, which is looked at."""

    __slots__ = ("_following", "_icap", "_journey", "_servers", "_sink")

    def __init__(self, icap: Icap, servers: Servers, journey: Journey, following: Course | None) -> None:
        """`following`: what looks at the rest of the request, which ends with it."""
        self._icap = icap
        self._following = following
        self._servers = servers
        self._journey = journey
        self._sink: InspectedAnswer | None = None

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        settings, journey = self._icap.settings, self._journey
        unending = answer.body < 0 and endless(answer) and not settings.stream_after
        if unending or (answer.body > settings.max_body and journey.head.method != b"HEAD"):
            self._icap.note(journey, "icap_answer", "skipped")
            if settings.over_cap != "pass":
                raise RequestError(502, "icap_too_large", f"an answer of more than {settings.max_body} bytes")
            return sink
        if self._sink is not None:
            self._sink.stop()
        self._sink = InspectedAnswer(settings, self._servers, journey, sink, self._note, self._icap.said(journey))
        return self._sink

    def _note(self, outcome: str | LbproxyError) -> None:
        if isinstance(outcome, str):
            self._icap.note(self._journey, "icap_answer", outcome)
        else:
            self._icap.failed(self._journey, "icap_answer", outcome)

    def end(self) -> None:
        """See Course."""
        if self._following is not None:
            self._following.end()
        if self._sink is not None:
            self._sink.stop()
            self._sink = None
