"""[route.authorize]: a server is asked about each request before anything of it reaches a backend, and what it says decides."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from lbproxy.config import model
from lbproxy.http.grammar import END
from tests.support import h2_frames as wire
from tests.unit.http.heads import fields
from tests.unit.proxy.h2_client import H2Client, body
from tests.unit.proxy.tunnels import ASK, GRANT
from tests.unit.proxy.world import EOF, World, get, ok, post

COPY = ("Remote-User", "Remote-Groups")


def asking(backends: int = 1, *, route: dict[str, Any] | None = None, **settings: Any) -> World:
    """A world whose one route asks a pool, which has the same backends."""
    authorize = model.AuthorizeConfig(**{"pool": "auth", "path": "/verify", "copy": COPY, "user": "Remote-User", **settings})
    return World(backends, route=model.RouteConfig("app", authorize=authorize, **(route or {})))


def allowed(*lines: str) -> bytes:
    return ok(b"", *lines)


def said(world: World) -> dict[str, bytes]:
    """What the latest connection to a backend got since the last time, by name."""
    return dict(fields(world.upstream.take().partition(END)[0] + END))


def test_what_is_asked() -> None:
    """A GET of its own, with the request's fields but for those that frame it, and with what proxies say made anew."""
    world = asking()
    client = world.connect()
    client.feed(
        post(b"secret", "Cookie: a=b", "Expect: 100-continue", "Range: bytes=0-1", "If-None-Match: x", "X-Forwarded-User: root",
             "X-Forwarded-Host: evil", "X_Forwarded_Uri: /public", "Forwarded: for=evil", "X-Original-URL: /public",
             "X-Real-IP: 8.8.8.8", "Remote-User: root", "Connection: Cookie2, keep-alive", "Cookie2: x", method="PUT")
    )  # fmt: skip
    asked = world.upstream.take()
    assert asked.startswith(b"GET /verify HTTP/1.1\r\nHost: example.org\r\n")
    assert asked.endswith(END), "no body"
    assert fields(asked) == [
        ("host", b"example.org"), ("cookie", b"a=b"), ("x-forwarded-method", b"PUT"), ("x-forwarded-uri", b"/"),
        ("x-forwarded-host", b"example.org"), ("x-forwarded-proto", b"https"), ("x-forwarded-for", b"192.0.2.1"),
        ("x-original-method", b"PUT"), ("x-original-url", b"https://example.org/"), ("via", b"1.1 lbproxy"),
    ]  # fmt: skip
    client.feed(EOF)
    world.at_rest()


