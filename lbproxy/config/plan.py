"""The plan of a reload, what it changes: the running `Config` beside a new one.

Both are written in the words of the file first (emit.py: "30s", not 30.0) and compared by those words, each part by the name that
people know it by: a listener by its address, a route by host and path, a pool by its name, a backend as the ledger names it. Lines,
the source, and the order of things whose order means nothing (listeners, pools, backends, networks) are no change. The order of
routes is one, since the first match wins, and so is the first certificate of a listener, since it serves who asks for no name.

`plan(a, b)` and `plan(b, a)` mirror each other: what one adds the other removes, with the same names and keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeVar

from lbproxy.config import renewals
from lbproxy.config.edits import Edit, edits, told
from lbproxy.config.environment import Variables
from lbproxy.config.key import Key, Shape, shape_of
from lbproxy.config.model import (
    AcmeConfig,
    AddressListConfig,
    BackendConfig,
    CacheStoreConfig,
    CertificateConfig,
    ClientLimitConfig,
    Config,
    ListenConfig,
    MetricsConfig,
    PoolConfig,
    ProcessConfig,
    RouteConfig,
    TapConfig,
)
from lbproxy.config.order import moved
from lbproxy.config.renewals import RenewedRules

T = TypeVar("T")
Kind = Literal[
    "listener", "route", "pool", "backend", "proxy", "log", "timeouts", "limits", "metrics", "acme", "audit", "client_limit",
    "tap", "cache",
]  # fmt: skip
How = Literal["added", "removed", "changed"]

_ROOT = shape_of(Config)
_PROXY = shape_of(ProcessConfig)
_BACKEND = shape_of(BackendConfig)
ONLY_BY_RESTART = {item.name: item.what.restart for item in _PROXY.items if isinstance(item.what, Key) and item.what.restart}
"""Keys of [proxy] that a reload leaves as they are, and why."""

ONCE: tuple[Kind, ...] = ("log", "timeouts", "limits", "audit")
"""Tables that are there in any case, beside [proxy]."""
NOTHING = "nothing changed"
MOST_TOLD = 20
"""Pairs of a folder that came and went, one by one."""
_SIGNS: dict[How, str] = {"added": "+", "removed": "-", "changed": "~"}


class PartChange(NamedTuple):
    """One part of the configuration that is not what it was.

    `name` is "0.0.0.0:443" for a listener, "example.com/api/" for a route ("/api/" when it matches every host), "api" for a pool,
    "api/10.0.0.1:8080" for a backend, the address for metrics that come or go, and "" for tables that exist once.
    """

    kind: Kind
    name: str
    how: How
    edits: tuple[Edit, ...] = ()
    notes: tuple[str, ...] = ()
    """What no key tells: a renewed certificate, where an added route leads."""

    @property
    def detail(self) -> tuple[str, ...]:
        """Edits and notes in words."""
        return (*map(str, self.edits), *self.notes)

    def __str__(self) -> str:
        what = f"{_SIGNS[self.how]} {self.kind} {self.name}".rstrip()
        return f"{what}: {', '.join(self.detail)}" if self.detail else what


@dataclass(frozen=True, slots=True)
class Plan:
    changes: tuple[PartChange, ...]
    """In the order of the file's parts: listeners, routes, pools each with its backends, then the tables that exist once."""
    restart: tuple[str, ...]
    """A line for each setting that differs and stays as it runs: key, running value, new value, why."""


def plan(running: Config, new: Config, touched: Collection[Path] = (), rules: RenewedRules = MappingProxyType({})) -> Plan:
    """What becomes of `running` when `new` takes over.

    `touched`: files of the configurations whose bytes changed, by the names that they use; `rules`: of what routes' rules are made.
    A part that used such a file and goes on using it is changed.
    """
    changes = [
        *_listeners(running.listen, new.listen, touched),
        *_routes(running.routes, new.routes, touched, rules),
        *_pools(running.pools, new.pools, touched),
        *_named("client_limit", running.client_limits, new.client_limits),
        *_named("tap", running.taps, new.taps),
        *_proxy(running.proxy, new.proxy, touched),
        *(change for kind in ONCE for change in _once(kind, running, new)),
        *_metrics(running.metrics, new.metrics),
        *_one_or_none("acme", running.acme, new.acme, touched),
        *_one_or_none("cache", running.cache, new.cache),
    ]
    hide = Variables((*new.variables, *running.variables)).hide
    return Plan(tuple(_hidden(change, hide) for change in changes), tuple(map(hide, _restart(running.proxy, new.proxy))))


def _hidden(change: PartChange, hide: Callable[[str], str]) -> PartChange:
    """What came from the environment may be a secret."""
    hidden = (edit._replace(old=edit.old and hide(edit.old), new=edit.new and hide(edit.new)) for edit in change.edits)
    return change._replace(edits=tuple(hidden), notes=tuple(map(hide, change.notes)))


