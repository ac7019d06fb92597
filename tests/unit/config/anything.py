"""Any configuration at all, for properties."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import date
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lbproxy.config import model
from lbproxy.config.acme_names import with_pairs
from lbproxy.config.atoms import Passphrase
from lbproxy.config.model import Address, Config

seconds = st.integers(1, 10**8).map(lambda millis: millis / 1000)
files = st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("C", "Z")), min_size=1, max_size=12).map(
    lambda name: Path("/etc/lbproxy") / name
)
names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,8}[a-z0-9])?){0,2}", fullmatch=True)
ips = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(1, 65535)
networks = st.builds(lambda ip, prefix: ip_network(f"{ip}/{prefix}", strict=False), st.ip_addresses(), st.integers(0, 32))
passphrases = st.sampled_from([
    None, Passphrase("fd", ("3",)), Passphrase("credential", ("site",)), Passphrase("file", ("/etc/a.pass",)),
    Passphrase("command", ("/bin/vault", "read it")),
])  # fmt: skip
certificates = st.builds(model.CertificateConfig, files, files, st.sampled_from(["private", "any"]), passphrases)
auth = st.one_of(st.tuples(st.none(), st.just("none")), st.tuples(files, st.sampled_from(["none", "optional", "required"])))
of_names = st.builds(
    lambda auth, crl, depth: model.NameTlsConfig(
        ("closed.test", "*.closed.test"), *auth, *((crl, depth) if auth[1] != "none" else ())
    ),
    auth, st.none() | files, st.integers(0, 100),
)  # fmt: skip
listen_tls = st.builds(
    lambda policy, auth, unknown, groups, crl, depth, of_names: model.ListenTlsConfig(
        policy[0] or "", auth[0], auth[1], unknown, policy[1], policy[2], policy[3], groups,
        client_crl=crl if auth[1] != "none" else None, client_depth=depth if auth[1] != "none" else 10, names=tuple(of_names),
    ),
    st.sampled_from([
        ("modern", None, None, None), ("intermediate", None, "1.2", "ECDHE+AESGCM"), ("old", "1.1", "1.3", None),
        ("intermediate", "1.3", None, None), ("intermediate", None, None, None),
    ]),
    auth, st.sampled_from(["first", "refuse"]), st.sampled_from([(), ("X25519", "P-256")]), st.none() | files, st.integers(0, 100),
    st.lists(of_names, max_size=1),
)  # fmt: skip
tls_side = st.builds(
    lambda pairs, tls, protocols: {"certificates": tuple(pairs), "tls": tls, "protocols": protocols},
    st.lists(certificates, min_size=1, max_size=2), listen_tls, st.sampled_from([None, ("h2",), ("http/1.1", "h2")]),
)  # fmt: skip
plain_side = st.builds(
    lambda redirect, most: {"redirect_to_https": redirect, "max_connections": most},
    st.booleans() | st.integers(2, 65535),
    st.integers(0, 10**7),
)
rates = st.none() | st.builds(model.Rate, st.integers(1, 9999), st.sampled_from([1, 60, 3600]))
client_limits = st.builds(
    lambda rate, burst, most: model.ClientLimitConfig(rate, burst if rate else 0, most),
    rates,
    st.integers(0, 99),
    st.integers(0, 99),
)
addresses = st.builds(
    model.AddressListConfig, *[st.lists(networks, max_size=2, unique=True).map(tuple)] * 2
)  # files of networks would have to be there
tcp_sides = st.builds(
    lambda side, addresses, limit, told: {**side, "addresses": addresses, "per_client": limit, "proxy_protocol": tuple(told)},
    st.one_of(tls_side, plain_side), st.just(model.AddressListConfig()) | addresses,
    st.just(model.ClientLimitConfig()) | client_limits,
    st.lists(networks, max_size=2, unique=True),
)  # fmt: skip
accesses = st.builds(model.SocketAccessConfig, st.sampled_from([0o660, 0o600, 0o666]), st.none() | names, st.none() | names)
unix_listeners = st.builds(
    lambda access, most: model.ListenConfig(Address("unix:/run/lbproxy/in", 0), access=access, max_connections=most),
    accesses, st.integers(0, 10**7),
)  # fmt: skip
# Each on a port of its own, and each route on a path of its own, so that the parts get along.
tcp_listeners = st.lists(st.tuples(ips, tcp_sides), min_size=1, max_size=3).map(
    lambda sides: tuple(model.ListenConfig(Address(ip, 1000 + index), **side) for index, (ip, side) in enumerate(sides))
)
listeners = st.builds(lambda tcp, unix: (*tcp, *unix), tcp_listeners, st.lists(unix_listeners, max_size=1))
weights = st.tuples(st.integers(0, 1000), st.integers(0, 9), st.just(0), st.integers(0, 9))
unix_sockets = st.from_regex(r"/[a-z]{1,9}(/[a-z.]{0,3}[a-z])?", fullmatch=True).map(lambda path: Address(f"unix:{path}", 0))
places = st.one_of(st.builds(Address, st.one_of(ips, names), ports), unix_sockets)
backends = st.lists(st.tuples(places, weights), min_size=1, max_size=3, unique_by=lambda b: b[0]).map(
    lambda found: tuple(model.BackendConfig(address, *rest) for address, rest in found)
)
client_pair = st.one_of(st.just((None, None)), st.tuples(files, files))
pool_tls = st.one_of(
    st.none(),
    st.builds(lambda ca, name, pair: model.PoolTlsConfig(ca, name, *pair), st.none() | files, st.none() | names, client_pair),
    st.builds(lambda pair: model.PoolTlsConfig(None, None, pair[0], pair[1], verify=False), client_pair),
    st.builds(lambda version: model.PoolTlsConfig(min_version=version), st.sampled_from(["1.0", "1.1", "1.2", "1.3"])),
    st.builds(
        lambda cert, words: model.PoolTlsConfig(
            server_name="a.example", cert=cert, key=cert, key_mode="any", ciphers="ECDHE+AESGCM", passphrase=words
        ),
        files,
        passphrases,
    ),
    st.builds(
        lambda version, crl, pin, sni: model.PoolTlsConfig(
            server_name="a.example", max_version=version, crl=crl, pins=(pin,), sni=sni
        ),
        st.sampled_from(["1.2", "1.3"]),
        files,
        st.binary(min_size=32, max_size=32).map(lambda digest: b64encode(digest).decode()),
        st.just("off") | names,
    ),
)
quiet_health = st.builds(
    model.HealthConfig, st.sampled_from(["tcp", "off"]), seconds, seconds, st.integers(1, 1000), st.integers(1, 1000),
    fast_interval=seconds, down_interval=seconds, port=st.just(0) | ports,
)  # fmt: skip
ranges = st.tuples(st.integers(100, 599), st.integers(100, 599)).map(lambda pair: (min(pair), max(pair)))
paths = st.text("ab/-%.", max_size=5).map(lambda path: f"/{path}")
http_health = st.builds(
    model.HealthConfig, st.just("http"), seconds, seconds, st.integers(1, 1000), st.integers(1, 1000),
    st.sampled_from(["GET", "OPTIONS"]), paths, st.none() | names, ranges, seconds, seconds, st.none() | names,
    st.just(0) | ports, st.sampled_from([(), (("X-Probe", "{1}"), ("Accept", "a, b"))]),
)  # fmt: skip
grpc_health = st.builds(model.HealthConfig, st.just("grpc"), seconds, seconds, service=st.none() | names)
tokens = st.sampled_from(["x", "lb_1", "x-user"])
sticky = st.none() | st.builds(
    model.StickyConfig, tokens, st.sampled_from(["lax", "none"]), st.just(0.0) | seconds.filter(lambda age: age < 10**6)
)
balancing: st.SearchStrategy[dict[str, object]] = st.one_of(
    st.builds(dict, balance=st.sampled_from(["least_conn", "round_robin", "random_two"]), sticky=sticky,
              connections=st.builds(model.ConnectionsConfig, st.integers(0, 9), seconds.filter(lambda wait: wait < 86400),
                                    st.just(0.0) | seconds.filter(lambda age: age < 10**6), st.integers(0, 9)),
              buffer_requests=st.integers(1, 2**20), buffer_responses=st.integers(0, 2**20), buffer_file=st.integers(0, 2**40),
              retries=st.integers(0, 10), retry_budget=st.integers(0, 100),
              retry_on=st.sampled_from([(), ("connect", "closed"), ("timeout", "refused")]),
              tolerate=st.sampled_from([(), ("bare_lf",), ("obs_fold", "identity_coding")]),
              queue=st.integers(0, 9), queue_timeout=seconds.filter(lambda wait: wait < 3600)),
    st.builds(dict, balance=st.just("source_hash"), sticky=sticky, hash=st.one_of(
        st.just(model.Hash()), st.builds(model.Hash, st.sampled_from(["header", "cookie"]), tokens))),
)  # fmt: skip
rules_names = st.lists(st.sampled_from(["X-Team", "x_b", "Accept", "X-Forwarded-For", "Set-Cookie"]), unique=True, max_size=3)
taken_off = ["Via-X", "X-Internal-*", "X-Internal-A", "tracestate", "Trace*", "X-Request-Id", "X-Request-*", "server"]
rules_values = st.sampled_from(["blue", "{client_ip}", 'a {"b": 1} \\ #', "-"])


TAPS: list[dict[str, Any]] = [
    {},
    {"fifo": Path("/run/tap"), "reader_queue": 2**20},
    {"listen": Address("192.0.2.1", 993), "allow": (ip_network("10.0.0.0/8"),), "readers": 3},
    {"interface": "tap0"},
]
"""What a tap says of those who read as it happens."""


@st.composite
def header_rules(draw: st.DrawFn) -> model.HeaderRulesConfig:
    """request_headers or response_headers, as far as they have the same keys."""
    put, added = draw(rules_names), [name for name in draw(rules_names) if name != "X-Forwarded-For"]
    return model.HeaderRulesConfig(
        set=tuple((name, draw(rules_values)) for name in put),
        add=tuple((name, value) for name in added for value in draw(st.lists(rules_values, min_size=1, max_size=2))),
        remove=tuple(draw(st.lists(st.sampled_from(taken_off), unique=True))),
        replace=tuple(
            (name, draw(st.sampled_from(["https:", "a b"])), draw(st.sampled_from(["", "http:"])))
            for name in sorted(draw(st.sets(st.sampled_from(["Destination", "Location"]))))
        ),
    )


words = st.none() | st.sampled_from(["off", "make", "pass"])
hsts = st.sampled_from([None, model.Hsts(), model.Hsts(0), model.Hsts(86400, True), model.Hsts(63072000, True, True)])
headers = st.builds(
    model.HeadersConfig, header_rules(), header_rules().flatmap(lambda rules: st.builds(
        lambda keep: replace(rules, keep=tuple(keep)), st.lists(st.sampled_from(model.TELLTALES), unique=True))),
    st.sampled_from([None, "off", "basic", "strict"]), hsts, words, words,
)  # fmt: skip
tokens_or_none = st.none() | tokens
refuses = st.builds(
    lambda name, method, header, value: model.RefuseConfig(name, (method,), "/x*", header, value if header else None, header),
    tokens, st.sampled_from(["GET", "PUT"]), tokens_or_none, st.none() | st.just("*\xe9*"),
)  # fmt: skip
client_names = st.none() | st.just(model.ClientNamesConfig()) | st.just(
    model.ClientNamesConfig(("a.test", "*.b.test"), ("*@a.test",), ("urn:a:*",), ("spiffe://a.test/ns/*/**",))
)  # fmt: skip
route_filters = st.just(model.RouteFiltersConfig()) | st.builds(
    model.RouteFiltersConfig, addresses, st.sampled_from([(), ("GET",)]), st.none() | st.integers(0, 2**40), client_limits,
    st.just(()), st.lists(refuses, max_size=2).map(tuple), client_names,
)  # fmt: skip
fields_said = st.lists(st.sampled_from(["Remote-User", "x-b"]), max_size=2, unique=True).map(tuple)


def inspections(pool: str) -> st.SearchStrategy[dict[str, object]]:
    """Who is asked whether a route's requests may pass."""
    kept = st.sampled_from([("", 0.0, ()), ("sso.test", 1.5, ("Cookie",)), ("", 10.0, ("Cookie", "X-Key"))])
    authorize = st.builds(
        lambda path, copy, user, wait, fails, most, kept: model.AuthorizeConfig(
            pool, path, kept[0], copy, user, wait, fails, most, *kept[1:]
        ),
        paths.filter(lambda path: "%" not in path), fields_said, st.sampled_from(["", "Remote-User"]),
        seconds.map(lambda wait: min(wait, 60.0)), st.sampled_from(["refuse", "pass"]), st.integers(1024, 2**24), kept,
    )  # fmt: skip
    basic_auth = st.builds(
        model.BasicAuthConfig, files, st.just("staff's only"), st.sampled_from(["", "X-User"]), st.booleans(),
        st.just(0.0) | seconds.map(lambda keep: min(keep, 3600.0)), st.just(model.Rate(7, 3600)), st.just(model.Rate(8, 1)),
    )  # fmt: skip
    mirror = st.builds(
        lambda share, methods, remove, most, compare: model.MirrorConfig(pool, share, methods, remove, most, 5, 6, 7.5, compare),
        st.integers(1, 100), st.sampled_from([(), ("GET", "POST")]), fields_said, st.integers(0, 2**24), st.booleans(),
    )  # fmt: skip
    fetched = st.tuples(
        st.none(), st.sampled_from(["https://idp.test/jwks", "http://[::1]:81/k?a=b"]), st.none() | files, st.booleans(),
        seconds.map(lambda often: min(often, 86_400.0)), seconds.map(lambda wait: min(wait, 60.0)),
    )  # fmt: skip
    jwt = st.builds(
        lambda source, algorithms, said, claims, leeway, fails, told: model.JwtConfig(
            source[0], algorithms, said, "".join(said), leeway, said or ("exp",), tuple((name, "sub") for name in claims),
            told[0], told[1], told[2], told[3], fails, *source[1:],
        ),
        st.tuples(files) | fetched, st.sampled_from([("ES256",), ("RS256", "EdDSA")]),
        st.sampled_from([(), ("a",), ("a", "b/c")]), fields_said,
        st.just(0.0) | seconds.map(lambda leeway: min(leeway, 600.0)), st.sampled_from(["refuse", "pass"]),
        st.sampled_from([("sub", "", False, "restricted"), ("email", "session", True, "staff")]),
    )  # fmt: skip
    waf = st.builds(
        lambda mode, rules, level, left, most, over, wait, fails, many, types: model.WafConfig(
            mode, rules, f"libmodsecurity.so.{level[0]}", level[0], level[1], left[0], left[1],
            left[2], left[3], most, level[2], over, wait, fails, many, fails == "pass", types, most // 2, level[1],
        ),
        st.sampled_from(["detect", "block"]), st.sampled_from([("/a.conf",), ("/b/*.conf", "/c.conf")]),
        st.tuples(st.integers(1, 4), st.integers(1, 1000), st.integers(1, 10_000)),
        st.sampled_from([((), (), (), ()), (("1", "2-3"), ("a-b",), ("c",), ("/d/",))]), st.integers(0, 131_072),
        st.sampled_from(["refuse", "pass"]), seconds.map(lambda wait: min(wait, 60.0)), st.sampled_from(["refuse", "pass"]),
        st.integers(1, 16), st.sampled_from([("text/html",), ("text/x.y", "application/a+json")]),
    )  # fmt: skip
    icap = st.builds(
        lambda paths, fails, most, after: model.IcapConfig(
            "antivirus", paths[0], paths[1], 7.5, fails, 0, most, fails, 0, min(after, most), 3, 60.0, fails == "pass"
        ),
        st.sampled_from([("/req", ""), ("", "/resp?a"), ("/a", "/b")]), st.sampled_from(["refuse", "pass"]),
        st.integers(1024, 2**30), st.integers(0, 2**30),
    )  # fmt: skip
    found = {"waf": waf, "icap": icap, "jwt": jwt, "mirror": mirror, "authorize": authorize, "basic_auth": basic_auth}
    return st.fixed_dictionaries({name: st.none() | table for name, table in found.items()})


