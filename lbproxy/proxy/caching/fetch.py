"""A request that goes to a backend for an answer that may be stored, anew or to see whether what is stored is still right."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol

from lbproxy.cache.interface import MOST_TAGS, Put
from lbproxy.errors import RefusedAnswer
from lbproxy.http.caching import heads
from lbproxy.http.caching.conditional import asking_anew, conditional, same, unchanged, unconditional
from lbproxy.http.caching.lifetime import Arrival, Defaults
from lbproxy.http.caching.status import forwarded
from lbproxy.http.caching.stored import StoredAnswer
from lbproxy.http.caching.storing import StorableAnswer, Verdict, judge
from lbproxy.http.caching.tags import tags_of
from lbproxy.http.caching.variants import names_of
from lbproxy.http.endless import endless
from lbproxy.http.fields import values
from lbproxy.http.grammar import END
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from lbproxy.proxy.caching import follow
from lbproxy.proxy.caching.coding import still_varies, storable, varying
from lbproxy.proxy.caching.fill import MOST_FED, PATIENCE, Fill, FillState, Opened
from lbproxy.proxy.caching.outcomes import BY_REASON, CacheOutcome
from lbproxy.proxy.caching.patience import Attempt
from lbproxy.proxy.caching.shelf import CacheShelf, FileBody, FoundAnswer, LookedUp, LookupTarget
from lbproxy.proxy.caching.tee import AsJudged, NotModified, Tee
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.stand_in import Body, StandIn
from lbproxy.proxy.steps.compress import Compression
from lbproxy.proxy.steps.step import AskAgain, Course, Journey
from lbproxy.proxy.telling import Telling
from lbproxy.streams import Alarm

RENEWED = 1.0
"""Seconds after which a leader says again that it is getting on."""
LOOK_AROUND = (0.02, 0.25)
"""Seconds between looks whether somebody in another worker waits: at first, and at most."""
FAILURES = frozenset({500, 502, 503, 504})
"""RFC 5861 4: errors in whose place a stale answer is given."""


def milliseconds(seconds: float) -> int:
    """As storages count them."""
    return int(seconds * 1000)


class Fetching(NamedTuple):
    """What all of a route's requests to backends have in common."""

    shelf: CacheShelf
    defaults: Defaults
    most: int
    """Bytes of a body that is stored."""
    wall: Callable[[], float]
    compression: Compression | None = None
    """Answers are stored compressed; it is nobody else's then to compress them."""

    def judged(self, asked: RequestHead, personal: bool, said: ResponseHead, at: Arrival) -> Verdict:
        """Whether an answer is stored, and how long it lasts; also by how it is framed."""
        verdict = self._judged(asked, personal, said, at)
        if not isinstance(verdict, StorableAnswer):
            self.shelf.outcomes.unstored(verdict)
        return verdict

    def _judged(self, asked: RequestHead, personal: bool, said: ResponseHead, at: Arrival) -> Verdict:
        if said.body == UNTIL_CLOSE:
            return "no_length"  # nobody could tell that it was cut short
        if said.body > self.most:
            return "too_large"
        return "endless" if endless(said) else judge(asked, personal, said, at, self.defaults)

    def renewed(
        self, asked: RequestHead, personal: bool, found: FoundAnswer, said: ResponseHead, at: Arrival, date: bytes
    ) -> FoundAnswer | None:
        """What is stored, as a 304 brings it up to date (RFC 9111 4.3.4); None: the 304 means another answer. One without a digest
        is not to be stored any more: it is private by now, or depends on more of the request than it was found by (4.1)."""
        known = found.head()
        if not same(known, said):
            return None
        head = still_varies(known, said, heads.merged(found.answer.head, heads.stored(said, date)))
        aged = b"".join(b"\r\nAge: " + age for age in values(said, b"age"))
        said_both = parse_response(head + aged + END, b"HEAD", heads.MOST_FIELDS)
        verdict = judge(asked, personal, said_both, at, self.defaults)
        if isinstance(verdict, StorableAnswer) and set(verdict.names) <= set(names_of(known) or ()):
            return found._replace(answer=StoredAnswer(verdict._replace(coded=found.answer.kept.coded), head))
        return found._replace(answer=StoredAnswer(found.answer.kept, head), digest=b"")


