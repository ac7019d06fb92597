"""What passes is the same behind: every call, with all that came with it, in its order."""

from __future__ import annotations

from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.sink import Sink


class _Noting(Sink):
    """A real one: what is compiled takes no other."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def interim(self, known: KnownHead) -> None:
        self.calls.append(("interim", known))

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        self.calls.append(("whole", answer, out, body, lines))

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        self.calls.append(("begin", answer, out, lines, id(first)))

    def room(self) -> int:
        self.calls.append(("room",))
        return 4711

    def piece(self, data: bytes) -> None:
        self.calls.append(("piece", data))

    def end(self, data: bytes, trailers: Trailers) -> None:
        self.calls.append(("end", data, trailers))


def test_everything_is_handed_on() -> None:
    """The pieces of a beginning as the very list, whose owner they are popped from."""
    behind = _Noting()
    sink = PassThrough(behind)
    known, first = ResponseHeads(9).read(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"GET"), [b"first"]
    answer = known.head
    sink.interim(known)
    sink.whole(answer, b"out", b"body", b"lines")
    sink.begin(answer, b"out", b"lines", first)
    assert sink.room() == 4711
    sink.piece(b"more")
    sink.end(b"last", ((b"a", b"b"),))
    assert behind.calls == [
        ("interim", known), ("whole", answer, b"out", b"body", b"lines"), ("begin", answer, b"out", b"lines", id(first)),
        ("room",), ("piece", b"more"), ("end", b"last", ((b"a", b"b"),)),
    ]  # fmt: skip
