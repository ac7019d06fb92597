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
from lbproxy.config.model.acme import AcmeConfig, AuthorityConfig
from lbproxy.config.model.audit import AcceptedConfig, AuditConfig
from lbproxy.config.model.cache_store import CacheStoreConfig
from lbproxy.config.model.caching import CacheConfig
from lbproxy.config.model.compress import CompressConfig
from lbproxy.config.model.filters import AddressListConfig, ClientLimitConfig, ClientNamesConfig, RefuseConfig, RouteFiltersConfig
from lbproxy.config.model.headers import HEADER_WORDS, HeaderRulesConfig, HeadersConfig
from lbproxy.config.model.health import HealthConfig, OutlierConfig
from lbproxy.config.model.icap import IcapConfig
from lbproxy.config.model.inspection import AuthorizeConfig, BasicAuthConfig, Document, JwtConfig, KeySet
from lbproxy.config.model.listeners import CertificateConfig, ListenConfig, ListenTlsConfig, NameTlsConfig, SocketAccessConfig
from lbproxy.config.model.mirroring import MirrorConfig
from lbproxy.config.model.pools import BackendConfig, ConnectionsConfig, PoolConfig, PoolTlsConfig, StickyConfig
from lbproxy.config.model.process import LimitsConfig, LogConfig, MetricsConfig, ProcessConfig
from lbproxy.config.model.routes import RouteConfig
from lbproxy.config.model.routing import (
    ANYTHING,
    AS_THEY_ARE,
    MatchConfig,
    PathRulesConfig,
    Patterns,
    RespondConfig,
    SplitStickyConfig,
)
from lbproxy.config.model.tapping import TapConfig
from lbproxy.config.model.timeouts import NEAR_TIMEOUTS, NearTimeoutsConfig, TimeoutsConfig
from lbproxy.config.model.waf import WafConfig
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
    "AcceptedConfig",
    "AcmeConfig",
    "Address",
    "AddressListConfig",
    "AuditConfig",
    "AuthorityConfig",
    "AuthorizeConfig",
    "BackendConfig",
    "BasicAuthConfig",
    "CacheConfig",
    "CacheStoreConfig",
    "CertificateConfig",
    "ClientLimitConfig",
    "ClientNamesConfig",
    "CompressConfig",
    "Config",
    "ConnectionsConfig",
    "Document",
    "Hash",
    "HeaderRulesConfig",
    "HeadersConfig",
    "HealthConfig",
    "Hsts",
    "IcapConfig",
    "JwtConfig",
    "KeySet",
    "LimitsConfig",
    "ListenConfig",
    "ListenTlsConfig",
    "LogConfig",
    "MatchConfig",
    "MetricsConfig",
    "MirrorConfig",
    "NameTlsConfig",
    "NearTimeoutsConfig",
    "Network",
    "OutlierConfig",
    "Passphrase",
    "PathRulesConfig",
    "Patterns",
    "PoolConfig",
    "PoolTlsConfig",
    "ProcessConfig",
    "Rate",
    "RefuseConfig",
    "RespondConfig",
    "RouteConfig",
    "RouteFiltersConfig",
    "SocketAccessConfig",
    "SplitStickyConfig",
    "StickyConfig",
    "TapConfig",
    "TimeoutsConfig",
    "WafConfig",
]


def _with_metrics(config: Any) -> bool:
    return bool(config.metrics != MetricsConfig())


def _with_audit(config: Any) -> bool:
    return bool(config.audit != AuditConfig())


@dataclass(frozen=True, slots=True)
class Config:
    """Everything, checked: names that one part uses of another exist."""

    source: str
    """The file it came from, as the user named it; "" when made by `quick`."""
    listen: tuple[ListenConfig, ...] = field(
        metadata=in_any_case(
            tables(
                ListenConfig,
                "where clients come in",
                "a table headed [[listen]]",
                wanted="a list of tables, each headed [[listen]]",
            )
        )
    )
    routes: tuple[RouteConfig, ...] = field(
        metadata=in_any_case(
            tables(
                RouteConfig,
                "the first that matches wins, so the particular ones stand first",
                "a table headed [[route]]",
                called="route",
                complete=True,
                wanted="a list of tables, each headed [[route]]",
            )
        )
    )
    pools: tuple[PoolConfig, ...] = field(
        metadata=in_any_case(
            named(
                PoolConfig,
                "the backends of one application",
                "a table for each pool, headed [pool.NAME]",
                called="pool",
                names=pool_name,
            )
        )
    )
    proxy: ProcessConfig = table(ProcessConfig, "the processes", "a table headed [proxy]")
    log: LogConfig = table(LogConfig, "what is told", "a table headed [log]")
    timeouts: TimeoutsConfig = table(TimeoutsConfig, "how long", "a table headed [timeouts]")
    limits: LimitsConfig = table(LimitsConfig, "how much", "a table headed [limits]")
    metrics: MetricsConfig = table(
        MetricsConfig, "/metrics, /livez, /readyz, /status.json, / (status page)", "a table headed [metrics]", when=_with_metrics
    )
    client_limits: tuple[ClientLimitConfig, ...] = named(
        ClientLimitConfig,
        "what each client may do on all routes that name it together",
        "a table for each limit, headed [client_limit.NAME]",
        called="client_limit",
        names=short_name,
    )
    acme: AcmeConfig | None = table_or_none(
        AcmeConfig,
        "certificates that are obtained and renewed by themselves, for listeners with acme = true",
        "a table headed [acme]",
    )
    taps: tuple[TapConfig, ...] = named(
        TapConfig,
        "conversations of the routes that name it, as packets in files, for whoever looks for intruders",
        "a table for each tap, headed [tap.NAME]",
        called="tap",
        names=short_name,
    )
    audit: AuditConfig = table(
        AuditConfig, "what lbproxy audit tells, and what it lets pass", "a table headed [audit]", when=_with_audit
    )
    cache: CacheStoreConfig | None = table_or_none(
        CacheStoreConfig, "where answers are kept that routes with [route.cache] store", "a table headed [cache]"
    )
    written: tuple[tuple[tuple[str | int, ...], str], ...] = field(default=(), compare=False, repr=False)
    """Texts that name environment variables, by path, and what these hold, by name: told to nobody."""
    variables: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    def pool(self, name: str) -> PoolConfig:
        """The pool of that name; every route's pool exists (load.py checks)."""
        return next(pool for pool in self.pools if pool.name == name)

    def timeouts_of(self, route: RouteConfig, pool: str = "") -> TimeoutsConfig:
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
    def wafs(self) -> tuple[WafConfig, ...]:
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
