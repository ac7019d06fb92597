"""[route.cache]: answers that are given out again, by the rules of http/caching.

Theory of operation. A request that can be answered from what is stored gets a StandIn, which goes the way of a backend's answer,
and no backend is leased. Any other goes to a backend as ever, with a Course that stands in the answer's way and stores it (Fetch).
What is stored but old is asked for by condition; a 304 is the stored answer again (Course.instead), and so is a backend's failure
for a while (Course.rescued). Of those who ask for the same at a time one asks the backend (`_together`); whatever goes wrong with
that one, the others go on by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lbproxy.cache.interface import Turn
from lbproxy.config import model
from lbproxy.errors import RefusedAnswer, RequestError
from lbproxy.http.caching import heads
from lbproxy.http.caching.addressing import host_of, in_lower_case, places
from lbproxy.http.caching.conditional import BodyWanted, conditional, for_the_origin, part_of, unchanged
from lbproxy.http.caching.invalidating import succeeded, targets
from lbproxy.http.caching.lifetime import Defaults
from lbproxy.http.caching.serving import Use, looked_up, only_if_cached, unsafe, use_of
from lbproxy.http.caching.status import forwarded, hit
from lbproxy.http.caching.storing import credentials
from lbproxy.http.conditions import ConditionRequest, Conditions, conditions_of
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.proxy.caching.coding import marked
from lbproxy.proxy.caching.fetch import Fetch, Fetching, milliseconds
from lbproxy.proxy.caching.fill import Fed, Fill
from lbproxy.proxy.caching.follow import follow
from lbproxy.proxy.caching.hand import EMPTY, Hand, answer_at_hand, fork_of
from lbproxy.proxy.caching.head_asked import HeadAsked
from lbproxy.proxy.caching.outcomes import BY_REASON, CacheOutcome
from lbproxy.proxy.caching.patience import PAUSES
from lbproxy.proxy.caching.refresh import Refresh
from lbproxy.proxy.caching.resume import Beginning, Resumed
from lbproxy.proxy.caching.shelf import CacheShelf, FoundAnswer, LookedUp, LookupTarget
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.service import Service
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.stand_in import Body, StandIn
from lbproxy.proxy.steps.compress import Compression
from lbproxy.proxy.steps.quick_cache import QuickCache
from lbproxy.proxy.steps.step import Course, Journey
from lbproxy.proxy.telling import Telling
from lbproxy.streams import SWIFT_READ

MOST_FIELDS = 1_000_000  # they were counted when they came


class Cache(QuickCache):
    """Answers the requests of one route from what is stored, in one worker."""

    __slots__ = ("_bypass", "_methods", "_names", "_personal", "_respects", "_wait", "asking", "shelf", "to")

    def __init__(
        self, settings: model.CacheConfig, shelf: CacheShelf, names: tuple[str, str], personal: bool, wall: Callable[[], float],
        most: int, to: Destination | None, hand: Hand = EMPTY, compression: Compression | None = None,
    ) -> None:  # fmt: skip
        """`names`: of the route and its pool; `personal`: steps of the route find out whose request it is; `wall`: seconds since
        1970; `most`: bytes of a body that can be stored; `to`: where answers are asked for anew in the background;
        `hand`: what this worker has at hand; `compression`: of the route's answers, stored or not."""
        watch = None if personal else hand.watch
        super().__init__(watch, hand.budget, shelf.storage.secret, settings.respect_client, shelf.outcomes.cells)
        self.shelf = shelf
        self.asking = Fetching(
            shelf,
            Defaults(settings.default_ttl, settings.stale_while_revalidate, settings.stale_if_error),
            min(settings.max_body, most),
            wall,
            compression,
        )
        self.to = to
        self._bypass: Conditions | None = None if settings.bypass is None else conditions_of(settings.bypass)
        self._methods = frozenset(method.encode() for method in settings.methods)
        self._names = tuple(name.encode("utf-8") for name in names)
        self._personal = personal
        self._respects = settings.respect_client
        self._wait = settings.collapse_wait

    def plain(self, head: RequestHead) -> bool:
        """See QuickCache; beyond what that has asked itself."""
        return head.method in self._methods and (self._bypass is None or not self._bypass.met(ConditionRequest(head)))

    def fetched(self, file: int, size: int) -> bytes | None:
        """See QuickCache. What is long comes in pieces."""
        bodies = self.shelf.bodies
        return None if bodies is None or size > SWIFT_READ else bodies.at_once(file, size)

    def unchanged(self, head: RequestHead, raw: bytes) -> bool:
        """See QuickCache."""
        return unchanged(head, parse_response(raw, b"GET", MOST_FIELDS), self.asking.wall())

    def key(self, journey: Journey) -> bytes:
        """See QuickCache."""
        return self.target(journey).key

    def sent(self, journey: Journey, head: RequestHead) -> bytes:
        """See QuickCache."""
        return marked(self.asking.compression, head, journey.as_sent(head))

    def consider(self, journey: Journey) -> Course | None:
        """See QuickCache."""
        head = journey.head
        if unsafe(head):
            return self._compressed(journey, _Unsafe(self, journey))
        if head.method not in self._methods:
            return self._pass(journey, b"method")
        if not looked_up(head) or for_the_origin(head) or (self._bypass is not None and self._bypass.met(ConditionRequest(head))):
            return self._pass(journey, b"bypass")
        if (lower := in_lower_case(head)) is not None:
            head = lower
            journey.go_on_as(head)
        target = self.target(journey)
        personal = self._personal or credentials(head)
        looked = self.shelf.look(target)
        course = self._served(journey, target.key, looked, personal)
        if course is not None:
            return course
        if self._respects and only_if_cached(head):
            raise RequestError(504, "only_if_cached", "it is not stored, and nobody else is to be asked")
        if looked.found is not None and personal and not looked.found.answer.kept.for_anybody:
            return self._pass(journey, b"bypass", "authorization")
        if head.method != b"GET" or b"\r\nrange:" in head.lowered:
            return self._aside(journey, target, looked, personal)
        return self._together(journey, target, looked, personal)

    def _pass(self, journey: Journey, why: bytes, detail: str = "") -> Course:
        """Not for the cache."""
        self.shelf.outcomes.note(journey, BY_REASON[why])
        return self._compressed(journey, _Told(forwarded(why, detail=detail)))

    def _aside(self, journey: Journey, target: LookupTarget, looked: LookedUp, personal: bool) -> Course:
        """A backend is asked for what is not stored as it comes: a part, or a head."""
        why, found = looked.reason(journey.downstream.service.clock()), looked.found
        if journey.head.method != b"HEAD" or found is None or conditional(journey.head):
            return self._pass(journey, why)
        self.shelf.outcomes.note(journey, BY_REASON[why])
        return self._compressed(journey, HeadAsked(self.asking, journey, target, found, personal, forwarded(why)))

    def _compressed(self, journey: Journey, course: Course) -> Course:
        """What does not come into the cache is compressed for its client alone."""
        compression = self.asking.compression
        behind = None if compression is None else compression.begin(journey)
        return course if behind is None else _Both(course, behind)

    # ---------------------------------------------------------------- what is stored

    def target(self, journey: Journey, line: bytes = b"") -> LookupTarget:
        """What it is for; `line`: another target instead, as a backend gets it."""
        head, forwarder = journey.head, journey.downstream.forwarder
        sent = self.sent(journey, head)
        scheme = b"https" if forwarder.secure(head) else b"http"
        host = head.authority or forwarder.here().encode("ascii")
        parts = [*self._names, scheme, host, line or sent.split(b" ", 2)[1]]
        if forwarder.trusted:  # what else a proxy in front of us says of where its client wanted to go
            parts += places(sent)
        url = b"%b://%b%b" % (scheme, host.removesuffix(b":443" if scheme == b"https" else b":80"), head.raw or head.target)
        key, compression = self.shelf.key(*parts), self.asking.compression
        kind = b"" if compression is None else compression.stored_kind(head)
        return LookupTarget(key, sent, url, self.shelf.key(key, kind) if kind else b"")

    def _served(self, journey: Journey, key: bytes, looked: LookedUp, personal: bool, more: bytes = b"") -> Course | None:
        """Something stored is the answer; `key`: of the target."""
        found = looked.found
        if found is None:
            return None
        now, asked = journey.downstream.service.clock(), journey.head
        use = use_of(found.answer.kept, asked, personal, now, self._respects)
        if use not in (Use.HIT, Use.STALE):
            return None
        if use is Use.STALE and not self._refreshed(journey, looked, personal):
            return None
        stand_in = self.stand_in(journey, asked, found, now, more)
        if stand_in is None:
            return None
        if use is Use.HIT:
            self._take_in_hand(journey, found, key)
        journey.stand_in = stand_in
        self.shelf.outcomes.note(
            journey, CacheOutcome.COLLAPSED if more else CacheOutcome.HIT if use is Use.HIT else CacheOutcome.STALE
        )
        return _Served(stand_in)

    def _take_in_hand(self, journey: Journey, found: FoundAnswer, key: bytes) -> None:
        """It is at hand for whoever comes next, if it may be; `key`: of the target."""
        watch = self.watch
        if watch is None:
            return
        _, known, _ = self.recognise(journey, journey.head)
        if known is None:
            return
        fork = None
        if found.digest != key:
            fork = fork_of(watch, self.shelf.storage, key, found.digest)
            if fork is None:
                return
            self.remember(known, fork, len(journey.head.target))
            known = found.digest
        answer = answer_at_hand(watch, fork, found.digest, found.answer, found.entry)
        if answer is not None:
            self.remember(known, answer, len(journey.head.target))

    def stand_in(
        self,
        journey: Journey,
        asked: RequestHead,
        found: FoundAnswer,
        now: float,
        more: bytes = b"",
        body: bytes | Body | None = None,
    ) -> StandIn | None:
        """A stored answer for a request, with its `body` if that is at hand; None: it is gone."""
        life = found.answer.kept.lifetime
        lines = more or hit(life.fresh_until - now, life.age(now))
        if more:
            lines += b"\r\nAge: %d" % life.age(now)
        body = self.shelf.body(found) if body is None else body
        if body is None:
            return None
        strands = journey.downstream.service.strands
        head, size = found.answer.head, found.entry.size
        first, last = 0, size - 1
        raw = heads.sized(head, size)
        if conditional(asked):
            answer, wall = parse_response(raw, b"GET", MOST_FIELDS), self.asking.wall()
            part = part_of(asked, answer, size, wall)
            if unchanged(asked, answer, wall):
                raw, last = heads.not_modified(head), first - 1
            elif part.wants is BodyWanted.NOTHING:
                raw, last = heads.unsatisfiable(head, size), first - 1
            elif part.wants is BodyWanted.PART:
                first, last = part.first, part.last
                raw = heads.part(head, first, last, size)
        if asked.method != b"HEAD":
            self.shelf.outcomes.count(CacheOutcome.SERVED_BYTES, last + 1 - first)
        return StandIn(raw, lines, body, last + 1, strands, first)

    def _refreshed(self, journey: Journey, looked: LookedUp, personal: bool) -> bool:
        """Somebody sees to it that what is stale becomes fresh. False: this request has to."""
        service = journey.downstream.service
        if self.to is None:
            return False
        target = self.target(journey)
        turn = self.shelf.storage.marks.take(looked.digest, milliseconds(service.clock()), milliseconds(self._wait))
        if turn is Turn.LEAD:
            refresh = Refresh(self.asking, service, self.to, journey, target, looked, personal)
            service.strands.later(lambda: service.strands.start(refresh.run))
        return True

    # ---------------------------------------------------------------- one for all

    def _together(self, journey: Journey, target: LookupTarget, looked: LookedUp, personal: bool) -> Course:
        """Ask the backend, or wait for the one who does."""
        if not self._wait:
            return self._fetch(journey, target, looked, personal, None)
        service = journey.downstream.service
        until = service.clock() + self._wait
        turn = self._turn(service, looked.digest)
        if turn is Turn.LEAD:
            course = self._just_stored(journey, target, looked, personal)
            if course is not None:
                return course
            fill = self.shelf.fills[looked.digest] = Fill(service.strands)
            return self._fetch(journey, target, looked, personal, fill)
        if turn is Turn.WAIT:
            course = self._wait_for(journey, target, looked, personal, until)
            if course is not None:
                return course
            looked = self.shelf.look(target)
            course = self._served(journey, target.key, looked, personal, forwarded(b"uri-miss", collapsed=True))
            if course is not None:
                return course
            self.shelf.outcomes.count(CacheOutcome.WAITED_IN_VAIN)
        return self._fetch(journey, target, looked, personal, None)

    def _just_stored(self, journey: Journey, target: LookupTarget, looked: LookedUp, personal: bool) -> Course | None:
        """Between this one's look and its turn another worker may have stored it, and have been done."""
        shelf = self.shelf
        now = shelf.again(target)
        if now.found is None or now == looked:
            return None
        course = self._served(journey, target.key, now, personal, forwarded(b"uri-miss", collapsed=True))
        if course is not None:
            shelf.storage.marks.done(looked.digest)
        return course

    def _turn(self, service: Service, digest: bytes) -> Turn:
        """BUSY: not even a moment later."""
        marks, wait = self.shelf.storage.marks, milliseconds(self._wait)
        turn = marks.take(digest, milliseconds(service.clock()), wait)
        for pause in PAUSES[:5]:
            if turn is not Turn.BUSY:
                break
            service.strands.sleep(pause)
            turn = marks.take(digest, milliseconds(service.clock()), wait)
        return turn

    def _fetch(self, journey: Journey, target: LookupTarget, looked: LookedUp, personal: bool, fill: Fill | None) -> Fetch:
        return Fetch(self.asking, journey, target, looked, personal, fill, self.stand_in)

    def _wait_for(self, journey: Journey, target: LookupTarget, looked: LookedUp, personal: bool, until: float) -> Course | None:
        """Until whoever asks has it, or is of no use; a Course: it is given what that one gets, as it comes."""
        service = journey.downstream.service
        marks = self.shelf.storage.marks
        while True:
            left = until - service.clock()
            fill = self.shelf.fills.get(looked.digest)
            if fill is not None and fill.feeds():
                return self._fed(journey, target, fill, personal)
            if left <= 0:
                return None
            if fill is None:
                fill = follow(self.shelf, service, looked.digest)
            fill.wait(left)
            if fill.feeds():
                return self._fed(journey, target, fill, personal)
            if marks.look(looked.digest, milliseconds(service.clock())) is not Turn.WAIT:
                return None

    def _fed(self, journey: Journey, target: LookupTarget, fill: Fill, personal: bool) -> Course | None:
        """The answer that somebody else is getting, if it is this one's, too."""
        opened = fill.opened
        if (personal and not opened.for_anybody) or self.shelf.variant(target.sent, opened.names) != opened.variant:
            return None
        if conditional(journey.head):
            return None  # it is answered from what is stored
        if self.shelf.storage.overtaken(opened.ticket, target.url, opened.tags):
            return None  # it was asked for before a purge, and this one comes behind that
        service = journey.downstream.service
        size = fill.there if fill.whole else fill.size
        lines = forwarded(b"uri-miss", collapsed=True) + b"\r\nAge: %d" % max(0, int(service.clock() - opened.born))
        beginning = Beginning(opened.head, size)
        served = partial(self.shelf.outcomes.count, CacheOutcome.SERVED_BYTES)
        body = Fed(fill, self.shelf.bodies, beginning, served) if size else b""
        stand_in = StandIn(heads.sized(opened.head, size), lines, body, size, service.strands)
        stand_in.resume = partial(Resumed, journey, beginning)
        journey.stand_in = stand_in
        self.shelf.outcomes.note(journey, CacheOutcome.COLLAPSED)
        return _Served(stand_in)


