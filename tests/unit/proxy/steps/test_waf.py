"""[route.waf]: what rules find is refused or told, and a backend gets nothing that was not looked at where that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lbproxy.config import model
from lbproxy.http.grammar import END
from lbproxy.waf.messages import WafQuestion, WafVerdict
from tests.unit.proxy.world import FakeStream, World, get, ok

CLEAN = WafVerdict(0, False, 200, 0, ())
FOUND = WafVerdict(0, True, 403, 5, (("942100", "ARGS:id"), ("1", "")))
SEEN = WafVerdict(0, False, 200, 5, (("942100", "ARGS:id"),))


class Inspectors:
    """Answer what the test says, at once or later."""

    def __init__(self) -> None:
        self.verdict: WafVerdict | None = CLEAN
        self.takes = True
        self.asked: list[WafQuestion] = []
        self.later: list[Callable[[WafVerdict | None], None]] = []

    def ask(self, question: WafQuestion) -> WafVerdict | None:
        self.asked.append(question)
        return self.verdict

    def tell(self, question: WafQuestion, on_verdict: Callable[[WafVerdict | None], None]) -> bool:
        self.asked.append(question)
        self.later.append(on_verdict)
        return self.takes


def guarded(inspectors: Inspectors | None = None, **settings: Any) -> tuple[World, Inspectors, FakeStream]:
    inspectors = inspectors or Inspectors()
    world = World(1, route=model.RouteConfig("app", waf=model.WafConfig(**settings)), inspectors=inspectors)
    return world, inspectors, world.connect()


def post(body: bytes, *lines: str) -> bytes:
    said = "".join(f"\r\n{line}" for line in lines)
    return f"POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nContent-Length: {len(body)}{said}\r\n\r\n".encode() + body


def test_what_is_clean_passes_with_its_body() -> None:
    """All of it was looked at before the backend heard of it, also where it comes in pieces."""
    world, inspectors, client = guarded(mode="block")
    whole = post(b"x=1&y=2")
    client.feed(whole[:-4])
    assert (inspectors.asked, world.dials) == ([], [])
    client.feed(whole[-4:])
    [asked] = inspectors.asked
    assert (asked.method, asked.target, asked.body) == (b"POST", b"/a?b=c", b"x=1&y=2")
    assert b"\r\nHost: example.com" in asked.block
    sent = world.upstream.take()
    assert sent.endswith(b"x=1&y=2")
    world.upstream.feed(ok())
    assert b" 200 " in client.take()
    assert world.inspected == ["waf clean"]
    [line] = world.lines()
    assert line["inspected"] == "waf=clean"
    world.at_rest()


@pytest.mark.parametrize(("verdict", "status"), [(FOUND, b"403"), (FOUND._replace(status=400), b"400")])
def test_an_attack_is_refused(verdict: WafVerdict, status: bytes) -> None:
    """With its rules in the log, and an event; the backend hears nothing."""
    world, inspectors, client = guarded(mode="block")
    inspectors.verdict = verdict
    client.feed(get("/x"))
    assert client.take().partition(END)[0].startswith(b"HTTP/1.1 " + status)
    assert world.dials == []
    [line] = world.lines()
    assert line["inspected"] == "waf=blocked/5:942100@ARGS:id,1"
    assert line["reason"] == "waf_blocked:942100,1"
    assert world.attacks == [("/x", verdict)]
    world.at_rest()


@pytest.mark.parametrize("on_failure", ["refuse", "pass"])
def test_nobody_says(on_failure: str) -> None:
    """503, or as if nothing was wrong; counted."""
    world, inspectors, client = guarded(mode="block", on_failure=on_failure)
    inspectors.verdict = None
    client.feed(get("/"))
    if on_failure == "refuse":
        assert client.take().startswith(b"HTTP/1.1 503")
    else:
        world.upstream.take()
        world.upstream.feed(ok())
        assert b" 200 " in client.take()
    assert world.inspected == ["waf failed"]
    world.at_rest()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("over_cap", ["refuse", "pass"])
def test_a_long_body_is_never_cut(over_cap: str, chunked: bool) -> None:
    """413, or its head alone is looked at and all of it passes."""
    world, inspectors, client = guarded(mode="block", over_cap=over_cap, max_body=10)
    if chunked:
        client.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nelevenbytes\r\n0\r\n\r\n")
    else:
        client.feed(post(b"elevenbytes"))
    if over_cap == "refuse":
        assert client.take().startswith(b"HTTP/1.1 413")
        assert inspectors.asked == []
    else:
        assert b"elevenbytes" in world.upstream.take()
        assert [asked.body for asked in inspectors.asked] == [b""]
    assert world.inspected[0] == "waf over_cap"


@pytest.mark.parametrize("trailer", [b"", b"X-Sum: 1\r\n"])
@pytest.mark.parametrize("max_body", [1000, 10])
def test_a_body_without_a_length_goes_on_as_its_head_says(trailer: bytes, max_body: int) -> None:
    """In chunks, or with the length that is known by then; never as it is behind a head that promises chunks: the backend would
    take an end out of it, and a request behind that."""
    world, _, client = guarded(mode="block", over_cap="pass", max_body=max_body)
    body = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
    client.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.feed(b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailer))
    world.settle()
    head, _, sent = world.upstream.take().partition(END)
    if b"Transfer-Encoding: chunked" in head:
        assert sent.startswith(b"%x\r\n%b\r\n0\r\n" % (len(body), body))
        assert sent.endswith(b"\r\n\r\n")
    else:
        assert (b"Content-Length: %d" % len(body) in head, sent) == (True, body)
    world.upstream.feed(ok())
    assert b" 200 " in client.take()


@pytest.mark.parametrize("over_cap", ["refuse", "pass"])
def test_too_many_arguments(over_cap: str) -> None:
    """413 before anybody spends time on them; or the head alone is looked at, and nothing where the query has them."""
    world, inspectors, client = guarded(mode="block", over_cap=over_cap, max_arguments=3)
    client.feed(post(b"[1,2,3,4]", "Content-Type: application/json"))
    if over_cap == "refuse":
        assert client.take().startswith(b"HTTP/1.1 413")
        assert world.lines()[-1]["reason"] == "waf_too_many_arguments"
        assert (inspectors.asked, world.dials) == ([], [])
    else:
        assert world.upstream.take().endswith(b"[1,2,3,4]")
        world.upstream.feed(ok())
        client.take()
        assert [asked.body for asked in inspectors.asked] == [b""]
        client.feed(get("/?a&b&c&d"))
        assert world.upstream.take().startswith(b"GET /?a&b&c&d ")
        assert len(inspectors.asked) == 1
    assert world.inspected[0] == "waf over_cap"


def test_too_many_to_detect() -> None:
    """The head alone is looked at, or nothing; counted."""
    world, inspectors, client = guarded(max_arguments=3)
    client.feed(post(b"[1,2,3,4]", "Content-Type: application/json"))
    assert world.upstream.take().endswith(b"[1,2,3,4]")
    world.upstream.feed(ok())
    client.feed(get("/?a&b&c&d"))
    assert [asked.body for asked in inspectors.asked] == [b""]
    assert world.inspected == ["waf over_cap"] * 2


def test_to_detect_nobody_waits() -> None:
    """A copy goes behind the request; what comes of it is told later. A long one's head alone is looked at."""
    world, inspectors, client = guarded(max_body=10)
    for body, seen in ((b"x=1", b"x=1"), (b"elevenbytes", b"")):
        client.feed(post(body))
        assert world.upstream.take().endswith(body)
        world.upstream.feed(ok())
        assert b" 200 " in client.take()
        assert inspectors.asked.pop().body == seen
    inspectors.later[0](SEEN)
    inspectors.later[1](None)
    assert world.attacks == [("/a", SEEN)]
    assert world.inspected == ["waf over_cap", "waf found", "waf failed"]
    inspectors.takes = False
    client.feed(get("/"))
    assert world.inspected[-1] == "waf failed"


