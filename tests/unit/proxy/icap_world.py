"""A world whose route asks ICAP servers, and what those say."""

from __future__ import annotations

from typing import Any

from lbproxy.config import model
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.world import ICAP, FakeStream, World

PASS = b"ICAP/1.0 204 No Content\r\nISTag: \"x\"\r\n\r\n"
GO_ON = b"ICAP/1.0 100 Continue\r\n\r\n"
PAGE = b"HTTP/1.0 403 Forbidden\r\nContent-Type: text/html\r\n\r\n"


def looked_at(*, scratch: FakeScratch | None = None, route: dict[str, Any] | None = None, servers: int = 1,
              **settings: Any) -> World:  # fmt: skip
    """A world whose route asks ICAP servers."""
    settings = {"pool": "av", **settings}
    if "respmod" not in settings and "reqmod" not in settings:
        settings |= {"reqmod": "/req"}
    return World(
        1, route=model.RouteConfig("app", icap=model.IcapConfig(**settings), **route or {}), scratch=scratch, icap_servers=servers
    )


def server(world: World, number: int = -1) -> FakeStream:
    """A connection to an ICAP server, the latest unless said otherwise."""
    world.settle()
    return [each for each in world.upstreams if "900" in each.name and int(each.name.split()[1]) >= 9000 + ICAP][number]


def backend(world: World) -> FakeStream | None:
    """The backend's connection, if it heard of anything."""
    world.settle()
    found = [each for each in world.upstreams if each.name.startswith("backend 9000")]
    return found[-1] if found else None


def options(preview: str = "Preview: 4\r\n", more: str = "") -> bytes:
    told = f"Options-TTL: 100\r\n{preview}{more}Encapsulated: null-body=0\r\n\r\n"
    return b"ICAP/1.0 200 OK\r\nMethods: REQMOD, RESPMOD\r\n" + told.encode()


def changed(head: bytes, body: bytes | None, kind: bytes = b"res", status: bytes = b"200 OK") -> bytes:
    """An answer that encapsulates something, its body in one chunk."""
    place = b"%b-body" % kind if body is not None else b"null-body"
    told = b"ICAP/1.0 %b\r\nEncapsulated: %b-hdr=0, %b=%d\r\n\r\n" % (status, kind, place, len(head))
    return told + head + (b"" if body is None else (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n")
