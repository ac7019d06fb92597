"""Complaints about what is wrong only in the parts together: addresses twice, routes never reached, too much of something."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import pairwise

from lbproxy.config.model import Address, Config, PoolConfig, RouteConfig, TapConfig
from lbproxy.config.reach import never_reached
from lbproxy.config.rules import acme, caching
from lbproxy.config.rules.headers import silent_variables
from lbproxy.config.tables import Report, dotted
from lbproxy.config.units import did_you_mean
from lbproxy.errors import Complaint

MAX_COUNTED = 1024
"""The slots of the ledger: one for each backend and each listener."""


def check_together(report: Report, config: Config) -> None:
    """Complain into `report`. What could not be read is not in `config`; it has its complaint already."""
    places = [("listen", listener.address, listener.line) for listener in config.listen]
    if config.metrics.address is not None:
        places.append(("metrics.address", config.metrics.address, report.lines.of(("metrics", "address"))))
    places += [
        (f"tap.{tap.name}.listen", tap.listen, report.lines.of(("tap", tap.name, "listen")))
        for tap in config.taps
        if tap.listen is not None
    ]
    complaints = [*_addresses(report.source, places), *_routes(report.source, config.routes)]
    for pool in config.pools:
        complaints += _backends_twice(report.source, pool)
    complaints += _pools_of_icap(report.source, config)
    complaints += _taps(report.source, config)
    backends = sum(len(pool.backends) for pool in config.pools)
    if backends + len(config.listen) > MAX_COUNTED:
        message = f"wanted at most {MAX_COUNTED} backends and listeners in all, got {backends} and {len(config.listen)}"
        complaints.append(Complaint(report.source, config.pools[-1].line, "pool", message))
    found = [*complaints, *acme.together(report, config), *caching.together(report, config)]
    found += [*silent_variables(report, config), *_nobody_passes(report.source, config)]
    found += _unseen(report, config)
    report.complaints += found


def _nobody_passes(source: str, config: Config) -> list[Complaint]:
    """Routes that want certificates of clients, where no listener asks for any."""
    if any(listen.tls.asks for listen in config.listen):
        return []
    message = "no listener asks clients for certificates: nobody passes"
    hint = 'add tls = { client_ca = "ca.pem", client_auth = "optional" } to one'
    wanting = (route for route in config.routes if route.filters.client_certificate is not None)
    return [Complaint(source, route.line, "route.client_certificate", message, hint) for route in wanting]


def _unseen(report: Report, config: Config) -> list[Complaint]:
    """Pools whose choice of a backend goes by what stands in requests, and to which bytes are passed through."""
    complaints = []
    for index, listen in enumerate(config.listen):
        for name, wanted in listen.passthrough:
            pool = next((pool for pool in config.pools if pool.name == wanted), None)
            if pool is None:
                continue
            hashed = pool.balance == "source_hash" and pool.hash.kind != "address"
            what = "sticky" if pool.sticky is not None else "hash" if hashed else ""
            if what:
                path = ("listen", index, "passthrough", name)
                message = f"{what} of pool {wanted} goes by what stands in requests, and those of {name} nobody here can read"
                hint = 'put its backends into a pool of its own; balance = "source_hash" goes by the client\'s address'
                complaints.append(Complaint(report.source, report.lines.of(path), dotted(path), message, hint))
    return complaints


def _taps(source: str, config: Config) -> list[Complaint]:
    """That they are there, and have what they write into."""
    names = [tap.name for tap in config.taps]
    missing = [route for route in config.routes if route.tap and route.tap not in names]
    complaints = [
        Complaint(source, route.line, "route.tap", f'there is no tap "{route.tap}"',
                  did_you_mean(route.tap, names) or f"add [tap.{route.tap}] with its folder, fifo, listen or interface")
        for route in missing
    ]  # fmt: skip
    for tap in config.taps:
        if tap.folder is None and not tap.sinks:
            hint = 'add fifo, listen or interface; or folder = "/var/lib/lbproxy/tap", and make it: install -d -m 700'
            complaints.append(Complaint(source, tap.line, f"tap.{tap.name}", "there is nowhere for it to go", hint))
        if tap.listen is None and (tap.readers, tap.allow) != (TapConfig().readers, TapConfig().allow):
            complaints.append(Complaint(source, tap.line, f"tap.{tap.name}", "nobody can connect to it", 'add listen = ":57012"'))
    for sink in ("fifo", "interface"):
        first: dict[object, str] = {}
        for tap in config.taps:
            value = getattr(tap, sink)
            if value is not None and first.setdefault(value, tap.name) != tap.name:
                message = f"{value} is tap.{first[value]}'s already"
                complaints.append(Complaint(source, tap.line, f"tap.{tap.name}.{sink}", message, "let the routes name one tap"))
    return complaints


def _pools_of_icap(source: str, config: Config) -> list[Complaint]:
    """Servers of ICAP speak nothing else."""
    asked = dict.fromkeys(route.icap.pool for route in config.routes if route.icap is not None)
    others = {name for route in config.routes for name in route.pools}
    others |= {pool for listen in config.listen for _, pool in listen.passthrough}
    others |= {table.pool for route in config.routes for table in (route.authorize, route.mirror) if table is not None}
    complaints = []
    for pool in config.pools:
        if pool.name not in asked:
            continue
        key = f"pool.{pool.name}"
        if pool.name in others:
            hint = "give the servers of route.icap a pool of their own"
            complaints.append(Complaint(source, pool.line, key, "requests of HTTP go there, and ICAP is another protocol", hint))
        if pool.health.type == "http":
            message = "servers of ICAP are not asked for a page"
            complaints.append(Complaint(source, pool.line, f"{key}.health.type", message, 'write type = "tcp", or "tls"'))
        if pool.proxy_protocol or pool.protocol != "http/1.1":
            named = "proxy_protocol" if pool.proxy_protocol else "protocol"
            complaints.append(Complaint(source, pool.line, f"{key}.{named}", "means nothing to servers of ICAP", "take it out"))
    return complaints


def _addresses(source: str, places: list[tuple[str, Address, int]]) -> list[Complaint]:
    """No two listeners may want the same address, nor one a part of another's."""
    complaints = []
    by_port = sorted(places, key=lambda place: place[2])
    for index, (key, address, line) in enumerate(by_port):
        for _, earlier, earlier_line in by_port[:index]:
            if earlier == address:
                complaints.append(Complaint(source, line, key, f"{address} is listened on already by line {earlier_line}"))
                break
            if _overlap(earlier, address):
                message = f"{address} cannot be had together with {earlier} of line {earlier_line}"
                complaints.append(Complaint(source, line, key, message, "one of them already takes all addresses of that port"))
                break
    return complaints


def _overlap(one: Address, other: Address) -> bool:
    """Same port and family, and one of them is "all addresses"."""
    if one.path or other.path:
        return False
    first, second = ip_address(one.host), ip_address(other.host)
    return one.port == other.port and first.version == second.version and (first.is_unspecified or second.is_unspecified)


def _routes(source: str, routes: tuple[RouteConfig, ...]) -> list[Complaint]:
    """A route behind one that matches all it could match is a mistake in the order."""
    complaints = []
    for route, earlier in never_reached(routes):
        message = f"this route is never reached: the one on line {earlier.line} matches first"
        hint = "take one of them out" if route.name == earlier.name else "move this one above it"
        complaints.append(Complaint(source, route.line, "route", message, hint))
    return complaints


def _backends_twice(source: str, pool: PoolConfig) -> list[Complaint]:
    complaints = []
    ordered = sorted(pool.backends, key=lambda backend: backend.address)  # stable: the first written stays first
    for earlier, backend in pairwise(ordered):
        if earlier.address == backend.address:
            message = f"{backend.address} is in this pool already, on line {earlier.line}"
            key = f"pool.{pool.name}.backends"
            complaints.append(Complaint(source, backend.line, key, message, "for a larger share set its weight"))
    return complaints
