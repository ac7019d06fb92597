"""What passes is the same behind: every call, with all that came with it, in its order."""

from __future__ import annotations

from unittest.mock import Mock, call

from lbproxy.http.heads import KnownHead
from lbproxy.http.message import ResponseHead
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.sink import Sink


def test_everything_is_handed_on() -> None:
    """The pieces of a beginning as the very list, whose owner they are popped from."""
    behind = Mock(spec=Sink)
    behind.room.return_value = 4711
    sink = PassThrough(behind)
    known, answer, first = Mock(spec=KnownHead), Mock(spec=ResponseHead), [b"first"]
    sink.interim(known)
    sink.whole(answer, b"out", b"body", b"lines")
    sink.begin(answer, b"out", b"lines", first)
    assert sink.room() == 4711
    sink.piece(b"more")
    sink.end(b"last", ((b"a", b"b"),))
    assert behind.mock_calls == [
        call.interim(known), call.whole(answer, b"out", b"body", b"lines"), call.begin(answer, b"out", b"lines", first),
        call.room(), call.piece(b"more"), call.end(b"last", ((b"a", b"b"),)),
    ]  # fmt: skip
    assert behind.begin.call_args.args[3] is first
