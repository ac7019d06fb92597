"""What stands between the engine and libnghttp2, in whichever form runs: what is told when, what fails how, what is held."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.http.h2.bounds import Bounds
from lbproxy.http.h2.engine import H2Engine, never_indexed
from lbproxy.http.h2.nghttp2 import make_session
from lbproxy.http.h2.vocabulary import Fields
from tests.support import h2_frames as wire
from tests.support.h2_frames import DATA, GET, POST, PREFACE, data, frame, headers, window
from tests.unit.http.h2.dialogue import Dialogue, Heard

OK = [(b":status", b"200")]


class Raises(Heard):
    """A receiver with a fault."""

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        raise ZeroDivisionError


def test_what_a_receiver_raises_comes_out() -> None:
    """Of `receive`, and only there; what came is heard by the library, and commands and the rest go on."""
    heard = Raises()
    engine = H2Engine(heard, server=True)
    with pytest.raises(ZeroDivisionError):
        engine.receive(PREFACE + wire.settings() + headers(1, POST, end=False) + data(1, b"abc", True) + headers(3))
    assert [each[1] for each in heard.told if each[0] == "request"] == [1]
    assert engine.failure is None
    assert engine.respond(1, OK, True)
    engine.receive(headers(5))
    assert [each[1] for each in heard.told if each[0] == "request"] == [1, 5]


class Commands(Heard):
    """A receiver that gives commands at once."""

    engine: H2Engine

    def on_request(self, stream: int, fields: Fields, ended: bool) -> None:
        super().on_request(stream, fields, ended)
        self.engine.respond(stream, OK, False)
        self.engine.send(stream, b"x", False)
        self.engine.reset(stream, 8)
        self.engine.widen(0, 1 << 20)


def test_who_is_told_may_command() -> None:
    """The library is never in the middle of anything then."""
    heard = Commands()
    heard.engine = H2Engine(heard, server=True)
    heard.engine.receive(PREFACE + wire.settings() + b"".join(headers(stream) for stream in range(1, 99, 2)))
    said = wire.frames(heard.engine.output(1 << 20))
    assert len([each for each in said if each.kind == wire.RST_STREAM]) == 49
    assert heard.engine.held_by_all() == 0


def test_equal_lists_are_equal_whatever_came_between() -> None:
    """Fields that stand where they stood before are taken from there: never a wrong one."""
    lists = [
        (*GET, (b"a", b"1"), (b"b", b"2")),
        (*GET, (b"a", b"1")),
        (*GET, (b"a", b"1"), (b"b", b"2"), (b"c", b"3")),
        (*GET, (b"b", b"2"), (b"a", b"1")),
        (*GET[:3], (b":path", b"/other"), (b"a", b"1"), (b"b", b"2")),
        (*GET, (b"a", b"1" * 5000)),
        GET,
    ]
    dialogue = Dialogue()
    for number, fields in enumerate(lists * 2):
        dialogue.say(headers(2 * number + 1, fields))
    assert [each[2] for each in dialogue.told("request")] == [tuple(fields) for fields in lists * 2]


@given(st.lists(st.lists(st.sampled_from([(b"a", b"1"), (b"a", b"2"), (b"bb", b"1"), (b"b", b"11"), (b"c", b"")])), max_size=9))
@settings(max_examples=60, deadline=None)
def test_any_lists(lists: list[list[tuple[bytes, bytes]]]) -> None:
    """The same, of any."""
    dialogue = Dialogue()
    for number, fields in enumerate(lists):
        dialogue.say(headers(2 * number + 1, [*GET, *fields]))
        if number % 4 == 3:
            dialogue.engine.forget()
    assert [each[2] for each in dialogue.told("request")] == [(*GET, *fields) for fields in lists]


def test_a_field_that_is_never_indexed_stays_so() -> None:
    """RFC 7541 6.2.3: whoever passes it on says so, too; that an equal one came before is no matter."""
    dialogue = Dialogue(server=False)
    for _ in range(2):
        dialogue.engine.request([*GET, never_indexed(b"x", b"secret"), (b"y", b"1")], True)
    said = b"".join(each.payload for each in dialogue.answer())
    assert said.count(wire.literal(b"x", b"secret", 0x10)[:1]) >= 2
    server = Dialogue()
    block = wire.block(GET)
    for number, first in enumerate((0x00, 0x10, 0x10, 0x00)):
        server.say(frame(wire.HEADERS, 2 * number + 1, block + wire.literal(b"x", b"y", first), 5))
    assert [each[2][-1] for each in server.told("request")] == [(b"x", b"y")] * 4


@given(
    st.lists(st.tuples(st.integers(0, 3), st.one_of(st.binary(max_size=40), st.integers(1, 40_000))), max_size=25),
    st.lists(st.sampled_from([1, 7, 100, 9000, 65536, 1 << 20]), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_bodies_arrive_as_they_were_given(pieces: list[tuple[int, bytes | int]], sizes: list[int], late: bool) -> None:
    """However they are cut, whatever is asked for at a time, and whenever windows open."""
    dialogue = Dialogue()
    dialogue.say(b"".join(headers(2 * index + 1) for index in range(4)))
    whole: dict[int, bytes] = {2 * index + 1: b"" for index in range(4)}
    came = dict(whole)
    for stream in whole:
        assert dialogue.engine.respond(stream, OK, False)
    for index, piece in pieces:
        what = piece if isinstance(piece, bytes) else bytes([index]) * piece
        assert dialogue.engine.send(2 * index + 1, what, False)
        whole[2 * index + 1] += what
    assert dialogue.engine.held_by_all() == sum(map(len, whole.values()))
    for stream in whole:
        assert dialogue.engine.trailers(stream, [(b"x", b"y")]) if late else dialogue.engine.send(stream, b"", True)
    raw, at, opened = b"", 0, 0
    while not dialogue.engine.over:
        most = sizes[at % len(sizes)]
        at += 1
        said = dialogue.engine.output(most)
        assert len(said) <= most
        raw += said
        if not said:
            if opened > 20:
                break
            opened += 1
            dialogue.engine.receive(window(0, 60_000) + b"".join(window(stream, 30_000) for stream in whole))
    for each in wire.frames(raw):
        if each.kind == DATA:
            came[each.stream] += each.payload
    assert came == whole
    assert dialogue.engine.held_by_all() == 0


def test_more_than_came_is_not_taken() -> None:
    """That is a fault of whoever says so."""
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False) + data(1, b"abc"))
    with pytest.raises(ValueError, match=r"amount|taken"):
        dialogue.engine.taken(1, 4)
    assert dialogue.engine.taken(1, 3)


def test_what_is_no_field_is_refused_before_the_library_sees_it() -> None:
    """It would read whatever stands there."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    for wrong in ([(b":status", "200")], [(b":status",)], [b"x"], [(None, b"x")]):
        with pytest.raises(TypeError):
            dialogue.engine.respond(1, wrong, True)  # type: ignore[arg-type]
    assert dialogue.engine.respond(1, OK, True)


