"""The names that certificates are obtained for."""

from __future__ import annotations

from pathlib import Path

from lbproxy.config.acme_names import file_of, folder_of, pairs, wanted, with_pairs
from lbproxy.config.model import AcmeConfig, Address, Config, ListenConfig, PoolConfig, ProcessConfig, RouteConfig


def config(*hosts: str | None, challenge: str = "http-01", names: tuple[str, ...] = (), state: Path | None = Path("/s")) -> Config:
    routes = tuple(RouteConfig(host=host, pool="app") for host in hosts)
    acme = AcmeConfig(True, challenge=challenge, names=names)
    listen = (ListenConfig(Address("::", 443), acme=True), ListenConfig(Address("::", 80)))
    return Config("", listen, routes, (PoolConfig("app", ()),), ProcessConfig(state_dir=state), acme=acme)


def test_of_routes_and_of_its_own() -> None:
    """Once each, in order; addresses have none, wildcards by dns-01 alone."""
    hosts = ("b.test", "a.test", None, "b.test", "10.0.0.1", "[::1]", "*.c.test")
    assert wanted(config(*hosts, names=("d.test", "a.test"))) == (
        ("b.test", "a.test", "d.test"), ("10.0.0.1", "[::1]", "*.c.test")
    )  # fmt: skip
    assert wanted(config(*hosts, challenge="dns-01")).names == ("b.test", "a.test", "*.c.test")


def test_where_they_stand() -> None:
    """A file each, whose name no other has."""
    assert file_of("*.c.test") == "_wildcard.c.test.pem"
    assert [str(pair.cert) for pair in pairs(config("a.test"))] == ["/s/acme/a.test.pem"]
    assert pairs(config("a.test", state=None)) == ()
    assert folder_of(config(state=None)) is None
    made = with_pairs(config("a.test"))
    assert [len(listen.listed) for listen in made.listen] == [1, 0]
    assert wanted(Config("", (), (), ())).names == ()
