"""The engine as its users see it: commands, events, windows, ends. Frame by frame it is tried in test_conformance.py."""

from __future__ import annotations

from lbproxy.http.h2.bounds import Bounds
from lbproxy.http.h2.engine import H2Engine, goaway_frame
from lbproxy.http.h2.nghttp2 import NATIVE
from lbproxy.http.h2.vocabulary import Failure, H2Code
from tests.support import h2_frames as wire
from tests.support.h2_frames import (
    DATA,
    GET,
    GOAWAY,
    HEADERS,
    POST,
    PREFACE,
    RST_STREAM,
    WINDOW_UPDATE,
    data,
    headers,
    settings,
    window,
)
from tests.unit.http.h2.dialogue import Dialogue, Heard

OK = [(b":status", b"200"), (b"content-type", b"text/plain")]


def kinds(said: list[wire.Frame]) -> list[int]:
    return [each.kind for each in said]


def test_both_ends_talk_to_each_other() -> None:
    """A whole exchange in memory: request, body, interim response, response, body and trailers, in order."""
    up, down = Heard(), Heard()
    server, client = H2Engine(down, server=True), H2Engine(up, server=False)

    def talk() -> None:
        while said := client.output(1000):
            server.receive(said)
        while said := server.output(1000):
            client.receive(said)

    talk()
    stream = client.request([*POST, (b"te", b"trailers")], False)
    assert stream == 1
    assert client.send(stream, b"ping", False)
    assert client.trailers(stream, [(b"x-sum", b"1")])
    talk()
    assert down.told == [
        ("settings",),
        ("request", 1, (*POST, (b"te", b"trailers")), False),
        ("data", 1, b"ping", False),
        ("trailers", 1, ((b"x-sum", b"1"),)),
    ]
    assert server.taken(1, 4)
    assert server.interim(1, [(b":status", b"103"), (b"link", b"</a>")])
    assert server.respond(1, OK, False)
    assert server.send(1, b"po", False)
    assert server.send(1, b"ng", False)
    assert server.trailers(1, [(b"grpc-status", b"0")])
    talk()
    assert up.told == [
        ("settings",),
        ("interim", 1, ((b":status", b"103"), (b"link", b"</a>"))),
        ("response", 1, tuple(OK), False),
        ("data", 1, b"pong", False),
        ("trailers", 1, ((b"grpc-status", b"0"),)),
        ("closed", 1, 0),
    ]
    assert down.told[-1] == ("closed", 1, 0)
    assert client.streams_allowed == 128


def test_commands_for_streams_that_are_gone() -> None:
    """Answer False, and nothing else happens: a client may reset whenever it likes."""
    dialogue = Dialogue()
    dialogue.say(headers(1) + wire.reset(1))
    engine = dialogue.engine
    assert not engine.respond(1, OK, True)
    assert not engine.interim(1, [(b":status", b"103")])
    assert not engine.send(1, b"x", True)
    assert not engine.trailers(1, [(b"x", b"y")])
    assert engine.window(1) == 0
    assert not engine.widen(1, 100_000)
    assert dialogue.answer() == []
    assert engine.request(GET, True) == 0  # a server begins none


def test_a_window_opens_as_what_came_is_taken_and_no_sooner() -> None:
    """A client that fills it waits; half of it, taken, is told."""
    dialogue = Dialogue()
    said = dialogue.say(headers(1, POST, end=False) + data(1, b"x" * 16384) * 3)
    assert WINDOW_UPDATE not in kinds(said)
    assert dialogue.engine.taken(1, 3 * 16384)
    assert {(each.kind, each.stream) for each in dialogue.answer()} == {(WINDOW_UPDATE, 0), (WINDOW_UPDATE, 1)}


def test_the_window_of_a_body_whose_rest_fits_stays() -> None:
    """What was taken of it is given back to the connection, which others share."""
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False) + data(1, b"x" * 16384) * 3)
    assert dialogue.engine.taken(1, 3 * 16384, 65535 - 3 * 16384)
    assert {each.stream for each in dialogue.answer()} == ({0} if NATIVE else {0, 1})
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False) + data(1, b"x" * 16384) * 3)
    assert dialogue.engine.taken(1, 3 * 16384, 65536 - 3 * 16384)
    assert {each.stream for each in dialogue.answer()} == {0, 1}