near_timeouts = st.builds(model.NearTimeoutsConfig, *[st.none() | seconds] * 5, st.none() | st.just(0.0) | seconds)


def settled(pool: model.PoolConfig) -> model.PoolConfig:
    """Without what means nothing to Unix sockets, where it has such."""
    if not any(backend.address.path for backend in pool.backends):
        return pool
    nameless = pool.tls is not None and pool.tls.verify and pool.tls.server_name is None
    return replace(pool, tls=None if nameless else pool.tls, health=replace(pool.health, port=0))


outliers = st.builds(
    model.OutlierConfig, st.booleans(), st.integers(0, 99), st.integers(0, 100), st.integers(1, 99),
    *[seconds.filter(lambda s: s < 3600)] * 3, st.integers(1, 100),
)  # fmt: skip
resilience: st.SearchStrategy[dict[str, object]] = st.builds(
    lambda spoken, **more: {**more, "protocol": spoken[0], "proxy_protocol": spoken[1]},
    outlier=outliers, fail_open=st.integers(0, 100), slow_start=st.just(0.0) | seconds.filter(lambda wait: wait < 3600),
    idempotency_key=st.booleans(),
    spoken=st.sampled_from([("http/1.1", None), ("http/1.1", "v1"), ("http/1.1", "v2"), ("h2", None), ("auto", None)]),
)  # fmt: skip
pools = st.lists(
    st.builds(lambda pool, keys, more: settled(replace(pool, **keys, **more)),
              st.builds(model.PoolConfig, st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,5}", fullmatch=True), backends, tls=pool_tls,
                        health=st.one_of(quiet_health, http_health, grpc_health), headers=headers, timeouts=near_timeouts),
              balancing, resilience),
    min_size=1, max_size=3, unique_by=lambda pool: pool.name,
).map(tuple)  # fmt: skip


