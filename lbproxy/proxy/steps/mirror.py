"""[route.mirror]: a second pool gets a share of the requests as well; what it answers is compared at most, and goes nowhere.

Theory of operation. A request's body is copied while it passes, up to a cap. When the request is whole its copy joins a bounded
queue, and a greenlet of its own sends it, never that of the request: nobody waits for the mirror, not the client, not its next
request, and not a worker that drains, which cuts what is under way (`drain`) and forgets what waits. To compare, the answer that
the client gets is counted and hashed as it passes; whichever of the two answers ends later compares. A mirror that is dead is left
alone: a copy that fails costs a worker twice as much time as a request that is served, and those that it serves wait for that.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from lbproxy.config import model
from lbproxy.errors import LbproxyError, RequestError, UpstreamError
from lbproxy.http.findings import every_spelling
from lbproxy.http.forwarding import cut
from lbproxy.http.grammar import END
from lbproxy.http.message import NO_BODY, ResponseHead
from lbproxy.http.suspension import Suspension
from lbproxy.http.taken_in import taken_in
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.service import Service
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.authorize import Count
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.proxy.subrequest import Subrequest
from lbproxy.streams import Strand

MOST_PATH = 256
"""Bytes of a path that is told."""
MOST_READ = 1024 * 1024
"""Bytes of an answer that nobody compares, behind which its connection is given up instead of being kept for the next copy."""
MOST_FAILURES, REVIVAL = 8, 1.0
"""Copies in a row that fail, behind which none is sent for so many seconds; then one tries it."""


class ComparedAnswer(NamedTuple):
    """An answer, as far as it is compared."""

    status: int
    length: int
    digest: str


def differing(own: ComparedAnswer, other: ComparedAnswer) -> tuple[bool, ...]:
    """What of it does: status, length, digest."""
    return tuple(one != another for one, another in zip(own, other, strict=True))


Differs = Callable[[str, ComparedAnswer, ComparedAnswer], None]
"""Told of a path, what the client got, and what the mirror said."""


Tell = Callable[[str], None]


class _MirrorGivenUp(LbproxyError):
    """Nobody wants the mirror's answer any more."""