def test_many_fields_leave() -> None:
    """More than are laid out on the stack."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    client = Dialogue(server=False)
    client.engine.request(GET, True)
    client.answer()
    fields = [*OK, *((b"x%d" % number, b"y" * 20) for number in range(200))]
    assert dialogue.engine.respond(1, fields, True)
    client.engine.receive(dialogue.engine.output(1 << 20))
    assert client.told("response") == [("response", 1, tuple(fields), True)]


def test_fields_beyond_what_may_leave_reset_the_stream() -> None:
    """A list that no limit of ours lets through; the connection goes on."""
    dialogue = Dialogue()
    dialogue.say(headers(1) + headers(3))
    assert dialogue.engine.respond(1, [*OK, (b"x", b"y" * (1 << 20))], True)
    assert [(each.kind, each.stream) for each in dialogue.answer()] == [(wire.RST_STREAM, 1)]
    assert dialogue.engine.respond(3, OK, True)


def test_everything_of_a_session_goes_with_it() -> None:
    """Bodies, trailers, events that nobody fetched, half frames, in whatever state it is left."""

    def left() -> None:
        session = make_session(True, Bounds(), True)
        session.receive(PREFACE + wire.settings() + b"".join(headers(stream, POST, end=False) for stream in range(1, 99, 2)))
        session.tell(Heard())
        for stream in range(1, 99, 2):
            session.respond(stream, OK, False)
            for _ in range(5):
                session.send(stream, bytes(bytearray(10_000)), False)
            session.trailers(stream, [(b"x%d" % stream, b"y" * 100)])
        session.output(10_000)
        session.receive(data(1, b"z" * 9000) + data(3, b"z" * 16000)[:9000])
        broken = make_session(True, Bounds(list_size=400), True)
        broken.receive(PREFACE + wire.settings() + headers(1) + headers(3, [*GET, (b"x", b"y" * 300)]))
        assert broken.broken is not None

    left()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(5):
            left()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000  # one of them holds 2.5 MB
