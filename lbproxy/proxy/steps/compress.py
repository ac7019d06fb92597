"""The step that compresses a route's answers on their way to clients who want that ([route.compress]).

Theory of operation. Which answers, and what their heads say then, is http/compression.py's. Here a coder stands in front of the
client. It is given a slice at a time, and behind each slice others have their turn. What it keeps back leaves as soon as the
backend has nothing more to read: before the exchange waits for more (`room`) the connection is asked whether there is any, so that
an event is never held until the next one comes, and a file that is read in a row is compressed as one.

Compressing costs memory for each answer under way and CPU for each byte. Both are bounded for a worker; beyond the bounds answers
leave as they are, which every client understands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from lbproxy.balance.ledger import Ledger, Scalar, scalar_at
from lbproxy.coders import BROTLI, Coder
from lbproxy.config.model import CompressConfig
from lbproxy.errors import StreamError
from lbproxy.http.compression import VARY, CompressedHeads, Compressible, Types, judge, varies_already, wanted, whole
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.proxy.telling import Telling
from lbproxy.proxy.upstream import Upstream

SLICE = 32 * 1024
"""Bytes that are compressed in a row: 0.03 ms by isal, 0.3 ms by zlib at worst."""


class Allowance:
    """What compressing may take of one worker: answers at a time, and a share of the CPU."""

    __slots__ = ("_cells", "_child", "_clock", "_left", "_share", "_since", "_under_way", "most")

    def __init__(self, most: int, share: float, clock: Callable[[], float], ledger: Ledger, child: int) -> None:
        """`share`: seconds a second, of which one second's worth may be saved up; `clock`: monotonic seconds."""
        self.most = most
        self._share = self._left = share
        self._clock = clock
        self._since = clock()
        self._under_way = 0
        self._cells = ledger.cells
        self._child = child

    def begin(self) -> bool:
        """One more answer. False: it leaves as it is."""
        if self._under_way >= self.most or self._refilled(self._clock()) <= 0:
            self.count(Scalar.COMPRESS_BUSY, 1)
            return False
        self._under_way += 1
        self.count(Scalar.COMPRESSED, 1)
        return True

    def end(self) -> None:
        """One that had begun is over."""
        self._under_way -= 1

    def run(self, work: Callable[..., bytes], *data: bytes) -> bytes:
        """Do it, and see what it takes."""
        begun = self._clock()
        self._refilled(begun)
        found = work(*data)
        self._left -= self._clock() - begun
        return found

    def count(self, what: Scalar, number: int) -> None:
        """In the ledger."""
        self._cells[scalar_at(self._child, what)] += number

    def _refilled(self, now: float) -> float:
        self._left = min(self._share, self._left + (now - self._since) * self._share)
        self._since = now
        return self._left


class Compression(Step):
    """Compresses the answers of one route, in one worker."""

    __slots__ = ("_least", "_offered", "_stored", "_types", "allowance", "heads", "makers")

    def __init__(
        self,
        settings: CompressConfig,
        makers: Mapping[str, Callable[[], Coder]],
        allowance: Allowance,
        heads: CompressedHeads | None = None,
    ) -> None:
        """`makers`: by coding; `allowance`, `heads`: of the worker; None: its own."""
        self._stored = tuple(coding.encode() for coding in settings.codings)
        self._offered = tuple(coding.encode() for coding in settings.codings if coding != BROTLI)
        self._types = Types(settings.all_types)
        self._least = settings.min_length
        self.makers = {coding.encode(): make for coding, make in makers.items()}
        self.allowance = allowance
        self.heads = heads or CompressedHeads()

    def begin(self, journey: Journey) -> Course | None:
        """See Step."""
        return _CompressedAnswer(self, journey)

    def stored_kind(self, head: RequestHead) -> bytes:
        """The coding in which a request gets what is stored; b"": as it came."""
        return wanted(head, self._stored) if whole(head) else b""

    def stored_verdict(self, head: RequestHead, answer: ResponseHead, kind: bytes) -> Compressible:
        """Whether an answer is stored compressed, in that coding."""
        return judge(head, answer, kind, self._types, self._least)

    def into(self, store: Sink, coding: bytes, source: Upstream) -> Sink:
        """Compresses what is stored; `source`: see Journey. The `allowance` has let it."""
        return _Stored(self, coding, source, store, lambda answer: True)

    def verdict(self, journey: Journey, answer: ResponseHead) -> tuple[Compressible, bytes]:
        """What becomes of an answer, and the coding."""
        coding = wanted(journey.head, self._offered)
        return judge(journey.head, answer, coding, self._types, self._least), coding