def _nothing() -> None:
    """Nobody waits for an answer that is not stored."""


class Answers(Protocol):
    """Makes a StandIn of what is stored (steps/cache.py)."""

    def __call__(
        self,
        journey: Journey,
        asked: RequestHead,
        found: FoundAnswer,
        now: float,
        more: bytes = b"",
        body: bytes | Body | None = None,
    ) -> StandIn | None: ...


class Fetch(Course):
    """A request for an answer that may be stored, on its way."""

    __slots__ = (
        "_alarm", "_answers", "_asked", "_asked_at", "_asking", "_body", "_compressing", "_fill", "_gone", "_holds",
        "_journey", "_left", "_looked", "_made", "_outcome", "_pause", "_personal", "_renewed_at", "_stale", "_target",
        "_tee", "_ticket", "_vary", "_why",
    )  # fmt: skip

    def __init__(
        self,
        asking: Fetching,
        journey: Journey,
        target: LookupTarget,
        looked: LookedUp,
        personal: bool,
        fill: Fill | None,
        answers: Answers,
    ) -> None:
        """`fill`: others wait for it."""
        self._asking = asking
        self._journey = journey
        self._target = target
        self._looked = looked
        self._personal = personal
        self._fill = fill
        self._alarm: Alarm | None = None
        self._pause = LOOK_AROUND[0]
        self._answers = answers
        self._asked = journey.head
        # Held from now on: a 304 for a body that others have pushed out meanwhile would leave the client with nothing.
        self._body = None if looked.found is None else asking.shelf.body(looked.found)
        if self._body is None and looked.found is not None:
            looked = looked._replace(found=None, why=b"uri-miss")
        self._stale = looked.found
        self._tee: Tee | None = None
        self._made: tuple[StoredAnswer, ResponseHead] | None = None
        """What is stored, and as the backend said it."""
        self._left: Fill | None = None
        """Of those who are still given an answer that will not be stored."""
        self._compressing = None if asking.compression is None else asking.compression.begin(journey)
        """What is done with an answer that is not stored."""
        self._holds = False
        """Of the allowance for compressing."""
        self._gone = False
        """Its client has."""
        self._vary = b""
        self._ticket = asking.shelf.storage.begin(target.key)
        self._asked_at = self._renewed_at = self._now()
        self._why = looked.reason(self._asked_at)
        self._outcome = BY_REASON[self._why]
        more = b""
        if self._stale is not None:
            known = self._stale.head()
            more = asking_anew(known, self._stale.answer.kept.coded)
        if more or conditional(journey.head):
            journey.go_on_as(unconditional(journey.head, more))

    def _now(self) -> float:
        return self._journey.downstream.service.clock()

    # ---------------------------------------------------------------- what comes

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        if self._journey.stand_in is not None:  # ours
            return sink
        asking, now, wall = self._asking, self._now(), self._asking.wall()
        try:
            said = parse_response(self._journey.said, b"GET", heads.MOST_FIELDS)
        except RefusedAnswer:  # one that a tolerant pool passes on
            asking.shelf.outcomes.unstored("malformed")
            return self._unstored(answer, sink, "malformed")
        verdict = asking.judged(self._asked, self._personal, said, Arrival(self._asked_at, now, wall))
        if not isinstance(verdict, StorableAnswer):
            return self._unstored(answer, sink, verdict, said)
        head = heads.stored(said, self._journey.downstream.service.date)
        verdict, head, coding = storable(asking.compression, self._asked, said, verdict, head)
        if coding and not self._may_compress():
            asking.shelf.outcomes.unstored("busy")
            return self._unstored(answer, sink, "busy", said)
        plain, self._vary = sink, varying(verdict, said)
        self._made = StoredAnswer(verdict, head), said
        if conditional(self._asked) and unchanged(self._asked, said, wall):
            self._vary = b""
            sink = NotModified(sink, self._journey.as_answered(heads.not_modified(head)), self._tells)
        variant = asking.shelf.variant(self._target.sent, verdict.names)
        if self._fill is not None and variant is not None:
            tags = tags_of(said, MOST_TAGS)
            opened = Opened(verdict.names, variant, verdict.for_anybody, head, verdict.lifetime.born, self._ticket, tags)
            self._fill.open(opened, CHUNKED if coding else said.body)
            self._look_around()
        service, interrupt = self._journey.downstream.service, self._journey.interrupt
        self._tee = Tee(sink, asking.shelf.bodies, asking.most, self, self._fill, service, interrupt)
        into: Sink = self._tee
        if asking.compression is not None and coding:
            into = asking.compression.into(into, coding, self._journey.source)
        return AsJudged(answer, into, Telling(plain, self.lines(False)), self._replaced)

    def _unstored(self, answer: ResponseHead, sink: Sink, why: str, said: ResponseHead | None = None) -> Sink:
        """It passes, compressed as others are; `said`: as the backend said it. Conditions that the request had are answered here,
        since the backend was not told of them; of a long body, or one that may never end, its client gets all."""
        self._useless()
        journey, passing, lines = self._journey, sink, forwarded(self._why, detail=why)
        if self._compressing is not None:
            passing = self._compressing.around(answer, sink)
        passing = Telling(passing, lines)
        if said is None or not 0 <= said.body <= MOST_FED or not conditional(self._asked):
            return passing
        if not unchanged(self._asked, said, self._asking.wall()):
            return passing
        known = journey.as_answered(heads.known_already(said))
        if self._compressing is not None:
            sink = self._compressing.around(known.head, sink)
        return AsJudged(answer, NotModified(Telling(sink, lines), known, self._tells), passing, _nothing)

    def _may_compress(self) -> bool:
        compression = self._asking.compression
        assert compression is not None
        self._holds = compression.allowance.begin()
        return self._holds

    def _replaced(self) -> None:
        """A step has put something else in the answer's place."""
        if self._tee is not None:
            self._tee.abandon()
        self._useless()

    def _tells(self, status: int) -> None:
        self._journey.tell(status, "")

    # ---------------------------------------------------------------- see tee.Keeping

    def lines(self, stored: bool) -> bytes:
        """See Keeping."""
        return self._vary + forwarded(self._why, stored=stored)

    def keep(self, taken: tuple[bytes, int, int]) -> bool:
        """See Keeping."""
        shelf, ticket = self._asking.shelf, self._ticket
        assert self._made is not None
        stored, said = self._made
        return self._store(lambda again: shelf.keep(self._target, stored, said, ticket, taken, again))

    def unstorable(self) -> None:
        """See Keeping."""
        fill, self._fill = self._fill, None
        if fill is not None:
            self._release(fill, FillState.FAILED)
            self._left = fill

    def progress(self) -> None:
        """See Keeping."""
        if self._fill is None:
            return
        now = self._now()
        if now - self._renewed_at >= RENEWED:
            self._renewed_at = now
            self._asking.shelf.storage.marks.renew(self._looked.digest, milliseconds(now), milliseconds(PATIENCE))
        self._publish()

    def instead(self, answer: ResponseHead) -> StandIn | None:
        """See Course."""
        if self._stale is None:
            return None
        if answer.status in FAILURES:
            return self._excused(answer.status)
        return self._validated(self._stale) if answer.status == 304 else None

    def rescued(self, status: int) -> StandIn | None:
        """See Course."""
        if self._tee is not None:
            self._tee.abandon()  # what was about to be given is not given any more
        return self._excused(0) if status >= 500 else None

    def _validated(self, stale: FoundAnswer) -> StandIn | None:
        asking, service, now = self._asking, self._journey.downstream.service, self._now()
        said = parse_response(self._journey.said, b"GET", heads.MOST_FIELDS)
        at = Arrival(self._asked_at, now, asking.wall())
        found = asking.renewed(self._asked, self._personal, stale, said, at, service.date)
        storage = asking.shelf.storage
        if found is None:
            self._ask_for_all(stale)
        if not found.digest:
            storage.forget(stale.digest)
            self._over(FillState.FAILED)
        else:
            digest, meta = found.digest, found.answer.written()
            self._store(lambda _: storage.renew(digest, meta, self._ticket))
        self._outcome = CacheOutcome.VALIDATED
        lines = forwarded(self._why, 304, stored=bool(found.digest))
        if b"\r\nset-cookie:" in said.lowered:  # this client's alone, as far as the route's rules let it have them
            known = self._journey.as_answered(self._journey.said).head
            lines += b"".join(b"\r\nSet-Cookie: " + cookie for cookie in values(known, b"set-cookie"))
        return self._answers(self._journey, self._asked, found, now, lines, self._body)

    def _ask_for_all(self, stale: FoundAnswer) -> NoReturn:
        """A 304 for another answer than the one that was asked about: nobody has that."""
        storage = self._asking.shelf.storage
        storage.forget(stale.digest)
        self._ticket = storage.begin(self._target.key)
        self._asked_at = self._now()
        self._stale = None
        self._journey.go_on_as(unconditional(self._asked))
        raise AskAgain

    def _excused(self, status: int) -> StandIn | None:
        """The backend fails: what is stored may be good enough for a while."""
        stale, now = self._stale, self._now()
        if stale is None or now >= stale.answer.kept.lifetime.error_until:
            return None
        if self._personal and not stale.answer.kept.for_anybody:
            return None
        self._useless()
        found = self._answers(self._journey, self._asked, stale, now, forwarded(self._why, status), self._body)
        if found is not None:
            self._outcome = CacheOutcome.STALE_IF_ERROR
        return found

    # ---------------------------------------------------------------- those who wait

    def _look_around(self) -> None:
        """Somebody may come to wait while the backend pauses. From the event loop, too."""
        self._publish()
        if self._fill is not None and self._fill.feed is None:
            self._alarm = self._journey.downstream.service.strands.alarm(self._pause, self._look_around)
            self._pause = min(self._pause * 1.5, LOOK_AROUND[1])

    def _publish(self) -> None:
        """For those who wait in other workers, if there are any."""
        fill, storage, digest = self._fill, self._asking.shelf.storage, self._looked.digest
        if fill is not None and fill.feed is None and storage.marks.awaited(digest):
            feed = storage.feeds.open(digest, follow.written(fill.opened), fill.size, milliseconds(self._now()))
            if feed is not None:
                fill.publish(feed)

    def _useless(self) -> None:
        """There is nothing in it for others."""
        self._over(FillState.FAILED)

    def _store(self, attempt: Attempt) -> bool:
        """What is here is stored, or it is in a moment: whoever waits for that waits on. Whether it is."""
        fill, self._fill = self._fill, None
        shelf, service = self._asking.shelf, self._journey.downstream.service
        became = shelf.waiting.store(service.strands, attempt, lambda became: self._ended(fill, became))
        if became is Put.BUSY and fill is not None:
            shelf.storage.marks.renew(self._looked.digest, milliseconds(service.clock()), milliseconds(PATIENCE))
        return bool(became)

    def _ended(self, fill: Fill | None, became: Put) -> None:
        """A purge on the way, or somebody who has the lock for long, says nothing about the next answer to come."""
        self._end_fill(fill, FillState.FAILED if became is Put.REFUSED else FillState.KEPT)

    def _over(self, state: FillState) -> None:
        fill, self._fill = self._fill, None
        self._end_fill(fill, state)

    def _end_fill(self, fill: Fill | None, state: FillState) -> None:
        if fill is not None:
            self._release(fill, state)
            fill.end(state, milliseconds(self._now()))

    def _release(self, fill: Fill, state: FillState) -> None:
        """Whoever comes now does not wait for it."""
        shelf, digest = self._asking.shelf, self._looked.digest
        if shelf.fills.get(digest) is fill:
            del shelf.fills[digest]
        if state is FillState.KEPT or self._gone:  # that says nothing of the next answer: whoever leaves parts nobody else
            shelf.storage.marks.done(digest)
        else:
            shelf.storage.marks.failed(digest, milliseconds(self._now()))

    def client_gone(self) -> None:
        """See Course."""
        self._gone = True

    def end(self) -> None:
        """See Course."""
        # What has methods of ours is let go, or each would wait, with all that it holds, for the collector of cycles.
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.stop()
        tee, self._tee = self._tee, None
        if tee is not None:
            tee.abandon()
        if self._holds and self._asking.compression is not None:
            self._asking.compression.allowance.end()
        if self._compressing is not None:
            self._compressing.end()
        if isinstance(self._body, FileBody):
            self._body.close()
        self._over(FillState.FAILED)
        if self._left is not None:
            self._left.end(FillState.FAILED, milliseconds(self._now()))
        self._asking.shelf.outcomes.note(self._journey, self._outcome)
