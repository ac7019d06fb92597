"""Frames: whatever was sent arrives, however it was cut; whatever is malformed is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import FrameError
from lbproxy.ipc.codec import HEADER, KINDS, MAX_FRAME, RULES, Decoder, encode
from lbproxy.ipc.messages import (
    Drain,
    Drained,
    Failed,
    HealthChanged,
    Heartbeat,
    Message,
    Placed,
    Quit,
    Ready,
    ReopenLogs,
    Resolved,
    Serve,
    SetLogLevel,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
COUNTS = st.integers(0, 2**31 - 1)

MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Ready, pid=st.integers(1, 2**22), form=TEXT, walls=TEXT),
    st.builds(
        Heartbeat,
        lag_ms=COUNTS,
        rss_kib=st.integers(0, 2**42),
        connections=COUNTS,
        live_requests=COUNTS,
        requests=st.integers(0, 2**59),
    ),
    st.builds(HealthChanged, pool=TEXT, backend=TEXT, state=st.sampled_from(["up", "down"]), why=TEXT),
    st.builds(Resolved, name=TEXT, addresses=TEXT),
    st.builds(Placed, pool=TEXT, backend=TEXT, endpoints=TEXT),
    st.builds(Drained, cut=COUNTS),
    st.builds(Failed, reason=TEXT),
    st.just(Serve()),
    st.builds(Drain, timeout_ms=COUNTS, idle_ms=COUNTS, tunnel_ms=COUNTS, closing=TEXT),
    st.just(Quit()),
    st.just(ReopenLogs()),
    st.builds(SetLogLevel, level=st.sampled_from(["debug", "info", "warning", "error"])),
)


def frame(value: object) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return len(body).to_bytes(HEADER, "big") + body


def test_every_kind_of_message_has_rules_for_exactly_its_fields() -> None:
    """The schema cannot fall behind messages.py."""
    assert set(KINDS) == set(RULES) == {kind.__name__ for kind in Message.__args__}
    for name, kind in KINDS.items():
        assert tuple(RULES[name]) == kind._fields


@given(st.lists(MESSAGES, max_size=8), st.data())
def test_what_was_sent_arrives_however_it_is_cut(messages: list[Message], data: st.DataObject) -> None:
    wire = b"".join(map(encode, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=12)))
    decoder = Decoder()
    arrived: list[Message] = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        arrived += decoder.feed(wire[start:end])
    assert arrived == messages
    assert decoder.pending == 0


@given(st.lists(MESSAGES, min_size=1, max_size=4))
def test_byte_by_byte(messages: list[Message]) -> None:
    decoder = Decoder()
    arrived = [message for byte in b"".join(map(encode, messages)) for message in decoder.feed(bytes([byte]))]
    assert arrived == messages


@given(st.binary(max_size=400))
def test_garbage_gives_messages_or_a_frame_error_and_nothing_else(garbage: bytes) -> None:
    decoder = Decoder()
    try:
        for message in decoder.feed(garbage):
            assert type(message).__name__ in KINDS
    except FrameError:
        with pytest.raises(FrameError):
            decoder.feed(encode(Quit()))  # poisoned: nobody knows where the next frame starts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(RULES)), JSON, st.data())
def test_wrong_values_in_right_fields_are_refused_or_fit_their_rule(kind: str, value: object, data: st.DataObject) -> None:
    fields = {"kind": kind, **dict.fromkeys(RULES[kind], value)}
    try:
        [message] = Decoder().feed(frame(fields))
    except FrameError:
        return
    for name, rule in RULES[kind].items():
        assert rule.fault(getattr(message, name)) == ""


REFUSED = {
    "not JSON": b"}{",
    "empty": b"",
    "not ASCII": '{"kind":"Failed","reason":"ü"}'.encode(),
    "a list": b'["Ready", 1]',
    "no kind": b'{"pid":1}',
    "kind is no text": b'{"kind":["Ready"],"pid":1}',
    "unknown kind": b'{"kind":"Exec","pid":1}',
    "unknown field": b'{"kind":"Ready","form":"","pid":1,"uid":0}',
    "missing field": b'{"kind":"Ready"}',
    "doubled field": b'{"kind":"Ready","form":"","pid":1,"pid":2}',
    "text for a number": b'{"kind":"Ready","form":"","pid":"1"}',
    "true for a number": b'{"kind":"Ready","form":"","pid":true}',
    "a fraction": b'{"kind":"Ready","form":"","pid":1.0}',
    "no number at all": b'{"kind":"Drained","cut":NaN}',
    "too small": b'{"kind":"Ready","form":"","pid":0}',
    "too large": b'{"kind":"Ready","form":"","pid":4194305}',
    "negative": b'{"kind":"Drained","cut":-1}',
    "very many digits": b'{"kind":"Drained","cut":' + b"9" * 5000 + b"}",
    "a number for text": b'{"kind":"Failed","reason":1}',
    "null for text": b'{"kind":"Failed","reason":null}',
    "over-long text": json.dumps({"kind": "Failed", "reason": "x" * 4097}).encode(),
    "a lone surrogate": b'{"kind":"Failed","reason":"\\ud800"}',
    "none of the states": b'{"kind":"HealthChanged","pool":"p","backend":"b","state":"odd","why":""}',
    "a level that is none": b'{"kind":"SetLogLevel","level":"silent"}',
    "a drain that lacks a limit": b'{"kind":"Drain","timeout_ms":1,"idle_ms":1,"closing":""}',
    "a deep nest": b"[" * 60_000,
    "two values": b'{"kind":"Quit"}{"kind":"Quit"}',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        Decoder().feed(frame(body))


def test_a_frame_over_the_cap_is_refused_at_its_header() -> None:
    """Before one byte of it is kept."""
    decoder = Decoder()
    with pytest.raises(FrameError, match="65537"):
        decoder.feed((MAX_FRAME + 1).to_bytes(HEADER, "big"))
    assert decoder.pending == 0


def test_free_text_is_cut_to_its_limit_and_mended_by_the_sender() -> None:
    [failed] = Decoder().feed(encode(Failed("x" * 9000)))
    assert failed == Failed("x" * 4096)
    [failed] = Decoder().feed(encode(Failed("caf\udce9 \U0001f600")))  # what os.fsdecode makes of a Latin-1 file name
    assert failed == Failed("caf\\udce9 \U0001f600")


def test_the_longest_honest_frame_fits() -> None:
    assert len(encode(Failed("\U0001f600" * 5000))) <= HEADER + MAX_FRAME
    assert encode(Drain(2**31 - 1, 2**31 - 1, 2**31 - 1, ",".join(map(str, range(1000)))))  # more listeners than anybody has


@pytest.mark.parametrize(
    "message",
    [
        Ready(0),
        Drain(-1),
        Drain(1, tunnel_ms=2**31),
        Drain(1, closing="1," * 2049),
        Drained(2**31),
        HealthChanged("p", "b", "sideways", ""),
        HealthChanged("p" * 513, "b", "up", ""),
        SetLogLevel("loud"),
    ],
    ids=repr,
)
def test_a_sender_is_told_of_its_own_mistake(message: Message) -> None:
    with pytest.raises(FrameError):
        encode(message)
