"""[route.waf] with responses = true: what leaks goes to nobody where that is wanted; to detect, nothing waits for it."""

from __future__ import annotations

from typing import Any

import pytest

from lbproxy.http.grammar import END
from lbproxy.waf.messages import WafVerdict
from tests.unit.proxy.steps.test_waf import CLEAN, Inspectors, guarded, post
from tests.unit.proxy.world import EOF, FakeStream, World, get

LEAK = WafVerdict(0, True, 403, 5, (("951230", "RESPONSE_BODY"),))
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"


class Judges(Inspectors):
    """Of answers they say something else."""

    leak: WafVerdict | None = CLEAN

    def ask(self, question: Any) -> WafVerdict | None:
        super().ask(question)
        return self.leak if question.status else self.verdict


def looked(**settings: Any) -> tuple[World, Judges, FakeStream]:
    judges = Judges()
    world, _, client = guarded(judges, responses=True, **settings)
    return world, judges, client


def said(text: bytes, kind: str = "text/html", status: str = "200 OK", *lines: str) -> bytes:
    more = "".join(f"\r\n{line}" for line in lines)
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}{more}\r\n\r\n".encode() + text


def seen(judges: Judges) -> list[tuple[int, bytes]]:
    """Answers that were looked at: status and text."""
    return [(asked.status, asked.text) for asked in judges.asked if asked.status]


def asks(world: World, client: FakeStream, request: bytes = b"") -> bytes:
    """A request comes to its backend; as it came there."""
    client.feed(request or get("/x"))
    return world.upstream.take()


def test_what_is_clean_passes() -> None:
    """Once all of it was looked at; backends are asked for plain text."""
    world, judges, client = looked(mode="block")
    sent = asks(world, client, get("/x", "Accept-Encoding: gzip, br"))
    assert b"ncoding" not in sent
    answer = said(b"all is well")
    world.upstream.feed(answer[:-4])
    assert client.take() == b""
    assert seen(judges) == []
    world.upstream.feed(answer[-4:])
    assert client.take().endswith(b"\r\n\r\nall is well")
    assert seen(judges) == [(200, b"all is well")]
    assert b"\r\nContent-Type: text/html" in judges.asked[-1].answered
    assert world.inspected == ["waf clean", "waf_answer clean"]
    assert world.lines()[-1]["inspected"] == "waf=clean waf_answer=clean"
    world.at_rest()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_leak_is_replaced(chunked: bool) -> None:
    """By a 403, whole or in pieces; it is told as attacks are."""
    world, judges, client = looked(mode="block")
    judges.leak = LEAK
    asks(world, client)
    world.upstream.feed(CHUNKED + b"6\r\nsecret\r\n0\r\n\r\n" if chunked else said(b"secret"))
    told = client.take()
    assert told.startswith(b"HTTP/1.1 403 ")
    assert b"secret" not in told
    assert world.lines()[-1]["reason"] == "waf_answer_blocked:951230"
    assert world.attacks == [("/x", LEAK)]
    world.at_rest()


@pytest.mark.parametrize("on_failure", ["refuse", "pass"])
def test_nobody_says(on_failure: str) -> None:
    """503, or the answer as it came."""
    world, judges, client = looked(mode="block", on_failure=on_failure)
    judges.leak = None
    asks(world, client)
    world.upstream.feed(CHUNKED + b"2\r\nhi\r\n0\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 503" if on_failure == "refuse" else b"HTTP/1.1 200")
    assert world.inspected == ["waf clean", "waf_answer failed"]


@pytest.mark.parametrize("coming", ["length", "chunked", "at once"])
@pytest.mark.parametrize("over_cap", ["refuse", "pass"])
def test_a_long_one(over_cap: str, coming: str) -> None:
    """502, or its first bytes alone are looked at, and all of it passes."""
    world, judges, client = looked(mode="block", over_cap=over_cap, max_response=10)
    asks(world, client)
    if coming == "chunked":
        world.upstream.feed(CHUNKED + b"6\r\nabcdef\r\n")
        assert client.take() == b""
        world.upstream.feed(b"6\r\nghijkl\r\n")
        if over_cap == "pass":
            world.upstream.feed(b"3\r\nmno\r\n0\r\n\r\n")
    elif coming == "length":
        answer = said(b"abcdefghijklmno")
        world.upstream.feed(answer[:-9])
        if over_cap == "pass":
            world.upstream.feed(answer[-9:])
    else:
        world.upstream.feed(said(b"abcdefghijklmno"))
    told = client.take()
    if over_cap == "refuse":
        assert told.startswith(b"HTTP/1.1 502 ")
        assert world.lines()[-1]["reason"] == "waf_answer_too_large"
        assert seen(judges) == []
    else:
        body = told.partition(END)[2]
        assert b"abcdef" in body
        assert b"mno" in body
        assert seen(judges) == [(200, b"abcdefghij")]
    assert world.inspected[1] == "waf_answer over_cap"


