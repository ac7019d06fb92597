"""libnghttp2 as it is called where lbproxy was compiled."""

from __future__ import annotations

import pytest

from lbproxy.http.h2 import nghttp2
from tests.support.h2_frames import POST, WINDOW_UPDATE, data, headers
from tests.unit.http.h2.dialogue import Dialogue


def test_the_compiled_form_finds_the_library_where_it_expects_it() -> None:
    """Else every connection would go by ngh2's objects, and nobody would notice but the clock."""
    assert (not nghttp2.__file__.endswith(".py")) == nghttp2.NATIVE


@pytest.mark.skipif(not nghttp2.NATIVE, reason="ngh2 0.3.0 forgets such frames")
def test_a_frame_whose_stream_was_given_up_fills_no_window() -> None:
    """Half a DATA frame is here when we reset its stream: the connection's window gets back what nobody was told of."""
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False))
    whole = data(1, b"x" * 16384)
    opened = 0
    for stream in range(1, 21, 2):
        if stream > 1:
            dialogue.say(headers(stream, POST, end=False))
            whole = data(stream, b"x" * 16384)
        dialogue.engine.receive(whole[:12000])
        dialogue.engine.reset(stream, 8)
        said = [*dialogue.answer(), *dialogue.say(whole[12000:])]
        opened += sum(int.from_bytes(each.payload, "big") for each in said if (each.kind, each.stream) == (WINDOW_UPDATE, 0))
    assert dialogue.engine.failure is None
    assert opened >= 6 * 16384