def effective(running: Config, new: Config) -> Config:
    """`new` as it can take effect now: what only a restart changes is as it runs."""
    return replace(new, proxy=replace(new.proxy, **{key: getattr(running.proxy, key) for key in ONLY_BY_RESTART}))


def lines(plan: Plan) -> list[str]:
    """For a terminal, a change a line: "+ listener 127.0.0.1:8443", "~ pool api: health.interval 2s -> 5s", "! proxy.user: ..."."""
    return [*map(str, plan.changes), *(f"! {line}" for line in plan.restart)] or [NOTHING]


def as_json(plan: Plan) -> dict[str, object]:
    """For the control socket.

    {"changes": [{"kind", "name", "how", "edits": [{"key", "old", "new"}], "notes": [text]}], "restart": [text], "lines": [text]};
    `old` and `new` are texts or null, `lines` is all of it for a terminal.
    """
    changes = [
        {
            "kind": change.kind,
            "name": change.name,
            "how": change.how,
            "edits": [edit._asdict() for edit in change.edits],
            "notes": list(change.notes),
        }
        for change in plan.changes
    ]
    return {"changes": changes, "restart": list(plan.restart), "lines": lines(plan)}


# ---------------------------------------------------------------- tables


def _once(kind: Kind, old: Config, new: Config) -> Iterator[PartChange]:
    """A table that exists once, defaults included."""
    yield from _changed(kind, "", edits(getattr(old, kind), getattr(new, kind), _within(kind)))


def _proxy(old: ProcessConfig, new: ProcessConfig, touched: Collection[Path]) -> Iterator[PartChange]:
    return _changed("proxy", "", edits(old, new, _within("proxy")), renewals.of_proxy(old, new, touched))


def _within(name: str) -> Shape:
    """Of a table of the file."""
    return _ROOT.table(name).shape


def _changed(kind: Kind, name: str, edits: Iterable[Edit], notes: Iterable[str] = ()) -> Iterator[PartChange]:
    """A change, when there is something to tell of it."""
    change = PartChange(kind, name, "changed", tuple(edits), tuple(notes))
    if change.detail:
        yield change


def _restart(running: ProcessConfig, new: ProcessConfig) -> Iterator[str]:
    for key, why in ONLY_BY_RESTART.items():
        old, wanted = (getattr(proxy, key) or "not set" for proxy in (running, new))
        if old != wanted:
            yield f"proxy.{key}: {old} -> {wanted} (needs a restart: {why})"


def _metrics(old: MetricsConfig, new: MetricsConfig) -> Iterator[PartChange]:
    if old.address is None or new.address is None:
        yield from (PartChange("metrics", str(address), "removed") for address in (old.address,) if address is not None)
        yield from (PartChange("metrics", str(address), "added") for address in (new.address,) if address is not None)
    else:
        yield from _changed("metrics", "", edits(old, new, _within("metrics")))


def _one_or_none(
    kind: Kind, old: AcmeConfig | CacheStoreConfig | None, new: AcmeConfig | CacheStoreConfig | None, touched: Collection[Path] = ()
) -> Iterator[PartChange]:
    if old is not None and new is not None:
        notes = renewals.of_acme(old, new, touched) if isinstance(old, AcmeConfig) and isinstance(new, AcmeConfig) else ()
        yield from _changed(kind, "", edits(old, new, _within(kind)), notes)
    elif old is not new:
        yield PartChange(kind, "", "removed" if new is None else "added")


def _matched(old: dict[str, T], new: dict[str, T]) -> Iterator[tuple[str, T | None, T | None]]:
    """Each name once with what it stands for on either side: the running ones in their order, then those that are new."""
    for name in old | new:
        yield name, old.get(name), new.get(name)


# ---------------------------------------------------------------- listeners


def _listeners(old: tuple[ListenConfig, ...], new: tuple[ListenConfig, ...], touched: Collection[Path]) -> Iterator[PartChange]:
    by_name = ({str(listen.address): listen for listen in side} for side in (old, new))
    for name, before, after in _matched(*by_name):
        if before is None or after is None:
            yield PartChange("listener", name, "added" if before is None else "removed")
        else:
            notes = [*renewals.of_listener(before, after, touched), *_relisted(before.addresses, after.addresses)]
            yield from _changed("listener", name, _listeneredits(before, after), notes)


