"""What HTTP/1 would read otherwise than HTTP/2 says it ("downgrade" attacks): refused, and not one byte of it reaches a backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Stage
from tests.corpus.http2.vectors import Vector, vectors
from tests.support import h2_frames as wire
from tests.support.backends import Conversation, Scripted
from tests.support.h2_peer import H2Peer
from tests.support.process import LbProxy
from tests.support.waiting import eventually

GROUP = 10


@pytest.fixture(scope="module")
def nothing() -> Iterator[Scripted]:
    """A backend that writes down whatever it hears."""

    def script(conversation: Conversation) -> None:
        conversation.wait_close()

    with Scripted(script) as backend:
        yield backend


@pytest.fixture(scope="module")
def front(standing: Stage, nothing: Scripted) -> LbProxy:
    """In front of it."""
    return standing.proxy(nothing.address)


REJECTED = vectors("reject")


@pytest.mark.parametrize("first", range(0, len(REJECTED), GROUP))
def test_refused(standing: Stage, front: LbProxy, nothing: Scripted, first: int) -> None:
    """Each gets an answer of 400 and above, or has its stream reset; the connection goes on, and the backend hears nothing."""
    group: list[Vector] = REJECTED[first : first + GROUP]
    with H2Peer(front.port(), standing.authority.file) as peer:
        for number, vector in enumerate(group):
            stream = 2 * number + 1
            peer.say(wire.headers(stream, vector.fields))
            frames = peer.answers(stream)
            assert not peer.ended, vector.name
            status = peer.heads.statuses([frame for frame in frames if frame.kind != wire.SETTINGS]).get(stream)
            was_reset = any(frame.kind == wire.RST_STREAM for frame in frames)
            assert was_reset or (status is not None and status >= 400), vector.name
    assert nothing.received() == []


def test_a_sound_request_does_reach_it(standing: Stage, front: LbProxy, nothing: Scripted) -> None:
    """Else the silence would prove nothing."""
    with H2Peer(front.port(), standing.authority.file) as peer:
        peer.say(wire.headers(1, wire.GET))
        eventually(nothing.received, "the backend hears of it")