paths_as_they_come = st.builds(
    lambda slash, kind: {"encoded_slash": slash, "merge_slashes": kind == "merge", "raw_path": kind == "raw"},
    st.sampled_from(["pass", "refuse"]), st.sampled_from(["", "merge", "raw"]),
)  # fmt: skip
patterns = st.lists(
    st.tuples(tokens, st.lists(st.sampled_from(["1", "*", "a*"]), min_size=1, max_size=2).map(tuple)),
    max_size=2, unique_by=lambda pair: pair[0].lower(),
).map(tuple)  # fmt: skip
matches = st.builds(
    lambda methods, headers, query: {"methods": methods, "headers": headers, "query": query},
    st.sampled_from([(), ("GET",), ("PUT", "POST")]), patterns, patterns,
)  # fmt: skip


compressions = st.none() | st.builds(
    model.CompressConfig, st.sampled_from([("gzip",), ("zstd", "gzip")] if find_spec("zstandard") else [("gzip",)]),
    st.sampled_from([(), ("text/*",), ("application/json", "text/html")]), st.integers(0, 2**20),
)  # fmt: skip


_lasting = st.sampled_from([0.0, 10.0, 86400.0])
stored_answers = st.none() | st.builds(
    model.CacheConfig, _lasting, _lasting, _lasting, st.sampled_from([("GET", "HEAD"), ("GET",)]),
    st.none() | st.builds(lambda keys: model.MatchConfig(**keys), matches.filter(lambda keys: any(keys.values()))), st.booleans(),
    st.integers(0, 2**30), st.sampled_from([0.0, 5.0]),
)  # fmt: skip


