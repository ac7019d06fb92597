"""Which fields stand behind a body."""

from __future__ import annotations

import pytest

from lbproxy.http.trailers import passable, passed_on


@pytest.mark.parametrize("name", [b"grpc-status", b"grpc-message", b"server-timing", b"x-checksum", b"etag", b"digest", b"x-if"])
def test_the_applications_fields_pass(name: bytes) -> None:
    """What is not about the head."""
    assert passable(name)


@pytest.mark.parametrize(
    "name",
    [
        b"content-length", b"transfer-encoding", b"host", b"connection", b"te", b"trailer", b"upgrade", b":status", b":path",
        b"x-forwarded-for", b"x-forwarded-anything", b"forwarded", b"x-real-ip", b"via", b"authorization", b"cookie", b"set-cookie",
        b"content-type", b"content-encoding", b"content-range", b"expect", b"if-match", b"cache-control", b"max-forwards",
        b"proxy-authorization", b"client-cert", b"x-amzn-mtls-clientcert",
        b"x_forwarded_for", b"content_length", b"proxy", b"location",
    ],
)  # fmt: skip
def test_what_frames_routes_or_rules_does_not(name: bytes) -> None:
    """Some recipient merges trailers into the head."""
    assert not passable(name)


def test_order_and_repeats_are_kept() -> None:
    """Of those that pass."""
    fields = ((b"a", b"1"), (b"host", b"x"), (b"a", b"2"))
    assert passed_on(fields) == ((b"a", b"1"), (b"a", b"2"))
