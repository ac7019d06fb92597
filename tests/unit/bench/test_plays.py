"""What is asked of a worker whose instructions are counted is what lbproxy takes."""

from __future__ import annotations

from bench.macro.cases import BY_NAME, UPLOAD_BYTES
from bench.micro.plays import CLOSING, PLAYS, UPLOAD
from lbproxy.http.h1.request import parse_request


def test_the_upload_is_whole() -> None:
    head, _, body = UPLOAD.partition(b"\r\n\r\n")
    request = parse_request(head + b"\r\n\r\n", 8192, 100)
    assert (request.method, request.body, request.keep_alive) == (b"POST", UPLOAD_BYTES, True)
    assert len(body) == UPLOAD_BYTES


def test_a_handshake_has_one_request() -> None:
    assert not parse_request(CLOSING, 8192, 100).keep_alive


def test_names_are_those_of_the_macro_benchmark() -> None:
    """But for what is counted here alone: what it costs to store an answer."""
    assert set(PLAYS) <= {*BY_NAME, "h2", "miss", "miss100k"}