def test_what_has_no_body_is_looked_at_by_its_head() -> None:
    """HEAD, 204, 304: also where the head tells of a length above the cap."""
    world, judges, client = looked(mode="block", max_response=10)
    asks(world, client, get("/x", method="HEAD"))
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 200 ")
    for status in ("204 No Content", "304 Not Modified"):
        asks(world, client)
        world.upstream.feed(f"HTTP/1.1 {status}\r\n\r\n".encode())
        assert client.take().startswith(b"HTTP/1.1 " + status.encode())
    assert seen(judges) == [(200, b""), (204, b""), (304, b"")]
    world.at_rest()


@pytest.mark.parametrize("mode", ["block", "detect"])
def test_other_types_and_events_go_on_as_they_come(mode: str) -> None:
    """Their heads alone are looked at, and a leak there is found."""
    world, judges, client = looked(mode=mode, max_response=10)
    for kind in ("image/png", "text/event-stream"):
        asks(world, client)
        world.upstream.feed(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n".encode())
        assert client.take().startswith(b"HTTP/1.1 200 ")
        world.upstream.feed(b"a" * 20 + b"\r\n")
        assert b"a" * 20 in client.take()
        assert seen(judges)[-1] == (200, b"")
        world.upstream.feed(b"0\r\n\r\n")
        client.take()
    assert len(seen(judges)) == 2


@pytest.mark.parametrize("over_cap", ["refuse", "pass"])
def test_a_compressed_one_nobody_can_read(over_cap: str) -> None:
    """Although the backend was asked not to: it is treated as one that is too long."""
    world, judges, client = looked(mode="block", over_cap=over_cap)
    for cut in (0, 3):
        answer = said(b"compressed", "text/html", "200 OK", "Content-Encoding: br")
        asks(world, client)
        world.upstream.feed(answer[: len(answer) - cut])
        if over_cap == "pass":
            world.upstream.feed(answer[len(answer) - cut :])
        assert client.take().startswith(b"HTTP/1.1 502" if over_cap == "refuse" else b"HTTP/1.1 200")
    assert seen(judges) == ([] if over_cap == "refuse" else [(200, b"")] * 2)


def test_to_detect_nothing_waits() -> None:
    """Each piece goes on at once; the copy is sent when the answer ends, or is longer than is looked at."""
    world, judges, client = looked(max_response=10)
    asks(world, client)
    world.upstream.feed(CHUNKED + b"6\r\nabcdef\r\n")
    assert b"abcdef" in client.take()
    assert seen(judges) == []
    world.upstream.feed(b"6\r\nghijkl\r\n")
    assert b"ghijkl" in client.take()
    assert seen(judges) == [(200, b"abcdefghij")]
    world.upstream.feed(b"0\r\n\r\n")
    client.take()
    asks(world, client)
    world.upstream.feed(said(b"short"))
    assert b"short" in client.take()
    assert seen(judges)[1:] == [(200, b"short")]
    judges.later[-1](LEAK._replace(blocked=False))
    assert world.inspected == ["waf_answer over_cap", "waf_answer found"]
    assert world.attacks == [("/x", LEAK._replace(blocked=False))]


def test_what_broke_off_is_looked_at() -> None:
    """As far as it came."""
    world, judges, client = looked()
    asks(world, client)
    world.upstream.feed(CHUNKED + b"6\r\nabcdef\r\n")
    world.upstream.feed(EOF)
    assert seen(judges) == [(200, b"abcdef")]


def test_paths_that_are_left_out() -> None:
    """Nobody looks there, and the backend may compress."""
    world, judges, client = looked(mode="block", exclude_paths=("/x",))
    assert b"Accept-Encoding: gzip" in asks(world, client, get("/x", "Accept-Encoding: gzip"))
    world.upstream.feed(said(b"secret"))
    assert b"secret" in client.take()
    assert judges.asked == []


def test_what_is_copied_is_bounded() -> None:
    """In all requests of a worker together; beyond that heads alone are looked at, and nothing waits."""
    world, judges, client = looked(max_body=100, max_response=100)
    world.copies.left = 7
    asks(world, client, post(b"eightand"))
    world.upstream.feed(said(b"answered"))
    assert b"answered" in client.take()
    assert [(asked.status, asked.body, asked.text) for asked in judges.asked] == [(0, b"", b""), (200, b"", b"")]
    assert world.inspected == ["waf skipped", "waf_answer skipped"]
    asks(world, client, post(b"seven.."))
    world.upstream.feed(said(b"sixsix"))
    assert judges.asked[-2].body + judges.asked[-1].text == b"seven..sixsix"
    client.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsix...")
    assert world.copies.left == 1
    client.feed(EOF)
    assert world.copies.left == 7