def test_what_came_of_a_stream_that_is_gone_is_given_back_to_the_connection() -> None:
    """Else a client that gives up uploads shuts its own connection."""
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False) + data(1, b"x" * 16384) * 3 + wire.reset(1))
    assert dialogue.engine.taken(1, 3 * 16384)
    assert [(each.kind, each.stream) for each in dialogue.answer()] == [(WINDOW_UPDATE, 0)]


def test_a_window_is_widened_and_narrowed() -> None:
    """Widening is told at once; narrowing is not telling of what is taken."""
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False))
    assert dialogue.engine.widen(1, 262144)
    assert dialogue.engine.widen(0, 1048576)
    said = {each.stream: int.from_bytes(each.payload, "big") for each in dialogue.answer()}
    assert said == {1: 262144 - 65535, 0: 1048576 - 65535}
    assert dialogue.engine.widen(0, 65535)
    assert dialogue.answer() == []


def test_what_the_peer_does_not_take_is_held_and_told() -> None:
    """The windows rule what leaves; the rest waits."""
    dialogue = Dialogue(greeting=PREFACE + settings((4, 10)) + settings(ack=True))
    dialogue.say(headers(1) + headers(3))
    dialogue.engine.respond(1, OK, False)
    dialogue.engine.send(1, b"x" * 30, True)
    assert dialogue.engine.window(1) == 10
    assert [len(each.payload) for each in dialogue.answer() if each.kind == DATA] == [10]
    assert (dialogue.engine.held(1), dialogue.engine.held_by_all(), dialogue.engine.window(1)) == (20, 20, 0)
    assert not dialogue.engine.will_leave(1)
    assert dialogue.engine.will_leave(3)
    said = dialogue.say(window(1, 5))
    assert [len(each.payload) for each in said if each.kind == DATA] == [5]
    dialogue.engine.reset(1, H2Code.CANCEL)
    assert [each.kind for each in dialogue.answer()] == [RST_STREAM]
    assert dialogue.engine.held_by_all() == 0


def test_output_comes_in_pieces_that_make_whole_frames() -> None:
    """However little is asked for at a time."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    dialogue.engine.respond(1, OK, False)
    dialogue.engine.send(1, b"x" * 1000, True)
    said = b""
    while piece := dialogue.engine.output(7):
        assert len(piece) <= 7
        said += piece
    assert kinds(wire.frames(said)) == [HEADERS, DATA]


def test_urgent_streams_leave_first_and_incremental_ones_take_turns() -> None:
    """RFC 9218 10: by urgency; within one, those that come in pieces share, and the others go one after the other."""
    dialogue = Dialogue(greeting=PREFACE + settings((4, 1 << 20)) + settings(ack=True))
    wanted = {1: b"u=5", 3: b"u=1", 5: b"u=5, i", 7: b"u=5, i", 9: b"u=3"}
    dialogue.say(window(0, 1 << 24) + b"".join(headers(stream, [*GET, (b"priority", said)]) for stream, said in wanted.items()))
    for stream in wanted:
        dialogue.engine.respond(stream, OK, False)
        dialogue.engine.send(stream, b"x" * 40_000, True)
    order = [each.stream for each in dialogue.answer() if each.kind == DATA]
    assert order[:6] == [3, 3, 3, 9, 9, 9]
    behind = [stream for stream in order[6:] if stream in (5, 7)]
    assert behind in ([5, 7] * 3, [7, 5] * 3)


def test_a_priority_is_changed_later() -> None:
    """RFC 9218 7.1: PRIORITY_UPDATE rules over the field."""
    dialogue = Dialogue(greeting=PREFACE + settings((4, 1 << 20)) + settings(ack=True))
    dialogue.say(window(0, 1 << 24) + headers(1) + headers(3) + wire.frame(wire.PRIORITY_UPDATE, 0, b"\0\0\0\x03u=0"))
    assert dialogue.told("priority") == [("priority", 3)]
    for stream in (1, 3):
        dialogue.engine.respond(stream, OK, False)
        dialogue.engine.send(stream, b"x" * 20_000, True)
    assert [each.stream for each in dialogue.answer() if each.kind == DATA] == [3, 3, 1, 1]


def test_the_end_is_announced_and_then_made() -> None:
    """RFC 9113 6.8: what crosses with the first GOAWAY is served, what comes after the second is not, and the last answer ends
    the connection."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    assert dialogue.engine.announce_end()
    assert [(each.kind, each.last, each.code) for each in dialogue.answer()] == [(GOAWAY, 0x7FFFFFFF, 0)]
    dialogue.say(headers(3))
    assert dialogue.engine.refuse_more()
    assert [(each.kind, each.last, each.code) for each in dialogue.answer()] == [(GOAWAY, 3, 0)]
    assert dialogue.say(headers(5)) == []
    assert [each[1] for each in dialogue.told("request")] == [1, 3]
    for stream in (1, 3):
        assert not dialogue.engine.over
        dialogue.engine.respond(stream, OK, True)
        dialogue.answer()
    assert dialogue.engine.over
    assert dialogue.engine.failure is None


