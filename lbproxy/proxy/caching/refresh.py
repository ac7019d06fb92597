"""A stale answer that is asked for anew while it is given out (RFC 5861 3), by a request of our own in a greenlet of its own."""

from __future__ import annotations

from lbproxy.cache.interface import Put
from lbproxy.coders import Coder
from lbproxy.errors import LbproxyError, UpstreamError
from lbproxy.http.caching import heads
from lbproxy.http.caching.conditional import asking_anew, unconditional
from lbproxy.http.caching.lifetime import Arrival
from lbproxy.http.caching.stored import StoredAnswer
from lbproxy.http.caching.storing import OF_THE_REQUEST, StorableAnswer
from lbproxy.http.h1.response import parse_response
from lbproxy.proxy.caching.coding import storable
from lbproxy.proxy.caching.fetch import RENEWED, Fetching, milliseconds
from lbproxy.proxy.caching.fill import PATIENCE
from lbproxy.proxy.caching.intake import Intake
from lbproxy.proxy.caching.outcomes import CacheOutcome
from lbproxy.proxy.caching.patience import Attempt
from lbproxy.proxy.caching.shelf import LookedUp, LookupTarget
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.service import Service
from lbproxy.proxy.steps.compress import SLICE
from lbproxy.proxy.steps.step import Journey
from lbproxy.proxy.subrequest import Subrequest, SubrequestAnswer
from lbproxy.streams import Strand

TIMEOUT = 60.0
"""Seconds that it may take as a whole."""


class _RefreshGivenUp(LbproxyError):
    """Nobody wants the answer any more."""


class Refresh:
    """One such request, as a connection that a draining worker cuts at once (service.Connection)."""

    __slots__ = (
        "_asked", "_asking", "_coder", "_compression", "_head", "_intake", "_looked", "_personal", "_renewed_at",
        "_service", "_strand", "_subrequest", "_target", "_ticket",
    )  # fmt: skip

    tunnel = False

    def __init__(
        self,
        asking: Fetching,
        service: Service,
        to: Destination,
        journey: Journey,
        target: LookupTarget,
        looked: LookedUp,
        personal: bool,
    ) -> None:
        """`looked`: with what is stale."""
        assert looked.found is not None
        self._asking = asking
        self._service = service
        self._subrequest: Subrequest | None = Subrequest(to, asking.most, anew=self._begin)
        self._intake = Intake(asking.shelf.bodies, asking.most)
        self._renewed_at = service.clock()
        self._target = target
        self._looked = looked
        self._personal = personal
        self._head = journey.head
        stale = looked.found
        known = stale.head()
        self._asked = journey.as_sent(unconditional(journey.head, asking_anew(known, stale.answer.kept.coded)))
        self._compression = asking.compression if stale.answer.kept.coded else None
        self._coder: Coder | None = None
        self._ticket = asking.shelf.storage.begin(target.key)
        self._strand: Strand | None = None

    def drain(self, now: float, grace: float) -> None:
        """See Connection. Nobody waits for it."""
        self.cut()

    def cut(self) -> None:
        """See Connection."""
        if self._strand is not None:
            self._strand.throw(_RefreshGivenUp("given up"))

    def run(self) -> None:
        """In a greenlet of its own. Lets nothing out."""
        service = self._service
        self._strand = service.strands.current()
        alarm = service.strands.alarm(TIMEOUT, self.cut)
        service.connections.add(self)
        attempt: Attempt | None = None
        try:
            begun = service.clock()
            subrequest, self._subrequest = self._subrequest, None  # which has methods of ours: a cycle
            assert subrequest is not None
            answer = subrequest.ask(service, b"GET", self._asked, take=self._add)
            attempt = self._take(answer, Arrival(begun, service.clock(), self._asking.wall()))
        except (UpstreamError, _RefreshGivenUp):
            pass  # what is stale is given out for as long as it may be
        except Exception as error:  # must not end in the event loop
            service.on_fault(error)
        finally:
            self._strand = None
            self._intake.abandon()
            alarm.stop()
            service.connections.discard(self)
            if attempt is None:
                self._over(Put.REFUSED)
            else:
                self._asking.shelf.waiting.store(service.strands, attempt, self._over)

    def _over(self, became: Put) -> None:
        marks = self._asking.shelf.storage.marks
        self._asking.shelf.outcomes.count(CacheOutcome.REFRESHED if became else CacheOutcome.REFRESH_FAILED)
        if became is Put.REFUSED:
            marks.failed(self._looked.digest, milliseconds(self._service.clock()))
        else:
            marks.done(self._looked.digest)

    def _begin(self) -> None:
        """A body comes, perhaps after one that broke off."""
        self._intake.abandon()
        self._intake = Intake(self._asking.shelf.bodies, self._asking.most)
        if self._compression is not None:  # what is stored is compressed: as a rule that will be as well
            self._coder = self._compression.makers[self._compression.stored_kind(self._head)]()

    def _add(self, data: bytes) -> None:
        """More of it."""
        self._intake.add(self._coded(data))
        if not self._intake.alive:
            raise _RefreshGivenUp("it cannot be stored")
        now = self._service.clock()
        if now - self._renewed_at >= RENEWED:
            self._renewed_at = now
            self._asking.shelf.storage.marks.renew(self._looked.digest, milliseconds(now), milliseconds(PATIENCE))

    def _coded(self, data: bytes) -> bytes:
        """In slices; others have their turn in between."""
        compression, coder = self._compression, self._coder
        if compression is None or coder is None:
            return data
        pieces = []
        for at in range(0, len(data), SLICE):
            pieces.append(compression.allowance.run(coder.add, data[at : at + SLICE]))
            self._service.strands.sleep(0)
        return b"".join(pieces)

    def _take(self, answer: SubrequestAnswer, at: Arrival) -> Attempt | None:
        """What makes what is stored right again; None: nothing does."""
        asking, stale, service = self._asking, self._looked.found, self._service
        assert stale is not None
        storage = asking.shelf.storage
        said = parse_response(answer.raw, b"GET", heads.MOST_FIELDS)
        if said.status == 304:
            found = asking.renewed(self._head, self._personal, stale, said, at, service.date)
            if found is None or not found.digest:
                storage.forget(stale.digest)
                return None
            digest, meta = found.digest, found.answer.written()
            return lambda _: storage.renew(digest, meta, self._ticket)
        verdict = asking.judged(self._head, self._personal, said, at)
        if not isinstance(verdict, StorableAnswer):
            if said.status < 500 and said.status not in OF_THE_REQUEST:
                storage.forget(stale.digest)
            return None
        made = storable(asking.compression, self._head, said, verdict, heads.stored(said, service.date))
        if bool(made.coding) != (self._coder is not None):  # it was not as it used to be
            storage.forget(stale.digest)
            return None
        if self._coder is not None:
            self._intake.add(self._coder.finish())
        stored = StoredAnswer(made.kept, made.head)
        taken = self._intake.finish()
        if taken is None:
            return None
        return lambda again: asking.shelf.keep(self._target, stored, said, self._ticket, taken, again)
