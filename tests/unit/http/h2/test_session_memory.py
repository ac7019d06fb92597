"""Sessions whose connections are idle: nothing is kept of them but what they are."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from lbproxy.http.h2 import nghttp2
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.session_memory import counted
from tests.support import h2_frames as wire
from tests.unit.http.h2.dialogue import Dialogue, Heard

needs_native = pytest.mark.skipif(not nghttp2.NATIVE, reason="sessions are ngh2's")
ANSWER = ((b":status", b"200"), (b"server", b"a server"), (b"x-long", b"v" * 300))


def test_a_session_that_is_put_away_again_and_again_says_what_one_that_never_is_says() -> None:
    """Tables of compression on both sides, windows, streams that wait for them: all is where it was."""
    one, other = Dialogue(), Dialogue()
    spoken: list[list[list[wire.Frame]]] = [[], []]
    for said, dialogue in zip(spoken, (one, other), strict=True):
        for number in range(1, 60, 2):
            fields = (*wire.GET, (b"x-seen-before", b"s" * 100), (b"x-new", b"%d" % number))
            block = wire.block(fields, 0x40)
            said.append(dialogue.say(wire.frame(wire.HEADERS, number, block, wire.END_HEADERS | wire.END_STREAM)))
            _rest(dialogue, one)
            assert dialogue.engine.respond(number, ANSWER, False)
            _rest(dialogue, one)
            assert dialogue.engine.send(number, b"b" * 1500 * number, True)
            _rest(dialogue, one)
            said.append(dialogue.answer())
            _rest(dialogue, one)
            if number % 5 == 0:
                said.append(dialogue.say(wire.window(0, 20_000) + wire.window(number, 20_000)))
                _rest(dialogue, one)
    assert spoken[0] == spoken[1]
    assert one.heard.told == other.heard.told
    assert one.engine.failure is None


def _rest(dialogue: Dialogue, which: Dialogue) -> None:
    if dialogue is which:
        dialogue.engine.forget()


def test_sessions_take_turns_in_the_middle_of_what_they_say() -> None:
    """They put frames together in one place: a frame that waits for its turn is that of its own stream."""
    dialogues = [Dialogue() for _ in range(3)]
    said = [b"", b"", b""]
    bodies = [bytes([65 + number]) * 60_000 for number in range(3)]
    for dialogue, body in zip(dialogues, bodies, strict=True):
        dialogue.say(wire.headers(1, wire.GET) + wire.headers(3, wire.GET))
        for stream in (1, 3):
            assert dialogue.engine.respond(stream, ANSWER, False)
            assert dialogue.engine.send(stream, body[: len(body) // 2], True)
    for _ in range(200):
        for number, dialogue in enumerate(dialogues):
            said[number] += dialogue.engine.output(1000 + 777 * number)
    for raw, body in zip(said, bodies, strict=True):
        whole = [frame for frame in wire.frames(raw) if frame.kind == wire.DATA]
        for stream in (1, 3):
            assert b"".join(frame.payload for frame in whole if frame.stream == stream) == body[: len(body) // 2]


def test_what_a_session_says_first_is_its_own_however_many_others_speak_meanwhile() -> None:
    """What a client begins with was put together with its session, and leaves later: it must not be what others have said."""
    other = Dialogue()
    other.say(wire.headers(1, wire.GET))
    clients = [H2Engine(Heard(), server=False) for _ in range(3)]
    alone = H2Engine(Heard(), server=False).output(1000)
    assert alone.startswith(wire.PREFACE)
    assert other.engine.respond(1, ANSWER, True)
    other.answer()
    assert [client.output(1000) for client in clients] == [alone] * 3
    piecemeal = H2Engine(Heard(), server=False)
    assert b"".join(iter(lambda: piecemeal.output(7), b"")) == alone


@needs_native
def test_what_is_put_away_comes_back_or_goes() -> None:
    """Where a session was there is room for the next one, however it ends."""
    gc.collect()
    before = counted()
    engines = [H2Engine(Heard(), server=True) for _ in range(100)]
    assert counted() == (before[0] + 100, before[1])
    for engine in engines:
        engine.forget()
        engine.forget()
    assert counted() == (before[0] + 100, before[1] + 100)
    engines[0].receive(wire.PREFACE)
    assert engines[1].output(1000)
    assert not engines[2].reset(1, 0) or engines[2].output(10)
    assert counted()[1] == before[1] + 97
    del engine
    engines.clear()
    gc.collect()
    assert counted() == before


@needs_native
def test_an_idle_session_is_small() -> None:
    """Measured 1.2 KiB, all that is beside it included, and 2.1 where all of it is kept that is not zero; as ngh2 makes them they
    are 25."""
    engines = [H2Engine(Heard(), server=True) for _ in range(200)]  # what is kept warm
    before = _resident()
    for _ in range(3000):
        engine = H2Engine(Heard(), server=True)
        engine.output(1000)
        engine.receive(wire.PREFACE + wire.settings())
        engine.output(1000)
        engine.forget()
        engines.append(engine)
    assert (_resident() - before) / 3000 < 1800


def _resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