class _CompressedAnswer(Course):
    """The answer to one request."""

    __slots__ = ("_compression", "_held", "_journey")

    def __init__(self, compression: Compression, journey: Journey) -> None:
        self._compression = compression
        self._journey = journey
        self._held = False

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        compression, journey = self._compression, self._journey
        verdict, coding = compression.verdict(journey, answer)
        if verdict is Compressible.AS_IT_IS:
            return sink
        if verdict is Compressible.COMPRESS and not self._held and compression.allowance.begin():
            self._held = True
            return _Compressed(compression, coding, journey.source, sink, partial(self._still, answer))
        if verdict is Compressible.UNMEASURED:
            sink = _Unmeasured(compression.heads, sink)
        return sink if varies_already(answer) else Telling(sink, VARY)

    def _still(self, judged: ResponseHead, answer: ResponseHead) -> bool:
        """Whether an answer is to be compressed: the one that was judged, or what a step before has put in its place."""
        return answer is judged or self._compression.verdict(self._journey, answer)[0] is Compressible.COMPRESS

    def end(self) -> None:
        """See Course."""
        if self._held:
            self._held = False
            self._compression.allowance.end()


class _Unmeasured(PassThrough):
    """A head alone of what would be compressed."""

    __slots__ = ("_heads",)

    def __init__(self, heads: CompressedHeads, behind: Sink) -> None:
        super().__init__(behind)
        self._heads = heads

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink. What a step has put in its place is of the length that it says, if it has a body."""
        if body:
            self._behind.whole(answer, out, body, lines)
            return
        left = self._heads.unmeasured(answer, out)
        self._behind.whole(left.answer, left.out, body, lines)


class _Compressed(Sink):
    """One answer on its way through a coder."""

    __slots__ = ("_allowance", "_behind", "_coder", "_coding", "_heads", "_kept", "_meant", "_plain", "_source")

    def __init__(
        self, compression: Compression, coding: bytes, source: Upstream, behind: Sink, meant: Callable[[ResponseHead], bool]
    ) -> None:
        """`source`: what the answer comes over; `meant`: whether an answer is to be compressed."""
        self._meant = meant
        self._plain = False
        """What comes is not, and passes as it is."""
        self._allowance = compression.allowance
        self._heads = compression.heads
        self._coder = compression.makers[coding]()
        self._coding = coding
        self._source = source
        self._behind = behind
        self._kept = False
        """The coder has got something that has not left."""

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink. One that does not become shorter leaves as it is."""
        if not self._meant(answer):
            self._behind.whole(answer, out, body, lines)
            return
        coded = self._add(body) + self._finish()
        if len(coded) >= len(body):
            self._behind.whole(answer, out, body, lines if varies_already(answer) else lines + VARY)
            return
        self._left(coded)
        recoded = self._heads.recoded(answer, out, self._coding, len(coded))
        self._behind.whole(recoded.answer, recoded.out, coded, lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        if not self._meant(answer):
            self._plain = True
            self._behind.begin(answer, out, lines, first)
            return
        recoded = self._heads.recoded(answer, out, self._coding)
        coded = self._add(first.pop())
        self._left(coded)
        self._behind.begin(recoded.answer, recoded.out, lines, [coded])

    def room(self) -> int:
        """See Sink. What comes next is asked for: when it is not here yet, what came before need not wait for it."""
        if self._kept and not self._source.ready():
            self._kept = False
            coded = self._allowance.run(self._coder.flush)
            self._left(coded)
            self._behind.piece(coded)
        return min(self._behind.room(), SLICE)

    def piece(self, data: bytes) -> None:
        """See Sink."""
        coded = data if self._plain else self._add(data)
        if coded:
            self._left(b"" if self._plain else coded)
            self._behind.piece(coded)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        coded = data if self._plain else self._add(data) + self._finish()
        self._left(b"" if self._plain else coded)
        self._behind.end(coded, trailers)

    def _add(self, data: bytes) -> bytes:
        """In slices; others have their turn in between."""
        if not data:
            return b""
        self._kept = True
        self._allowance.count(Scalar.COMPRESS_IN, len(data))
        coded = []
        for at in range(0, len(data), SLICE):
            piece = data[at : at + SLICE]
            coded.append(self._allowance.run(self._coder.add, piece))
            if len(piece) == SLICE:
                self._give_way()
        return b"".join(coded)

    def _give_way(self) -> None:
        try:
            self._source.stream.give_way()
        except StreamError:
            pass  # the backend has gone: whoever reads next will meet that, if anything is missing

    def _finish(self) -> bytes:
        return self._allowance.run(self._coder.finish)

    def _left(self, coded: bytes) -> None:
        self._allowance.count(Scalar.COMPRESS_OUT, len(coded))


class _Stored(_Compressed):
    """One on its way into the cache, whose head says that it is compressed before anything of it is here: so it is."""

    __slots__ = ()

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        coded = self._add(body) + self._finish()
        self._left(coded)
        recoded = self._heads.recoded(answer, out, self._coding, len(coded))
        self._behind.whole(recoded.answer, recoded.out, coded, lines)
