"""WebSocket frames as they travel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.macro import frames

SHORT = st.binary(max_size=frames.SHORT)
MASK = st.binary(min_size=4, max_size=4)


def test_the_example_of_the_standard() -> None:
    """RFC 6455, section 5.7: "Hello", masked and not; and section 1.3 for the key."""
    assert frames.encode(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")
    assert frames.encode(b"Hello") == bytes.fromhex("810548656c6c6f")
    assert frames.accept_for(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(SHORT, MASK, st.binary(max_size=9))
def test_a_frame_is_taken_whole_and_what_follows_stays(payload: bytes, mask: bytes, rest: bytes) -> None:
    for encoded in (frames.encode(payload), frames.encode(payload, mask)):
        for cut in range(len(encoded)):
            assert frames.take(bytearray(encoded[:cut])) is None
        buffer = bytearray(encoded + rest)
        assert frames.take(buffer) == frames.Frame(frames.TEXT, payload)
        assert buffer == rest


def test_long_frames_are_refused_on_both_ways() -> None:
    with pytest.raises(ValueError, match="at most 125"):
        frames.encode(bytes(126))
    with pytest.raises(ValueError, match="length field 126"):
        frames.take(bytearray(b"\x81\x7e\x01\x00"))
