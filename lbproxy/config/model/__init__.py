"""The configuration as typed values, and the only home of defaults: each key is declared once, in the file of its table here.

Durations are seconds (float), sizes are bytes (int), 0 where documented means "no limit". Every value is immutable: a reload makes
a new `Config` and compares it with the old one. How a key is declared tells key.py; what holds between keys, rules.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lbproxy.config.atoms import GIB, KIB, MIB, UNIX, Address, Hash, Hsts, Network, Passphrase, Rate
from lbproxy.config.header_values import TELLTALES
from lbproxy.config.key import in_any_case, named, table, table_or_none, tables
from lbproxy.config.model.acme import Acme, Authority
from lbproxy.config.model.audit import Accepted, Audit
from lbproxy.config.model.cache_store import CacheStore
from lbproxy.config.model.caching import Cache
from lbproxy.config.model.compress import Compress
from lbproxy.config.model.filters import AddressList, ClientLimit, ClientNames, Refuse, RouteFilters
from lbproxy.config.model.headers import HEADER_WORDS, HeaderRules, Headers
from lbproxy.config.model.health import Health, Outlier
from lbproxy.config.model.icap import Icap
from lbproxy.config.model.inspection import Authorize, BasicAuth, Document, Jwt, KeySet
from lbproxy.config.model.listeners import Certificate, Listen, ListenTls, NameTls, SocketAccess
from lbproxy.config.model.mirroring import Mirror
from lbproxy.config.model.pools import Backend, Connections, Pool, PoolTls, Sticky
from lbproxy.config.model.process import Limits, Log, Metrics, Process
from lbproxy.config.model.routes import Route
from lbproxy.config.model.routing import ANYTHING, AS_THEY_ARE, Match, PathRules, Patterns, Respond, SplitSticky
from lbproxy.config.model.tapping import Tap
from lbproxy.config.model.timeouts import NEAR_TIMEOUTS, NearTimeouts, Timeouts
from lbproxy.config.model.waf import Waf
from lbproxy.config.values import pool_name, short_name

__all__ = [
    "ANYTHING",
    "AS_THEY_ARE",
    "GIB",
    "HEADER_WORDS",
    "KIB",
    "MIB",
    "NEAR_TIMEOUTS",
    "TELLTALES",
    "UNIX",
    "Accepted",
    "Acme",
    "Address",
    "AddressList",
    "Audit",
    "Authority",
    "Authorize",
    "Backend",
    "BasicAuth",
    "Cache",
    "CacheStore",
    "Certificate",
    "ClientLimit",
    "ClientNames",
    "Compress",
    "Config",
    "Connections",
    "Document",
    "Hash",
    "HeaderRules",
    "Headers",
    "Health",
    "Hsts",
    "Icap",
    "Jwt",
    "KeySet",
    "Limits",
    "Listen",
    "ListenTls",
    "Log",
    "Match",
    "Metrics",
    "Mirror",
    "NameTls",
    "NearTimeouts",
    "Network",
    "Outlier",
    "Passphrase",
    "PathRules",
    "Patterns",
    "Pool",
    "PoolTls",
    "Process",
    "Rate",
    "Refuse",
    "Respond",
    "Route",
    "RouteFilters",
    "SocketAccess",
    "SplitSticky",
    "Sticky",
    "Tap",
    "Timeouts",
    "Waf",
]


def _with_metrics(config: Any) -> bool:
    return bool(config.metrics != Metrics())


def _with_audit(config: Any) -> bool:
    return bool(config.audit != Audit())


@dataclass(frozen=True, slots=True)
class Config:
    """Everything, checked: names that one part uses of another exist."""

    source: str
    """The file it came from, as the user named it; "" when made by `quick`."""
    listen: tuple[Listen, ...] = field(
        metadata=in_any_case(
            tables(Listen, "where clients come in", "a table headed [[listen]]", wanted="a list of tables, each headed [[listen]]")
        )
    )
    routes: tuple[Route, ...] = field(
        metadata=in_any_case(
            tables(
                Route,
                "the first that matches wins, so the particular ones stand first",
                "a table headed [[route]]",
                called="route",
                complete=True,
                wanted="a list of tables, each headed [[route]]",
            )
        )
    )
    pools: tuple[Pool, ...] = field(
        metadata=in_any_case(
            named(
                Pool, "the backends of one application", "a table for each pool, headed [pool.NAME]", called="pool", names=pool_name
            )
        )
    )
    proxy: Process = table(Process, "the processes", "a table headed [proxy]")
    log: Log = table(Log, "what is told", "a table headed [log]")
    timeouts: Timeouts = table(Timeouts, "how long", "a table headed [timeouts]")
    limits: Limits = table(Limits, "how much", "a table headed [limits]")
    metrics: Metrics = table(
        Metrics, "/metrics, /livez, /readyz, /status.json, / (status page)", "a table headed [metrics]", when=_with_metrics
    )
    client_limits: tuple[ClientLimit, ...] = named(
        ClientLimit,
        "what each client may do on all routes that name it together",
        "a table for each limit, headed [client_limit.NAME]",
        called="client_limit",
        names=short_name,
    )
    acme: Acme | None = table_or_none(
        Acme, "certificates that are obtained and renewed by themselves, for listeners with acme = true", "a table headed [acme]"
    )
    taps: tuple[Tap, ...] = named(
        Tap,
        "conversations of the routes that name it, as packets in files, for whoever looks for intruders",
        "a table for each tap, headed [tap.NAME]",
        called="tap",
        names=short_name,
    )
    audit: Audit = table(Audit, "what lbproxy audit tells, and what it lets pass", "a table headed [audit]", when=_with_audit)
    cache: CacheStore | None = table_or_none(
        CacheStore, "where answers are kept that routes with [route.cache] store", "a table headed [cache]"
    )
    written: tuple[tuple[tuple[str | int, ...], str], ...] = field(default=(), compare=False, repr=False)
    """Texts that name environment variables, by path, and what these hold, by name: told to nobody."""
    variables: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    def pool(self, name: str) -> Pool:
        """The pool of that name; every route's pool exists (load.py checks)."""
        return next(pool for pool in self.pools if pool.name == name)

    def timeouts_of(self, route: Route, pool: str = "") -> Timeouts:
        """What holds for its requests to that pool (`route.pool` unless told otherwise): the nearest table that says something
        wins, route before pool before [timeouts]."""
        pool = pool or route.pool
        wider = self.timeouts.nearer(self.pool(pool).timeouts) if pool else self.timeouts
        return wider.nearer(route.timeouts)

    @property
    def documents(self) -> tuple[Document, ...]:
        """Files that steps of routes go by, each once; who tells of one names its number."""
        return tuple(dict.fromkeys(document for route in self.routes for document in route.documents))

    @property
    def key_sets(self) -> tuple[KeySet, ...]:
        """Those that control fetches, each once. Among what workers go by they stand behind the documents."""
        found = (route.jwt.key_set for route in self.routes if route.jwt is not None)
        return tuple(dict.fromkeys(each for each in found if each is not None))

    @property
    def wafs(self) -> tuple[Waf, ...]:
        """What routes say of rules, each once; a set of rules has its number."""
        return tuple(dict.fromkeys(route.waf for route in self.routes if route.waf is not None))

    @property
    def buffers_on_disk(self) -> bool:
        """Whether any pool may need the file."""
        return any(pool.buffer_file and (pool.buffer_requests or pool.buffer_responses) for pool in self.pools)

    def longest_tunnel(self) -> float:
        """Seconds that a tunnel of any route may be silent."""
        found = (self.timeouts_of(route, pool).tunnel for route in self.routes for pool in route.pools)
        passed = (self.timeouts.nearer(self.pool(pool).timeouts).tunnel for pool in self.passed_to)
        return max([self.timeouts.tunnel, *found, *passed])

    @property
    def passed_to(self) -> frozenset[str]:
        """Pools that get clients' bytes as they are."""
        return frozenset(pool for listen in self.listen for _, pool in listen.passthrough)

    @property
    def asked(self) -> frozenset[str]:
        """Pools that get requests."""
        return frozenset(pool for route in self.routes for pool in (*route.pools, *route.asks))