class Mirror(Step):
    """Sends requests of one route to a second pool, in one worker."""

    __slots__ = (
        "_compare", "_concurrency", "_count", "_differs", "_due", "_max_body", "_methods", "_most_waiting", "_percent", "_remove",
        "_service", "_subrequest", "_suspension", "_tell", "_timeout", "_under_way", "_waiting",
    )  # fmt: skip

    def __init__(self, settings: model.MirrorConfig, mirrored: Destination, count: Count, differs: Differs, tell: Tell) -> None:
        """`mirrored`: the second pool, with time limits of its own; `tell`: told that it is left alone, and why."""
        self._subrequest = Subrequest(mirrored, 0, once=True)
        self._percent = settings.percent
        self._methods = frozenset(method.encode("ascii") for method in settings.methods or ("GET", "HEAD"))
        self._remove = every_spelling(settings.remove) if settings.remove else None
        self._max_body = settings.max_body
        self._most_waiting = settings.queue
        self._concurrency = settings.concurrency
        self._timeout = settings.timeout
        self._compare = settings.compare
        self._count = count
        self._differs = differs
        self._tell = tell
        self._suspension = Suspension(MOST_FAILURES, REVIVAL)
        self._due = 0
        self._waiting: deque[MirroredRequest] = deque()
        self._under_way = 0
        self._service: Service | None = None

    def begin(self, journey: Journey) -> Course | None:
        """See Step. The copy leaves when the request is whole."""
        head, downstream = journey.head, journey.downstream
        if head.method not in self._methods or head.upgrade or downstream.service.draining:
            return None
        self._due += self._percent
        if self._due < 100:
            return None
        self._due -= 100
        self._service = service = downstream.service
        if self._suspension.until > 0.0 and self._suspension.until > service.clock():
            self._count("mirror", "suspended")
            return None
        copy = MirroredRequest(self, journey)
        if downstream.body is None:
            self.join(copy)
        elif head.body > self._max_body:
            self._count("mirror", "skipped")
            return None
        else:
            downstream.body.watch(copy.take)
        return copy

    @property
    def compares(self) -> bool:
        """Answers are."""
        return self._compare

    def skip(self) -> None:
        """A body is larger than what is kept of one."""
        self._count("mirror", "skipped")

    def more(self, size: int) -> bool:
        """So many bytes of a body may be kept."""
        return size <= self._max_body

    def join(self, copy: MirroredRequest) -> None:
        """A request is whole: its copy waits for its turn, or is dropped."""
        if len(self._waiting) >= self._most_waiting:
            self._count("mirror", "dropped")
            return
        assert self._service is not None
        if self._suspension.holds(self._service.clock()):
            self._count("mirror", "suspended")
            return
        copy.lay_out(self._remove)
        self._waiting.append(copy)
        self._service.strands.later(self._next)

    def _next(self) -> None:
        """From the event loop."""
        service = self._service
        assert service is not None
        while self._waiting and self._under_way < self._concurrency:
            copy = self._waiting.popleft()
            if service.draining:
                self._count("mirror", "dropped")
                continue
            self._under_way += 1
            service.strands.start(Sending(self, service, self._subrequest, copy, self._timeout).run)

    def sent(self, copy: MirroredRequest, facts: ComparedAnswer) -> None:
        """A copy was answered."""
        self._suspension.answered()
        self._over("sent")
        if self._compare:
            copy.compare(facts)

    def failed(self, why: str) -> None:
        """A copy was not, or was given up."""
        assert self._service is not None
        if not self._service.draining and self._suspension.failed(self._service.clock()):
            self._tell(why)
            for _ in self._waiting:
                self._count("mirror", "suspended")
            self._waiting.clear()
        self._over("failed")

    def _over(self, outcome: str) -> None:
        assert self._service is not None
        self._under_way -= 1
        self._count("mirror", outcome)
        self._service.strands.later(self._next)

    def compared(self, path: str, own: ComparedAnswer, other: ComparedAnswer) -> None:
        """Both answers are known."""
        if own == other:
            self._count("mirror", "same")
            return
        for name, differs in zip(ComparedAnswer._fields, differing(own, other), strict=True):
            if differs:
                self._count("mirror", f"other_{name}")
        self._differs(path, own, other)


class MirroredRequest(Course):
    """One request's copy, and, where answers are compared, what became of the request itself."""

    __slots__ = ("_body", "_facts", "_journey", "_mirror", "_other", "_size", "asked", "body", "method", "path")

    def __init__(self, mirror: Mirror, journey: Journey) -> None:
        self._mirror = mirror
        self._journey: Journey | None = journey
        self._body: list[bytes] | None = []
        self._size = 0
        self._facts: ComparedAnswer | None = None
        self._other: ComparedAnswer | None = None
        self.method = journey.head.method
        self.path = journey.head.path[:MOST_PATH].decode("latin-1")
        self.asked = self.body = b""

    def take(self, piece: bytes, last: bool) -> None:
        """See request_body.Watch."""
        if self._body is None:
            return
        self._size += len(piece)
        if not self._mirror.more(self._size):
            self._body = None
            self._mirror.skip()
            return
        self._body.append(piece)
        if last:
            self.body = b"".join(self._body)
            self._body = None
            self._mirror.join(self)

    def lay_out(self, remove: object) -> None:
        """As the backend gets it, but for what is removed, and with the length that it has."""
        journey = self._journey
        assert journey is not None
        head = taken_in(journey.head, len(self.body)) if journey.head.body != NO_BODY else journey.head
        asked = journey.as_sent(head)
        if remove is not None:
            end = asked.find(b"\r\n")
            block = asked[end:-4]
            asked = asked[:end] + cut(block, block.lower(), remove) + END  # type: ignore[arg-type]
        self.asked = asked

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        return _Passing(self, answer.status, sink) if self._mirror.compares else sink

    def end(self) -> None:
        """See Course."""
        self._journey = None
        self._body = None

    def decided(self, length: int) -> bool:
        """Behind so many bytes of the mirror's answer nothing is to be learned of the rest."""
        if not self._mirror.compares:
            return length > MOST_READ
        return self._facts is not None and length > self._facts.length

    def passed(self, facts: ComparedAnswer) -> None:
        """The client has its answer."""
        self._facts = facts
        if self._other is not None:
            self._mirror.compared(self.path, facts, self._other)

    def compare(self, other: ComparedAnswer) -> None:
        """The mirror has answered."""
        self._other = other
        if self._facts is not None:
            self._mirror.compared(self.path, self._facts, other)


