"""An answer that an ICAP server looks at: it is kept until there is a verdict, or up to where the route lets it go on meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.config import model
from lbproxy.errors import LbproxyError, RequestError, UpstreamError
from lbproxy.http.heads import KnownHead
from lbproxy.http.icap import adapted
from lbproxy.http.icap.answers import BadIcapAnswer
from lbproxy.http.icap.requests import EncapsulatedHeads
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import NONE, Trailers
from lbproxy.proxy.icap.inspection import Inspection
from lbproxy.proxy.icap.server import Servers
from lbproxy.proxy.icap.transaction import Transaction
from lbproxy.proxy.service import Service
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.steps.step import Journey
from lbproxy.streams import BODY_READ

Note = Callable[[str | LbproxyError], None]


class InspectedAnswer(Sink):
    """Keeps one answer, shows it, and passes on what the verdict leaves."""

    __slots__ = (
        "_answer", "_begun", "_behind", "_head", "_inspection", "_journey", "_lines", "_note", "_result", "_said", "_servers",
        "_service", "_settings", "_spool", "_unseen",
    )  # fmt: skip

    def __init__(self, settings: model.IcapConfig, servers: Servers, journey: Journey, behind: Sink, note: Note,
                 said: bytes) -> None:  # fmt: skip
        """`note`: told what became of it, or why there is no verdict; `said`: more fields of ICAP."""
        self._settings = settings
        self._servers = servers
        self._journey = journey
        self._service: Service = journey.downstream.service
        self._behind = behind
        self._note = note
        self._said = said
        self._spool: Spool = servers.spool(self._service)
        self._inspection: Inspection | None = None
        self._result: Spool | None = None
        self._answer: ResponseHead | None = None
        self._head = self._lines = b""
        self._begun = False
        """Whoever is behind has the head."""
        self._unseen = False
        """Nobody looks at the rest."""

    def stop(self) -> None:
        """The exchange is over."""
        if self._inspection is not None:
            self._inspection.stop()
        self._spool.clear()
        if self._result is not None:
            self._result.clear()

    # ---------------------------------------------------------------- what comes

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._open(answer, out, lines, body=bool(body))
        self._close(body, NONE)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._open(answer, out, lines, body=True)
        self.piece(first.pop())

    def room(self) -> int:
        """See Sink."""
        return self._behind.room() if self._begun else BODY_READ

    def piece(self, data: bytes) -> None:
        """See Sink."""
        if self._unseen:
            self._behind.piece(data)
        elif data:
            self._spool.put(data)
            self._show(data, ended=False)
            if not self._unseen:
                self._consider()

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        if self._unseen:
            self._behind.end(data, trailers)
        else:
            self._close(data, trailers)

    # ---------------------------------------------------------------- what is made of it

    def _open(self, answer: ResponseHead, out: bytes, lines: bytes, *, body: bool) -> None:
        self._answer, self._head, self._lines = answer, out, lines
        asked = adapted.shown(self._journey.as_sent(self._journey.head))
        self._inspection = Inspection(
            self._servers, self._service, self._journey, EncapsulatedHeads(asked, adapted.shown(out)), self._spool, body=body,
            lines=self._said
        )  # fmt: skip

    def _show(self, data: bytes, *, ended: bool) -> None:
        assert self._inspection is not None
        try:
            self._inspection.feed(data, ended=ended)
        except UpstreamError as error:
            self._failed(error)

    def _consider(self) -> None:
        """Whether what is kept is too much, or enough to let it go on."""
        settings, size = self._settings, self._spool.size
        if settings.stream_after and size > settings.stream_after:
            assert self._inspection is not None
            self._inspection.keeps = False
            self._pass_on()
        elif size > settings.max_body or self._spool.full:
            self._note("skipped")
            if settings.over_cap != "pass":
                raise RequestError(502, "icap_too_large", f"an answer of more than {settings.max_body} bytes")
            self._go_on_unseen()

    def _go_on_unseen(self) -> None:
        assert self._inspection is not None
        self._inspection.stop()
        self._unseen = True
        self._pass_on()

    def _failed(self, error: LbproxyError) -> None:
        self._note(error)
        if self._settings.on_failure != "pass":
            raise RequestError(503, "icap_unavailable", str(error)) from error
        self._go_on_unseen()

    def _close(self, data: bytes, trailers: Trailers) -> None:
        """All of it is here: what is the verdict?"""
        assert self._inspection is not None
        if data:
            self._spool.put(data)
        if self._spool.size or self._begun or data:
            self._show(data, ended=True)
        if not self._unseen:
            try:
                transaction = self._inspection.verdict()
                self._result = transaction.result
                if self._obey(transaction):
                    return
            except (UpstreamError, BadIcapAnswer) as error:
                self._failed(error)
        self._finish(trailers)

    def _obey(self, transaction: Transaction) -> bool:
        """Whether something else has gone in its place. Raises BadIcapAnswer, RequestError."""
        said = transaction.head
        assert said is not None
        assert self._answer is not None
        if said.status == 204:
            self._note("passed")
            return False
        begin, end = said.encapsulated.answer
        if not end:
            raise BadIcapAnswer("no answer in it")
        method = self._journey.head.method
        read, out = adapted.answer(transaction.heads[begin:end], method, transaction.size, self._service.date)
        blocked = read.status != self._answer.status
        self._note("blocked" if blocked else "changed")
        if self._begun:
            raise RequestError(502, "icap_blocked", "a part of the answer has gone already")
        self._journey.tell(read.status, "icap_blocked" if blocked else "")
        self._spool.clear()
        self._spool, self._result = transaction.result, None
        self._answer, self._head = read, out
        if self._spool.size and (method == b"HEAD" or read.status in adapted.BODILESS):
            self._spool.clear()
        self._finish(NONE)
        return True

    def _pass_on(self) -> None:
        """What is kept."""
        assert self._answer is not None
        if not self._begun:
            self._begun = True
            self._behind.begin(self._answer, self._head, self._lines, [self._spool.pop()])
        while piece := self._spool.pop():
            self._behind.room()
            self._behind.piece(piece)

    def _finish(self, trailers: Trailers) -> None:
        """What is kept is all that there is."""
        assert self._answer is not None
        if not self._begun and not trailers and len(self._spool) < 2:
            self._behind.whole(self._answer, self._head, self._spool.pop(), self._lines)
            return
        self._pass_on()
        self._behind.end(b"", trailers)