@st.composite
def lead(draw: st.DrawFn, prefix: str, pool: str, pools: list[str]) -> dict[str, object]:
    """Where a route leads, what it asks for beyond its path, and what becomes of that."""
    others = st.lists(st.sampled_from(pools), min_size=1, max_size=2, unique=True)
    shares = others.map(lambda names: tuple((name, 7 - index) for index, name in enumerate(names)))
    sticky = st.sampled_from([None, model.SplitStickyConfig("c"), model.SplitStickyConfig(header="X-U")])
    more: dict[str, object] = draw(st.one_of(
        st.builds(lambda split, sticky: {"split": split, "sticky": sticky}, shares, sticky),
        st.builds(lambda status: {"redirect": "/x{path}", "status": status}, st.sampled_from([308, 301])),
        st.builds(lambda body: {"respond": model.RespondConfig(418, body, "text/html" if body else model.RespondConfig().type)},
         names | st.just("")),
        st.just({"close": True}), st.just({"pool": pool}), st.just({"pool": pool}),
    ))  # fmt: skip
    said = draw(matches)
    kinds: list[dict[str, str]] = [{}, {"glob": f"{prefix}/*x"}, {"exact": prefix}] + (
        [{"regex": "^/[0-9]+"}] if find_spec("re2") else []
    )
    where: dict[str, Any] = draw(st.sampled_from(kinds))
    found = {**more, "path": "/" if "exact" in where else prefix, "match": model.MatchConfig(**where, **said)}
    if not {"respond", "close"} & more.keys():
        rules = [model.PathRulesConfig(), model.PathRulesConfig(prefix, "/v1"), model.PathRulesConfig(add="/v1"),
                 model.PathRulesConfig(replace=(prefix, "/new"))]  # fmt: skip
        found["paths"] = draw(st.sampled_from(rules))
    return found