def test_a_failure_of_ours_is_told_with_its_code() -> None:
    """And nothing more is said or heard; but not in the middle of a frame, of which it would be taken for a part."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    dialogue.engine.end(Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets"))
    dialogue.engine.end(Failure(H2Code.INTERNAL_ERROR, "h2_engine"))
    assert [(each.kind, each.last, each.code) for each in dialogue.answer()] == [(GOAWAY, 1, H2Code.ENHANCE_YOUR_CALM)]
    assert dialogue.say(headers(3)) == []
    assert len(dialogue.told("request")) == 1
    torn = Dialogue()
    torn.say(headers(1))
    torn.engine.respond(1, OK, False)
    assert torn.engine.output(5)
    torn.engine.end(Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets"))
    assert torn.engine.output(1000) == b""


def test_the_form_of_goaway() -> None:
    """RFC 9113 6.8."""
    [frame] = wire.frames(goaway_frame(7, H2Code.ENHANCE_YOUR_CALM))
    assert (frame.kind, frame.stream, frame.last, frame.code) == (GOAWAY, 0, 7, 11)


def test_a_client_learns_what_became_of_its_requests() -> None:
    """Refused, given up, or beyond what the server will begin: the ledger and retries ask for exactly that."""
    dialogue = Dialogue(server=False, greeting=settings((3, 2)) + settings(ack=True))
    engine = dialogue.engine
    assert engine.streams_allowed == 2
    assert [engine.request(GET, True) for _ in range(3)] == [1, 3, 5]
    dialogue.answer()
    dialogue.say(wire.reset(1, H2Code.REFUSED_STREAM))
    assert dialogue.heard.told == [("reset", 1, H2Code.REFUSED_STREAM), ("closed", 1, H2Code.REFUSED_STREAM)]
    dialogue.heard.told.clear()
    dialogue.say(wire.goaway(3, 0))
    assert ("goaway", 3, 0) in dialogue.heard.told
    assert ("closed", 5, H2Code.REFUSED_STREAM) in dialogue.heard.told
    assert engine.request(GET, True) == 0
    dialogue.say(wire.headers(3, [(b":status", b"200")]))
    assert ("closed", 3, 0) in dialogue.heard.told


def test_a_server_that_pushes_ends_its_connection() -> None:
    """RFC 9113 8.4: our SETTINGS forbid it."""
    dialogue = Dialogue(server=False)
    dialogue.engine.request(GET, True)
    dialogue.answer()
    said = dialogue.say(wire.frame(wire.PUSH_PROMISE, 1, b"\0\0\0\x02" + wire.block(GET), 4))
    assert [each.code for each in said if each.kind == GOAWAY] == [H2Code.PROTOCOL_ERROR]


def test_bounds_are_kept_in_what_is_told() -> None:
    """What a peer may do is what the connection was made for."""
    hello = Dialogue(bounds=Bounds(streams=7, list_size=9999, window=1000)).hello[0].payload
    for key, value in ((3, 7), (6, 9999), (4, 1000)):
        assert key.to_bytes(2, "big") + value.to_bytes(4, "big") in hello


def test_a_repr_shows_the_state() -> None:
    """For the log and the debugger."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    assert repr(dialogue.engine) == "<Engine open, 0 bytes held, last stream 1>"