def test_an_upload_without_an_end_is_looked_at() -> None:
    """By its head, once it is longer than may be; each piece goes on at once, and none is kept."""
    world, inspectors, client = guarded(max_body=10)
    client.feed(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    world.upstream.take()
    for number in range(5):
        client.feed(b"4\r\nabcd\r\n")
        assert b"abcd" in world.upstream.take()
        assert [asked.body for asked in inspectors.asked] == ([] if number < 2 else [b""])
    client.feed(b"0\r\n\r\n")
    world.upstream.feed(ok())
    assert b" 200 " in client.take()
    assert len(inspectors.asked) == 1
    assert world.inspected == ["waf over_cap"]


def test_paths_that_are_left_out() -> None:
    """Nobody looks there."""
    world, inspectors, client = guarded(mode="block", exclude_paths=("/upload/",))
    client.feed(get("/upload/x"))
    assert world.upstream.take().startswith(b"GET /upload/x ")
    assert inspectors.asked == []


@pytest.mark.parametrize("mode", ["block", "detect"])
@pytest.mark.parametrize("over_cap", ["refuse", "pass"])
@pytest.mark.parametrize(
    "line",
    [
        "Content-Encoding: gzip", "content-encoding: identity, br", "Content_Encoding: deflate",
        "Content-Encoding: identity\r\nContent-Encoding: x",
    ],
)  # fmt: skip
def test_a_compressed_body_is_not_taken_for_what_is_in_it(line: str, over_cap: str, mode: str) -> None:
    """Rules would find nothing in it, and there are applications that expand it: 415, or its head alone is looked at."""
    world, inspectors, client = guarded(mode=mode, over_cap=over_cap)
    client.feed(post(b"x=evil", line))
    if mode == "block" and over_cap == "refuse":
        assert client.take().startswith(b"HTTP/1.1 415")
        assert (inspectors.asked, world.dials) == ([], [])
        assert world.lines()[-1]["reason"] == "waf_body_coded"
    else:
        assert world.upstream.take().endswith(b"x=evil")
        assert [asked.body for asked in inspectors.asked] == [b""]
    assert world.inspected[0] == "waf over_cap"


@pytest.mark.parametrize("over_cap", ["refuse", "pass"])
@pytest.mark.parametrize("how", ["long", "coded", "arguments"])
def test_the_log_does_not_call_clean_what_nobody_has_looked_at(how: str, over_cap: str) -> None:
    """Beside what was found in its head."""
    world, _, client = guarded(mode="block", over_cap=over_cap, max_body=10, max_arguments=3)
    kind = {"long": "X-A: b", "coded": "Content-Encoding: gzip", "arguments": "Content-Type: application/json"}[how]
    client.feed(post(b"elevenbytes" if how == "long" else b"[1,2,3,4]", kind))
    if over_cap == "pass":
        world.upstream.feed(ok())
    assert [line["inspected"] for line in world.lines()] == ["waf=over_cap waf=clean" if over_cap == "pass" else "waf=over_cap"]


def test_a_body_that_is_only_said_to_be_in_no_coding() -> None:
    """It is what it is."""
    world, inspectors, client = guarded(mode="block")
    client.feed(post(b"x=evil", "Content-Encoding: identity"))
    assert [asked.body for asked in inspectors.asked] == [b"x=evil"]
    world.upstream.feed(ok())


@pytest.mark.parametrize("mode", ["block", "detect"])
def test_what_stands_behind_a_body_is_looked_at(mode: str) -> None:
    """It goes on to the backend, which may read it as a field."""
    world, inspectors, client = guarded(mode=mode)
    client.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\nX-Sum: evil\r\n\r\n")
    assert [asked.block.lower().endswith(b"\r\nx-sum: evil") for asked in inspectors.asked] == [True]
    assert b"x-sum: evil" in world.upstream.take().lower()
    world.upstream.feed(ok())