def _listeneredits(old: ListenConfig, new: ListenConfig) -> Iterator[Edit]:
    yield from edits(old, new, _within("listen"))
    if old.folder is not None and old.folder == new.folder:
        come, gone = set(new.listed) - set(old.listed), set(old.listed) - set(new.listed)
        if len(come) + len(gone) > MOST_TOLD:  # a line for each could be thousands
            yield Edit("certificates", f"{len(old.listed)} pairs", f"{len(new.listed)} pairs")
            return
    yield from _certificates(*({str(pair.cert): _key(pair) for pair in side.pairs} for side in (old, new)))


def _key(pair: CertificateConfig) -> str:
    more = [f"key_mode {pair.key_mode}"] if pair.key_mode != "private" else []
    more += [f"passphrase by {pair.passphrase}"] if pair.passphrase is not None else []
    return f"{pair.key} ({', '.join(more)})" if more else str(pair.key)


def _certificates(old: dict[str, str], new: dict[str, str]) -> Iterator[Edit]:
    """Certificate to key, in order; one that replaces the only one is one edit, not three."""
    if len(old) == len(new) == 1 and old.keys() != new.keys():
        yield Edit("certificate", *old, *new)
        yield from told("key", next(iter(old.values())), next(iter(new.values())))
        return
    for cert, before, after in _matched(old, new):
        if before is None or after is None:
            yield Edit("certificate", None if before is None else cert, None if after is None else cert)
        elif before != after:
            yield Edit(f"key of {cert}", before, after)
    if old and new and next(iter(old)) != next(iter(new)):
        yield Edit("first certificate", next(iter(old)), next(iter(new)))
    elif [cert for cert in old if cert in new] != [cert for cert in new if cert in old]:
        yield Edit("order of certificates", ", ".join(old), ", ".join(new))


# ---------------------------------------------------------------- routes


def _routes(
    old: tuple[RouteConfig, ...], new: tuple[RouteConfig, ...], touched: Collection[Path], rules: RenewedRules
) -> Iterator[PartChange]:
    before, after = ({route.name: route for route in side} for side in (old, new))
    places = moved([name for name in before if name in after], [name for name in after if name in before])
    for name, was, now in _matched(before, after):
        if was is None:
            yield PartChange("route", name, "added", notes=_leads_to(now))
        elif now is None:
            yield PartChange("route", name, "removed", notes=_leads_to(was))
        else:
            place = [Edit("place", *places[name])] if name in places else []
            said = [*edits(was, now, _within("route")), *place]
            listed = _relisted(was.filters.addresses, now.filters.addresses)
            yield from _changed("route", name, said, [*listed, *renewals.of_route(was, now, touched, rules)])


def _leads_to(route: RouteConfig | None) -> tuple[str, ...]:
    return () if route is None else (route.leads_to,)


# ---------------------------------------------------------------- filters


def _relisted(old: AddressListConfig, new: AddressListConfig) -> Iterator[str]:
    """Files of networks that hold others than before; a line for each network could be thousands."""
    for key in ("allow", "deny"):
        path, before, after = getattr(new, f"{key}_file"), getattr(old, f"{key}_listed"), getattr(new, f"{key}_listed")
        come, gone = set(after) - set(before), set(before) - set(after)
        if path == getattr(old, f"{key}_file") and (come or gone):
            yield f"{key}_file {path}: {len(come)} added, {len(gone)} removed"


def _named(
    kind: Literal["client_limit", "tap"], old: Sequence[ClientLimitConfig | TapConfig], new: Sequence[ClientLimitConfig | TapConfig]
) -> Iterator[PartChange]:
    by_name = ({each.name: each for each in side} for side in (old, new))
    for name, before, after in _matched(*by_name):
        if before is None or after is None:
            yield PartChange(kind, name, "added" if before is None else "removed")
        else:
            yield from _changed(kind, name, edits(before, after, _within(kind)))


# ---------------------------------------------------------------- pools


def _pools(old: tuple[PoolConfig, ...], new: tuple[PoolConfig, ...], touched: Collection[Path]) -> Iterator[PartChange]:
    by_name = ({pool.name: pool for pool in side} for side in (old, new))
    for name, before, after in _matched(*by_name):
        if before is None or after is None:
            yield PartChange("pool", name, "added" if before is None else "removed")
        else:
            notes = renewals.of_pool(before.tls, after.tls, touched)
            yield from _changed("pool", name, edits(before, after, _within("pool")), notes)
        yield from _backends(name, *(() if pool is None else pool.backends for pool in (before, after)))


def _backends(pool: str, old: tuple[BackendConfig, ...], new: tuple[BackendConfig, ...]) -> Iterator[PartChange]:
    by_name = ({f"{pool}/{backend.address}": backend for backend in side} for side in (old, new))
    for name, before, after in _matched(*by_name):
        if before is None or after is None:
            yield PartChange("backend", name, "added" if before is None else "removed")
        else:
            yield from _changed("backend", name, edits(before, after, _BACKEND))
