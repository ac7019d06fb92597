"""Names to addresses, once and by the master."""

from __future__ import annotations

import socket

import pytest

from lbproxy.config.model import Address, Backend, Config, Pool
from lbproxy.errors import StartError
from lbproxy.master.resolve import first_address, place, resolve

NAMES = {"app1.internal": "10.0.0.1", "app2.internal": "fd00::2"}


def lookup(host: str, _: int) -> str:
    if host == "bücher..example":
        raise UnicodeError("label empty or too long")
    if host not in NAMES:
        raise socket.gaierror(-2, "Name or service not known")
    return NAMES[host]


def config_of(*pools: Pool) -> Config:
    return Config("proxy.toml", listen=(), routes=(), pools=pools)


def test_every_backend_keeps_its_names_and_gets_an_address() -> None:
    web = Pool("web", (Backend(Address("app1.internal", 80), weight=3, max_connections=7), Backend(Address("app2.internal", 81))))
    resolved = resolve(config_of(web, Pool("api", (Backend(Address("app1.internal", 80)),))), lookup)
    first, second = resolved["web"]
    assert first == ("web", "app1.internal:80", "app1.internal", "10.0.0.1", 80, 3, 7, -1, 0)
    assert (second.ip, second.port, second.weight) == ("fd00::2", 81, 1)
    assert resolved["api"][0].identity == "api/app1.internal:80" != first.identity


def test_slots_are_placed_by_identity() -> None:
    pools = resolve(config_of(Pool("web", (Backend(Address("app1.internal", 80)), Backend(Address("app2.internal", 81))))), lookup)
    placed = place(pools, {"web/app2.internal:81": 5, "web/app1.internal:80": 9})
    assert [backend.slot for backend in placed["web"]] == [9, 5]


def test_every_name_that_cannot_be_resolved_is_told_with_its_line() -> None:
    web = Pool("web", (Backend(Address("app1.internal", 80)), Backend(Address("gone.internal", 80), line=12)), line=10)
    api = Pool("api", (Backend(Address("bücher..example", 80)),), line=20)
    with pytest.raises(StartError) as caught:
        resolve(config_of(web, api), lookup)
    first, second = str(caught.value).splitlines()
    assert first.startswith('proxy.toml:12: pool.web.backends: cannot resolve "gone.internal": Name or service not known (')
    assert second.startswith('proxy.toml:20: pool.api.backends: cannot resolve "bücher..example": label empty')


def test_the_systems_resolver() -> None:
    assert first_address("127.0.0.1", 80) == "127.0.0.1"
    assert first_address("::1", 80) == "::1"
    assert first_address("localhost", 80) in ("127.0.0.1", "::1")
    with pytest.raises(OSError, match=r"."):
        first_address("no-such-host.invalid", 80)  # RFC 6761: .invalid never resolves