words_for_all = st.builds(
    lambda presets, hsts, request_id, trace: model.HeadersConfig(
        security_headers=presets, hsts=hsts or model.Hsts(0), request_id=request_id or "off", trace=trace or "off"
    ),
    st.sampled_from(["off", "basic", "strict"]), hsts, words, words,
)  # fmt: skip


@st.composite
def processes(draw: st.DrawFn) -> model.ProcessConfig:
    """[proxy]"""
    drain = draw(st.just(0.0) | seconds)
    soft = draw(st.just(0) | st.integers(2**24, 2**40))
    return model.ProcessConfig(
        workers=draw(st.integers(0, 62)),
        user=draw(st.none() | names),
        pid_file=draw(st.none() | files),
        control=draw(st.none() | files),
        drain_timeout=drain,
        trusted_proxies=draw(st.lists(networks, max_size=2).map(tuple)),
        worker_memory=soft,
        worker_memory_hard=draw(st.sampled_from([0, max(soft, 2**24), 2**41])),
        worker_requests=draw(st.integers(0, 10**12)),
        temp_dir=draw(files),
        resolvers=draw(st.lists(st.builds(Address, ips, ports), max_size=2).map(tuple)),
        on_unknown_name=draw(st.sampled_from(["refuse", "start"])),
        headers=draw(st.just(model.ProcessConfig().headers) | words_for_all),
        idle_grace=draw(st.sampled_from([0.0, min(2.0, drain), drain])),
        walls=draw(st.booleans()),
        key_isolation=draw(st.booleans()),
        ticket_lifetime=draw(seconds.map(lambda each: min(each, 86400.0))),
        state_dir=draw(files),
    )


