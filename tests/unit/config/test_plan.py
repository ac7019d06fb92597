"""What a reload changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.endpoints import unplaced
from lbproxy.config.edits import Edit
from lbproxy.config.model import Config, ListenConfig, PoolConfig, ProcessConfig
from lbproxy.config.plan import NOTHING, ONLY_BY_RESTART, How, PartChange, Plan, as_json, effective, lines, plan
from tests.unit.config.alike import alike
from tests.unit.config.text import LEAST, read, without_lines

FULL = """
[proxy]
workers = 2
trusted_proxies = ["10.0.0.0/8", "::1"]
[[listen]]
address = "0.0.0.0:443"
certificates = [{ cert = "a.crt", key = "a.key" }, { cert = "b.crt", key = "b.key" }]
tls = { client_ca = "clients.pem", client_auth = "required" }
[[listen]]
address = "0.0.0.0:80"
redirect_to_https = true
[[route]]
host = "example.com"
path = "/api/"
pool = "api"
[[route]]
host = "example.com"
path = "/static/"
pool = "app"
[[route]]
pool = "app"
[pool.api]
backends = ["10.0.0.1:8080", { address = "[fd00::1]:8080", weight = 2 }]
tls = { ca = "ca.pem", cert = "c.crt", key = "c.key" }
[pool.api.health]
interval = "2s"
[pool.app]
backends = ["10.0.0.2:8080"]
[metrics]
address = "127.0.0.1:9180"
"""


def told(old: str, new: str, touched: tuple[str, ...] = ()) -> list[str]:
    """The lines for a terminal, from one text to another."""
    return lines(plan(read(old), read(new), [Path("/base") / name for name in touched]))


def edited(text: str, *swaps: tuple[str, str]) -> str:
    for old, new in swaps:
        assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(("old", "new", "expected"), [
    # listeners
    ('[[listen]]\naddress = "0.0.0.0:80"', '[[listen]]\naddress = "127.0.0.1:81"\n[[listen]]\naddress = "0.0.0.0:80"',
     ["+ listener 127.0.0.1:81"]),
    ('[[listen]]\naddress = "0.0.0.0:80"\nredirect_to_https = true', "", ["- listener 0.0.0.0:80"]),
    ('"0.0.0.0:80"', '"[::]:80"', ["- listener 0.0.0.0:80", "+ listener [::]:80"]),
    ("redirect_to_https = true", "", ["~ listener 0.0.0.0:80: redirect_to_https true -> false"]),
    ("redirect_to_https = true", "redirect_to_https = 444", ["~ listener 0.0.0.0:80: redirect_to_https true -> 444"]),
    ("redirect_to_https = true", "redirect_to_https = true\nmax_connections = 9",
     ["~ listener 0.0.0.0:80: max_connections 0 -> 9"]),
    ("client_auth =", 'profile = "modern", client_auth =', ["~ listener 0.0.0.0:443: tls.profile intermediate -> modern"]),
    ('client_ca = "clients.pem", client_auth = "required"', "",
     ["~ listener 0.0.0.0:443: tls.client_ca /base/clients.pem removed, tls.client_auth required -> none"]),
    ("redirect_to_https = true", 'certificates = [{ cert = "n.crt", key = "n.key" }]',
     ["~ listener 0.0.0.0:80: redirect_to_https true -> false, certificate /base/n.crt added"]),
    ('}, { cert = "b.crt"', '}, { cert = "c.crt"',
     ["~ listener 0.0.0.0:443: certificate /base/b.crt removed, certificate /base/c.crt added"]),
    (', { cert = "b.crt", key = "b.key" }', "", ["~ listener 0.0.0.0:443: certificate /base/b.crt removed"]),
    ('[{ cert = "a.crt"', '[{ cert = "c.crt", key = "c.key" }, { cert = "a.crt"',
     ["~ listener 0.0.0.0:443: certificate /base/c.crt added, first certificate /base/a.crt -> /base/c.crt"]),
    ('"b.key"', '"c.key"', ["~ listener 0.0.0.0:443: key of /base/b.crt /base/b.key -> /base/c.key"]),
    # routes
    ('path = "/static/"', 'path = "/files/"',
     ["- route example.com/static/: pool app", "+ route example.com/files/: pool app"]),
    ('path = "/static/"\npool = "app"', 'path = "/static/"\npool = "api"', ["~ route example.com/static/: pool app -> api"]),
    ('[[route]]\npool = "app"', '[[route]]\nhost = "*.example.org"\npool = "app"',
     ["- route /: pool app", "+ route *.example.org/: pool app"]),
    # pools and backends
    ('["10.0.0.2:8080"]', '["10.0.0.2:8080", "app.internal:80"]', ["+ backend app/app.internal:80"]),
    ('"10.0.0.1:8080", ', "", ["- backend api/10.0.0.1:8080"]),
    ("weight = 2", "weight = 3, max_connections = 5",
     ["~ backend api/[fd00::1]:8080: weight 2 -> 3, max_connections 0 -> 5"]),
    ('interval = "2s"', 'interval = "1m30s"', ["~ pool api: health.interval 2s -> 1m30s, health.down_interval 5s -> 1m30s"]),
    ('interval = "2s"', 'type = "http"\npath = "/up"\nexpect = 200',
     ["~ pool api: health.type tls -> http, health.path / -> /up, health.expect 200-399 -> 200-200"]),
    ('tls = { ca = "ca.pem", cert = "c.crt", key = "c.key" }', "",
     ["~ pool api: tls on -> off, tls.ca /base/ca.pem removed, tls.cert /base/c.crt removed, tls.key /base/c.key removed, "
      "health.type tls -> tcp"]),
    ('key = "b.key"', 'key = "b.key", key_mode = "any"',
     ["~ listener 0.0.0.0:443: key of /base/b.crt /base/b.key -> /base/b.key (key_mode any)"]),
    ('backends = ["10.0.0.2:8080"]', 'backends = ["10.0.0.2:8080"]\ntls = {}',
     ["~ pool app: tls off -> on, health.type tcp -> tls"]),
    ('backends = ["10.0.0.2:8080"]',
     'backends = ["10.0.0.2:8080"]\nhsts = "1d"\nrequest_headers = { set = { Authorization = "Basic eDp5" }, remove = ["X-A"] }\n'
     'response_headers = { add = { Link = ["<a>", "<b>"] }, keep = ["Server"] }',
     ["~ pool app: hsts 24h added, request_headers.set.Authorization (hidden) added, request_headers.remove X-A added, "
      "response_headers.add.Link <a> | <b> added, response_headers.keep Server added"]),
    ('path = "/static/"\npool = "app"',
     'path = "/static/"\npool = "app"\ntrace = "make"\nresponse_headers = { set = { X-A = "1" } }',
     ["~ route example.com/static/: trace make added, response_headers.set.X-A 1 added"]),
    ('backends = ["10.0.0.2:8080"]', 'backends = ["10.0.0.2:8080"]\n[pool.new]\nbackends = ["10.0.0.2:8080"]',
     ["+ pool new", "+ backend new/10.0.0.2:8080"]),
    ('backends = ["10.0.0.2:8080"]', 'backends = ["10.0.0.2:8080"]\nretries = 0\nconnections = { max_age = "0", idle = 7 }',
     ["~ pool app: retries 1 -> 0, connections.idle 128 -> 7, connections.max_age 1h -> 0"]),
    # the tables that exist once
    ("workers = 2", 'workers = "auto"\nworker_memory = "1GiB"\nidle_grace = "5s"',
     ["~ proxy: workers 2 -> auto, worker_memory 0 -> 1GiB, idle_grace 2s -> 5s"]),
    ('["10.0.0.0/8", "::1"]', '["192.168.0.0/16", "::1"]',
     ["~ proxy: trusted_proxies 10.0.0.0/8 removed, trusted_proxies 192.168.0.0/16 added"]),
    ("[metrics]", '[log]\naccess = "off"\n[metrics]', ["~ log: access stdout -> off"]),
    ("[metrics]", '[timeouts]\nkeepalive = "30s"\nconnect = "250ms"\n[metrics]',
     ["~ timeouts: keepalive 1m -> 30s, connect 4s -> 250ms"]),
    ("[metrics]", '[limits]\nbody = "10MiB"\nfields = 50\n[metrics]', ["~ limits: fields 100 -> 50, body 0 -> 10MiB"]),
    ('[metrics]\naddress = "127.0.0.1:9180"', "", ["- metrics 127.0.0.1:9180"]),
    ("127.0.0.1:9180", "127.0.0.1:9181", ["~ metrics: address 127.0.0.1:9180 -> 127.0.0.1:9181"]),
])  # fmt: skip
def test_one_change(old: str, new: str, expected: list[str]) -> None:
    """In the words of the file, and nothing else is said."""
    assert told(FULL, edited(FULL, (old, new))) == expected


def test_values_that_backends_get_are_not_told() -> None:
    """They may be passwords; that they changed is told."""
    old = LEAST + 'request_headers = { set = { Authorization = "Basic b2xk" } }\n'
    assert told(old, edited(old, ("b2xk", "bmV3"))) == ["~ pool app: request_headers.set.Authorization (hidden) -> (hidden)"]


def test_metrics_that_come() -> None:
    """From nowhere to an address."""
    assert told(LEAST, LEAST + '[metrics]\naddress = "[::1]:1"') == ["+ metrics [::1]:1"]


def test_the_only_certificate_replaced() -> None:
    """Is one story: this one instead of that one."""
    text = '[[listen]]\naddress = ":1"\ncertificates = [{ cert = "a.crt", key = "a.key" }]\nredirect_to_https = false\n' + LEAST
    assert told(text, edited(text, ("a.crt", "b.crt"))) == ["~ listener 0.0.0.0:1: certificate /base/a.crt -> /base/b.crt"]
    assert told(text, edited(text, ("a.crt", "b.crt"), ("a.key", "b.key"))) == [
        "~ listener 0.0.0.0:1: certificate /base/a.crt -> /base/b.crt, key /base/a.key -> /base/b.key"
    ]


def test_the_order_of_certificates() -> None:
    """The first serves who asks for no known name; the rest may overlap, so their order is one, too."""
    pairs = [f'{{ cert = "{name}.crt", key = "{name}.key" }}' for name in "abc"]

    def listening(*order: int) -> str:
        return f'[[listen]]\naddress = ":1"\ncertificates = [{", ".join(pairs[i] for i in order)}]\n' + LEAST

    assert told(listening(0, 1, 2), listening(1, 0, 2)) == ["~ listener 0.0.0.0:1: first certificate /base/a.crt -> /base/b.crt"]
    assert told(listening(0, 1, 2), listening(0, 2, 1)) == [
        "~ listener 0.0.0.0:1: order of certificates /base/a.crt, /base/b.crt, /base/c.crt -> /base/a.crt, /base/c.crt, /base/b.crt"
    ]


def test_a_moved_route() -> None:
    """The first match wins."""
    api = '[[route]]\nhost = "example.com"\npath = "/api/"\npool = "api"\n'
    static = '[[route]]\nhost = "example.com"\npath = "/static/"\npool = "app"\n'
    moved = edited(FULL, (api, ""), (static, static + api))
    assert told(FULL, moved) == ["~ route example.com/static/: place after example.com/api/ -> at the top"]
    assert told(moved, FULL) == ["~ route example.com/static/: place at the top -> after example.com/api/"]


def test_a_route_above_moves_nobody() -> None:
    """Nor does one that is taken out: what is left stands in the order it stood in."""
    more = edited(FULL, ('[[route]]\nhost = "example.com"\npath = "/api/"', '[[route]]\nhost = "x"\npool = "app"\n'
                         '[[route]]\nhost = "example.com"\npath = "/api/"'))  # fmt: skip
    assert told(FULL, more) == ["+ route x/: pool app"]
    assert told(more, FULL) == ["- route x/: pool app"]


def test_order_that_means_nothing() -> None:
    """Of pools, backends, networks and listeners; and what is written differently but is the same."""
    pool = '[pool.app]\nbackends = ["10.0.0.2:8080"]\n'
    same = edited(
        FULL,
        (pool, ""), ("[pool.api]\n", pool + "[pool.api]\n"),
        ('["10.0.0.1:8080", { address = "[fd00::1]:8080", weight = 2 }]',
         '[{ weight = 2, address = "[fd00:0::1]:8080" }, { address = "10.0.0.1:8080", weight = 1 }]'),
        ('["10.0.0.0/8", "::1"]', '["::1/128", "10.0.0.0/8"]'),
        ('[[listen]]\naddress = "0.0.0.0:80"\nredirect_to_https = true\n', ""),
        ("[proxy]", '[[listen]]\naddress = ":80"\nredirect_to_https = true\n[proxy]\n\n# a comment'),
        ('interval = "2s"', 'interval = "2000ms"'),
    )  # fmt: skip
    assert told(FULL, same) == [NOTHING]


# ---------------------------------------------------------------- files whose bytes changed


@pytest.mark.parametrize(("touched", "expected"), [
    (("a.crt",), ["~ listener 0.0.0.0:443: certificate /base/a.crt renewed"]),
    (("a.crt", "a.key"), ["~ listener 0.0.0.0:443: certificate /base/a.crt renewed"]),
    (("b.key",), ["~ listener 0.0.0.0:443: key /base/b.key renewed"]),
    (("a.crt", "b.crt"), ["~ listener 0.0.0.0:443: certificate /base/a.crt renewed, certificate /base/b.crt renewed"]),
    (("clients.pem",), ["~ listener 0.0.0.0:443: client_ca /base/clients.pem renewed"]),
    (("ca.pem",), ["~ pool api: ca /base/ca.pem renewed"]),
    (("c.crt", "c.key"), ["~ pool api: certificate /base/c.crt renewed"]),
    (("other.pem",), [NOTHING]),
])  # fmt: skip
def test_renewed_files(touched: tuple[str, ...], expected: list[str]) -> None:
    """The path stayed; only the caller saw the bytes."""
    assert told(FULL, FULL, touched) == expected


def test_renewed_files_that_nobody_used() -> None:
    """What is new to a listener or pool is told by its name already; what is gone does not matter."""
    new = edited(FULL, ("b.crt", "n.crt"), ("b.key", "n.key"), ('"ca.pem"', '"n.pem"'), ("clients.pem", "m.pem"))
    said = told(FULL, new, ("b.crt", "n.crt", "n.key", "n.pem", "ca.pem", "clients.pem", "m.pem"))
    assert len(said) == 2
    assert "renewed" not in "".join(said)
    assert told(LEAST, FULL, ("a.crt", "ca.pem")) == told(LEAST, FULL)


# ---------------------------------------------------------------- what a reload cannot change


def test_settings_for_the_next_start() -> None:
    """Named with both values and the reason; they are no changes, and stay as they run."""
    old = read(LEAST + '[proxy]\nuser = "www"\npid_file = "/run/a.pid"\nworkers = 1')
    new = read(LEAST + '[proxy]\nuser = "web"\ncontrol = "/run/c.sock"\nworkers = 2')
    found = plan(old, new)
    assert lines(found) == [
        "~ proxy: workers 1 -> 2",
        "! proxy.user: www -> web (needs a restart: the account of the processes is looked up once)",
        "! proxy.pid_file: /run/a.pid -> not set (needs a restart: the master keeps its pid file for its life)",
        "! proxy.control: not set -> /run/c.sock (needs a restart: the master keeps its control socket for its life)",
    ]
    became = effective(old, new)
    assert became == replace(new, proxy=ProcessConfig(workers=2, user="www", pid_file=Path("/run/a.pid")))
    assert plan(old, became).restart == ()
    assert plan(became, new) == Plan((), found.restart)


@given(alike(), alike())
def test_the_effective_configuration_differs_only_in_what_is_named(old: Config, new: Config) -> None:
    """A second reload of the same file has nothing left to change, and names the same settings again."""
    became = effective(old, new)
    assert plan(old, became) == Plan(plan(old, new).changes, ())
    assert plan(became, new) == Plan((), plan(old, new).restart)
    assert len(plan(old, new).restart) == sum(getattr(old.proxy, key) != getattr(new.proxy, key) for key in ONLY_BY_RESTART)


# ---------------------------------------------------------------- properties


@given(alike())
def test_nothing_changes_nothing(config: Config) -> None:
    """Not even on other lines of another file."""
    elsewhere = replace(
        config,
        source="elsewhere.toml",
        listen=tuple(replace(listen, line=7) for listen in reversed(config.listen)),
        routes=tuple(replace(route, line=8) for route in config.routes),
        pools=tuple(
            replace(pool, line=9, backends=tuple(replace(backend, line=9) for backend in reversed(pool.backends)))
            for pool in reversed(config.pools)
        ),
    )
    assert plan(config, config) == plan(config, elsewhere) == Plan((), ())
    assert lines(plan(config, elsewhere)) == [NOTHING]


@given(alike(), alike())
def test_nothing_is_said_only_of_equals(old: Config, new: Config) -> None:
    """Whatever differs shows."""
    assert (plan(old, new) == Plan((), ())) == (canonical(old) == canonical(new))


def canonical(config: Config) -> Config:
    """Without what means nothing: lines, orders, the same thing twice."""

    def by_name(pool: PoolConfig) -> PoolConfig:
        return replace(pool, backends=tuple(sorted(pool.backends, key=lambda backend: backend.address)))

    def once(listen: ListenConfig) -> ListenConfig:
        last = {pair.cert: pair for pair in listen.certificates}
        return replace(listen, certificates=tuple(last.values()))

    config = without_lines(config)
    networks = sorted(set(config.proxy.trusted_proxies), key=str)
    return replace(
        config,
        listen=tuple(sorted(map(once, config.listen), key=lambda listen: listen.address)),
        pools=tuple(sorted(map(by_name, config.pools), key=lambda pool: pool.name)),
        proxy=replace(config.proxy, trusted_proxies=tuple(networks)),
    )


@given(alike(), alike())
def test_every_backend_that_comes_or_goes_is_named_once(old: Config, new: Config) -> None:
    """As the ledger names it. So are pools, routes and listeners."""
    changes, before, after = plan(old, new).changes, parts(old), parts(new)
    found = Counter((change.kind, change.name, change.how) for change in changes if change.how != "changed")
    expected = {(*part, "added") for part in after - before} | {(*part, "removed") for part in before - after}
    assert {key: count for key, count in found.items() if key[0] != "metrics"} == dict.fromkeys(expected, 1)
    assert len({(change.kind, change.name) for change in changes}) == len(changes)


def parts(config: Config) -> set[tuple[str, str]]:
    return {
        *(("listener", str(listen.address)) for listen in config.listen),
        *(("route", f"{route.host or ''}{route.path}") for route in config.routes),
        *(("pool", pool.name) for pool in config.pools),
        *(("backend", f"{pool.name}/{backend.address}") for pool in config.pools for backend in pool.backends),
    }


@given(alike(), alike(), st.booleans())
def test_back_again_is_the_mirror_image(old: Config, new: Config, renewed: bool) -> None:
    """The same names and keys; what was added is removed, what was old is new. Nothing is told twice."""
    touched = [Path("/a.crt"), Path("/b.key"), Path("/ca.pem")] if renewed else []
    there, back = plan(old, new, touched), plan(new, old, touched)
    assert all(len(set(change.edits)) == len(change.edits) for change in there.changes)
    assert comparable(map(mirrored, there.changes)) == comparable(back.changes)
    assert [line.partition(":")[0] for line in there.restart] == [line.partition(":")[0] for line in back.restart]


MIRRORED: dict[How, How] = {"added": "removed", "removed": "added", "changed": "changed"}


def mirrored(change: PartChange) -> PartChange:
    return change._replace(how=MIRRORED[change.how], edits=tuple(Edit(key, new, old) for key, old, new in change.edits))


def comparable(changes: Iterable[PartChange]) -> Counter[tuple[object, ...]]:
    """In no order, neither of changes nor of the keys of one."""
    return Counter((change.kind, change.name, change.how, frozenset(change.edits), frozenset(change.notes)) for change in changes)


# ---------------------------------------------------------------- for the control socket


def test_as_json() -> None:
    """Every field in its place, and the lines for who only wants to print them."""
    new = edited(FULL, ("workers = 2", 'workers = 3\nuser = "www"'), ('host = "example.com"\npath = "/static/"', 'path = "/s"'))
    found = plan(read(FULL), read(new), [Path("/base/ca.pem")])
    assert as_json(found) == {
        "changes": [
            {"kind": "route", "name": "example.com/static/", "how": "removed", "edits": [], "notes": ["pool app"]},
            {"kind": "route", "name": "/s", "how": "added", "edits": [], "notes": ["pool app"]},
            {"kind": "pool", "name": "api", "how": "changed", "edits": [], "notes": ["ca /base/ca.pem renewed"]},
            {"kind": "proxy", "name": "", "how": "changed", "edits": [{"key": "workers", "old": "2", "new": "3"}], "notes": []},
        ],
        "restart": ["proxy.user: not set -> www (needs a restart: the account of the processes is looked up once)"],
        "lines": lines(found),
    }
    assert as_json(plan(read(FULL), read(FULL))) == {"changes": [], "restart": [], "lines": [NOTHING]}


@given(alike(), alike())
def test_json_carries_it_unchanged(old: Config, new: Config) -> None:
    """Only texts, lists, tables and null."""
    answer = as_json(plan(old, new))
    assert json.loads(json.dumps(answer)) == answer


def test_names_are_the_ledgers() -> None:
    """A backend that a plan names is found under that name in commands and metrics."""
    old, new = read(LEAST), read(LEAST.replace("10.0.0.1", "[fd00::1]"))
    ledgers = {backend.identity for config in (old, new) for backend in unplaced(config, {})["app"]}
    assert {change.name for change in plan(old, new).changes} == ledgers
