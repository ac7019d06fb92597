"""The first addresses of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from lbproxy.config.model import Address, Backend, Config, Pool, Process
from lbproxy.errors import StartError, Unresolved
from lbproxy.master.resolve import Answers, resolve
from lbproxy.names.answer import Answer

SERVER = Address("10.0.0.53", 53)
KNOWN = {"app1.internal": ("10.0.0.1", "10.0.0.2"), "app2.internal": ("fd00::2",)}


class Servers:
    """Name servers that remember what they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.resolvers: Sequence[Address] = ()

    def __call__(self, names: Iterable[str], resolvers: Sequence[Address]) -> Answers:
        wanted = list(names)
        self.asked += wanted
        self.resolvers = resolvers
        return {name: Answer(KNOWN[name], 5.0) if name in KNOWN else Unresolved("no such name") for name in wanted}


def config_of(*pools: Pool) -> Config:
    return Config("proxy.toml", listen=(), routes=(), pools=pools, proxy=Process(resolvers=(SERVER,)))


def pool(name: str, *hosts: str) -> Pool:
    return Pool(name, tuple(Backend(Address(host, 80), line=12 + number) for number, host in enumerate(hosts)), line=10)


def test_all_addresses_of_every_name_and_nobody_is_asked_about_addresses() -> None:
    servers = Servers()
    config = config_of(pool("web", "app1.internal", "10.1.1.1", "app2.internal"), pool("api", "app1.internal", "::1"))
    assert resolve(config, {}, servers) == KNOWN
    assert servers.asked == ["app1.internal", "app2.internal"]
    assert list(servers.resolvers) == [SERVER]


def test_a_name_in_use_keeps_what_it_has() -> None:
    """Its servers may be gone for now; a reload does not need them."""
    servers = Servers()
    config = config_of(pool("web", "app1.internal", "lost.internal"))
    known = {"lost.internal": ("10.7.7.7",), "other.internal": ("10.8.8.8",)}
    assert resolve(config, known, servers) == {"app1.internal": KNOWN["app1.internal"], "lost.internal": ("10.7.7.7",)}
    assert servers.asked == ["app1.internal"]


def test_every_name_that_cannot_be_resolved_is_told_with_its_line() -> None:
    web, api = pool("web", "app1.internal", "gone.internal"), pool("api", "gone.internal")
    api = replace(api, backends=(replace(api.backends[0], line=0),))
    with pytest.raises(StartError) as caught:
        resolve(config_of(web, api), {}, Servers())
    first, second = str(caught.value).splitlines()
    assert first.startswith('proxy.toml:13: pool.web.backends: cannot resolve "gone.internal": no such name (')
    assert second.startswith('proxy.toml:10: pool.api.backends: cannot resolve "gone.internal": no such name (')