_directories = st.sampled_from(["https://one.example/directory", "https://two.example:14000/dir"])
bindings = st.just((None, None)) | st.tuples(names, files)
authorities = st.builds(
    lambda directory, ca, profile, binding: model.AuthorityConfig(directory, ca, profile, *binding),
    _directories, st.none() | files, st.none() | names, bindings,
)  # fmt: skip
challenges = st.one_of(
    st.tuples(st.sampled_from(["http-01", "tls-alpn-01"]), st.just(())), st.tuples(st.just("dns-01"), st.just(("/bin/set", "it")))
)
fallbacks = st.none() | authorities.map(lambda one: replace(one, directory="https://three.example/"))
caches = st.none() | st.builds(
    lambda memory, folder, disk, keep: replace(
        model.CacheStoreConfig(memory, keep=keep), **({} if folder is None else {"files": folder, "disk": disk})
    ),
    st.integers(4 * 2**20, 2**40), st.none() | files, st.integers(16 * 2**20, 2**40), st.none() | files,
)  # fmt: skip
acmes = st.none() | st.builds(
    lambda authority, email, challenge, key_type, wait, timeout, fallback: model.AcmeConfig(
        True, authority, email, challenge[0], ("www.example.com",), key_type, wait, challenge[1], timeout, fallback
    ),
    authorities, st.none() | st.just("ops@example.com"), challenges, st.sampled_from(["ec256", "rsa2048"]),
    seconds.map(lambda each: min(each, 3600.0)), seconds.map(lambda each: min(each, 3600.0)), fallbacks,
)  # fmt: skip


audits = st.builds(
    model.AuditConfig,
    st.sampled_from(["info", "high", "never"]),
    st.lists(
        st.builds(
            model.AcceptedConfig, st.sampled_from(["tls-old", "certificate"]), names, st.none() | names,
            st.none() | st.dates(date(1000, 1, 1)),
        ),
        max_size=2,
    ).map(tuple),
)  # fmt: skip


