"""One gRPC call on its way: what its exchange does otherwise, and how it ended, for metrics and the log.

Theory of operation. Calls are requests as others are. But an answer of ours is one of gRPC (http/grpc.py), also behind a part of a
backend's, as long as trailers can say it; the client's own deadline is the exchange's; and once a backend has answered, both sides
may be silent for as long as in a tunnel: a stream of messages has them when something happens.
"""

from __future__ import annotations

from lbproxy.http.grpc import UNHEARD, GrpcCode, answers, call_in, code_behind, code_in, code_of, said, written
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.http.trailers import NONE, Trailers
from lbproxy.proxy.replies import OwnAnswer
from lbproxy.proxy.service import Counters
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.step import Course


class GrpcCall(Course):
    """What an exchange knows of the call that it carries."""

    __slots__ = ("_kind", "_open", "code", "timeout")

    def __init__(self, kind: bytes, timeout: float | None) -> None:
        self._kind = kind
        self._open = False
        """A backend's answer has begun that trailers end."""
        self.timeout = timeout
        """Seconds that the client waits, if it says."""
        self.code = UNHEARD
        """How it ended, as far as that was said."""

    def answered(self, answer: ResponseHead) -> bool:
        """A backend's answer begins; whether it is one of gRPC."""
        found = answers(answer)
        self._open = found and answer.body < 0 and not self._kind.startswith(b"application/grpc-web")
        return found

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        self.code = UNHEARD
        return _Heard(self, sink)

    def own(self, answer: OwnAnswer, reason: str) -> OwnAnswer:
        """What is said instead of an answer of ours; without it a client would only guess."""
        if answer.status == 200 and (code := written(answer.lines)) is not None:
            self.code = code
            return answer
        told, self.code = own_answer(answer, reason, self._kind)
        return told

    def broken(self, status: int, reason: str) -> Trailers:
        """What is said behind a part of an answer; none where nobody looks for it there."""
        if not self._open:
            return NONE
        self.code = code = code_of(status, reason)
        return said(code, reason)

    def ended(self, status: int, counters: Counters) -> None:
        """Count it. `status`: as the access log has it; whoever goes away has called it off."""
        if status == 499 and self.code == UNHEARD:
            self.code = GrpcCode.CANCELLED
        counters.grpc[self.code] += 1

    def logged(self) -> str:
        """For the access line: a JSON member with a comma in front."""
        return LOGGED[self.code]


class _Heard(Sink):
    """Stands in front of the client and hears how the call ended."""

    __slots__ = ("_behind", "_call")

    def __init__(self, call: GrpcCall, behind: Sink) -> None:
        self._call = call
        self._behind = behind

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._call.code = code_in(answer)
        self._behind.whole(answer, out, body, lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._call.code = code_in(answer)
        self._behind.begin(answer, out, lines, first)

    def room(self) -> int:
        """See Sink."""
        return self._behind.room()

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._behind.piece(data)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        if trailers and (code := code_behind(trailers)) != UNHEARD:
            self._call.code = code
        self._behind.end(data, trailers)


def call_of(head: RequestHead) -> GrpcCall | None:
    """None: the request is something else."""
    kind, timeout = call_in(head)
    return GrpcCall(kind, timeout) if kind else None


def own_answer(answer: OwnAnswer, reason: str, kind: bytes) -> tuple[OwnAnswer, int]:
    """An answer of ours as gRPC has it: all is in the head, and the status is 200. And the code that it says."""
    code = code_of(answer.status, reason)
    lines = [line for line in answer.lines.split(b"\r\n") if line.partition(b":")[0].lower() not in _REPLACED]
    lines += [b"Content-Type: " + kind, b"Content-Length: 0", *(b"%b: %b" % field for field in said(code, reason))]
    return OwnAnswer(200, b"\r\n".join(lines), b""), code


LOGGED = (*(f',"grpc_status":{code}' for code in range(UNHEARD)), ',"grpc_status":null')
"""How a call ended, as the access line has it, by its code."""
_REPLACED = (b"content-type", b"content-length", b"allow", b"location")
