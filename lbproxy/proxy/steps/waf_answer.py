"""The half of [route.waf] that is about answers: rules look for leaks in them, of data and of what an error tells about a server.

To block, head and body are held until the verdict. To detect, all of it goes on as it comes, and a copy is sent behind it. Bodies
are looked at up to a cap, where their type is one of those that the route names. Of one that nobody can read (compressed, although
backends are asked not to), or that has no end (events), the head alone is. A WebSocket's 101, and what comes behind it, is not.
"""

from __future__ import annotations

from lbproxy.errors import RequestError
from lbproxy.http import fields
from lbproxy.http.endless import endless
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.step import Course, Journey
from lbproxy.proxy.steps.waf_asking import ANSWER, BodyCopy, WafAsker
from lbproxy.streams import BODY_READ


class WafAnswer(Course):
    """The answer to one request."""

    __slots__ = ("_asking", "_copied", "_journey", "_told")

    def __init__(self, asking: WafAsker, journey: Journey, copied: Course | None) -> None:
        """`copied`: what is done about the request, which ends with it."""
        self._asking = asking
        self._journey = journey
        self._copied = copied
        self._told: _Followed | None = None

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        if self._asking.settings.mode == "block":
            return _Held(self._asking, self._journey, sink)
        if self._told is not None:
            self._told.tell()
        self._told = _Followed(self._asking, self._journey, sink)
        return self._told

    def end(self) -> None:
        """See Course. Of an answer that broke off, what there was is looked at."""
        if self._copied is not None:
            self._copied.end()
            self._copied = None
        if self._told is not None:
            self._told.tell()
            self._told = None


class _Looked(PassThrough):
    """Stands in an answer's way."""

    __slots__ = ("_answer", "_asking", "_journey", "_lines", "_most", "_out")

    def __init__(self, asking: WafAsker, journey: Journey, behind: Sink) -> None:
        self._asking = asking
        self._journey = journey
        super().__init__(behind)
        self._most = asking.settings.max_response
        self._answer: ResponseHead | None = None
        self._out = self._lines = b""

    def _open(self, answer: ResponseHead, out: bytes, lines: bytes) -> None:
        self._answer, self._out, self._lines = answer, out, lines

    def _readable(self) -> bool:
        """Whether its body is looked at, whatever its length."""
        assert self._answer is not None
        kind = next(fields.values(self._answer, b"content-type"), b"").partition(b";")[0].strip(b" \t").lower()
        named = not kind or kind.decode("latin-1") in self._asking.settings.response_types
        return named and not endless(self._answer)

    def _coded(self) -> bool:
        assert self._answer is not None
        return any(value.lower() not in (b"", b"identity") for value in fields.values(self._answer, b"content-encoding"))

    def _bare(self) -> bool:
        """It has no body, whatever its head says of one."""
        assert self._answer is not None
        return self._journey.head.method == b"HEAD" or self._answer.status in (204, 304)


class _Held(_Looked):
    """Keeps the answer until the verdict."""

    __slots__ = ("_kept", "_passing")

    def __init__(self, asking: WafAsker, journey: Journey, behind: Sink) -> None:
        super().__init__(asking, journey, behind)
        self._kept = bytearray()
        self._passing = False
        """The verdict is here, and whoever is behind has the head."""

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._open(answer, out, lines)
        text = b""
        if body and self._readable():
            if self._coded():
                self._over_cap("compressed, and so nobody can look at it")
            else:
                text = body[: self._most]
                if len(text) < len(body):
                    self._over_cap(f"an answer of more than {self._most} bytes")
        self._judge(text)
        self._behind.whole(answer, out, body, lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._open(answer, out, lines)
        unseen = self._bare() or not self._readable()
        if not unseen and self._coded():
            self._over_cap("compressed, and so nobody can look at it")
            unseen = True
        if unseen:
            self._judge(b"")
            self._pass_on(first.pop())
            return
        if answer.body > self._most and self._asking.settings.over_cap == "refuse":
            self._over_cap(f"an answer of {answer.body} bytes, at most {self._most}")
        self.piece(first.pop())

    def room(self) -> int:
        """See Sink."""
        return self._behind.room() if self._passing else BODY_READ

    def piece(self, data: bytes) -> None:
        """See Sink."""
        if self._passing:
            self._behind.piece(data)
            return
        self._kept += data
        if len(self._kept) > self._most:
            self._over_cap(f"an answer of more than {self._most} bytes")
            self._judge(bytes(self._kept[: self._most]))
            self._pass_on(bytes(self._kept))

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        if not self._passing and data:
            self.piece(data)
            data = b""
        if self._passing:
            self._behind.end(data, trailers)
            return
        assert self._answer is not None
        body = bytes(self._kept)
        self._judge(body)
        if trailers:
            self._pass_on(body)
            self._behind.end(b"", trailers)
        else:
            self._behind.whole(self._answer, self._out, body, self._lines)

    def _over_cap(self, why: str) -> None:
        """Raises RequestError, where it may not pass."""
        self._asking.count(ANSWER, "over_cap")
        if self._asking.settings.over_cap == "refuse":
            raise RequestError(502, "waf_answer_too_large", why)

    def _judge(self, text: bytes) -> None:
        """Raises Filtered, RequestError."""
        answer, journey = self._answer, self._journey
        assert answer is not None
        block = self._out[self._out.index(b"\r\n") : -4] + self._lines
        question = self._asking.about_answer(journey.head, journey.downstream, answer.status, block, text)
        self._asking.ask(ANSWER, journey, question)

    def _pass_on(self, body: bytes) -> None:
        assert self._answer is not None
        self._passing = True
        self._kept = bytearray()
        self._behind.begin(self._answer, self._out, self._lines, [body])


class _Followed(_Looked):
    """Lets an answer pass, and copies of it what is looked at."""

    __slots__ = ("_copy", "_sent", "_wants")

    def __init__(self, asking: WafAsker, journey: Journey, behind: Sink) -> None:
        super().__init__(asking, journey, behind)
        self._copy = BodyCopy(asking.copies)
        self._sent = False
        self._wants = False
        """More of the body."""

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._begin(answer, out, lines)
        self._take(body)
        self._behind.whole(answer, out, body, lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._begin(answer, out, lines)
        self._take(first[-1])
        self._behind.begin(answer, out, lines, first)
        if not self._wants:  # it may go on for hours
            self.tell()

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._take(data)
        self._behind.piece(data)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._take(data)
        self._behind.end(data, trailers)

    def _begin(self, answer: ResponseHead, out: bytes, lines: bytes) -> None:
        self._open(answer, out, lines)
        self._wants = not self._bare() and self._readable()
        if self._wants and self._coded():
            self._asking.count(ANSWER, "over_cap")
            self._wants = False

    def _take(self, data: bytes) -> None:
        if not self._wants or not data:
            return
        fits = data[: self._most - len(self._copy)]
        if not self._copy.add(fits):
            self._asking.count(ANSWER, "skipped")
            self._wants = False
            self._copy.drop()
        elif len(fits) < len(data):
            self._asking.count(ANSWER, "over_cap")
            self._wants = False
        if not self._wants:
            self.tell()

    def tell(self) -> None:
        """What there is, unless that was done."""
        text, answer, journey = self._copy.drop(), self._answer, self._journey
        if self._sent or answer is None:
            return
        self._sent = True
        block = self._out[self._out.index(b"\r\n") : -4] + self._lines
        head, downstream = journey.head, journey.downstream
        question = self._asking.about_answer(head, downstream, answer.status, block, text)
        self._asking.tell(ANSWER, head, downstream, question)
