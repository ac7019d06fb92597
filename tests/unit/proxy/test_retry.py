"""May it be tried again? Every combination."""

from __future__ import annotations

from itertools import product

import pytest

from lbproxy.http.h1.request import parse_request
from lbproxy.proxy.retry import IDEMPOTENT, REPLAY_LIMIT, RetryVerdict, judge, repeatable

METHODS = (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"POST", b"PATCH", b"M-SEARCH", b"get")
BOOLEANS = (False, True)
EVERYTHING = list(product(METHODS, BOOLEANS, BOOLEANS, BOOLEANS, BOOLEANS, BOOLEANS, range(1, 5)))


def verdict(
    method: bytes, nothing_sent: bool, reused: bool, died: bool, unseen: bool, replayable: bool, tries: int, retries: int = 1
) -> RetryVerdict:
    """judge, in the order of EVERYTHING."""
    return judge(
        method=method,
        nothing_sent=nothing_sent,
        reused=reused,
        died_unanswered=died,
        unseen=unseen,
        replayable=replayable,
        tries=tries,
        retries=retries,
    )


def test_idempotent_methods() -> None:
    """RFC 9110 9.2.2, without TRACE, which is refused. Method names know case."""
    assert {method for method in METHODS if method in IDEMPOTENT} == {b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"}


def test_never_without_the_body() -> None:
    """What was sent and is not at hand any more cannot be sent again."""
    for case in EVERYTHING:
        _, nothing_sent, *_, replayable, _ = case
        if not nothing_sent and not replayable:
            assert verdict(*case) is RetryVerdict.GIVE_UP, case


def test_never_twice_what_may_have_had_an_effect() -> None:
    """A method that is not idempotent is tried again only if nothing was sent, or nothing of it arrived, anywhere."""
    for case in EVERYTHING:
        method, nothing_sent, _, _, unseen, *_ = case
        if method not in IDEMPOTENT and not nothing_sent and not unseen:
            assert verdict(*case) is RetryVerdict.GIVE_UP, case


def test_same_backend_only_for_a_stale_connection() -> None:
    """A reused connection that died before the first byte, and the body is at hand."""
    for case in EVERYTHING:
        method, nothing_sent, reused, died, unseen, replayable, _ = case
        stale = not nothing_sent and reused and died and replayable and (unseen or method in IDEMPOTENT)
        assert (verdict(*case) is RetryVerdict.SAME_BACKEND) is stale, case


@pytest.mark.parametrize("retries", range(4))
def test_there_is_an_end(retries: int) -> None:
    """However it goes on failing: so many further backends, and one more while nothing was sent."""
    for method, nothing_sent in product(METHODS, BOOLEANS):
        tries = 1
        while verdict(method, nothing_sent, False, False, False, True, tries, retries) is RetryVerdict.OTHER_BACKEND:
            tries += 1
            assert tries <= 10
        if not retries:
            assert tries == 1
        elif nothing_sent:
            assert tries == retries + 2
        else:
            assert tries == (retries + 1 if method in IDEMPOTENT else 1)


def test_no_retries_is_never_twice() -> None:
    for case in EVERYTHING:
        assert verdict(*case, retries=0) is RetryVerdict.GIVE_UP, case


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [("GET", "", True), ("POST", "", False), ("PUT", f"Content-Length: {REPLAY_LIMIT}\r\n", True),
     ("PUT", f"Content-Length: {REPLAY_LIMIT + 1}\r\n", False), ("PUT", "Transfer-Encoding: chunked\r\n", False)],
)  # fmt: skip
def test_repeatable(method: str, body: str, expected: bool) -> None:
    """What may fail without its client noticing."""
    head = parse_request(f"{method} / HTTP/1.1\r\nHost: a\r\n{body}\r\n".encode(), 8192, 100)
    assert repeatable(head) is expected


@pytest.mark.parametrize("died", BOOLEANS)
def test_a_fresh_connection_is_no_stale_one(died: bool) -> None:
    """A backend that dies on a fresh connection may have done the work: a POST is not repeated."""
    assert verdict(b"POST", False, False, died, False, True, 1) is RetryVerdict.GIVE_UP
