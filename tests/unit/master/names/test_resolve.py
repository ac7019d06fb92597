"""The first addresses of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from lbproxy.config.model import Address, BackendConfig, Config, PoolConfig, ProcessConfig
from lbproxy.errors import NameUnknown, NotYet, StartError, Unresolved
from lbproxy.master.names.resolve import LATER, UNRESOLVED, Answers, resolve
from lbproxy.names.answer import NameAnswer

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
        return {name: self._answer(name) for name in wanted}

    def _answer(self, name: str) -> NameAnswer | Unresolved:
        if name == "mute.internal":
            return Unresolved("no answer within 5 s")
        if name == "odd.internal":
            return NameAnswer(("10.0.0.9",), 5.0, "65 addresses, the first 64 are used")
        return NameAnswer(KNOWN[name], 5.0) if name in KNOWN else NameUnknown("no such name")


def config_of(*pools: PoolConfig, unknown: str = "refuse") -> Config:
    return Config(
        "proxy.toml", listen=(), routes=(), pools=pools, proxy=ProcessConfig(resolvers=(SERVER,), on_unknown_name=unknown)
    )


def pool(name: str, *hosts: str) -> PoolConfig:
    return PoolConfig(name, tuple(BackendConfig(Address(host, 80), line=12 + number) for number, host in enumerate(hosts)), line=10)


def test_all_addresses_of_every_name_and_nobody_is_asked_about_addresses() -> None:
    servers = Servers()
    config = config_of(pool("web", "app1.internal", "10.1.1.1", "app2.internal"), pool("api", "app1.internal", "::1"))
    assert resolve(config, {}, servers) == (KNOWN, [])
    assert servers.asked == ["app1.internal", "app2.internal"]
    assert list(servers.resolvers) == [SERVER]


def test_a_name_in_use_keeps_what_it_has() -> None:
    """Its servers may be gone for now; a reload does not need them."""
    servers = Servers()
    config = config_of(pool("web", "app1.internal", "lost.internal"))
    known = {"lost.internal": ("10.7.7.7",), "other.internal": ("10.8.8.8",)}
    assert resolve(config, known, servers).addresses == {"app1.internal": KNOWN["app1.internal"], "lost.internal": ("10.7.7.7",)}
    assert servers.asked == ["app1.internal"]


def test_every_name_that_cannot_be_resolved_is_told_with_its_line() -> None:
    web, api = pool("web", "app1.internal", "gone.internal"), pool("api", "gone.internal")
    api = replace(api, backends=(replace(api.backends[0], line=0),))
    with pytest.raises(StartError) as caught:
        resolve(config_of(web, api), {}, Servers())
    first, second = str(caught.value).splitlines()
    assert first.startswith('proxy.toml:13: pool.web.backends: cannot resolve "gone.internal": no such name (')
    assert second.startswith('proxy.toml:10: pool.api.backends: cannot resolve "gone.internal": no such name (')


@pytest.mark.parametrize(
    ("hosts", "kind"),
    [
        (["mute.internal"], NotYet),
        (["mute.internal", "gone.internal"], StartError),
        (["gone.internal"], StartError),
    ],
)
def test_silence_may_pass_by_itself(hosts: list[str], kind: type[StartError]) -> None:
    """Whoever supervises us tries again; what nobody knows is a mistake of somebody's."""
    with pytest.raises(StartError) as caught:
        resolve(config_of(pool("web", *hosts)), {}, Servers())
    assert type(caught.value) is kind


def test_unknown_names_may_be_let_through() -> None:
    """Each is told, and is nowhere until it is known."""
    config = config_of(pool("web", "app2.internal", "gone.internal", "mute.internal"), unknown="start")
    found = resolve(config, {}, Servers())
    assert found.addresses == {"app2.internal": ("fd00::2",), "gone.internal": UNRESOLVED, "mute.internal": UNRESOLVED}
    assert [(note.line, note.hint) for note in found.notes] == [(13, LATER), (14, LATER)]
    assert found.notes[0].message == 'cannot resolve "gone.internal": no such name'


def test_a_name_that_is_nowhere_is_asked_for_again_by_a_reload() -> None:
    """It has nothing to keep; and it is refused where that is what is wanted now."""
    servers = Servers()
    known = {"app1.internal": UNRESOLVED, "gone.internal": UNRESOLVED}
    assert resolve(config_of(pool("web", "app1.internal")), known, servers).addresses["app1.internal"] == KNOWN["app1.internal"]
    with pytest.raises(StartError, match=r"gone\.internal"):
        resolve(config_of(pool("web", "gone.internal")), known, servers)
    assert servers.asked == ["app1.internal", "gone.internal"]


def test_odd_answers_are_told() -> None:
    """Too many addresses, unusable ones among them: nothing is left out silently."""
    found = resolve(config_of(pool("web", "odd.internal")), {}, Servers())
    assert found.addresses == {"odd.internal": ("10.0.0.9",)}
    assert [str(note) for note in found.notes] == [
        'proxy.toml:12: pool.web.backends: "odd.internal": 65 addresses, the first 64 are used'
    ]
