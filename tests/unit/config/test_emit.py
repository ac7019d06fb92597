"""The effective configuration as text."""

from __future__ import annotations

import tomllib
from ipaddress import ip_network
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config import model
from lbproxy.config.emit import emit
from lbproxy.config.load import load_file, load_text
from lbproxy.config.model import Address, Config
from tests.unit.config.text import BASE, LEAST, read, without_lines

CONF = Path(__file__).resolve().parents[3] / "conf"

seconds = st.integers(1, 10**8).map(lambda millis: millis / 1000)
files = st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("C", "Z")), min_size=1, max_size=12).map(
    lambda name: Path("/etc/lbproxy") / name
)
names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,8}[a-z0-9])?){0,2}", fullmatch=True)
ips = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(1, 65535)
networks = st.builds(lambda ip, prefix: ip_network(f"{ip}/{prefix}", strict=False), st.ip_addresses(), st.integers(0, 32))
certificates = st.builds(model.Certificate, files, files)
auth = st.one_of(st.tuples(st.none(), st.just("none")), st.tuples(files, st.sampled_from(["none", "optional", "required"])))
listen_tls = st.builds(lambda profile, auth: model.ListenTls(profile, *auth), st.sampled_from(["modern", "intermediate"]), auth)
tls_side = st.builds(
    lambda pairs, tls: {"certificates": tuple(pairs), "tls": tls}, st.lists(certificates, min_size=1, max_size=2), listen_tls
)
plain_side = st.builds(lambda redirect: {"redirect_to_https": redirect}, st.booleans())
# Each on a port of its own, and each route on a path of its own, so that the parts get along.
listeners = st.lists(st.tuples(ips, st.one_of(tls_side, plain_side)), min_size=1, max_size=3).map(
    lambda sides: tuple(model.Listen(Address(ip, 1000 + index), **side) for index, (ip, side) in enumerate(sides))
)
weights = st.tuples(st.integers(0, 1000), st.integers(0, 9))
backends = st.lists(
    st.tuples(st.builds(Address, st.one_of(ips, names), ports), weights), min_size=1, max_size=3, unique_by=lambda b: b[0]
).map(lambda found: tuple(model.Backend(address, *rest) for address, rest in found))
client_pair = st.one_of(st.just((None, None)), st.tuples(files, files))
pool_tls = st.one_of(
    st.none(),
    st.builds(lambda ca, name, pair: model.PoolTls(ca, name, *pair), st.none() | files, st.none() | names, client_pair),
    st.builds(lambda pair: model.PoolTls(None, None, pair[0], pair[1], verify=False), client_pair),
)
quiet_health = st.builds(
    model.Health, st.sampled_from(["tcp", "off"]), seconds, seconds, st.integers(1, 1000), st.integers(1, 1000)
)
ranges = st.tuples(st.integers(100, 599), st.integers(100, 599)).map(lambda pair: (min(pair), max(pair)))
paths = st.text("ab/-%.", max_size=5).map(lambda path: f"/{path}")
http_health = st.builds(
    model.Health, st.just("http"), seconds, seconds, st.integers(1, 1000), st.integers(1, 1000),
    st.sampled_from(["GET", "HEAD", "OPTIONS"]), paths, st.none() | names, ranges,
)  # fmt: skip
pools = st.lists(
    st.builds(model.Pool, st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,5}", fullmatch=True), backends, tls=pool_tls,
              health=st.one_of(quiet_health, http_health)),
    min_size=1, max_size=3, unique_by=lambda pool: pool.name,
).map(tuple)  # fmt: skip


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any configuration that load could have made, lines aside."""
    found = draw(pools)
    wanted = draw(st.lists(st.tuples(st.sampled_from([pool.name for pool in found]), st.none() | names), min_size=1, max_size=3))
    routes = tuple(model.Route(pool, host, f"/{index}") for index, (pool, host) in enumerate(wanted))
    user, file = st.none() | names, st.none() | files
    workers = st.integers(0, 62)
    process = st.builds(model.Process, workers, user, file, file, st.just(0.0) | seconds, st.lists(networks, max_size=2).map(tuple))
    access = st.sampled_from(["stdout", "off"]) | files.map(str)
    log = st.builds(model.Log, st.sampled_from(["debug", "error"]), st.sampled_from(["auto", "json"]), access)
    limits = st.builds(
        model.Limits,
        st.integers(8192, 10**6),
        st.integers(256, 8192),
        st.integers(8, 500),
        st.integers(0, 2**40),
        st.integers(1, 9),
    )
    metrics = st.builds(model.Metrics, st.none() | st.builds(Address, ips, st.just(999)))
    timeouts = st.builds(model.Timeouts, *[seconds] * 8)
    return Config("", draw(listeners), routes, found, draw(process), draw(log), draw(timeouts), draw(limits), draw(metrics))


@given(configs())
def test_reading_what_was_written_gives_the_same(config: Config) -> None:
    """load(emit(c)) == c."""
    assert without_lines(load_text(emit(config), "", BASE)) == config


def test_the_example_survives() -> None:
    """With every key in it."""
    config = load_file(CONF / "example.toml")
    assert without_lines(load_text(emit(config), "", BASE)) == without_lines(config)


def test_defaults_are_written_out() -> None:
    """A person sees what is in effect without knowing the defaults."""
    written = tomllib.loads(emit(read(LEAST)))
    assert written["timeouts"]["keepalive"] == "1m"
    assert written["limits"]["head"] == "32KiB"
    assert written["proxy"]["workers"] == "auto"
    assert written["pool"]["app"]["backends"] == [{"address": "10.0.0.1:80", "weight": 1, "max_connections": 0}]
    assert written["pool"]["app"]["health"] == {"type": "tcp", "interval": "2s", "timeout": "2s", "rise": 2, "fall": 3}