class _Passing(PassThrough):
    """Counts and hashes the answer that the client gets."""

    __slots__ = ("_copy", "_digest", "_length", "_status")

    def __init__(self, copy: MirroredRequest, status: int, behind: Sink) -> None:
        self._copy = copy
        self._status = status
        super().__init__(behind)
        self._digest = hashlib.sha256()
        self._length = 0

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        self._length += len(data)

    def _over(self) -> None:
        self._copy.passed(ComparedAnswer(self._status, self._length, self._digest.hexdigest()))

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._take(body)
        self._behind.whole(answer, out, body, lines)
        self._over()

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._take(first[-1])
        self._behind.begin(answer, out, lines, first)

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._take(data)
        self._behind.piece(data)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._take(data)
        self._behind.end(data, trailers)
        self._over()


class Sending:
    """One copy on its way to the mirror, as a connection that a draining worker cuts at once (service.Connection)."""

    __slots__ = ("_copy", "_digest", "_length", "_mirror", "_service", "_strand", "_subrequest", "_timeout")

    tunnel = False

    def __init__(self, mirror: Mirror, service: Service, subrequest: Subrequest, copy: MirroredRequest, timeout: float) -> None:
        self._mirror = mirror
        self._service = service
        self._subrequest = subrequest
        self._copy = copy
        self._timeout = timeout
        self._strand: Strand | None = None
        self._digest = hashlib.sha256()
        self._length = 0

    def drain(self, now: float, grace: float) -> None:
        """See Connection. Nobody waits for it."""
        self.cut()

    def cut(self) -> None:
        """See Connection."""
        if self._strand is not None:
            self._strand.throw(_MirrorGivenUp("the worker ends"))

    def _late(self) -> None:
        """Its time is up."""
        if self._strand is not None:
            self._strand.throw(RequestError(504, "request_timeout", "no answer in time"))

    def run(self) -> None:
        """In a greenlet of its own. Lets nothing out."""
        service, copy = self._service, self._copy
        self._strand = service.strands.current()
        alarm = service.strands.alarm(self._timeout, self._late)
        service.connections.add(self)
        facts, why = None, "internal_error"
        try:
            answer = self._subrequest.ask(service, copy.method, copy.asked, copy.body, take=self._take)
            facts = ComparedAnswer(answer.head.status, self._length, self._digest.hexdigest())
        except UpstreamError as error:  # counted as failed: whoever looks at the mirror finds out why there
            why = error.reason
        except (RequestError, _MirrorGivenUp) as given_up:
            why = str(given_up)
        except Exception as error:  # must not end in the event loop
            service.on_fault(error)
        finally:
            self._strand = None
            alarm.stop()
            service.connections.discard(self)
            if facts is None:
                self._mirror.failed(why)
            else:
                self._mirror.sent(copy, facts)

    def _take(self, piece: bytes) -> bool:
        if self._mirror.compares:
            self._digest.update(piece)
        self._length += len(piece)
        return self._copy.decided(self._length)