class _Served(Course):
    """The request has its answer here."""

    __slots__ = ("_stand_in",)

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    def end(self) -> None:
        """See Course."""
        self._stand_in.close()


class _Both(Course):
    """Two courses; what the second lets through is the client's."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Course, second: Course) -> None:
        self._first = first
        self._second = second

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        return self._first.around(answer, self._second.around(answer, sink))

    def end(self) -> None:
        """See Course."""
        self._second.end()
        self._first.end()


class _Told(Course):
    """The answer says how the cache took part in it, and nothing else."""

    __slots__ = ("_lines",)

    def __init__(self, lines: bytes) -> None:
        self._lines = lines

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        return Telling(sink, self._lines)


class _Unsafe(Course):
    """The request may change something, and if it did, what is stored of that is worth nothing."""

    __slots__ = ("_cache", "_journey")

    def __init__(self, cache: Cache, journey: Journey) -> None:
        self._cache = cache
        self._journey = journey
        cache.shelf.outcomes.note(journey, CacheOutcome.METHOD)

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        if succeeded(answer):
            cache, journey = self._cache, self._journey
            own = cache.target(journey)
            head = journey.head
            host = host_of(own.sent)
            scheme = own.url.partition(b":")[0]
            try:
                said = parse_response(journey.said, head.method, MOST_FIELDS)
            except RefusedAnswer:  # a tolerant pool passes it on: as the client gets it, then
                said = answer
            cache.shelf.storage.forget(own.key)
            for target in set(targets(said, scheme, (head.authority, host), head.target)) - {head.target}:
                there = journey.as_sent(head.elsewhere(head.method, target, target.partition(b"?")[0], b""))
                cache.shelf.storage.forget(cache.target(journey, there.split(b" ", 2)[1]).key)
        return Telling(sink, forwarded(b"method"))
