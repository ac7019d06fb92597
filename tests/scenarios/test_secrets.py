"""What clients and backends keep secret is in no packet that a tap writes, and comes to no mirror that it is taken off for, in
whatever form they say it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Stage
from tests.support import h2_frames as wire
from tests.support.backends import Conversation, Scripted
from tests.support.h2_peer import H2Peer
from tests.support.process import LbProxy
from tests.support.waiting import eventually
from tests.support.wire import Client

SECRET = re.compile(rb"hidden[0-9]+")
NAMES = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Key"]
LAST = b"the-last-one"


def ask(line: bytes, *fields: bytes) -> bytes:
    """A request's head, with its Host first."""
    return b"\r\n".join((line + b" HTTP/1.1", b"Host: a", *fields, b"", b""))


REQUESTS = {
    "spellings": ask(b"GET /a", b"AUTHORIZATION: hidden1", b"cOOKIE:hidden2", b"Proxy-authorization:\thidden3 ", b"X-Key:hidden4"),
    "twins": ask(b"GET /a", b"X_Key: hidden1", b"X.Key: hidden2", b"X!KEY: hidden3", b"Proxy_Authorization: hidden4"),
    "several lines": ask(b"GET /a", b"Cookie: a=hidden1", b"Cookie: b=hidden2", b"X: y", b"Cookie: c=hidden3"),
    "odd values": ask(b"GET /a", b"Authorization: x:hidden1", b"Cookie: a=\"\\\"Cookie: hidden2\"; \xff=hidden3"),
    "of one hop": ask(b"GET /a", b"Connection: x-key, cookie", b"X-Key: hidden1", b"Cookie: hidden2", b"Keep-Alive: 1"),
    "folded": ask(b"GET /a", b"Cookie: a=b;\r\n c=hidden1"),
    "line feeds": ask(b"GET /a", b"X: y\nCookie: hidden1"),
    "blank before the colon": ask(b"GET /a", b"Cookie : hidden1"),
    "userinfo": ask(b"GET http://me:hidden1@a/"),
    "userinfo in Host": b"GET /a HTTP/1.1\r\nHost: me:hidden1@a\r\n\r\n",
    "absolute": ask(b"GET http://a/b", b"Authorization: hidden1"),
    "1.0": b"GET /a HTTP/1.0\r\nHost: a\r\nCookie: hidden1\r\n\r\n",
    "long": ask(b"GET /a", b"X: " + b"y" * 5000, b"Cookie: hidden1"),
    "refused by a step": ask(b"GET /private", b"Authorization: Basic hidden1", b"X-Key: hidden2"),
    "WebSocket": ask(
        b"GET /a", b"Cookie: hidden1", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "CONNECT": ask(b"CONNECT a:443", b"Proxy-Authorization: hidden1"),
    "trailers": ask(b"PUT /a", b"Transfer-Encoding: chunked", b"Trailer: X-Key", b"TE: trailers", b"Connection: te")
    + b"1\r\na\r\n0\r\nX-Key: hidden1\r\nCookie: hidden2\r\nX_Key: hidden3\r\n\r\n",
    "pipelined": ask(b"GET /a", b"Cookie: hidden1") + ask(b"GET /b", b"Cookie: hidden2") + ask(b"GET /c", b"X-Key: hidden3"),
    "asked first": ask(b"POST /a", b"Content-Length: 1", b"Expect: 100-continue", b"Cookie: hidden1") + b"a",
}  # fmt: skip
BASE = ((b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/a"))
GET = ((b":method", b"GET"), *BASE)
CRUMBS = ((b"cookie", b"a=hidden1"), (b"cookie", b"b=hidden2"), (b"x-key", b"hidden3"), (b"x_key", b"hidden4"))
NEVER_INDEXED = wire.block([(b"authorization", b"hidden1"), (b"cookie", b"hidden2")], 0x10)
INDEXED = wire.block([(b"proxy-authorization", b"hidden1"), (b"x-key", b"hidden2")], 0x40)
WEBSOCKET = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *BASE, (b"cookie", b"hidden1"))
_WHOLE = wire.END_HEADERS | wire.END_STREAM
STREAMS = {
    1: wire.headers(1, (*GET, *CRUMBS)),
    3: wire.frame(wire.HEADERS, 3, wire.block(GET) + NEVER_INDEXED, _WHOLE),
    5: wire.frame(wire.HEADERS, 5, wire.block(GET) + INDEXED, _WHOLE),
    7: wire.headers(7, (*GET, (b"Cookie", b"hidden1"))),
    9: wire.headers(9, ((b":method", b"POST"), *BASE), end=False)
    + wire.data(9, b"a")
    + wire.headers(9, ((b"x-key", b"hidden1"), (b"cookie", b"hidden2"), (b"x_key", b"hidden3"))),
    11: wire.headers(11, (*GET[:-1], (b":path", b"/private"), (b"authorization", b"Basic hidden1"))),
    13: wire.headers(13, WEBSOCKET, end=False),
    15: wire.headers(15, (*GET[:2], (b":authority", b"me:hidden1@a"), (b":path", b"/a"))),
}
EARLY = b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: hidden1\r\nLink: </a>; rel=preload\r\nX-Key: hidden2\r\n\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=hidden1\r\nset_cookie: hidden2\r\nSET.COOKIE:hidden3\r\n"
    b"Trailer: x-key\r\nX-Key: hidden4\r\nSet-Cookie: b=c;\r\n\td=hidden5\r\nSet-Cookie : hidden6\r\n\r\n"
    b"4\r\nopen\r\n0\r\nX-Key: hidden7\r\nSet-Cookie: hidden8\r\n\r\n"
)


def secretive(conversation: Conversation) -> None:
    """Answers with what is not for everybody."""
    while True:
        head = conversation.read_head()
        if b"chunked" in head:
            conversation.read_head()  # the body, up to the empty line behind its trailers
        elif b"ontent-Length: 1" in head:
            conversation.read_exactly(1)
        conversation.send(EARLY + ANSWER)


def plain(conversation: Conversation) -> None:
    """Reads each request and says nothing of interest."""
    while True:
        head = conversation.read_head()
        length = re.search(rb"ontent-Length: ([0-9]+)", head)
        conversation.read_exactly(int(length[1]) if length else 0)
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nopen")


def packets(folder: Path) -> bytes:
    """What the tap has written."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


def say_all(proxy: LbProxy, stage: Stage) -> None:
    """Everything above, and then one request that tells that the tap has told of all."""
    ca = stage.authority.file
    for raw in REQUESTS.values():
        with Client(proxy.port(), ca=ca) as client:
            client.send(raw)
            for _ in range(raw.count(b" HTTP/1.")):
                client.response(interim=[])
    with H2Peer(proxy.port(), ca) as peer:
        for stream, frames in STREAMS.items():
            peer.say(frames)
            if stream != 13:
                peer.answers(stream)
    with Client(proxy.port(), ca=ca) as client:
        client.send(b"GET /%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % LAST)
        client.rest()


def test_no_secret_is_told(stage: Stage) -> None:
    """Requests that are refused by a step are in the tap, too; those that break the grammar reach neither."""
    folder, users = stage.directory / "taps", stage.directory / "users"
    folder.mkdir()
    users.write_text("me:$2y$05$abcdefghijklmnopqrstuuJm2RzYz1B6Q3oZ0rTnUQm9o1cM0T5mG\n")
    with Scripted(secretive) as backend, Scripted(plain) as mirror:
        config = stage.config(backend.address, app={"tolerate": ["obs_fold", "field_lines"]})
        config["pool"]["next"] = {"backends": [mirror.address]}
        config["tap"] = {"ids": {"folder": str(folder), "blank": NAMES}}
        remove = [name for name in NAMES if name != "Proxy-Authorization"]  # which no second hop gets anyway
        route = {"pool": "app", "tap": "ids", "mirror": {"pool": "next", "remove": remove, "methods": ["GET", "POST", "PUT"]}}
        config["route"] = [{**route, "path": "/private", "basic_auth": {"file": str(users)}}, route]
        proxy = stage.run(config)
        say_all(proxy, stage)
        eventually(lambda: LAST in packets(folder), "all is told")
        eventually(lambda: any(LAST in got for got in mirror.received()), "the mirror has all")
        told, mirrored, got = packets(folder), b"".join(mirror.received()), b"".join(backend.received())
    assert b"Authorization: -" in told
    assert b"GET /private HTTP/1.1" in told
    assert b"open" in told, "bodies are there"
    assert SECRET.search(got), "the backend has what is for it"
    assert SECRET.findall(told) == []
    assert SECRET.findall(mirrored) == []