def _without_raw_prefixes(**keys: Any) -> model.RouteConfig:
    """A path that is forwarded as it came keeps its prefix."""
    route = model.RouteConfig(**keys)
    if not route.pools:
        route = replace(route, compress=None, icap=None, cache=None)
    if route.icap is not None:
        route = replace(route, cache=None)
    return replace(route, raw_path=False) if route.paths else route


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any configuration that load could have made, lines aside."""
    found = draw(pools)
    wanted = draw(st.lists(st.tuples(st.sampled_from([pool.name for pool in found]), st.none() | names), min_size=1, max_size=3))
    filters = draw(st.lists(route_filters, min_size=len(wanted), max_size=len(wanted)))
    shared = draw(st.lists(client_limits.filter(lambda limit: limit != model.ClientLimitConfig()), max_size=2))
    named = tuple(replace(limit, name=f"l{index}") for index, limit in enumerate(shared))
    used = st.just(()) | st.just(tuple(limit.name for limit in named))
    routes = tuple(
        _without_raw_prefixes(
            host=host,
            **draw(lead(f"/{index}", pool, [pool.name for pool in found])),
            headers=draw(headers),
            filters=replace(filters[index], client_limits=draw(used)),
            **draw(paths_as_they_come),
            timeouts=draw(near_timeouts),
            **draw(inspections(pool)),
            encoded_backslash=draw(st.sampled_from(["refuse", "pass"])),
            underscores=draw(st.sampled_from(["drop", "pass"])),
            client_close=draw(st.sampled_from(["abort", "answer"])),
            compress=draw(compressions),
            cache=draw(stored_answers),
        )
        for index, (pool, host) in enumerate(wanted)
    )
    access = st.sampled_from(["stdout", "off"]) | files.map(str)
    log = st.builds(model.LogConfig, st.sampled_from(["debug", "error"]), st.sampled_from(["auto", "json"]), access)
    limits = st.builds(
        model.LimitsConfig,
        st.integers(8192, 10**6),
        st.integers(256, 8192),
        st.integers(8, 500),
        st.integers(0, 2**40),
        st.integers(1, 9),
        st.integers(0, 2**20),
        streams=st.integers(1, 1000),
        compressions_per_worker=st.integers(0, 1000),
        compression_cpu=st.integers(1, 100),
    )
    metrics = st.builds(
        model.MetricsConfig,
        st.none() | st.builds(Address, ips, st.just(999)),
        st.lists(st.sampled_from(["a.example.com", "*.example.com", "lb"]), max_size=2).map(tuple),
        st.integers(2, 1000),
        st.floats(0.1, 60).map(lambda value: round(value, 3)),
    )
    timeouts = st.builds(model.TimeoutsConfig, *[seconds] * 8, st.just(0.0) | seconds, seconds)
    tables = draw(processes()), draw(log), draw(timeouts), draw(limits), draw(metrics)
    listening = draw(listeners)
    if not any(listen.tls.asks for listen in listening):  # nobody would pass
        routes = tuple(replace(route, filters=replace(route.filters, client_certificate=None)) for route in routes)
    obtained = draw(acmes)
    own = (
        ()
        if obtained is None
        else (model.ListenConfig(Address("192.0.2.1", 990), acme=True), model.ListenConfig(Address("192.0.2.1", 991)))
    )
    taps = draw(st.just(()) | st.builds(
        lambda folder, most, percent, blank, live: (
            replace(model.TapConfig(folder, 3, 2**20, percent, most, blank, 2**18, name="ids"), **live),
        ),
        files, st.integers(0, 2**24), st.integers(1, 100), fields_said, st.sampled_from(TAPS),
    ))  # fmt: skip
    if taps:
        routes = tuple(replace(route, tap="ids") for route in routes)
    unseeing = [pool.name for pool in found if pool.sticky is None and pool.hash.kind == "address"]
    passages = [(("*", pool),) for pool in unseeing] + [(("db.test", pool), ("*.db.test", pool)) for pool in unseeing]
    passed = draw(st.sampled_from([(), *passages]))
    through = (model.ListenConfig(Address("192.0.2.1", 992), passthrough=passed),) if passed else ()
    last = draw(audits), draw(caches)
    if any(route.icap is not None for route in routes):
        found = (*found, model.PoolConfig("antivirus", (model.BackendConfig(Address("192.0.2.2", 1344)),)))
    if last[1] is None:
        routes = tuple(replace(route, cache=None) for route in routes)
    return with_pairs(Config("", (*listening, *own, *through), routes, found, *tables, named, obtained, taps, *last))