def test_what_is_asked_with_another_host_and_of_a_trusted_proxy() -> None:
    """The client is the one it speaks for; where the request goes is what is routed, whatever it says."""
    world = asking(host="auth.internal")
    client = world.connect(peer="10.0.0.9", trusted=(ip_network("10.0.0.0/8"),))
    client.feed(get("/a?b=c", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http", "X-Forwarded-Host: public.example"))
    asked = dict(fields(world.upstream.take()))
    assert asked["host"] == b"auth.internal"
    assert asked["x-forwarded-for"] == b"198.51.100.7"
    assert asked["x-forwarded-host"] == b"example.org"
    assert asked["x-original-url"] == b"http://example.org/a?b=c"
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize(
    "forged",
    [
        ("Remote-User: root",), ("remote-user: root", "Remote-User: root"), ("Remote_User: root",), ("Remote.User: root",),
        ("REMOTE-USER: root", "Connection: Remote-User"), ("Remote-Groups: admin",), ("Remote_Groups: admin",),
    ],
)  # fmt: skip
@pytest.mark.parametrize("underscores", ["drop", "pass"])
def test_what_it_says_reaches_the_backend_and_nobody_else_says_it(forged: tuple[str, ...], underscores: str) -> None:
    """In no spelling, and Connection takes none of it away."""
    world = asking(route={"underscores": underscores})
    client = world.connect()
    client.feed(get("/page", *forged))
    world.upstream.take()
    world.upstream.feed(allowed("Remote-User: alice", "Remote-Groups: a", "Remote-Groups: b", "Remote-Other: c"))
    sent = world.upstream.take()
    assert b"root" not in sent
    assert b"admin" not in sent
    claimed = [field for field in fields(sent) if field[0].startswith("remote")]
    assert claimed == [("remote-user", b"alice"), ("remote-groups", b"a"), ("remote-groups", b"b")]
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    [line] = world.lines()
    assert (line["inspected"], line["user"]) == ("authorize=allowed", "alice")
    assert world.inspected == ["authorize allowed"]
    world.at_rest()


@pytest.mark.parametrize("name", ["Remote-User", "remote-groups", "Remote.User", "REMOTE.groups", "Remote_User", "X.Forwarded.For"])
def test_nor_does_anybody_behind_a_body(name: str) -> None:
    """Some merge trailers into the head."""
    world = asking()
    client = world.connect()
    client.feed(get("/page", "Transfer-Encoding: chunked", method="POST"))
    world.upstream.feed(allowed("Remote-User: alice"))
    client.feed(f"1\r\na\r\n0\r\n{name}: root\r\nX-Sum: 42\r\n\r\n".encode())
    sent = world.upstream.take()
    assert sent.endswith(b"a\r\n0\r\nx-sum: 42\r\n\r\n")
    assert b"root" not in sent
    world.upstream.feed(ok())
    world.at_rest()


def test_a_set_cookie_of_whoever_lets_it_pass_goes_to_the_client() -> None:
    """Beside those of the backend, and also where the backend fails."""
    world = asking()
    client = world.connect()
    for fails in (False, True):
        client.feed(get())
        world.upstream.feed(allowed("Set-Cookie: s=1; Path=/", "Set-Cookie: t=2"))
        world.upstream.feed(b"nonsense " * 9000 if fails else ok(b"ok", "Set-Cookie: own=3"))
        got = client.take()
        assert b"\r\nSet-Cookie: s=1; Path=/\r\nSet-Cookie: t=2" in got
        assert (b"\r\nSet-Cookie: own=3" in got) is not fails
    world.at_rest()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("status", "more"),
    [
        ("401 Unauthorized", "WWW-Authenticate: Basic realm=x"), ("302 Found", "Location: https://portal.example/?rd=1"),
        ("403 Forbidden", "X-Why: no"), ("407 Odd", "X-A: b"), ("304 Not Modified", "ETag: x"),
    ],
)  # fmt: skip
def test_any_other_answer_below_500_is_the_clients(status: str, more: str, method: str) -> None:
    """Whole, with all its cookies; the backend hears nothing, and a rule for backends' answers changes nothing of it."""
    rules = model.HeadersConfig(response=model.HeaderRulesConfig(set=(("Cache-Control", "max-age=99"),)), security_headers="strict")
    world = asking(route={"headers": rules})
    client = world.connect()
    client.feed(get(method=method) if method != "POST" else post(b"secret"))
    world.upstream.take()
    text = b"" if status.startswith("304") else b"page"
    world.upstream.feed(b"".join((
        b"HTTP/1.1 ", status.encode(), b"\r\n", more.encode(), b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Secure\r\n",
        b"Connection: X-Hop\r\nX-Hop: 1\r\n", b"Date: now\r\n" if status.startswith("403") else b"",
        b"\r\n" if status.startswith("304") else b"Transfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n",
    )))  # fmt: skip
    head, _, got = client.take().partition(END)
    assert head.startswith(b"HTTP/1.1 " + status[:3].encode())
    assert f"\r\n{more}\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; Secure\r\n".encode() in head
    assert b"X-Hop" not in head
    assert b"Cache-Control" not in head
    assert head.count(b"\r\nDate: ") <= 1
    assert (b"\r\nContent-Length: 4" in head) is (text != b"")
    assert got == (b"" if method == "HEAD" else text)
    assert b"secret" not in world.upstream.sent
    [line] = world.lines()
    assert (line["status"], line["reason"], line["inspected"]) == (int(status[:3]), "auth_denied", "authorize=denied")
    assert client.is_open(), "its next request is served"
    world.at_rest()


@pytest.mark.parametrize("how", ["500", "503", "late", "dribbling", "refused", "cut", "malformed", "101", "too long", "hanging"])
@pytest.mark.parametrize("on_failure", ["refuse", "pass"])
def test_nobody_says_whether_it_may_pass(how: str, on_failure: str) -> None:
    """503, or, where the route says so, as if nobody were asked: without what only they may say."""
    world = asking(on_failure=on_failure, max_answer=1024, timeout=2.0)
    if how == "refused":
        world.refuse(0)
    elif how == "hanging":
        world.hanging.add(9000)
    client = world.connect()
    client.feed(get("/page", "Remote-User: root"))
    if how in ("500", "503"):
        world.upstream.feed(ok(b"", status=f"{how} Odd"))
    elif how in ("late", "hanging"):
        assert world.outcomes() == []
        world.hanging.clear()
        world.pass_time(2.25)
    elif how == "dribbling":
        world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        slow = world.upstream
        while not slow.end:
            slow.feed(b"x")
            world.pass_time(0.5)
        assert world.now < 1003, "each byte in time is not all of them in time"
    elif how == "cut":
        world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", EOF)
    elif how == "malformed":
        world.upstream.feed(b"SSH-2.0-OpenSSH\r\n" * 9)
    elif how == "101":
        world.upstream.feed(b"HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
    elif how == "too long":
        world.upstream.feed(ok(b"x" * 1025))
    if on_failure == "pass" and how not in ("refused",):
        sent = world.upstream.take()
        assert b"GET /page " in sent
        assert b"root" not in sent
        world.upstream.feed(ok())
        assert world.outcomes() == [(200, "")]
    elif on_failure == "refuse":
        assert client.take().startswith(b"HTTP/1.1 503 ")
        assert world.outcomes() == [(503, "auth_unavailable")]
    assert world.inspected == ["authorize failed"]
    world.at_rest()


def test_another_of_those_who_are_asked_is_tried() -> None:
    """One that refuses connections is no reason to refuse anybody."""
    world = asking(2)
    world.refuse(0)
    client = world.connect()
    client.feed(get())
    world.pass_time(0.5)
    world.upstream.feed(allowed())
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert world.dials[:2] == [9000, 9001]
    world.at_rest()


def test_a_denied_upload_is_answered_at_once() -> None:
    """Whoever waits to be asked for it is not, and whoever sends it all the same is not read to its end."""
    for expects in (True, False):
        world = asking()
        client = world.connect()
        more = ("Expect: 100-continue",) if expects else ()
        client.feed(post(b"" if expects else b"x" * 5000, *more, length=50 * 2**20))
        world.upstream.feed(ok(b"no", status="403 Forbidden"))
        assert client.take().startswith(b"HTTP/1.1 403 ")
        assert len(world.upstreams) == 1
        assert b"100 Continue" not in client.sent
        world.at_rest()


def test_an_upload_that_may_pass_is_invited_then() -> None:
    """Not before: 100 Continue is said when the answer is here."""
    world = asking()
    client = world.connect()
    client.feed(post(b"", "Expect: 100-continue", length=4))
    assert client.take() == b""
    world.upstream.take()
    world.upstream.feed(allowed())
    world.upstream.feed(b"HTTP/1.1 100 Continue" + END)
    assert client.take().startswith(b"HTTP/1.1 100 ")
    client.feed(b"body")
    assert world.upstream.sent.endswith(b"body")
    world.upstream.feed(ok())
    world.at_rest()


@pytest.mark.parametrize("may", [True, False])
def test_a_switch_of_protocols(may: bool) -> None:
    """Asked about as anything else, by a request that switches nothing."""
    world = asking()
    client = world.connect()
    client.feed(ASK)
    asked = world.upstream.take()
    assert b"Upgrade" not in asked
    world.upstream.feed(allowed("Remote-User: alice", "Set-Cookie: s=1") if may else ok(b"no", status="401 Unauthorized"))
    if may:
        assert b"\r\nRemote-User: alice" in world.upstream.take()
        world.upstream.feed(GRANT)
        got = client.take()
        assert got.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSet-Cookie: s=1\r\n" in got
        client.feed(EOF)
        world.upstream.feed(EOF)
    else:
        assert client.take().startswith(b"HTTP/1.1 401 ")
    world.at_rest()


@pytest.mark.parametrize(("status", "code"), [("401 Unauthorized", 16), ("302 Found", 16)])
def test_over_http_2(status: str, code: int) -> None:
    """Allowed and denied, side by side, and a gRPC call that hears its own kind of error, also where people are sent to log in."""
    world = asking(1)
    client = H2Client(world)
    client.ask(1)
    first = world.upstream
    client.ask(3)
    second = world.upstream
    assert first is not second
    first.feed(allowed("Remote-User: alice"))
    second.feed(ok(b"no", status="403 Forbidden"))
    assert b"\r\nRemote-User: alice" in first.sent
    first.feed(ok(b"page"))
    frames = client.heard()
    assert body(frames, 1) == b"page"
    assert body(frames, 3) == b"no"
    call = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/s/m"), (b"te", b"trailers"),
            (b"content-type", b"application/grpc"))  # fmt: skip
    first.take(), second.take()
    client.ask(5, call)
    asked = first if first.sent else second
    asked.feed(ok(b"", status=status))
    assert [line.get("grpc_status") for line in world.lines()][-1] == code
    world.at_rest()
    assert wire.GOAWAY not in {frame.kind for frame in client.heard()}


def test_a_client_that_leaves_takes_the_question_with_it() -> None:
    """Nothing is kept that was left in the middle."""
    world = asking()
    client = world.connect()
    client.feed(get())
    client.feed(EOF)
    assert world.outcomes() == [(499, "client_closed")]
    assert world.upstream.end == "abort"
    world.at_rest()


def test_a_loop_ends() -> None:
    """What is asked says whom it has come through: four times through us is the end, as for any request."""
    world = asking()
    client = world.connect()
    client.feed(get("/", "Via: 1.1 lbproxy", "Via: 1.1 lbproxy", "Via: 1.1 lbproxy"))
    asked = world.upstream.take()
    assert asked.count(b"Via: 1.1 lbproxy") == 4
    other = world.connect()
    other.feed(asked)
    assert other.take().startswith(b"HTTP/1.1 508 ")
    client.feed(EOF)
    world.at_rest()


# ---------------------------------------------------------------- verdicts that hold

CACHED: dict[str, Any] = {"cache": 10.0, "cache_by": ("Cookie", "Authorization")}


def ask_again(world: World, request: bytes, answer: bytes | None) -> bytes:
    """One more request: None: nobody is asked."""
    client = world.connect()
    before = len(world.upstreams)
    client.feed(request)
    if answer is not None:
        assert b"GET /verify " in world.upstream.take()
        world.upstream.feed(answer)
    elif len(world.upstreams) > before or world.upstream.sent:
        assert b"GET /verify " not in world.upstream.sent
    if not client.sent:
        world.upstream.feed(ok(world.upstream.take().partition(END)[0]))
    got = client.take()
    client.feed(EOF)
    return got


def test_a_verdict_holds_for_a_while_for_requests_that_say_the_same() -> None:
    """Allowed and denied ones, and what goes with them."""
    world = asking(**CACHED)
    mine = get("/a", "Cookie: me")
    assert b"Remote-User: alice" in ask_again(world, mine, allowed("Remote-User: alice"))
    assert b"Remote-User: alice" in ask_again(world, mine, None)
    other = get("/a", "Cookie: other")
    assert ask_again(world, other, ok(b"no", status="403 Forbidden")).endswith(b"no")
    assert ask_again(world, other, None).endswith(b"no")
    world.pass_time(10.5)
    assert b"Remote-User: bob" in ask_again(world, mine, allowed("Remote-User: bob"))
    assert world.inspected == ["authorize allowed", "authorize allowed_known", "authorize denied", "authorize denied_known",
                               "authorize allowed"]  # fmt: skip
    world.at_rest()


@pytest.mark.parametrize(
    "other",
    [
        get("/a", "Cookie: you"), get("/b", "Cookie: me"), get("/a?x", "Cookie: me"), get("/a", "Cookie: me", method="HEAD"),
        get("/a", "Cookie: me", "Authorization: x"), get("/a", "Authorization: me"), get("/a", "Cookie: m", "Cookie: e"),
        get("/a", "Cookie: me").replace(b"example.org", b"example.com"), get("/a"),
    ],
)  # fmt: skip
def test_a_verdict_holds_for_nothing_else(other: bytes) -> None:
    """Another user, path, query, method, host."""
    world = asking(**CACHED)
    ask_again(world, get("/a", "Cookie: me"), allowed("Remote-User: alice"))
    assert b"Remote-User: bob" in ask_again(world, other, allowed("Remote-User: bob")) or b" HEAD" in other or other[:4] == b"HEAD"
    world.at_rest()


def test_a_verdict_is_not_the_one_of_another_address() -> None:
    """Many servers go by it, too."""
    world = asking(**CACHED)
    ask_again(world, get("/a", "Cookie: me"), allowed("Remote-User: alice"))
    client = world.connect(peer="192.0.2.99")
    client.feed(get("/a", "Cookie: me"))
    assert b"GET /verify " in world.upstream.take()
    client.feed(EOF)
    world.at_rest()


def test_a_verdict_is_not_the_one_of_another_certificate() -> None:
    """Rules of the pool that is asked may tell of it; then it decides."""
    world = asking(**CACHED)
    mine = get("/a", "Cookie: me")
    for shown in (b"first", b"second"):
        client = world.connect(certificate=shown)
        client.feed(mine)
        assert b"GET /verify " in world.upstream.take()
        world.upstream.feed(allowed("Remote-User: " + shown.decode()))
        world.upstream.feed(ok(world.upstream.take().partition(END)[0]))
        assert b"Remote-User: " + shown in client.take()
        client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize(
    "answer", [ok(b"", status="500 Odd"), allowed("Set-Cookie: s=1"), ok(b"", "Set-Cookie: s=1", status="302 Found")]
)
def test_what_never_holds(answer: bytes) -> None:
    """Failures, and what gives somebody a session."""
    world = asking(**CACHED)
    mine = get("/a", "Cookie: me")
    for _ in range(2):
        ask_again(world, mine, answer)
    world.at_rest()


def test_requests_without_any_of_the_fields_share_nothing() -> None:
    """They are of users that cannot be told apart."""
    world = asking(**CACHED)
    for _ in range(2):
        ask_again(world, get("/a"), ok(b"", status="401 Unauthorized"))
    world.at_rest()


def test_one_is_asked_about_while_others_wait() -> None:
    """And have what it hears."""
    world = asking(**CACHED)
    clients = [world.connect() for _ in range(3)]
    for client in clients:
        client.feed(get("/a", "Cookie: me"))
    assert len(world.upstreams) == 1
    world.upstream.feed(ok(b"no", status="403 Forbidden"))
    world.settle()
    assert [client.take()[-2:] for client in clients] == [b"no"] * 3
    assert sorted(world.inspected) == ["authorize denied", "authorize denied_known", "authorize denied_known"]
    world.at_rest()


def test_whoever_asks_and_leaves_leaves_it_to_one_who_waits() -> None:
    """Nobody is stuck."""
    world = asking(**CACHED)
    first, second, third = (world.connect() for _ in range(3))
    for client in (first, second, third):
        client.feed(get("/a", "Cookie: me"))
    third.feed(EOF)
    first.feed(EOF)
    world.settle()
    assert len(world.upstreams) == 2
    world.upstream.feed(ok(b"no", status="403 Forbidden"))
    assert second.take().endswith(b"no")
    world.at_rest()


def test_whoever_answers_nobody_is_not_asked_by_all_who_waited() -> None:
    """The time of the one who asks is over while he is connecting still: that is everybody's failure, as any other."""
    world = asking(**CACHED)
    world.hanging.add(9000)
    clients = [world.connect() for _ in range(10)]
    for client in clients[:9]:
        client.feed(get("/a", "Cookie: me"))
    world.pass_time(1.0)
    clients[9].feed(get("/a", "Cookie: me"))
    world.pass_time(1.25)
    assert [client.take()[:12] for client in clients] == [b"HTTP/1.1 503"] * 10
    assert len(world.dials) == 1


@pytest.mark.parametrize("how", ["fails", "late", "cookie"])
def test_what_those_who_wait_do_not_share(how: str) -> None:
    """A failure is everybody's, a cookie is for each to ask for."""
    world = asking(**CACHED)
    clients = [world.connect() for _ in range(2)]
    for client in clients:
        client.feed(get("/a", "Cookie: me"))
    if how == "fails":
        world.upstream.feed(ok(b"", status="500 Odd"))
        world.settle()
    elif how == "late":
        world.pass_time(2.25)
    else:
        world.upstream.feed(ok(b"1", "Set-Cookie: s=1", status="302 Found"))
        world.settle()
        world.upstream.feed(ok(b"2", "Set-Cookie: s=2", status="302 Found"))
        assert [client.take()[-1:] for client in clients] == [b"1", b"2"]
    if how != "cookie":
        assert [client.take()[:12] for client in clients] == [b"HTTP/1.1 503"] * 2
    world.at_rest()
